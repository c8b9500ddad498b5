"""secrets: keys, tokens and passwords on added lines. The scan runs inside and redacts before it prints."""

from __future__ import annotations

from collections.abc import Sequence

from quarterdeck.protocol.environment import Toolbox

from ..model import Change, Finding, NotChecked, Plan, RawRun, Settings
from . import script
from .base import text_files


class Secrets:
    """Every finding is high: a secret in a pull request is public from the first push on."""

    name = "secrets"

    def plan(self, change: Change, toolbox: Toolbox, settings: Settings) -> list[Plan] | NotChecked:
        return script.plans(self.name, text_files(change, settings), ("secrets",), toolbox)

    def parse(self, runs: Sequence[RawRun], change: Change, settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
        return script.read(self.name, runs, change, settings)
