"""`model.call`: one streamed call, its items, its usage and its price."""

from __future__ import annotations

from typing import Any

import msgspec

from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from quarterdeck.protocol.errors import BadInput
from quarterdeck.protocol.models import Completed, Item, ItemDone, ModelRequest, ReasoningDelta, TextDelta
from quarterdeck.protocol.ports import ActionContext, ModelPort


class ModelExecutor:
    """Calls the model with the request that the agent loop offered for (run, turn)."""

    def __init__(self, models: ModelPort) -> None:
        self._models = models
        self._offers: dict[tuple[str, int], ModelRequest] = {}

    def offer(self, run: str, turn: int, request: ModelRequest) -> None:
        self._offers[(run, turn)] = request

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        call = self._offers.get((context.run, request.occurrence))
        if call is None:
            raise BadInput(f"The request of model call {request.occurrence} is not here.", hint="This is a defect; please report it.")
        items: list[Item] = []
        done: Completed | None = None
        async for event in self._models.stream(permit, call):
            match event:
                case TextDelta() | ReasoningDelta():
                    context.progress({"kind": "text", "step": request.name, "text": event.text})
                case ItemDone():
                    items.append(event.item)
                case Completed():
                    done = event
        self._offers.pop((context.run, request.occurrence), None)
        assert done is not None, "a stream without Completed raises ModelError"
        result: dict[str, Any] = {
            "items": items, "usage": msgspec.to_builtins(done.usage), "finish": done.finish, "model": done.model or call.model,
            "cost_microusd": self._models.cost(call.model, done.usage), "price": msgspec.to_builtins(self._models.price(call.model)),
        }  # fmt: skip
        return Outcome("done", result)

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")  # a provider cannot be asked; the kernel settles the attempt at its worst case and calls again
