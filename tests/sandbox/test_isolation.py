"""What code inside can see and do: nothing of the host's that matters. A16, A31, law 5."""

# A test may block its own loop.
# ruff: noqa: ASYNC240
from __future__ import annotations

import json
import os
import platform
import socket
import sys
from pathlib import Path

import pytest
from sandbox_box import PYTHON, Box

from quarterdeck.protocol.environment import Bind, EnvironmentSpec
from quarterdeck.protocol.errors import SandboxError
from quarterdeck.sandbox import detect, seccomp, toolbox
from quarterdeck.sandbox.shim.processes import below

PROBE = Path(__file__).with_name("probe_syscalls.py")


def init_pid(box: Box) -> int:
    return int((box.folder / "remains").read_text().split()[4])


# --- law 5: never host root -----------------------------------------------------------------------------------------------


async def test_law_5_no_process_of_an_environment_has_host_uid_0(box: Box) -> None:
    assert (await box.sh("sleep 60 & setsid sleep 60 &")).ok
    init = init_pid(box)
    pids = [init, *below(init)]
    assert len(pids) >= 4
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        assert "0" not in uids
    for name in ("uid_map", "gid_map"):
        for line in Path(f"/proc/{init}/{name}").read_text().splitlines():
            first, count = (int(field) for field in line.split()[1:])
            assert not first <= 0 < first + count


async def test_law_5_two_environments_of_root_have_different_host_uids(tmp_path: Path) -> None:
    boxes = [await Box(tmp_path / "home").create() for _ in range(2)]
    uids = {Path(f"/proc/{init_pid(box)}").stat().st_uid for box in boxes}
    maps = {Path(f"/proc/{init_pid(box)}/uid_map").read_text() for box in boxes}
    for box in boxes:
        await box.delete()
    assert len(maps) == (2 if os.geteuid() == 0 else 1), uids


async def test_law_5_core_pattern_and_its_like_cannot_be_written(shared: Box) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    for name in ("sys/kernel/core_pattern", "sys/kernel/hostname", "sys/vm/drop_caches", "sys/net/ipv4/ip_forward", "sysrq-trigger"):
        result = await shared.sh(f"echo b > /proc/{name}")
        assert not result.ok, name
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before
    # A dump would be handed to a program of host root; the limit 1 forbids even dumps into pipes.
    assert await shared.out("ulimit -Hc; grep -i core /proc/self/limits | tr -s ' ' | cut -d' ' -f5,6") in ("0\n1 1", "1\n1 1")


# --- rights ---------------------------------------------------------------------------------------------------------------


async def test_a16_no_capabilities_no_new_privileges_seccomp_on(shared: Box) -> None:
    status = dict(line.split(":", 1) for line in (await shared.out("cat /proc/self/status")).splitlines())
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"


async def test_a16_namespaces_are_the_environments_own(shared: Box) -> None:
    for name in ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup"):
        assert await shared.out(f"readlink /proc/self/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"), name  # noqa: PTH115


async def test_a16_seccomp_answers_every_call_of_the_list(shared: Box) -> None:
    which = 0 if platform.machine() == "x86_64" else 1
    denied = {name: numbers[which] for name, numbers in seccomp.DENIED.items() if numbers[which] is not None}
    clone, ioctl, personality = (numbers[which] for numbers in (seccomp.CLONE, seccomp.IOCTL, seccomp.PERSONALITY))
    special = {
        "clone3": [435],
        "clone new user": [clone, 0x10000000 | 17],
        "clone new net": [clone, 0x40000000 | 17],
        "TIOCSTI": [ioctl, 0, 0x5412],
        "TIOCSTI with high bits": [ioctl, 0, 0x1_0000_5412],
        "TIOCLINUX": [ioctl, 0, 0x541C],
        "personality": [personality, 0x0040000],
    }
    families = {"packet": 17, "alg": 38, "vsock": 40, "bluetooth": 31, "key": 15, "xdp": 44, "rds": 21, "can": 29}
    table = json.dumps({"denied": denied, "special": special, "families": families})
    result = await shared.run(PYTHON, "-I", "-c", PROBE.read_text(), table)
    assert result.ok, result.stderr.text
    found = json.loads(result.stdout.data)
    assert {name: found[name] for name in denied if found[name] != "EPERM"} == {}
    assert found["clone3"] == "ENOSYS"
    assert {name: found[name] for name in special if name != "clone3" and found[name] != "EPERM"} == {}
    assert {name: found[name] for name in (*families, "netlink uevent") if found[name] != "EAFNOSUPPORT"} == {}
    assert [found[name] for name in ("netlink route", "unix", "inet")] == ["allowed"] * 3


