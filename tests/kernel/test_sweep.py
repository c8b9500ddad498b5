"""A14: the crash-point sweep over every shape of workflow that the kernel knows in this part."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from quarterdeck import Runtime, tool
from quarterdeck.protocol.errors import ActionFailed, LostLease, OutcomeUnknown, PermitRefused
from quarterdeck.protocol.records import NewRecord
from quarterdeck.testing import Reply, ScriptedModel, call, text
from quarterdeck.workflows import Workflow, workflow

sys.path.insert(0, str(Path(__file__).parent))
from sweep import CONFIG, World, sweep


def never(name: str) -> bool:
    return name.startswith("once")


def plain(runtime: Runtime, world: World) -> Workflow:
    async def part(ctx: Any) -> int:
        await ctx.retried_step("again", world.effect, "again")
        return 1

    @workflow(name="plain")
    async def work(ctx: Any) -> str:
        await ctx.stage("part", part)
        await ctx.artifact("evidence", b"bytes")
        try:
            await ctx.step("once", world.effect, "once")
        except OutcomeUnknown:
            return "unknown"
        return "done"

    return work


def parallel(runtime: Runtime, world: World) -> Workflow:
    async def part(ctx: Any, index: int) -> None:
        try:
            await ctx.step(f"once {index}", world.effect, f"once {index}")
        except OutcomeUnknown:
            await ctx.now()

    @workflow(name="parallel")
    async def work(ctx: Any) -> str:
        await ctx.gather(*[ctx.stage(f"part {i}", part, i) for i in range(3)])
        await ctx.remember("note", "scope", {"a": {"x": 1}})
        return str(len(await ctx.recall("note", "scope")))

    return work


def asking(runtime: Runtime, world: World) -> Workflow:
    @workflow(name="asking")
    async def work(ctx: Any) -> str:
        answer = await ctx.ask("go on?")
        if not answer.approved:
            return "no"
        try:
            await ctx.step("once", world.effect, "once")
        except OutcomeUnknown:
            return "unknown"
        await ctx.publish("tickets", {"title": "t"}, dedupe_key="k")
        return "yes"

    return work


def sleeping(runtime: Runtime, world: World) -> Workflow:
    @workflow(name="sleeping")
    async def work(ctx: Any) -> str:
        await ctx.sleep(0.01)
        try:
            await ctx.step("once", world.effect, "once")
        except ActionFailed:
            return "failed"
        return "woke"

    return work


def delegating(runtime: Runtime, world: World) -> Workflow:
    """A child run: model call, tool with an effect, model call; every attempt has its own reservation."""

    @tool
    def once(word: str) -> str:
        """Do it once."""
        world.effect("once")
        return word

    runtime.functions.add([once])

    @workflow(name="delegating")
    async def work(ctx: Any) -> str:
        answer = await ctx.agent("do it", model="fake/m", tools=("once",))
        return str(answer.text)

    return work


async def say_yes(runtime: Runtime, run: str) -> None:
    for question in await runtime.store.approvals():
        await runtime.answer(question.id, "approve")


@pytest.mark.parametrize("shape", [plain, parallel, asking, sleeping], ids=lambda f: f.__name__)
async def test_law_1_2_3_7_8_hold_at_every_crash_point(tmp_path: Path, shape: Any) -> None:
    points, violations = await sweep(tmp_path, shape, never=never, people=say_yes)
    assert violations == []
    assert points > 20


async def test_law_3_and_7_hold_at_every_crash_point_of_an_agent(tmp_path: Path) -> None:
    """Model calls are retried with their own reservation, the tool never is; in the end no money stays reserved."""

    def script(request: dict[str, Any]) -> Reply:
        return text("done") if any(m["role"] == "tool" for m in request["messages"]) else call("once", word="x")

    with ScriptedModel(script) as server:
        CONFIG[:] = [f'[providers.fake]\nprotocol = "chat"\nbase_url = "{server.base_url}"\n[prices."fake/m"]\ninput = 1.0\noutput = 2.0\n']
        try:
            points, violations = await sweep(tmp_path, delegating, never=never)
        finally:
            CONFIG.clear()
    assert violations == []
    assert points > 30


async def test_law_2_a_revived_owner_cannot_write(tmp_path: Path) -> None:
    """A worker that was paused beyond its lease finds every door closed: the log, the ledger, its permits."""
    from quarterdeck.kernel import Handle
    from quarterdeck.kernel.worker import _ignore_progress, _ignore_record

    async with Runtime(tmp_path) as runtime:
        work = plain(runtime, World(0, "never"))
        run, _ = await runtime.start(work)
        old = await runtime.store.claim("old", 1, [])
        assert old is not None
        zombie = await Handle.open(runtime.store, old, _ignore_record, _ignore_progress)
        new = await runtime.store.claim("new", 60_000_000, ["old"])
        assert new is not None
        assert new.epoch == old.epoch + 1
        with pytest.raises(LostLease):
            await zombie.append([NewRecord("run.note", {"text": "I am back"})])
        with pytest.raises(LostLease):
            runtime.store.renew(run, old.epoch, 1)
        assert [r.kind for r in await runtime.store.records(run)] == ["run.submitted"]


async def test_law_4_a_permit_is_used_once_and_only_for_its_kind(tmp_path: Path) -> None:
    import msgspec

    from quarterdeck.protocol.actions import Permit
    from quarterdeck.protocol.writes import HERE, EffectStart

    async with Runtime(tmp_path) as runtime:
        run, _ = await runtime.start(plain(runtime, World(0, "never")))
        row = await runtime.store.claim("me", 60_000_000, [])
        assert row is not None
        seq, _ = await runtime.store.append(run, row.epoch, [NewRecord("run.note", {})], writes=[EffectStart(HERE, 1, "n")])
        permit = Permit(run, seq, 1, row.epoch, "tool.call", "d", "n")
        with pytest.raises(PermitRefused):
            await runtime.store.consume(permit, "shell.exec")
        with pytest.raises(PermitRefused):
            await runtime.store.consume(msgspec.structs.replace(permit, nonce="guessed"), "tool.call")
        with pytest.raises(LostLease):
            await runtime.store.consume(msgspec.structs.replace(permit, epoch=row.epoch + 1), "tool.call")
        await runtime.store.consume(permit, "tool.call")
        with pytest.raises(PermitRefused):
            await runtime.store.consume(permit, "tool.call")
