"""deployment: Dockerfiles, compose files, Kubernetes manifests and GitHub workflows that the change touches (A11)."""

from __future__ import annotations

from collections.abc import Sequence

from quarterdeck.protocol.environment import Toolbox

from ..model import Change, Finding, NotChecked, Plan, RawRun, Settings
from . import script
from .base import text_files
from .inside.docker import is_dockerfile


class Deployment:
    """Severity: high for a file that does not parse or is incomplete and for what gives a container its host; else medium or low."""

    name = "deployment"

    def plan(self, change: Change, toolbox: Toolbox, settings: Settings) -> list[Plan] | NotChecked:
        files = [f for f in text_files(change, settings) if f.status != "deleted"]
        wanted = [f for f in files if f.path.endswith((".yml", ".yaml")) or is_dockerfile(f.path)]
        modules = ("yamlnodes", "docker", "containers", "deployment")
        return script.plans(self.name, wanted, modules, toolbox, third_party=True)

    def parse(self, runs: Sequence[RawRun], change: Change, settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
        return script.read(self.name, runs, change, settings)
