"""`shell.exec`: one command in the run's computer."""

from __future__ import annotations

import asyncio

import msgspec

from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from quarterdeck.protocol.environment import Command
from quarterdeck.protocol.ports import ActionContext, Driver


class ShellExecutor:
    """Runs commands through a driver; after a crash collects them from the shim."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        command = msgspec.convert(request.args, Command)
        context.progress({"kind": "command", "step": request.name, "command": command.shell or " ".join(command.argv)})
        try:
            result = await self._driver.exec(permit, request.resource.id, command)
        except asyncio.CancelledError:
            # Drained: the command goes on in the shim and the next owner collects it. Cancelled: it must end.
            if context.stopping() == "cancel":
                await asyncio.shield(self._driver.kill(request.resource.id, permit.key))
            raise
        return Outcome("done", msgspec.to_builtins(result))

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        found = await self._driver.probe(request.resource.id, key, context.epoch)
        if found.state != "running":
            return found
        try:
            result = await self._driver.wait(request.resource.id, key, context.epoch)
        except asyncio.CancelledError:
            if context.stopping() == "cancel":
                await asyncio.shield(self._driver.kill(request.resource.id, key))
            raise
        return Probe("done", Outcome("done", msgspec.to_builtins(result)))
