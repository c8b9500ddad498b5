"""bandit: known insecure calls and settings in changed Python files, with a fixed configuration."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quarterdeck.protocol.environment import Toolbox

from .. import findings as making
from ..model import Change, Finding, NotChecked, Plan, RawRun, Settings, Severity
from ..paths import to_argument
from . import trees
from .base import absent, artifact, base_path, chunked, excluded, is_test, output, relative, slug, text_files
from .ruff import named
from .versus import Report, cut, new_reports

SKIP = "B101,B105,B106,B107,B310,B311,B401,B402,B403,B404,B405,B406,B407,B408,B409,B410,B411,B412,B413,B415,B603,B606,B607"
"""Asserts, imports, urlopen and the mere start of a process are no faults; passwords are the secret scanner's."""
SEVERITY: dict[str, Severity] = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low"}
RAISED = {"B307", "B102", "B301", "B506", "B602", "B605"}
"""Code execution by data: bandit says medium or low for some of these, we say high unless the text that runs is fixed (bandit's LOW)."""


class _Issue(msgspec.Struct, frozen=True):
    filename: str
    line_number: int
    test_id: str
    issue_text: str
    issue_severity: str
    issue_confidence: str
    test_name: str = ""
    more_info: str = ""


class _Error(msgspec.Struct, frozen=True):
    filename: str = ""
    reason: str = ""


class _Output(msgspec.Struct, frozen=True):
    results: list[_Issue]
    errors: list[_Error] = []


class Bandit:
    """Severity is bandit's own, raised for code execution. `nosec` of the head is not obeyed; what bandit itself doubts is dropped."""

    name = "bandit"

    def plan(self, change: Change, toolbox: Toolbox, settings: Settings) -> list[Plan] | NotChecked:
        files = [f for f in text_files(change, settings) if f.path.endswith(".py")]
        if not files:
            return []
        if "bandit" not in toolbox.modules:
            return absent(self.name)
        files = [f for f in files if named(f)]
        heads = [f.path for f in files if f.status != "deleted" and (f.truncated or any(h.added for h in f.hunks))]
        bases = [base_path(f) for f in files if any(h.removed for h in f.hunks)] if heads else []
        return [
            Plan(slug(f"bandit-{side}", index), self._argv(toolbox, group), cwd=root, timeout_s=180.0)
            for side, root, paths in (("head", trees.HEAD, heads), ("base", trees.BASE, bases))
            for index, group in enumerate(chunked(paths))
        ]

    @staticmethod
    def _argv(toolbox: Toolbox, paths: list[str]) -> tuple[str, ...]:
        # No `-c`, and file targets only: bandit looks for a `.bandit` file in folders alone. The exclusion that matches nothing replaces
        # its default list, in which the head could hide a file.
        options = ("-f", "json", "-q", "-n", "1", "--exit-zero", "--ignore-nosec", "-s", SKIP, "-x", "/nothing/is/excluded", "--")
        return toolbox.argv("bandit", *options, *(f"./{to_argument(p)}" for p in paths))

    def parse(self, runs: Sequence[RawRun], change: Change, settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
        files = [f for f in text_files(change, settings) if f.path.endswith(".py")]
        missing = cut(self.name, files) if runs else []
        missing += [
            NotChecked(f"{self.name}: {f.path}", "bandit is not given files whose name is not UTF-8") for f in files if not named(f)
        ]
        sides: dict[str, list[Report]] = {"head": [], "base": []}
        for run in runs:
            answer = output(self.name, run, _Output)
            if isinstance(answer, NotChecked):
                missing.append(answer)
                continue
            side = "base" if run.name.startswith("bandit-base") else "head"
            sides[side] += [report(issue, artifact(run)) for issue in answer.results if worth(issue)]
            if side == "head":
                missing += [NotChecked(f"{self.name}: {relative(e.filename, trees.HEAD)}", e.reason) for e in answer.errors]
        found = [
            making.make(
                self.name,
                f"bandit/{new.report.rule}",
                SEVERITY.get(new.report.severity, "low"),
                new.report.path,
                new.report.line,
                new.report.message,
                evidence=new.evidence,
                artifact=new.report.artifact,
                help=new.report.help,
            )
            for new in new_reports(sides["head"], sides["base"], change)
            if not excluded(new.report.path, settings) and not (is_test(new.report.path) and new.report.severity != "HIGH")
        ]
        return found, missing


def worth(issue: _Issue) -> bool:
    return issue.issue_confidence in ("HIGH", "MEDIUM")


def report(issue: _Issue, source: str) -> Report:
    """bandit's words as ours."""
    level = issue.issue_severity
    if issue.test_id in RAISED and level == "MEDIUM":
        level = "HIGH"
    path = relative(relative(relative(issue.filename, "."), trees.HEAD), trees.BASE)
    return Report(path, issue.line_number, issue.test_id, level, issue.issue_text, issue.more_info, source)
