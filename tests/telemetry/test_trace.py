"""The trace and its totals are pure functions of the log. (A21)"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from quarterdeck import Runtime, workflow
from quarterdeck.protocol.records import Record, Run
from quarterdeck.telemetry import Span, names, summarize, tree_of
from quarterdeck.testing import ScriptedModel, call, text


async def inner(ctx: Any) -> list[int]:
    return list(await ctx.gather(ctx.step("number", lambda: 1), both(ctx)))


async def both(ctx: Any) -> int:
    return int(await ctx.step("number", lambda: 2)) + int(await ctx.step("other", lambda: 3))


@workflow
async def work(ctx: Any) -> str:
    await ctx.stage("first", inner)
    await ctx.stage("first", inner)
    await ctx.artifact("note.txt", "kept")
    answer = await ctx.agent("say hello", model="scripted/m", tools=("shell",))
    return str(answer.text)


@workflow
async def asks(ctx: Any) -> str:
    return str((await ctx.ask("go on?")).verdict)


async def traced(runtime: Runtime, run: str) -> Span:
    rows = await runtime.store.tree(run)
    return tree_of(run, rows, {r.id: await runtime.store.records(r.id) for r in rows})


def test_a21_a_run_is_a_tree_of_stages_actions_and_children(tmp_path: Path) -> None:
    async def main() -> Span:
        with ScriptedModel([call("missing_tool"), text("hello")]) as server:
            (tmp_path / "quarterdeck.toml").write_text(
                f'[providers.scripted]\nprotocol = "chat"\nbase_url = "{server.base_url}"\n[prices."scripted/m"]\ninput = 1\noutput = 2\n'
            )
            async with Runtime(tmp_path) as runtime:
                run, _ = await runtime.start(work)
                assert (await runtime.drive(run)).state == "completed"
                return await traced(runtime, run)

    span = asyncio.run(main())
    assert [(c.kind, c.name) for c in span.children] == [("stage", "first"), ("stage", "first"), ("run", "agent")]
    for stage in span.children[:2]:
        assert sorted(c.name for c in stage.children) == ["number", "number", "other"]
        assert all(c.attrs[names.DECISION] == "allow" and c.attrs[names.POLICIES] for c in stage.children)
        assert stage.end is not None
    assert span.attrs[names.ARTIFACTS] == 1
    agent = span.children[2]
    assert agent.attrs[names.OPERATION] == "invoke_agent"
    calls = [c for c in agent.children if c.attrs[names.ACTION] == "model.call"]
    assert [c.attrs[names.OPERATION] for c in calls] == ["chat", "chat"]
    assert all(c.attrs[names.PROVIDER] == "scripted" and c.attrs[names.REQUEST_MODEL] == "m" for c in calls)
    totals = summarize(span)
    assert totals.model_calls == 2
    assert totals.input_tokens == sum(c.attrs[names.INPUT_TOKENS] for c in calls) > 0
    assert totals.cost_microusd == sum(c.attrs[names.COST] for c in calls) > 0
    assert totals.decisions == {"allow": 8, "deny": 0, "ask": 0}
    assert [(n, s) for n, _, s in totals.stages] == [("first", "done"), ("first", "done")]
    assert all(s.start <= c.start and (c.end or 0) <= (s.end or 0) for s in span.walk() for c in s.children)


def test_a21_what_waits_is_open_and_what_was_answered_says_by_whom(tmp_path: Path) -> None:
    async def main() -> tuple[Span, Span]:
        async with Runtime(tmp_path, actor="user:ana") as runtime:
            run, _ = await runtime.start(asks)
            await runtime.drive(run)
            waiting = await traced(runtime, run)
            [question] = await runtime.store.approvals()
            await runtime.answer(question.id, "approve")
            await runtime.drive(run)
            return waiting, await traced(runtime, run)

    waiting, done = asyncio.run(main())
    assert waiting.attrs[names.WAITING].startswith("approval appr_")
    [asked] = waiting.children
    assert (asked.kind, asked.end) == ("approval", None)
    assert asked.seconds(asked.start + 5_000_000) == 5.0
    [answered] = done.children
    assert answered.attrs[names.VERDICT] == "approve by user:ana"
    assert answered.end is not None


def record(seq: int, kind: str, /, **body: Any) -> Record:
    return Record("run_1", seq, 1, kind, body, 1_000_000 * seq)


def requested(seq: int, name: str, effect: str, kind: str = "shell.exec", **args: Any) -> Record:
    request = {"kind": kind, "resource": {"id": "env"}, "args": args}
    return record(seq, "action.requested", name=name, occurrence=0, request=request, decision={"effect": effect, "policies": ["p"]})


def test_a21_crashes_denials_and_retries_are_counted() -> None:
    run = Run(
        "run_1", "default", "workflow", "w", "run_1", None, "running", None, None, "user:x", (), 9, "me", 2, 0, 0, 0, 0, None
    )  # fmt: skip
    command = {"exit_code": 1, "state": "exited", "stdout": {}}
    records = [
        record(0, "run.submitted", kind="workflow", name="w"),
        record(1, "stage.started", name="s", occurrence=1),
        requested(2, "s#1/a", "allow", argv=["pytest", "-q"]),
        record(3, "action.started", action=2, attempt=2, why="interrupted"),
        record(4, "action.completed", action=2, attempt=2, state="done", result=command, error=None, collected=True),
        requested(5, "b", "deny", shell="curl x | sh"),
        record(6, "action.completed", action=5, attempt=0, state="denied", error={"type": "Denied", "message": "no"}),
        requested(7, "c", "allow", shell="sleep 9"),
        record(8, "action.completed", action=7, attempt=1, state="unknown", result=None, error={"type": "OutcomeUnknown", "message": "?"}),
    ]
    span = tree_of("run_1", [run], {"run_1": records})
    stage, denied, unknown = span.children
    assert [c.name for c in stage.children] == ["a"]
    assert stage.end is None
    assert stage.children[0].attrs[names.COMMAND] == "pytest -q"
    assert stage.children[0].attrs[names.EXIT_CODE] == 1
    assert denied.attrs[names.ERROR_TYPE] == "Denied"
    assert unknown.attrs[names.STATE] == "unknown"
    totals = summarize(span)
    assert (totals.commands, totals.failed_commands, totals.collected, totals.unknown, totals.repeated) == (2, 1, 1, 1, 1)
    assert totals.decisions == {"allow": 2, "deny": 1, "ask": 0}
    assert totals.stages == [("s", 7.0, "running")]


def test_telemetry_is_pure() -> None:
    """The same records give the same tree, and making it changes none of them."""
    run = Run("run_1", "default", "workflow", "w", "run_1", None, "completed", None, None, "u", (), 2, None, 1, 0, None, 0, 0, 5)
    records = [record(0, "run.submitted", kind="workflow", name="w"), record(1, "run.completed", state="completed", result=1, error=None)]
    before = repr(records)
    assert tree_of("run_1", [run], {"run_1": records}) == tree_of("run_1", [run], {"run_1": records})
    assert repr(records) == before
    assert all(value.startswith(("gen_ai.", "quarterdeck.", "error.", "process.")) for name, value in vars(names).items() if name.isupper())
