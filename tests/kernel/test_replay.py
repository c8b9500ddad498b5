"""Workflows replay: what was recorded is handed back, what differs parks the run (A2, A15)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from quarterdeck import Runtime, workflow
from quarterdeck.protocol.errors import ActionFailed, OutcomeUnknown

CALLS: list[str] = []


def double(value: int) -> int:
    CALLS.append(f"double {value}")
    return 2 * value


async def inner(ctx: Any, value: int) -> dict[str, int]:
    one, two = await ctx.gather(ctx.step("double", double, value), ctx.step("double", double, value + 1))
    return {"sum": one + two}


@workflow
async def sums(ctx: Any, value: int) -> dict[str, Any]:
    first = await ctx.stage("first", inner, value)
    second = await ctx.stage("second", inner, first["sum"])
    moment = await ctx.now()
    return {"result": second["sum"], "moment": moment}


def run(home: Path, work: Any, value: Any = None, **options: Any) -> Any:
    return Runtime(home).run(work, value, **options)


def test_a_workflow_runs_its_steps_and_returns(tmp_path: Path) -> None:
    CALLS.clear()
    assert run(tmp_path, sums, 3)["result"] == 58
    assert sorted(CALLS) == ["double 14", "double 15", "double 3", "double 4"]


def test_a_finished_run_replays_to_the_same_end_without_doing_anything(tmp_path: Path) -> None:
    async def main() -> None:
        async with Runtime(tmp_path) as runtime:
            run_id, _ = await runtime.start(sums, 3)
            await runtime.drive(run_id)
            before = await runtime.result(run_id)
            records = await runtime.store.records(run_id)
            from quarterdeck.kernel.decider import End
            from quarterdeck.kernel.log import RunLog
            from quarterdeck.workflows import Context
            from quarterdeck.workflows.replay import Replay

            replay = Replay(lambda: sums.start(Context(run_id, "", replay, runtime.steps, runtime.store.blobs), 3))
            CALLS.clear()
            commands = replay.advance(RunLog.of(run_id, records))
            assert commands == [End("completed", before)]
            assert CALLS == []

    asyncio.run(main())


@workflow
async def failing(ctx: Any) -> str:
    def boom() -> None:
        raise ValueError("no luck")

    try:
        await ctx.step("boom", boom)
    except ActionFailed as error:
        return f"{error.state}: {error.message}"
    return "unreachable"


def test_a_failed_step_is_an_exception_of_the_workflow(tmp_path: Path) -> None:
    assert run(tmp_path, failing) == "failed: no luck"


@workflow
async def awaits_something_else(ctx: Any) -> None:
    await asyncio.sleep(0)


def test_a_workflow_may_await_only_ctx_objects(tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match="only ctx objects"):
        run(tmp_path, awaits_something_else)


async def test_other_arguments_park_the_run_as_nondeterministic(tmp_path: Path) -> None:
    value = 1

    @workflow(name="shifty")
    async def shifty(ctx: Any) -> int:
        one = await ctx.step("double", double, value)
        await ctx.ask("go on?")
        return one

    async with Runtime(tmp_path) as runtime:
        run_id, _ = await runtime.start(shifty)
        assert (await runtime.drive(run_id)).waiting.startswith("approval")
    value = 2
    async with Runtime(tmp_path) as runtime:
        runtime.register(shifty)
        await runtime.wake(run_id)
        row = await runtime.drive(run_id)
        assert row.state == "waiting"
        assert "nondeterministic: double" in (row.waiting or "")
    value = 1  # the old code again: the run goes on where it was
    async with Runtime(tmp_path) as runtime:
        runtime.register(shifty)
        [question] = await runtime.store.approvals()
        await runtime.answer(question.id, "approve")
        assert (await runtime.drive(run_id)).state == "completed"


async def test_cleanup_code_of_a_dropped_workflow_cannot_act(tmp_path: Path) -> None:
    """`finally` blocks run when a waiting coroutine is dropped; a ctx call there raises Suspended and does nothing."""
    CALLS.clear()

    @workflow(name="tidy")
    async def tidy(ctx: Any) -> str:
        try:
            await ctx.ask("sure?")
        finally:
            await ctx.step("double", double, 7)
        return "done"

    async with Runtime(tmp_path) as runtime:
        run_id, _ = await runtime.start(tidy)
        await runtime.drive(run_id)
        assert CALLS == []
        [question] = await runtime.store.approvals()
        await runtime.answer(question.id, "deny", "not today")
        assert (await runtime.drive(run_id)).state == "completed"
        assert CALLS == ["double 7"]


async def test_law_9_a_waiting_run_is_a_row(tmp_path: Path) -> None:
    """Many runs wait without a coroutine, a task, a lease or a wake-up; an answer brings back exactly one."""
    alive: set[str] = set()

    @workflow(name="patient")
    async def patient(ctx: Any) -> str:
        alive.add(ctx.run)
        try:
            return str((await ctx.ask("now?")).verdict)
        finally:
            alive.discard(ctx.run)

    async with Runtime(tmp_path) as runtime:
        runs = [(await runtime.start(patient))[0] for _ in range(25)]
        for run in runs:
            row = await runtime.drive(run)
            assert (row.state, row.owner, row.wake_at) == ("waiting", None, None)
        assert alive == set()
        assert runtime.worker.handles == {}
        await asyncio.sleep(0)  # the lease's ticker was told to end
        assert len(asyncio.all_tasks()) == 1
        asked = next(q for q in await runtime.store.approvals() if q.run == runs[7])
        await runtime.answer(asked.id, "approve")
        assert (await runtime.drive(runs[7])).state == "completed"
        assert [(await runtime.store.run(r)).state for r in runs].count("waiting") == 24


async def test_an_interrupted_step_is_unknown_and_a_retried_one_runs_again(tmp_path: Path) -> None:
    """Law 3: a step that may not be repeated is never begun twice; nobody claims that it did not happen."""
    began: list[str] = []

    class Crash(BaseException):
        pass

    def once() -> None:
        began.append("once")
        if began.count("once") == 1:
            raise Crash

    def again() -> str:
        began.append("again")
        if began.count("again") == 1:
            raise Crash
        return "fine"

    @workflow(name="crashy")
    async def crashy(ctx: Any) -> list[str]:
        out = [await ctx.retried_step("again", again)]
        try:
            await ctx.step("once", once)
        except OutcomeUnknown:
            out.append("unknown")
        return out

    run_id = ""
    for _ in range(3):
        runtime = Runtime(tmp_path)
        runtime.register(crashy)
        runtime.worker.owner = f"test-{_}"
        try:
            if not run_id:
                run_id, _created = await runtime.start(crashy)
            await runtime.store.database.transact(lambda tx: tx.run("UPDATE run SET lease_until=0"))
            await runtime.drive(run_id)
        except Crash:
            pass
        finally:
            await runtime.aclose()
    runtime = Runtime(tmp_path)
    assert await runtime.result(run_id) == ["fine", "unknown"]
    assert began == ["again", "again", "once"]
    await runtime.aclose()
