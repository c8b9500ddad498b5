"""`tool.call` on `environment:create`: the run's computer."""

from __future__ import annotations

import msgspec

from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from quarterdeck.protocol.environment import EnvironmentSpec, Limits
from quarterdeck.protocol.ports import ActionContext, Driver


class EnvironmentExecutor:
    """Creates (or adopts) the environment of the run that asks. `limits` are for requests that name none."""

    def __init__(self, driver: Driver, limits: Limits) -> None:
        self._driver, self._limits = driver, limits

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        args = {**request.args, "limits": request.args["limits"] or msgspec.to_builtins(self._limits)}
        spec = msgspec.convert({"id": context.environment, **args}, EnvironmentSpec)
        await self._driver.create(permit, spec)
        return Outcome("done", {"environment": spec.id, "capabilities": msgspec.to_builtins(self._driver.capabilities())})

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")  # create adopts what is alive, so the kernel may retry it
