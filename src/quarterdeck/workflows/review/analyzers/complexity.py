"""complexity: functions that the change touches and that are now above the limit and more complex than before."""

from __future__ import annotations

from collections.abc import Sequence

from quarterdeck.protocol.environment import Toolbox

from ..model import Change, Finding, NotChecked, Plan, RawRun, Settings
from . import script
from .base import text_files


class Complexity:
    """Severity: low above `max_complexity`, medium above twice that. How it is counted: see `inside/complexity.py`."""

    name = "complexity"

    def plan(self, change: Change, toolbox: Toolbox, settings: Settings) -> list[Plan] | NotChecked:
        files = [f for f in text_files(change, settings) if f.path.endswith(".py")]
        return script.plans(self.name, files, ("complexity",), toolbox, limit=settings.max_complexity)

    def parse(self, runs: Sequence[RawRun], change: Change, settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
        return script.read(self.name, runs, change, settings)
