"""Local steps: the code behind `ctx.step`, run once by the kernel's action path."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from quarterdeck.protocol.errors import BadInput
from quarterdeck.protocol.ports import ActionContext, Permits

from .replay import plain
from .wants import Want


class LocalSteps:
    """The executor of `tool.call` on `step:*`. A live workflow offers its code here; the kernel calls it with a permit."""

    def __init__(self, permits: Permits) -> None:
        self._permits = permits
        self._offers: dict[str, list[tuple[Want[Any], Callable[[], Any]]]] = {}

    def offer(self, run: str, want: Want[Any], call: Callable[[], Any]) -> None:
        """Say what to call when `want` (whose key is set once it is awaited) is let through."""
        self._offers.setdefault(run, []).append((want, call))

    def forget(self, run: str) -> None:
        self._offers.pop(run, None)

    def _take(self, run: str, request: ActionRequest) -> Callable[[], Any]:
        key = (request.name, request.occurrence)
        for index, (want, call) in enumerate(self._offers.get(run, [])):
            if getattr(want, "key", None) == key:
                del self._offers[run][index]
                return call
        raise BadInput(f"The code of step {request.name} is not here.", hint="Resume the run with the program that defines its workflow.")

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        call = self._take(context.run, request)
        await self._permits.consume(permit, "tool.call")
        value = await asyncio.to_thread(call)
        if inspect.isawaitable(value):
            value = await value
        return Outcome("done", plain(value))

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")  # local code leaves no ledger of its own
