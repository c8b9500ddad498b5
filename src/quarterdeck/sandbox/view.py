"""What an environment sees of the host: a short list of system folders, read-only, and nothing else of it.

Homes, /var, /srv, /mnt, /run, /sys and the runtime's own data are not hidden one by one: they are never shown. Masks cover
what lies inside the folders that are shown (password hashes, host keys, credentials of package managers).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from quarterdeck.protocol.environment import Bind, EnvironmentSpec
from quarterdeck.protocol.errors import SandboxError

from .shim.launch import FD_DATA, FD_INFO, STAGE

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "nix/store", "gnu/store")
"""Host folders shown whole, as far as they exist."""
VAR = ("var/lib/dpkg", "var/lib/gems", "var/lib/texmf", "sys/devices/system/cpu")
"""Parts of otherwise hidden folders that common programs read."""
MASKED_ETC = (  # noqa: SIM905
    "shadow shadow- gshadow gshadow- sudoers sudoers.d security/opasswd ssl/private machine-id krb5.keytab environment "
    "ssh/ssh_host_rsa_key ssh/ssh_host_ecdsa_key ssh/ssh_host_ed25519_key "
    "NetworkManager/system-connections wireguard openvpn ipsec.secrets ipsec.d docker kubernetes rancher "
    "apt/auth.conf apt/auth.conf.d pip.conf npmrc netrc letsencrypt salt puppet chef"
).split()
MASKED_PROC = (  # noqa: SIM905
    "acpi asound cmdline interrupts iomem ioports kallsyms kcore key-users keys kmsg latency_stats modules sched_debug schedstat "
    "scsi slabinfo sysrq-trigger timer_list vmallocinfo"
).split()
ALWAYS_MASKED = ("kallsyms", "kcore", "keys", "sysrq-trigger")
TAKEN = ("/", "//", "/proc", "/dev", "/sys", "/run", "/workspace", "/tmp")
EMPTY = ("/home", "/root", "/mnt", "/srv", "/sys", "/var", "/var/lib", "/opt")
"""Folders that programs expect to exist."""
UID = 1000
HOME = "/tmp/home"
SHM_BYTES = 256 << 20
PASSWD = f"root:x:0:0:root:/root:/bin/sh\nagent:x:{UID}:{UID}:agent:{HOME}:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n"
GROUP = f"root:x:0:\nagent:x:{UID}:\nnogroup:x:65534:\n"
HOSTS = "127.0.0.1 localhost quarterdeck\n::1 localhost\n"


class View:
    """Collects bubblewrap's arguments. `staged` is for root: sources that only root can reach, with their staged names."""

    def __init__(self, *, staging: bool) -> None:
        self.staging = staging
        self.args: list[str] = []
        self.stage: list[tuple[str, str]] = []
        self.data: list[bytes] = []
        self.shown: list[tuple[str, str]] = []
        """(host path, path inside) of everything bound, in order."""

    def show(self, source: str, target: str) -> None:
        """Bind a system folder that everybody can reach."""
        self.args += ["--ro-bind", source, target]
        self.shown.append((source, target))

    def bind(self, bind: Bind) -> None:
        """Bind what the caller asked for. SandboxError if it does not exist or the target is taken."""
        source = os.path.realpath(bind.source)
        if not Path(source).exists():
            raise SandboxError(f"cannot show {bind.source} inside: it does not exist", hint="leave it out of the environment's binds")
        target = os.path.normpath(bind.target)
        if not target.startswith("/") or target in TAKEN:
            raise SandboxError(
                f"cannot show {bind.source} at {bind.target!r} inside", hint="choose an absolute target, such as one below /opt"
            )
        if any(self._same(source, target, known, inside) for known, inside in self.shown):
            return
        if self.staging:
            name = str(len(self.stage))
            self.stage.append((source, name))
            self.args += ["--ro-bind", f"{STAGE}/{name}", target]
        else:
            self.args += ["--ro-bind", source, target]
        self.shown.append((source, target))

    @staticmethod
    def _same(source: str, target: str, known: str, inside: str) -> bool:
        """Whether `target` shows `source` already, as part of something shown."""
        return (source + "/").startswith(known + "/") and target == inside + source[len(known) :]

    def mask(self, path: str) -> None:
        """Cover a host path wherever something shown contains it. What was bound on purpose inside a masked path stays."""
        real = os.path.realpath(path)
        for known, inside in list(self.shown):
            if real != known and real.startswith(known + "/") and self.readable(real):
                self.cover(inside + real[len(known) :], folder=Path(real).is_dir())

    def readable(self, path: str) -> bool:
        """Whether the environment's user could read it: what he cannot read needs no cover, and each cover costs 0.3 ms."""
        if not self.staging:
            return os.access(path, os.R_OK)
        try:
            return bool(os.lstat(path).st_mode & 0o005)
        except OSError:
            return False

    def cover(self, target: str, *, folder: bool) -> None:
        if folder:
            self.args += ["--perms", "0555", "--size", "4096", "--tmpfs", target, "--remount-ro", target]
        else:
            self.args += ["--ro-bind", "/dev/null", target]

    def tmpfs(self, target: str, size: int, mode: str = "0755") -> None:
        self.args += ["--perms", mode, "--size", str(size), "--tmpfs", target]

    def file(self, target: str, text: str) -> None:
        """Show a file of our own in place of the host's."""
        self.args += ["--ro-bind-data", str(FD_DATA + 1 + len(self.data)), target]
        self.data.append(text.encode())


