"""The small parts, without an environment: filter, capture, ledger, groups, plan, diagnosis. A16, law 5."""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_box import Box

from quarterdeck.protocol.environment import EnvironmentSpec
from quarterdeck.protocol.errors import HostCannotIsolate, SandboxError
from quarterdeck.sandbox import detect, plan, seccomp, toolbox, view
from quarterdeck.sandbox.shim.capture import Capture
from quarterdeck.sandbox.shim.cgroups import ROOT, Group, ancestors, own_groups
from quarterdeck.sandbox.shim.launch import check_not_root
from quarterdeck.sandbox.shim.ledger import Ledger

diagnose = sys.modules["quarterdeck.sandbox.detect"]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `detect` measure again."""
    monkeypatch.setattr(diagnose, "_measure", diagnose._measure.__wrapped__)


def verdict(machine: str, number: int, *args: int) -> int:
    """Run the filter as the kernel does, on one system call."""
    code = seccomp.program(machine)
    data = struct.pack("<iIQ6Q", number, seccomp.ARCHITECTURES[machine], 0, *(*args, 0, 0, 0, 0, 0, 0)[:6])
    place = accumulator = 0
    while True:
        op, if_true, if_false, value = struct.unpack_from("<HBBI", code, place * 8)
        place += 1
        if op == seccomp.RETURN:
            return int(value)
        if op == seccomp.LOAD:
            accumulator = struct.unpack_from("<I", data, value)[0]
            continue
        true = {seccomp.EQUAL: accumulator == value, seccomp.AT_LEAST: accumulator >= value, seccomp.ANY_BIT: bool(accumulator & value)}[op]
        place += if_true if true else if_false


@pytest.mark.parametrize(("machine", "which"), [("x86_64", 0), ("aarch64", 1)])
def test_a16_the_filter_on_both_architectures(machine: str, which: int) -> None:
    denied, family = seccomp.refuse(errno.EPERM), seccomp.refuse(errno.EAFNOSUPPORT)
    for name, numbers in seccomp.DENIED.items():
        number = numbers[which]
        assert number is None or verdict(machine, number) == denied, name
    clone, socket_, ioctl, personality = (n[which] for n in (seccomp.CLONE, seccomp.SOCKET, seccomp.IOCTL, seccomp.PERSONALITY))
    assert verdict(machine, 435) == seccomp.refuse(errno.ENOSYS)
    assert verdict(machine, clone, 0x01200011) == seccomp.ALLOW
    for bit in range(25, 31):
        assert verdict(machine, clone, 1 << bit) == denied
    assert verdict(machine, clone, 0x20000) == denied
    allowed = {number for number in range(64) if verdict(machine, socket_, number, 1, 0) == seccomp.ALLOW}
    assert allowed == {1, 2, 10, 16}
    assert verdict(machine, socket_, 16, 3, 15) == family
    assert verdict(machine, socket_, 2, 1, 6) == seccomp.ALLOW
    assert verdict(machine, ioctl, 0, 0x5412) == verdict(machine, ioctl, 0, (7 << 32) | 0x5412) == denied
    assert verdict(machine, ioctl, 0, 0x5413) == seccomp.ALLOW
    assert verdict(machine, personality, 0xFFFFFFFF) == seccomp.ALLOW
    assert verdict(machine, personality, 0x0040000) == denied
    ordinary = {"x86_64": (0, 1, 2, 9, 39, 57, 59, 231, 257, 334), "aarch64": (56, 63, 64, 172, 221, 222, 93)}
    assert all(verdict(machine, number) == seccomp.ALLOW for number in ordinary[machine])
    assert verdict("x86_64", 0x40000000 + 165) == seccomp.refuse(errno.ENOSYS)


def test_capture_keeps_the_first_and_the_last_bytes() -> None:
    data = bytes(range(256)) * 40
    for sizes in ((1,), (7, 100), (len(data),), (300,)):
        read, write = os.pipe()
        os.set_blocking(read, False)
        capture = Capture(read, 100, 50)
        place = 0
        while place < len(data):
            for size in sizes:
                capture.add(data[place : place + size])
                place += size
        assert capture.parts() == (data[:100], data[-50:]) and capture.total == len(data)
        assert len(capture.last) < 100
        os.close(write)
        assert not capture.pump()
        os.close(read)


def test_the_ledger_survives_a_torn_last_line(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), writable=True)
    assert ledger.fence("r", 2) and not ledger.fence("r", 1)
    assert ledger.begin("r.1.1") and not ledger.begin("r.1.1")
    fields = {"exit_code": 3, "signal": None, "duration_s": 0.25, "cpu_s": 0.125, "max_rss_bytes": 4096, "totals": [2, 1]}
    ledger.end("r.1.1", {"state": "exited", **fields}, [b"ab", b"", b"c", b""])
    ledger.forbid("r.2.1")
    ledger.begin("r.3.1")
    with (tmp_path / "ledger").open("ab") as file:
        file.write(b"begun\tr.4")
    again = Ledger(str(tmp_path))
    assert again.epochs == {"r": 2}
    assert again.states == {"r.1.1": "ended", "r.2.1": "tombstoned", "r.3.1": "begun"}
    known = again.result("r.1.1")
    assert known is not None and known[0].sizes == [2, 0, 1, 0] and known[1] == b"abc"
    assert known[0].result == {"state": "exited", **fields}
    assert again.begun() and not again.fence("r", 1)
    (tmp_path / "results" / "0").write_bytes(b"a")
    assert again.result("r.1.1") is None, "half a result is none"


def test_control_groups_of_both_versions(tmp_path: Path) -> None:
    assert own_groups("4:memory:/a\n3:cpu,cpuacct:/b\n0::/c\n") == {"memory": "/a", "cpu": "/b", "cpuacct": "/b", "": "/c"}
    assert ancestors("/a.slice/b.slice/c.scope") == [f"{ROOT}/a.slice/b.slice", f"{ROOT}/a.slice", ROOT]
    assert ancestors("/") == ancestors("/x") == [ROOT]
    (tmp_path / "cgroup.controllers").write_text("memory pids cpu")
    folder = tmp_path / "x"
    folder.mkdir()
    for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs"):
        (folder / name).write_text("")
    (folder / "memory.events").write_text("oom 3\noom_kill 2\n")
    group = Group("x", dict.fromkeys(("memory", "pids", "cpu"), str(tmp_path)))
    group.make(1 << 30, 64, 1.5)
    group.add(42)
    written = {name: (folder / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs")}
    assert list(written.values()) == ["1073741824", "0", "64", "150000 100000", "42"]
    assert group.oom_kills() == 2


def test_law_5_host_uids_are_never_those_of_anybody_else() -> None:
    uids = [plan.host_uid(f"environment {n}") for n in range(200)]
    if os.geteuid() != 0:
        assert uids == [None] * 200
        return
    whole = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    known = {int(line.split(":")[2]) for line in Path("/etc/passwd").read_text().splitlines()}
    assert all(uid is not None and uid > 0 and uid not in known for uid in uids)
    assert not whole or all(uid is not None and 0x70000000 <= uid < 0x70000000 + 268_304_384 for uid in uids)
    assert len(set(uids)) > 190


def test_law_5_a_process_of_host_root_is_recognised() -> None:
    if os.geteuid() == 0:
        with pytest.raises(RuntimeError, match="host uid 0"):
            check_not_root(os.getpid())
    else:
        check_not_root(os.getpid())


async def test_law_5_the_shim_ends_an_environment_that_would_be_host_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detect()
    monkeypatch.setattr(plan, "host_uid", lambda name: None)  # what plain bubblewrap does when root starts it
    box = Box(tmp_path / "home")
    if os.geteuid() == 0:
        with pytest.raises(SandboxError, match="host uid 0"):
            await box.create()
        assert not box.folder.exists()
    else:
        assert await (await box.create()).out("echo fine") == "fine"
        await box.delete()


def test_the_view_never_shows_whole_homes_or_the_root(tmp_path: Path) -> None:
    found = view.build(EnvironmentSpec("x"), toolbox().binds, (str(tmp_path),), staging=False)
    shown = {source for source, _ in found.shown}
    assert not shown & {"/", "/root", "/home", str(Path.home()), "/var", "/run", "/tmp", "/proc", "/sys", "/dev"}
    assert "--bind" not in found.args and "--dev-bind" not in found.args


@pytest.mark.parametrize(
    ("sysctls", "said", "fix"),
    [
        ({"kernel/unprivileged_userns_clone": "0"}, "x", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ({"user/max_user_namespaces": "0"}, "x", "sysctl -w user.max_user_namespaces="),
        ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, "Permission denied", "profile bwrap /usr/bin/bwrap flags=(unconfined)"),
        ({}, "launcher: no", "ordinary user"),
    ],
)
def test_a16_a_host_that_cannot_isolate_is_told_the_exact_fix(
    sysctls: dict[str, str], said: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnose, "_sysctl", lambda name: sysctls.get(name, ""))
    error = diagnose._diagnose(said)
    assert fix in error.hint and said in error.message


def test_a16_without_bubblewrap_detect_says_mode_d_and_how_to_get_it(forgetful: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bwrap", lambda: "")
    found = detect()
    assert found.mode == "D" and set(found.limits.values()) == {"none"}
    assert "bubblewrap" in found.notes[0] and found.notes[1] == "sudo apt-get install bubblewrap"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "virtual machine" in detect().notes[1]


async def test_a16_create_is_refused_with_the_fix_where_nothing_can_isolate(
    forgetful: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plan, "bwrap", lambda: "")
    box = Box(tmp_path / "home")
    with pytest.raises(HostCannotIsolate) as caught:
        await box.create()
    assert caught.value.hint == "sudo apt-get install bubblewrap" and not box.folder.exists()


def test_a16_inside_a_container_the_fix_is_the_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "_sysctl", lambda name: "")
    monkeypatch.setenv("container", "podman")
    error = diagnose._diagnose("bwrap: Creating new namespace failed: Operation not permitted")
    assert "container" in error.message and "--security-opt seccomp=unconfined" in error.hint


def test_a16_a_broken_bubblewrap_is_mode_d_not_a_crash(forgetful: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "bwrap", lambda: "/bin/false")
    assert detect().mode == "D"


def test_importing_the_room_is_cheap() -> None:
    code = "import sys, quarterdeck.sandbox; print(sorted({'ctypes','tarfile','yaml','bandit','cedarpy','httpx2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a30_a_ledger_without_room_refuses_and_stays_readable(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for a full disk: what could not be written did not happen, and what follows is read as it was written."""
    script = """
import os, resource, sys
sys.path.insert(0, sys.argv[1])
from shim.ledger import Ledger
result = dict(state="exited", exit_code=0, signal=None, duration_s=0.1, cpu_s=0.1, max_rss_bytes=1, totals=[0, 0])
ledger = Ledger(sys.argv[2], writable=True)
assert ledger.begin("run.1.1") and ledger.fence("run", 1)
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
for room in (0, 3):
    limit(os.fstat(ledger.fd).st_size + room)
    for action in (lambda: ledger.begin("run.2.1"), lambda: ledger.forbid("run.3.1"), lambda: ledger.fence("run", 2)):
        try:
            action()
        except OSError:
            continue
        raise AssertionError("it was not refused")
    ledger.end("run.1.1", result, [b"", b"", b"", b""])
limit(resource.RLIM_INFINITY)
assert ledger.states == {"run.1.1": "begun"} and ledger.epochs == {"run": 1}
assert ledger.begin("run.2.1")
assert Ledger(sys.argv[2]).states == {"run.1.1": "begun", "run.2.1": "begun"}
"""
    folder = Path(plan.HERE)
    done = subprocess.run([sys.executable, "-c", script, str(folder), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
