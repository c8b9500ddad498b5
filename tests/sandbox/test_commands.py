"""Running commands: what the caller is told, and that nothing can hang, flood or outlive it. A16, A31."""

# A test may block its own loop.
# ruff: noqa: ASYNC110, ASYNC240
from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from sandbox_box import PYTHON, Box

from quarterdeck.protocol.actions import ActionKey
from quarterdeck.protocol.environment import Command
from quarterdeck.protocol.errors import BadInput, EnvironmentLost, PermitRefused

MB = 1 << 20


async def test_exit_codes_signals_and_streams(shared: Box) -> None:
    result = await shared.sh("echo out; echo err >&2; exit 3")
    assert (result.state, result.exit_code, result.signal) == ("exited", 3, None)
    assert (result.stdout.text, result.stderr.text) == ("out\n", "err\n")
    result = await shared.sh("kill -TERM $$")
    assert (result.state, result.exit_code, result.signal) == ("signaled", None, 15)
    result = await shared.py("x = bytearray(50 << 20)\nwhile sum(__import__('os').times()[:2]) < .05: pass")
    assert result.ok and result.max_rss_bytes > 50 * MB and 0.04 < result.cpu_s <= result.duration_s + 1


async def test_a_command_that_cannot_start_says_why(shared: Box) -> None:
    result = await shared.run("no-such-program")
    assert result.exit_code == 127 and "no-such-program" in result.stderr.text
    result = await shared.run("/etc/hosts")
    assert result.exit_code == 126 and "Permission denied" in result.stderr.text
    result = await shared.run("true", cwd="/no/such/folder")
    assert result.exit_code == 127 and "/no/such/folder" in result.stderr.text


async def test_cwd_stdin_environment_and_odd_arguments(shared: Box) -> None:
    assert await shared.out("pwd") == "/workspace"
    assert (await shared.sh("pwd", cwd="/tmp")).stdout.text == "/tmp\n"
    data = bytes(range(256)) * 4096
    result = await shared.run("cat", stdin=data, output_bytes=2 * MB)
    assert result.stdout.data == data
    assert (await shared.run("cat")).stdout.total == 0
    odd = ("a b", "", "ü\udc80", "\n", "$HOME", "x" * 100_000)
    script = "import sys, os; os.write(1, b'|'.join(os.fsencode(a) for a in sys.argv[1:]))"
    result = await shared.run(PYTHON, "-I", "-S", "-c", script, *odd)
    assert result.stdout.head == b"|".join(a.encode("utf-8", "surrogateescape") for a in odd)
    assert (await shared.sh("yes | head -1")).ok, "SIGPIPE must have its usual effect"
    assert (await shared.sh("trap '' PIPE; ps -o ignored= -p $$ 2>/dev/null; true")).ok


async def test_bad_input_is_refused_before_the_permit_is_used(shared: Box) -> None:
    used = len(shared.permits.used)
    for command in (Command(), Command(argv=("a",), shell="b"), Command(argv=("a\0b",)), Command(shell="x", cwd="/\0")):
        with pytest.raises(BadInput):
            await shared.driver.exec(shared.permit(), shared.id, command)
    with pytest.raises(BadInput):
        await shared.driver.exec(shared.permit(), "../elsewhere", Command(shell="true"))
    assert len(shared.permits.used) == used


async def test_law_4_each_operation_consumes_a_permit_of_its_kind(tmp_path: Path) -> None:
    box = await Box(tmp_path / "home").create()
    await box.sh("true")
    await box.driver.write(box.permit("file.write"), box.id, "/workspace/a", b"1")
    await box.driver.read(box.permit("file.read"), box.id, "/workspace/a", 10)
    assert [kind for _, kind in box.permits.used] == ["tool.call", "shell.exec", "file.write", "file.read"]
    permit = box.permit()
    assert (await box.run("true", permit=permit)).ok
    for kind, wrong in (("shell.exec", permit), ("shell.exec", box.permit("file.read"))):
        with pytest.raises(PermitRefused):
            await box.driver.exec(wrong, box.id, Command(shell=f"touch /workspace/{kind}"))
    assert await box.out("ls /workspace") == "a"
    await box.delete()
    with pytest.raises(EnvironmentLost):
        await box.sh("true")


# --- output -----------------------------------------------------------------------------------------------------------------