async def test_a16_the_agent_cannot_be_traced_killed_stopped_or_read(shared: Box) -> None:
    script = """
import os, signal
def refused(action):
    try:
        action()
    except OSError:
        return True
    return False
for action in (lambda: open('/proc/1/mem', 'rb'), lambda: os.listdir('/proc/1/fd'), lambda: open('/proc/1/environ', 'rb').read()):
    print(refused(action))
os.kill(1, signal.SIGKILL); os.kill(1, signal.SIGSTOP); os.kill(1, signal.SIGTERM); os.kill(1, signal.SIGINT)
"""
    result = await shared.py(script)
    assert result.stdout.text.split() == ["True", "True", "True"], result.stderr.text
    assert await shared.out("echo alive") == "alive"


# --- what can be seen -----------------------------------------------------------------------------------------------------


async def test_a31_homes_and_runtime_data_are_hidden(shared: Box, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("CANARY-OF-THE-HOST")
    (shared.home / "secret").write_text("CANARY-OF-THE-RUNTIME")
    homes = [str(Path.home()), str(shared.home), str(tmp_path), str(canary), "/var/log", "/srv", "/etc/shadow", "/root/.ssh"]
    for path in homes:
        seen = await shared.sh(f"cat '{path}'/* '{path}' 2>/dev/null; ls -A '{path}/' 2>/dev/null | grep -v '^[.]pyenv$'")
        assert seen.stdout.text.strip() == "", (path, seen.stdout.text)
    found = await shared.sh("grep -rs CANARY-OF-THE /tmp /workspace /home /run /var /srv /mnt /dev/shm /etc 2>/dev/null")
    assert found.stdout.total == 0


async def test_a31_host_environment_is_not_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "CANARY-OF-THE-ENVIRONMENT")
    box = await Box(tmp_path / "home", EnvironmentSpec("clean", env={"GIVEN": "1"})).create()
    try:
        assert "CANARY" not in await box.out("env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")
        assert await box.out("echo $GIVEN $HOME $LANG") == "1 /tmp/home C.UTF-8"
        assert (await box.sh("echo $GIVEN $MORE", env={"GIVEN": "2", "MORE": "3"})).stdout.text == "2 3\n"
    finally:
        await box.delete()


async def test_a31_other_processes_are_invisible(shared: Box) -> None:
    pids = [int(name) for name in (await shared.out("ls /proc")).split() if name.isdigit()]
    assert len(pids) < 12
    assert str(shared.home) not in await shared.out("cat /proc/*/cmdline | tr '\\0' '\\n'")
    assert not (await shared.sh(f"kill -0 {os.getpid()}")).ok or os.getpid() in pids


async def test_a16_no_descriptor_of_the_host_is_open(shared: Box) -> None:
    names = (await shared.py("import os; print(sorted(os.listdir('/proc/self/fd')))")).stdout.text
    assert names.strip() == "['0', '1', '2', '3']"  # 3 is the listing itself


async def test_a16_masked_kernel_files_are_empty_or_refused(shared: Box) -> None:
    for path in ("kcore", "kallsyms", "keys", "key-users", "timer_list", "sched_debug", "kmsg", "interrupts", "cmdline"):
        assert (await shared.sh(f"head -c 64 /proc/{path}")).stdout.total == 0, path
    for path in (
        "/sys/firmware",
        "/sys/kernel",
        "/dev/kmsg",
        "/dev/mem",
        "/dev/kvm",
        "/dev/fuse",
        "/run/docker.sock",
        "/run/dbus",
        "/var/run/docker.sock",
    ):
        assert not (await shared.sh(f"test -e {path}")).ok, path
    devices = set((await shared.out("ls /dev")).split())
    assert devices <= {
        "core",
        "fd",
        "full",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
        "console",
    }


async def test_a16_the_host_is_read_only_and_the_workspace_is_not(shared: Box) -> None:
    for path in ("/usr/x", "/etc/x", "/x", "/opt/x", "/dev/x", "/root/x", "/home/x", "/proc/x", "/sys/x", "/opt/quarterdeck/inside/x"):
        assert not (await shared.sh(f"touch {path}")).ok, path
    for path in ("/workspace/x", "/tmp/x", "/tmp/home/x", "/dev/shm/x", "/run/x", "/var/tmp/x"):
        assert (await shared.sh(f"touch {path}")).ok, path
    assert await shared.out("stat -c %a /tmp") == "1777"


