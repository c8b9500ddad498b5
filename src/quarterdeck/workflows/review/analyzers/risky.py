"""risky: changes to what runs by itself (CI, build, dependencies) and files that nobody can review."""

from __future__ import annotations

from collections.abc import Sequence

from quarterdeck.protocol.environment import Toolbox

from ..model import Change, Finding, NotChecked, Plan, RawRun, Settings
from . import script
from .base import excluded, text_files


class Risky:
    """Severity: high where an outsider's text or file gets to run, medium where somebody else decides what runs, low for "look here"."""

    name = "risky"

    def plan(self, change: Change, toolbox: Toolbox, settings: Settings) -> list[Plan] | NotChecked:
        everything = [f for f in change.files if f.status != "deleted" and not excluded(f.path, settings)]
        texts = [f for f in text_files(change, settings) if f.status != "deleted"]
        manifests = [f for f in texts if f.path.endswith((".txt", ".in", ".toml", ".json", ".cfg"))]
        workflows = [f for f in texts if f.path.startswith(".github/workflows/")]
        return [
            *script.plans("risky-files", everything, ("files",), toolbox),
            *script.plans("risky-dependencies", manifests, ("dependencies",), toolbox),
            *script.plans("risky-ci", workflows, ("yamlnodes", "ci"), toolbox, third_party=True),
        ]

    def parse(self, runs: Sequence[RawRun], change: Change, settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
        return script.read(self.name, runs, change, settings)