async def test_a16_long_output_keeps_head_and_tail(shared: Box) -> None:
    result = await shared.sh("seq 1 100000", output_bytes=1001)
    whole = "".join(f"{n}\n" for n in range(1, 100001)).encode()
    assert result.stdout.total == len(whole)
    assert (result.stdout.head, result.stdout.tail) == (whole[:501], whole[-500:])
    assert f"{len(whole) - 1001} bytes left out" in result.stdout.text
    result = await shared.sh("printf 12345; printf abc >&2", output_bytes=5)
    assert (result.stdout.data, result.stdout.omitted, result.stderr.data) == (b"12345", 0, b"abc")
    result = await shared.sh("echo secret", output_bytes=0)
    assert (result.stdout.total, result.stdout.head, result.stdout.tail) == (7, b"", b"")


async def test_a31_a_gigabyte_of_output_neither_blocks_nor_grows_memory(box: Box) -> None:
    result = await box.sh("head -c 1000000000 /dev/zero; echo end", timeout_s=120)
    assert result.ok and result.stdout.total == 1_000_000_004
    assert result.stdout.tail.endswith(b"end\n") and len(result.stdout.data) < 1.1 * MB
    shim = int((box.folder / "shim.lock").read_bytes())
    peak = next(line for line in Path(f"/proc/{shim}/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 64 * 1024


# --- time, children, daemons ------------------------------------------------------------------------------------------------


async def processes(box: Box) -> list[str]:
    script = "import os\nfor p in os.listdir('/proc'):\n  if p.isdigit(): print(open(f'/proc/{p}/comm').read().strip())"
    return sorted((await box.py(script)).stdout.text.split())


async def test_a31_a_command_that_hangs_is_ended_with_all_its_children(box: Box) -> None:
    daemon = "nohup setsid bash -c 'trap \"\" TERM HUP INT; (sleep 1000); true' &"
    script = f"(setsid sleep 1000 & ) ; {daemon} echo started; trap '' TERM; sleep 1000"
    began = time.monotonic()
    result = await box.sh(script, timeout_s=0.5)
    assert result.state == "timeout" and result.exit_code is None
    assert result.stdout.text == "started\n"
    assert time.monotonic() - began < 10
    assert "sleep" not in await processes(box)
    assert await box.out("echo usable") == "usable"


async def test_a_stopped_command_is_ended_too(box: Box) -> None:
    for target in ("$$", "$PPID"):  # itself, and the process that minds it
        result = await box.sh(f"kill -STOP {target}; sleep 1000", timeout_s=0.3)
        assert result.state == "timeout" and result.duration_s < 10
        assert await box.out("echo usable") == "usable"
    assert "sleep" not in await processes(box)


async def test_kill_ends_one_command_and_not_its_neighbour(box: Box) -> None:
    permit = box.permit()
    doomed = asyncio.create_task(box.driver.exec(permit, box.id, Command(shell="setsid sleep 1000 & sleep 1000")))
    neighbour = asyncio.create_task(box.sh("sleep 1; echo fine"))
    while (await processes(box)).count("sleep") < 3:
        await asyncio.sleep(0.02)
    await box.driver.kill(box.id, permit.key)
    assert (await doomed).state == "killed"
    assert (await neighbour).stdout.text == "fine\n"
    await box.driver.kill(box.id, permit.key)
    await box.driver.kill(box.id, ActionKey("run_1", 99999, 1))


async def test_a31_daemons_do_not_delay_the_answer_and_die_with_delete(tmp_path: Path) -> None:
    box = await Box(tmp_path / "home").create()
    began = time.monotonic()
    result = await box.sh("setsid bash -c 'while :; do echo tick; sleep 0.1; done' & echo done")
    assert result.ok and "done" in result.stdout.text and time.monotonic() - began < 10
    init = int((box.folder / "remains").read_text().split()[4])
    assert "bash" in await processes(box)
    await box.delete()
    assert not Path(f"/proc/{init}").exists()


async def test_many_commands_at_once(box: Box) -> None:
    results = await asyncio.gather(*(box.sh(f"sleep 0.1; echo {n}; exit {n}") for n in range(20)))
    assert [(result.exit_code, result.stdout.text) for result in results] == [(n, f"{n}\n") for n in range(20)]


async def test_kill_everything_inside_leaves_a_usable_or_lost_environment(box: Box) -> None:
    result = await box.sh("kill -9 -1; sleep 1000", timeout_s=20)
    assert result.state in ("lost", "signaled") and result.duration_s < 10
    assert await box.out("echo survived") == "survived"
    assert "sleep" not in await processes(box)
