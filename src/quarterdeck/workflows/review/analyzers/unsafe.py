"""unsafe: calls that run or trust what they should not, and new comments that silence a checker; needs no third-party tool."""

from __future__ import annotations

from collections.abc import Sequence

from quarterdeck.protocol.environment import Toolbox

from ..model import Change, Finding, NotChecked, Plan, RawRun, Settings
from . import script
from .base import is_python, text_files


class Unsafe:
    """Severity: high where data can become code or trust, low where the text that runs is fixed; a suppression is medium."""

    name = "unsafe"

    def plan(self, change: Change, toolbox: Toolbox, settings: Settings) -> list[Plan] | NotChecked:
        files = [f for f in text_files(change, settings) if is_python(f.path)]
        return script.plans(self.name, files, ("unsafe",), toolbox)

    def parse(self, runs: Sequence[RawRun], change: Change, settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
        return script.read(self.name, runs, change, settings)
