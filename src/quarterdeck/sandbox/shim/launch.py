"""Starting bubblewrap so that no process of the environment ever has host uid 0 (law 5).

Started by root, bubblewrap maps the uid inside to host uid 0, and /proc/sys then opens for writing. So root first makes a
mount namespace of its own, stages the folders that an ordinary user could not reach, and becomes a host uid that nobody else
has; only then it executes bubblewrap, exactly as an ordinary user would.
"""

# pathlib and contextlib are not used: importing them costs milliseconds of every cold start.
# ruff: noqa: PTH102, PTH112, PTH123
from __future__ import annotations

import _socket
import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLONE_NEWNS = 0x20000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
STAGE = "/run"
"""Where root stages; the environment never sees the host's /run, so nothing is hidden by it."""
FD_AGENT, FD_ARGS, FD_INFO, FD_DATA = 3, 4, 5, 6


class Sandbox:
    """A started bubblewrap: `pid` is its host-side process, `init` the agent's pid as the host sees it."""

    def __init__(self, pid: int, agent: _socket.socket, info: int, errors: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.agent = agent
        self.info = info
        self.errors = errors
        self.init = 0

    def read_info(self) -> int:
        """Read the init's pid from bubblewrap's report; 0 if it failed before. Blocks for the few milliseconds it takes."""
        text = b""
        while b"}" not in text:
            data = os.read(self.info, 4096)
            if not data:
                break
            text += data
        os.close(self.info)
        after = text.partition(b'"child-pid":')[2]
        digits = after.split(b",")[0].strip(b" \n}")
        self.init = int(digits) if digits.isdigit() else 0
        return self.init

    def complaint(self) -> str:
        """What bubblewrap wrote to stderr, up to 4 kB."""
        try:
            return os.read(self.errors, 4096).decode("utf-8", "replace").strip()
        except BlockingIOError:
            return ""


def memfd(data: bytes) -> int:
    """A read-only-by-convention file in memory, at offset 0."""
    fd = os.memfd_create("quarterdeck", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def start(plan: dict[str, Any]) -> Sandbox:
    """Start bubblewrap by `plan` (see plan.make). The agent waits for a "G" before it does anything."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    info_r, info_w = os.pipe2(os.O_CLOEXEC)
    err_r, err_w = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(err_r, False)
    args = memfd(b"".join(arg + b"\0" for arg in plan["args"]))
    fds = [theirs.fileno(), args, info_w, *(memfd(data) for data in plan["data"])]
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(err_w, 2)
            os.umask(0o022)
            if plan["uid"] is not None:
                _leave_root(plan["uid"], plan["stage"])
            _place(fds)
            os.execve(plan["bwrap"], ["bwrap", "--args", str(FD_ARGS), *plan["command"]], {})
        except BaseException as error:
            os.write(2, f"launcher: {error}".encode())
        finally:
            os._exit(71)
    theirs.close()
    for fd in (err_w, *fds[1:]):
        os.close(fd)
    return Sandbox(pid, ours, info_r, err_r)


def _place(fds: list[int]) -> None:
    """Give the descriptors the numbers that the arguments name: the agent's socket, arguments, info, data..."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
    for number, fd in enumerate(high):
        os.dup2(fd, FD_AGENT + number)
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1):
        os.dup2(null, number)
    os.closerange(FD_AGENT + len(fds), 65536)


def call(name: str, *args: int | str | None) -> None:
    """Call a function of libc that answers 0, or raise OSError. (The low-level module: importing `ctypes` costs 5 ms of a cold start.)"""
    import _ctypes

    function = _ctypes.dlsym(_ctypes.dlopen(None, 0), name)  # type: ignore[arg-type]
    raw = tuple(os.fsencode(arg) if isinstance(arg, str) else arg for arg in args)
    if _ctypes.call_function(function, raw) != 0:
        raise OSError(f"{name}{args!r} failed")


def _leave_root(uid: int, stage: list[tuple[str, str]]) -> None:
    """Stage what the uid cannot reach, then become it for ever. `stage` holds (host path, name under STAGE)."""

    def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
        call("mount", source, target, kind, flags, data)

    call("unshare", CLONE_NEWNS)
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    sources = [(os.open(source, os.O_PATH | os.O_CLOEXEC), os.path.isdir(source), name) for source, name in stage]
    mount("quarterdeck", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m")
    for fd, folder, name in sources:
        target = f"{STAGE}/{name}"
        if folder:
            os.mkdir(target, 0o755)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        mount(f"/proc/self/fd/{fd}", target, None, MS_BIND | MS_REC)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def check_not_root(pid: int) -> None:
    """Law 5, measured: raise RuntimeError if the process has host uid 0."""
    with open(f"/proc/{pid}/status") as file:
        uids = [uid for line in file if line.startswith("Uid:") for uid in line.split()[1:]]
    if not uids or "0" in uids:
        raise RuntimeError(f"the environment would run with host uid 0 ({uids}); refused")