def build(spec: EnvironmentSpec, binds: Iterable[Bind], masks: Sequence[str], *, staging: bool) -> View:
    """Lay out the environment's file system. The seccomp program is data 0, so files follow it."""
    view = View(staging=staging)
    for name in EMPTY:
        view.args += ["--perms", "0755", "--dir", name]
    _system(view)
    _devices_and_proc(view, spec)
    for name in MASKED_ETC:
        view.mask(f"/etc/{name}")
    view.tmpfs("/tmp", spec.limits.tmp_bytes, "1777")
    view.args += ["--perms", "0700", "--dir", HOME]
    view.tmpfs("/run", 16 << 20)
    view.args += ["--symlink", "../run", "/var/run", "--symlink", "../tmp", "/var/tmp"]
    view.tmpfs("/workspace", spec.limits.workspace_bytes)
    for bind in binds:
        view.bind(bind)
    for mask in masks:
        view.mask(mask)
    for name, text in (("passwd", PASSWD), ("group", GROUP), ("hosts", HOSTS)):
        if Path(f"/etc/{name}").is_file() and not Path(f"/etc/{name}").is_symlink():
            view.file(f"/etc/{name}", text)
    view.args += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/workspace"]
    return view


def _system(view: View) -> None:
    for name in SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            view.args += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            view.show(str(path), str(path))
    for path in sorted(Path("/opt").iterdir()) if view.readable("/opt") else ():
        if path.is_dir() and not path.is_symlink() and path.name != "quarterdeck" and view.readable(str(path)):
            view.show(str(path), str(path))
    for name in VAR:
        if Path("/", name).is_dir():
            view.show(f"/{name}", f"/{name}")


def _devices_and_proc(view: View, spec: EnvironmentSpec) -> None:
    view.args += ["--proc", "/proc", "--dev", "/dev"]
    view.tmpfs("/dev/shm", min(SHM_BYTES, spec.limits.tmp_bytes), "1777")
    view.args += ["--ro-bind", "/proc/sys", "/proc/sys"]
    for name in MASKED_PROC:
        path = f"/proc/{name}"
        if view.readable(path) or (name in ALWAYS_MASKED and os.access(path, os.F_OK)):
            view.cover(path, folder=Path(path).is_dir())


def isolation() -> list[str]:
    """bubblewrap's arguments that do not depend on the environment."""
    namespaces = ["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    identity = ["--uid", str(UID), "--gid", str(UID), "--hostname", "quarterdeck", "--cap-drop", "ALL"]
    return [*namespaces, *identity, "--die-with-parent", "--as-pid-1", "--info-fd", str(FD_INFO), "--seccomp", str(FD_DATA)]
