"""Crashes of server, shim and environment: nothing begins twice, nothing finished is forgotten, nothing is left. A15, laws 2 and 3."""

# A test may block its own loop.
# ruff: noqa: ASYNC220, ASYNC240
from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from sandbox_box import Box

from quarterdeck.protocol.actions import ActionKey, Probe
from quarterdeck.protocol.environment import CommandResult, EnvironmentSpec
from quarterdeck.protocol.errors import BadInput, EnvironmentLost, LostLease, PermitRefused, SandboxError
from quarterdeck.sandbox import LocalDriver

SERVER = """
import asyncio, sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from sandbox_box import Box
from quarterdeck.protocol.environment import Command, EnvironmentSpec
async def main():
    box = await Box(Path({home!r}), EnvironmentSpec("crash")).create()
    print("created", flush=True)
    await box.driver.exec(box.permit(action=7), "crash", Command(shell={script!r}))
    print("answered", flush=True)
asyncio.run(main())
"""


def result_of(probe: Probe) -> CommandResult:
    assert probe.outcome is not None
    assert json.dumps(probe.outcome.result), "the outcome must be JSON data"
    return msgspec.convert(probe.outcome.result, CommandResult)


async def until(condition: object, seconds: float = 10.0) -> None:
    """Wait until the callable (or coroutine function) is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()  # type: ignore[operator]
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("seconds", ["0.2", "2"])
async def test_a15_kill_9_of_the_server_loses_no_command(tmp_path: Path, seconds: str) -> None:
    """A server dies in the middle of a command; a new one collects its result, whether it ended meanwhile or still runs."""
    home = tmp_path / "home"
    marker = "/workspace/ran"
    code = SERVER.format(
        folder=str(Path(__file__).parent), home=str(home), script=f"echo x >> {marker}; echo begun; sleep {seconds}; echo over; exit 5"
    )
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None and server.stdout.readline() == "created\n"
    box = Box(home, EnvironmentSpec("crash"))
    ledger = box.folder / "ledger"
    await until(lambda: "begun" in ledger.read_text())
    server.send_signal(signal.SIGKILL)
    server.wait()
    server.stdout.close()
    key = ActionKey("run_1", 7, 1)
    box.epoch = 2
    await box.create()  # adopts
    if seconds == "0.2":
        await until(lambda: "ended" in ledger.read_text())
        result = result_of(await box.driver.probe("crash", key, 2))
    else:
        assert await box.driver.probe("crash", key, 2) == Probe("running")
        result = await box.driver.wait("crash", key, 2)
    assert (result.state, result.exit_code, result.stdout.text) == ("exited", 5, "begun\nover\n")
    assert result_of(await box.driver.probe("crash", key, 2)) == result, "a probe may be repeated"
    assert await box.out(f"cat {marker}") == "x", "it ran exactly once"
    await box.delete()


# --- the ledger and the fence -----------------------------------------------------------------------------------------------


async def test_law_3_an_attempt_begins_at_most_once(box: Box) -> None:
    assert (await box.run("sh", "-c", "echo x >> /workspace/n", permit=box.permit(action=5))).ok
    for operation in (
        box.run("sh", "-c", "echo x >> /workspace/n", permit=box.permit(action=5)),
        box.driver.write(box.permit("file.write", action=5), box.id, "/workspace/n", b""),
    ):
        with pytest.raises(PermitRefused, match="at most once"):
            await operation
    assert await box.out("cat n") == "x"


async def test_law_3_a_probe_fences_what_never_began(box: Box) -> None:
    assert await box.driver.probe(box.id, ActionKey("run_1", 6, 1), 1) == Probe("not_begun")
    with pytest.raises(PermitRefused):
        await box.run("touch", "/workspace/late", permit=box.permit(action=6))
    assert await box.out("ls /workspace") == ""
    assert await box.driver.probe(box.id, ActionKey("run_1", 6, 1), 1) == Probe("not_begun")
    with pytest.raises(SandboxError, match="not running"):
        await box.driver.wait(box.id, ActionKey("run_1", 6, 1), 1)
    permit = msgspec.structs.replace(box.permit(action=6), attempt=2)
    assert (await box.run("true", permit=permit)).ok, "a new attempt may begin"


async def test_law_2_a_zombie_of_an_older_epoch_is_fenced_out(box: Box) -> None:
    assert (await box.run("true", permit=box.permit(epoch=3))).ok
    for operation in (
        box.run("touch", "/workspace/zombie", permit=box.permit(epoch=2)),
        box.driver.write(box.permit("file.write", epoch=2), box.id, "/workspace/zombie", b""),
        box.driver.read(box.permit("file.read", epoch=2), box.id, "/etc/hosts", 10_000),
        box.driver.probe(box.id, ActionKey("run_1", 1, 1), 2),
        box.driver.wait(box.id, ActionKey("run_1", 1, 1), 2),
        box.driver.create(box.permit("tool.call", epoch=2), box.spec),
    ):
        with pytest.raises(LostLease):
            await operation
    assert await box.driver.probe(box.id, ActionKey("run_1", 10**9, 1), 4) == Probe("not_begun")
    with pytest.raises(LostLease):
        await box.run("true", permit=box.permit(epoch=3))
    assert (await box.run("ls", "/workspace", permit=box.permit(epoch=1, run="run_2"))).stdout.total == 0, "epochs belong to runs"


async def test_file_operations_are_in_the_ledger_too(box: Box) -> None:
    await box.driver.write(box.permit("file.write", action=8), box.id, "/workspace/f", b"data")
    assert result_of(await box.driver.probe(box.id, ActionKey("run_1", 8, 1), 1)).ok
    await box.driver.read(box.permit("file.read", action=9), box.id, "/workspace/f", 10)
    assert result_of(await box.driver.probe(box.id, ActionKey("run_1", 9, 1), 1)).stdout.data == b"data"


# --- a dead shim, a dead environment ------------------------------------------------------------------------------------------


def shim_pid(box: Box) -> int:
    return int((box.folder / "shim.lock").read_bytes())


def init_pid(box: Box) -> int:
    return int((box.folder / "remains").read_text().split()[4])


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_law_3_a_dead_shim_still_tells_what_finished_and_never_that_nothing_happened(tmp_path: Path) -> None:
    box = await Box(tmp_path / "home").create()
    done = await box.run("sh", "-c", "echo kept; exit 4", permit=box.permit(action=1))
    await box.driver.probe(box.id, ActionKey("run_1", 3, 1), 1)
    hanging = asyncio.create_task(box.run("sleep", "1000", permit=box.permit(action=2)))
    await until(lambda: "run_1.2.1" in (box.folder / "ledger").read_text())
    init = init_pid(box)
    os.kill(shim_pid(box), signal.SIGKILL)
    assert (await hanging).state == "lost"
    await until(lambda: gone(init))  # nothing inside outlives its shim
    assert not await box.driver.alive(box.id)
    fresh = LocalDriver(box.home, box.permits)
    assert result_of(await fresh.probe(box.id, ActionKey("run_1", 1, 1), 2)) == done
    assert await fresh.probe(box.id, ActionKey("run_1", 2, 1), 2) == Probe("unknown")
    assert await fresh.probe(box.id, ActionKey("run_1", 3, 1), 2) == Probe("not_begun")
    assert await fresh.probe(box.id, ActionKey("run_1", 4, 1), 2) == Probe("unknown")
    with pytest.raises(EnvironmentLost):
        await box.sh("true")
    with pytest.raises(EnvironmentLost):
        await box.create()
    await box.delete()
    assert not box.folder.exists()
    await (await box.create()).delete()


async def test_a_lost_environment_is_reported_and_its_results_are_kept(box: Box) -> None:
    done = await box.run("echo", "kept", permit=box.permit(action=1))
    hanging = asyncio.create_task(box.sh("sleep 1000"))
    await until(lambda: (box.folder / "ledger").read_text().count("begun") == 2)
    os.kill(init_pid(box), signal.SIGKILL)
    assert (await hanging).state == "lost"
    assert not await box.driver.alive(box.id)
    with pytest.raises(EnvironmentLost):
        await box.sh("true")
    assert result_of(await box.driver.probe(box.id, ActionKey("run_1", 1, 1), 1)) == done


async def test_deleting_and_creating_at_once_never_makes_two(tmp_path: Path) -> None:
    box = await Box(tmp_path / "home").create()
    await asyncio.gather(*(action() for _ in range(4) for action in (box.delete, box.create)))
    await box.create()
    assert await box.out("echo fine") == "fine"
    await box.delete()
    assert list((box.home / "environments").iterdir()) == []
    assert str(box.folder) not in "".join(path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline"))


async def test_an_interrupted_create_can_be_repeated(tmp_path: Path) -> None:
    box = Box(tmp_path / "home")
    box.folder.mkdir(parents=True)
    (box.folder / "plan").write_bytes(b"torn")
    await box.create()
    assert await box.out("echo fine") == "fine"
    await asyncio.gather(box.create(), box.create())
    await box.delete()


async def test_an_environment_that_nobody_uses_ends_itself(tmp_path: Path) -> None:
    box = await Box(tmp_path / "home", idle_s=0.6).create()
    assert (await box.sh("sleep 1; setsid sleep 1000 &")).ok, "a running command keeps it alive"
    init = init_pid(box)
    await until(lambda: gone(init))
    with pytest.raises(EnvironmentLost):
        await box.sh("true")
    await box.delete()


async def test_a_shim_whose_folder_was_removed_ends_itself(tmp_path: Path) -> None:
    """Nobody can ask for it any more; it does not wait for its idle deadline (which is half an hour by default)."""
    box = await Box(tmp_path / "home", idle_s=0.6).create()
    running = asyncio.create_task(box.sh("sleep 1000"))  # would keep it alive
    init = init_pid(box)
    await asyncio.sleep(0.2)
    shutil.rmtree(tmp_path / "home")
    await until(lambda: gone(init))
    with contextlib.suppress(SandboxError):
        await running


# --- delete -----------------------------------------------------------------------------------------------------------------


async def test_delete_ends_stopped_processes_and_leaves_nothing(tmp_path: Path) -> None:
    box = await Box(tmp_path / "home").create()
    await box.sh("for i in 1 2 3; do sleep 1000 & done; setsid sleep 1000 & kill -STOP $(jobs -p); echo data > /workspace/file")
    stuck = asyncio.create_task(box.sh("kill -STOP $$"))
    await until(lambda: (box.folder / "ledger").read_text().count("begun") == 2)
    shim, init, mounts = shim_pid(box), init_pid(box), Path("/proc/self/mounts").read_text()
    os.kill(init, signal.SIGSTOP)
    began = time.monotonic()
    await box.delete()
    assert time.monotonic() - began < 4
    assert gone(shim) and gone(init)
    assert (await asyncio.gather(stuck, return_exceptions=True))[0] is not None
    assert Path("/proc/self/mounts").read_text() == mounts
    assert list((box.home / "environments").iterdir()) == []
    await box.delete()  # idempotent


async def test_delete_after_the_shim_was_killed_or_stopped(tmp_path: Path) -> None:
    for number in (signal.SIGKILL, signal.SIGSTOP):
        box = await Box(tmp_path / "home").create()
        await box.sh("sleep 1000 & true")
        shim, init = shim_pid(box), init_pid(box)
        os.kill(shim, number)
        began = time.monotonic()
        await box.delete()
        assert time.monotonic() - began < 5
        assert not box.folder.exists()
        await until(lambda shim=shim, init=init: gone(shim) and gone(init))  # type: ignore[misc]


async def test_environments_are_private_to_their_user(box: Box) -> None:
    assert box.folder.stat().st_mode & 0o077 == 0
    assert (box.folder / "socket").stat().st_mode & 0o077 == 0
    assert b"CANARY" not in Path(f"/proc/{shim_pid(box)}/environ").read_bytes()
    assert os.getsid(shim_pid(box)) != os.getsid(0)


async def test_a_long_home_is_no_problem(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100) / "home"
    box = await Box(deep).create()
    assert await box.out("echo fine") == "fine"
    await box.delete()


async def test_create_is_refused_for_a_bad_name(tmp_path: Path) -> None:
    for name in ("..", "a/b", ".hidden", "a" * 200, "a\n"):
        box = Box(tmp_path / "home")
        with pytest.raises(BadInput, match="not an environment"):
            await box.driver.create(box.permit("tool.call"), EnvironmentSpec(name))
