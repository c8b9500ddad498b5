"""`quarterdeck models check` as an action: the permit of a `model.call` goes to the one call that the check makes."""

from __future__ import annotations

import msgspec

from ..protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from ..protocol.ports import ActionContext
from .check import CheckReport, check
from .client import Models


class CheckExecutor:
    """Checks the model that the request names. `report` is what it found, once it was let through."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.report: CheckReport | None = None

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        self.report = found = await check(self._models, request.args["model"], lambda _: permit)
        result = {
            **msgspec.to_builtins(found),
            "cost_microusd": found.cost_microusd if found.cost_microusd is not None else request.est_microusd,
        }
        return Outcome("done", result)

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")  # nobody resumes a check; its money is settled at the worst case
