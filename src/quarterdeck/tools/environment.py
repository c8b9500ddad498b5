"""`tool.call` on `environment:create`: the run's computer."""

from __future__ import annotations

import msgspec

from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from quarterdeck.protocol.environment import EnvironmentSpec
from quarterdeck.protocol.ports import ActionContext, Driver


class EnvironmentExecutor:
    """Creates (or adopts) the environment of the run that asks."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        spec = msgspec.convert({"id": context.environment, **request.args}, EnvironmentSpec)
        await self._driver.create(permit, spec)
        return Outcome("done", {"environment": spec.id, "capabilities": msgspec.to_builtins(self._driver.capabilities())})

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")  # create adopts what is alive, so the kernel may retry it
