"""`output.publish`: into the outbox (from a run) and out of it (from a system run)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from quarterdeck.protocol.errors import BadInput
from quarterdeck.protocol.ids import new_id
from quarterdeck.protocol.ports import ActionContext, Permits
from quarterdeck.protocol.writes import OutboxDone, OutboxPut


class Channel(Protocol):
    """A receiver. `deliver` must be idempotent by `dedupe_key`: a delivery whose outcome is not known is made again (law 4).

    Receivers that cannot do that need a probe, which a later part brings; none is wired here.
    """

    direct: bool
    """Delivered by the action itself, not by way of the outbox: a local folder that the caller waits for."""

    async def deliver(self, body: Mapping[str, Any], dedupe_key: str) -> str:
        """Deliver and return where it went. QuarterdeckError when it cannot."""
        ...


class Publisher:
    """The executor of `output.publish`."""

    def __init__(self, permits: Permits, channels: Mapping[str, Channel]) -> None:
        self._permits, self._channels = permits, channels

    def _channel(self, name: str) -> Channel:
        found = self._channels.get(name)
        if found is None:
            raise BadInput(f"There is no channel {name!r}.", hint=f"There are: {', '.join(sorted(self._channels))}.")
        return found

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        args = request.args
        channel = self._channel(args["channel"])
        await self._permits.consume(permit, "output.publish")
        if "delivery" in args:
            where = await channel.deliver(args["body"], args["dedupe_key"])
            return Outcome("done", where, writes=(OutboxDone(args["delivery"], "delivered", where),))
        if channel.direct:
            return Outcome("done", await channel.deliver(args["body"], args["dedupe_key"]))
        put = OutboxPut(new_id("out"), permit.action, args["channel"], args["body"], args["dedupe_key"])
        return Outcome("done", put.id, writes=(put,))

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        # Both sides are idempotent by dedupe key, so the kernel may retry.
        return Probe("unknown")
