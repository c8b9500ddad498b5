"""A15, laws 2 and 3: stopped and revived processes, commands that may never be begun twice, and a computer that is gone."""

# A test may block its own loop.
# ruff: noqa: ASYNC220, ASYNC240
from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from process_kit import COMMAND, Home, again, attempts, command, ended, environment, nothing_left, outcomes, said, start, stop, until
from review_kit import build
from test_kill import BASE, HEAD, TESTS

FLOW = """
from quarterdeck import workflow
from quarterdeck.protocol.errors import OutcomeUnknown

@workflow(name="once")
async def once(ctx, witness):
    await ctx.environment()
    await ctx.step("first", lambda: open(witness, "a").write("first"))
    try:
        ran = await ctx.shell("echo begun >> w; sleep 1; cat w", name="effect", effect="never")
    except OutcomeUnknown as error:
        return {"state": "unknown", "said": str(error)}
    return {"state": ran.state, "said": ran.stdout.text}
"""


@pytest.mark.parametrize("shim_too", [False, True])
async def test_a15_law_3_a_command_that_may_happen_once_is_collected_or_unknown(tmp_path: Path, home: Path, shim_too: bool) -> None:
    """The shim lives: its outcome is collected. The shim died with the process: unknown, and never begun again."""
    flow, witness = tmp_path / "flow.py", tmp_path / "witness"
    flow.write_text(FLOW)
    argv = [*COMMAND, "run", f"{flow}:once", "--input", f'"{witness}"', "--home", str(home)]
    first = subprocess.Popen(argv, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with Home(home) as opened:
        await opened.begun("effect")
        first.kill()
        ended(first, -9)
        if shim_too:
            (lock,) = home.glob("environments/*/shim.lock")
            os.kill(int(lock.read_bytes()), signal.SIGKILL)
        run = await opened.run()
        told = await asyncio.to_thread(command, home, "resume", run)
        records = await opened.store.records(run)
        assert attempts(records) == {"environment": 1, "first": 1, "effect": 1}
        assert witness.read_text() == "first"
        (effect,) = outcomes(records, "effect")
        if shim_too:
            assert effect["state"] == told["result"]["state"] == "unknown"
            assert "cannot be known" in told["result"]["said"]
        else:
            assert effect["collected"] and told["result"] == {"state": "exited", "said": "begun\n"}
        await opened.audited()
    await nothing_left(home)


async def test_a15_a_computer_that_died_with_the_process_is_said_and_the_same_command_reviews_anew(tmp_path: Path, home: Path) -> None:
    repo = build(tmp_path, BASE, HEAD)
    first = start(home, repo)
    with Home(home) as opened:
        await opened.begun(TESTS[1])
        first.kill()
        ended(first, -9)
        (lock,) = home.glob("environments/*/shim.lock")
        os.kill(int(lock.read_bytes()), signal.SIGKILL)
        told = await asyncio.to_thread(command, home, "resume", await opened.run(), code=2)
        assert "is gone" in told["error"]["message"]
        assert "start the work again" in told["error"]["hint"]
        assert (await asyncio.to_thread(again, home, repo))["created"]
        await opened.audited()
    await nothing_left(home)


async def test_a15_killed_after_its_end_leaves_what_gc_takes_and_deliveries_that_go_out_once(tmp_path: Path, home: Path) -> None:
    repo = build(tmp_path, BASE, {**HEAD, "key.py": f'"""K."""\n\nKEY = "{"AKIA" + "Q3EGRVXM5LTZ7WPB"}"\n'})
    await asyncio.to_thread(ended, start(home, repo, at="run.completed"), -9)
    with Home(home) as opened:
        run = await opened.run()
        waiting = await opened.store.outbox(state="waiting")
        assert waiting and not list((home / "outbox").rglob("*.json"))
        told = await asyncio.to_thread(command, home, "resume", run, code=1)
        assert (told["state"], told["exit_code"]) == ("completed", 1)
        await asyncio.to_thread(command, home, "gc")
        assert await opened.store.outbox(state="waiting") == []
        assert len(list((home / "outbox" / "tickets").iterdir())) == len(waiting)
        await opened.audited()
    await nothing_left(home)


# --- law 2: a process that was stopped for longer than its lease -------------------------------------------------------------


async def test_a15_law_2_a_process_stopped_in_mid_command_is_fenced_out_when_it_revives(tmp_path: Path, home: Path) -> None:
    """Another process collects the commands; the revived one finds its lease lost while the other still works."""
    repo = build(tmp_path, {**BASE, "suite.sh": BASE["suite.sh"].replace("sleep 1", "sleep 3")}, HEAD)
    short = environment(home, QUARTERDECK_LEASE="1")
    first = start(home, repo, short)
    with Home(home) as opened:
        for name in TESTS:
            await opened.begun(name)
        await stop(first, home)
        run = await opened.run()
        stopped = await opened.store.run(run)
        second = start(home, repo, short)
        while (row := await opened.store.run(run)).epoch == stopped.epoch:
            await asyncio.sleep(0.05)
            assert second.poll() is None
        assert row.owner != stopped.owner
        first.send_signal(signal.SIGCONT)
        assert (await asyncio.to_thread(ended, second))["state"] == "completed"
        assert (await asyncio.to_thread(ended, first))["state"] == "completed"  # as it reads: it wrote nothing of it
        records = await opened.store.records(run)
        assert [r.epoch for r in records] == sorted(r.epoch for r in records)
        assert {r.epoch for r in records if r.kind == "action.completed" and r.seq > records[-1].seq - 20} == {row.epoch}
        assert {n: c for n, c in attempts(records).items() if c > 1} == {}
        for name in TESTS:
            assert [o.get("collected") for o in outcomes(records, name)] == [True]
            assert said(records, name) == ["begun\n"]
        await opened.audited()
    await nothing_left(home)


async def test_a15_law_2_a_process_stopped_before_it_publishes_cannot_publish_later(tmp_path: Path, home: Path) -> None:
    """It holds a permit that nobody has used; the run ends without it; its permit is refused, and nothing happens twice."""
    repo = build(tmp_path, BASE, {**HEAD, "key.py": f'"""K."""\n\nKEY = "{"AKIA" + "Q3EGRVXM5LTZ7WPB"}"\n'})
    short = environment(home, QUARTERDECK_LEASE="1")
    first = start(home, repo, short, at="action.requested report/publish report", signal=int(signal.SIGSTOP))
    await until(lambda: Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    assert (await asyncio.to_thread(again, home, repo, code=1))["created"] is False
    with Home(home) as opened:
        run = await opened.run()
        before, folder = await opened.store.heads(), home / "runs" / run / "report"
        told = {p: p.stat().st_mtime_ns for p in sorted((*folder.rglob("*"), *(home / "outbox").rglob("*")))}
        first.send_signal(signal.SIGCONT)
        await asyncio.to_thread(ended, first)
        assert {h for h in await opened.store.heads() if h[0] == run} == {h for h in before if h[0] == run}
        assert {p: p.stat().st_mtime_ns for p in sorted((*folder.rglob("*"), *(home / "outbox").rglob("*")))} == told
        assert attempts(await opened.store.records(run))["report/publish report"] == 2
        await opened.audited()
    await nothing_left(home)