async def test_a16_setuid_programs_and_mounts_gain_nothing(shared: Box) -> None:
    for command in ("mount -t tmpfs x /mnt", "umount /proc", "unshare -U true", "unshare -m true", "chroot /tmp true", "su -c true root"):
        assert not (await shared.sh(f"{command} < /dev/null")).ok, command
    assert not (await shared.sh("mknod /tmp/block b 254 0 && head -c1 /tmp/block")).ok
    assert all("nosuid" in line for line in (await shared.out("grep -E ' / | /usr | /tmp ' /proc/mounts")).splitlines())


async def test_a16_no_network_at_all(shared: Box) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0quarterdeck-test-canary")
    abstract.listen()
    script = f"""
import socket
def attempt(action):
    try:
        action()
    except OSError:
        return 'refused'
    return 'CONNECTED'
def unix():
    s = socket.socket(socket.AF_UNIX); s.connect('\\0quarterdeck-test-canary')
for host, port in (('127.0.0.1', {listener.getsockname()[1]}), ('169.254.169.254', 80), ('1.1.1.1', 443), ('::1', 80)):
    print(attempt(lambda: socket.create_connection((host, port), 2)))
print(attempt(unix), attempt(lambda: socket.getaddrinfo('example.com', 80)))
print(attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))))
s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname(), 2); print('own loopback works')
"""
    result = await shared.run(PYTHON, "-I", "-c", script)
    listener.close()
    abstract.close()
    assert result.stdout.text.split("\n")[:-2] == ["refused"] * 4 + ["refused refused", "refused"], result.stdout.text + result.stderr.text
    assert "own loopback works" in result.stdout.text
    assert (await shared.out("cat /proc/net/dev")).count(":") == 1


# --- binds, masks, toolbox ------------------------------------------------------------------------------------------------


async def test_binds_are_read_only_and_masks_hold_inside_them(tmp_path: Path) -> None:
    hidden = tmp_path / "private"  # a folder that root alone can reach, as a home is
    (hidden / "data" / "keys").mkdir(parents=True)
    hidden.chmod(0o700)
    (hidden / "data" / "file").write_text("shown")
    (hidden / "data" / "keys" / "key").write_text("CANARY")
    (hidden / "data" / "token").write_text("CANARY")
    masks = (str(hidden / "data" / "keys"), str(hidden / "data" / "token"))
    single = Bind(str(hidden / "data" / "file"), "/workspace/one")
    spec = EnvironmentSpec("binds", binds=(Bind(str(hidden / "data"), "/opt/data"), single), masks=masks)
    box = await Box(tmp_path / "home", spec).create()
    try:
        assert await box.out("cat /opt/data/file /workspace/one") == "shownshown"
        assert not (await box.sh("echo x > /opt/data/file")).ok
        seen = await box.sh("cat /opt/data/token /opt/data/keys/key; ls -A /opt/data/keys")
        assert seen.stdout.total == 0
        assert not (await box.sh(f"ls {hidden}")).ok
    finally:
        await box.delete()


async def test_a_bind_that_cannot_be_shown_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for number, bind in enumerate(
        (Bind("/nonexistent", "/opt/x"), Bind("/usr", "/proc"), Bind("/usr", "relative"), Bind("/usr/bin", "/usr/none/there"))
    ):
        box = Box(tmp_path / "home", EnvironmentSpec(f"bad{number}", binds=(bind,)))
        with pytest.raises(SandboxError):
            await box.create()
        assert not box.folder.exists()


async def test_the_toolbox_works_inside(tmp_path: Path) -> None:
    tools = toolbox()
    box = await Box(tmp_path / "home", EnvironmentSpec("tools", binds=tools.binds)).create()
    try:
        assert (
            await box.run(tools.python, "-I", "-c", "import sys; print(sys.version_info[:2])")
        ).stdout.text == f"{sys.version_info[:2]}\n"
        for module in tools.modules:
            script = f"import sys; sys.path.append({tools.site!r}); import {module}"
            assert (await box.run(tools.python, "-I", "-c", script)).ok or module == "ruff", module
        if "ruff" in tools.modules:
            assert (await box.run(f"{tools.bin}/ruff", "--version")).stdout.text.startswith("ruff ")
        if "bandit" in tools.modules:
            assert "bandit" in (await box.run(*tools.argv("bandit", "--version"))).stdout.text
    finally:
        await box.delete()


def test_a16_capabilities_say_what_is_enforced() -> None:
    found = detect()
    assert found.mode == ("A" if os.geteuid() == 0 else "C")
    assert set(found.limits) == {"memory", "pids", "cpu", "disk", "time", "files"}
    for name, value in found.limits.items():  # whatever is not enforced is said, with the fix
        assert value == "enforced" or name == "files" or any(name in note for note in found.notes)
