"""`memory.read` and `memory.write`: values that outlive a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from quarterdeck.protocol.ports import ActionContext, Permits
from quarterdeck.protocol.writes import Remember


class Memories(Protocol):
    """Where memories are kept."""

    async def recall(self, project: str, scope: str, kind: str) -> Sequence[Any]: ...


class MemoryReader:
    """Recalls the values of one kind and scope. What was written under labels is read under them."""

    def __init__(self, permits: Permits, memories: Memories) -> None:
        self._permits, self._memories = permits, memories

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        await self._permits.consume(permit, "memory.read")
        found = await self._memories.recall(context.project, request.args["scope"], request.args["kind"])
        rows = [{"key": m.key, "body": m.body, "run": m.run, "at": m.at, "labels": list(m.labels)} for m in found]
        return Outcome("done", rows)

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")


class MemoryWriter:
    """Remembers values by key, with the labels of the run that writes them."""

    def __init__(self, permits: Permits) -> None:
        self._permits = permits

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        await self._permits.consume(permit, "memory.write")
        args = request.args
        values = sorted(args["values"].items())
        writes = tuple(Remember(args["scope"], args["kind"], key, body, context.labels) for key, body in values)
        return Outcome("done", {"count": len(writes)}, writes=writes)

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")  # the same values again change nothing
