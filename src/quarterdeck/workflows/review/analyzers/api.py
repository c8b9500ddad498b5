"""api: breaking changes of the public API between base and head, by griffe."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quarterdeck.protocol.environment import Toolbox

from ..model import Change, Finding, NotChecked, Plan, RawRun, Settings
from . import script
from .base import absent, is_python, text_files


class Api:
    """Severity: high for a removed public object or parameter, low for a changed default, medium for the rest."""

    name = "api"

    def plan(self, change: Change, toolbox: Toolbox, settings: Settings) -> list[Plan] | NotChecked:
        files = [f for f in text_files(change, settings) if is_python(f.path) and (f.status != "added")]
        if not files:
            return []
        if "griffe" not in toolbox.modules:
            return absent("griffe")
        return script.plans(self.name, files, ("api",), toolbox, third_party=True)

    def parse(self, runs: Sequence[RawRun], change: Change, settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
        renamed = {f.old_path: f.path for f in change.files if f.old_path}

        def rewrite(hit: script.Hit) -> script.Hit:
            """What a renamed module lost is reported where the module is now."""
            return msgspec.structs.replace(hit, path=renamed[hit.path]) if hit.path in renamed and not change.file(hit.path) else hit

        return script.read(self.name, runs, change, settings, rewrite=rewrite)
