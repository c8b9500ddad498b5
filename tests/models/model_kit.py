"""What the tests of the model room share: permits, a scripted provider on both wires, a way to collect a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quarterdeck.models import Models, ProviderConfig, Timeouts
from quarterdeck.protocol.actions import ActionKind, Permit
from quarterdeck.protocol.errors import PermitRefused
from quarterdeck.protocol.models import Completed, Item, ItemDone, ModelEvent, ModelRequest, Price

KEY = "sk-test-Zq83mVb1xLw0"
WIRES = ("chat", "responses")
SAY = ({"type": "message", "role": "user", "content": "hello"},)
TOOL = {
    "type": "function",
    "name": "look",
    "description": "Look.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
}


class FakePermits:
    """Consumes each permit once, as the store does; `on_consume` looks at the world at that moment."""

    def __init__(self, on_consume: Callable[[], None] = lambda: None) -> None:
        self.consumed: list[tuple[Permit, ActionKind]] = []
        self._on_consume = on_consume

    async def consume(self, permit: Permit, kind: ActionKind) -> None:
        if permit.kind != kind or any(permit == used for used, _ in self.consumed):
            raise PermitRefused("The permit was used before, or is for another kind of action.")
        self._on_consume()
        self.consumed.append((permit, kind))


class Naps:
    """Stands for sleep: remembers, and does not wait."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


def permit(number: int = 1, kind: ActionKind = "model.call") -> Permit:
    return Permit(run="run_1", action=number, attempt=1, epoch=1, kind=kind, decision="d" * 64, nonce=f"n{number}")


def models_at(base_url: str, wire: str = "chat", *, permits: FakePermits | None = None, naps: Naps | None = None, **options: Any) -> Models:
    """Return Models with one provider `fake` at `base_url` that wants the key in FAKE_KEY and costs 1 and 4 USD per million tokens."""
    fields = {"name": "fake", "protocol": wire, "base_url": base_url, "api_key_env": "FAKE_KEY"} | options.pop("config", {})
    return Models(
        {"fake": ProviderConfig(**fields)},
        permits or FakePermits(),
        {"fake/m": Price(1_000_000, 500_000, 4_000_000, "test")},
        environ=options.pop("environ", {"FAKE_KEY": KEY}),
        sleep=naps or Naps(),
        timeouts=options.pop("timeouts", Timeouts(connect=5.0, write=5.0, idle=10.0)),
    )


def ask(*items: Item, **fields: Any) -> ModelRequest:
    return ModelRequest(**{"model": "fake/m", "input": items or SAY, "max_output_tokens": 500} | fields)


async def collect(models: Models, request: ModelRequest, number: int = 1) -> list[ModelEvent]:
    try:
        return [event async for event in models.stream(permit(number), request)]
    finally:
        await models.aclose()


def items_of(events: list[ModelEvent]) -> list[Item]:
    return [event.item for event in events if isinstance(event, ItemDone)]


def completed(events: list[ModelEvent]) -> Completed:
    last = events[-1]
    assert isinstance(last, Completed)
    return last
