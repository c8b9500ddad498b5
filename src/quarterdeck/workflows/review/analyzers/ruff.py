"""ruff: a fixed selection of rules that find bugs, not style; the project's own style is the business of the conventions step."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quarterdeck.protocol.environment import Toolbox

from .. import findings as making
from ..model import Change, FileChange, Finding, NotChecked, Plan, RawRun, Settings, Severity
from ..paths import is_utf8, to_argument
from . import trees
from .base import absent, artifact, base_path, chunked, excluded, is_python, is_test, output, relative, slug, text_files
from .versus import Report, cut, new_reports

SELECT = (
    "E9,F,B002,B003,B005,B006,B012,B013,B014,B015,B016,B017,B018,B019,B020,B021,B022,B023,B025,B026,B029,B030,B031,B032,B033,B035,"
    "B039,E722,PLE,PLW0128,PLW0129,PLW0133,PLW1508,ASYNC210,ASYNC220,ASYNC221,ASYNC222,ASYNC251,RUF006,RUF016"
)
IGNORE = "F401,F403,F405,F541,PLE0604,PLE0605"
"""F401 and F541 change no behaviour and are style; star imports say nothing about a bug by themselves, and a computed `__all__` is
legal."""

HIGH = ("E9", "F82", "F70", "F50", "F63", "F83", "PLE", "B002", "B012", "RUF016")
LOW = ("F841", "F811", "F842", "B018", "B007", "B033", "B014", "B013", "PLW0129")
NOT_IN_TESTS = ("B015", "B017", "B018", "F811", "F841")
"""Common and harmless idioms of test suites."""
PARSE = "syntax"


class _Place(msgspec.Struct, frozen=True):
    row: int


class _Issue(msgspec.Struct, frozen=True):
    filename: str
    message: str
    location: _Place | None = None
    code: str | None = None
    url: str | None = None


def severity(code: str) -> Severity:
    """high: fails or is wrong whenever it runs; low: dead or doubled code; medium: the rest."""
    if code == PARSE or code.startswith(HIGH):
        return "high"
    return "low" if code.startswith(LOW) else "medium"


class Ruff:
    """The tool's configuration is ours alone: `--isolated`, and `noqa` of the head is not obeyed."""

    name = "ruff"

    def plan(self, change: Change, toolbox: Toolbox, settings: Settings) -> list[Plan] | NotChecked:
        files = [f for f in text_files(change, settings) if is_python(f.path)]
        if not files:
            return []
        if "ruff" not in toolbox.modules:
            return absent(self.name)
        files = [f for f in files if named(f)]
        heads = [f.path for f in files if f.status != "deleted"]
        bases = [base_path(f) for f in files if any(h.removed for h in f.hunks)] if heads else []
        return [
            Plan(slug(f"ruff-{side}", index), self._argv(toolbox, group), cwd=root, timeout_s=120.0)
            for side, root, paths in (("head", trees.HEAD, heads), ("base", trees.BASE, bases))
            for index, group in enumerate(chunked(paths))
        ]

    @staticmethod
    def _argv(toolbox: Toolbox, paths: list[str]) -> tuple[str, ...]:
        # The newest target: syntax that is new to this runtime's Python is no error of the project.
        options = ("check", "--isolated", "--no-cache", "--ignore-noqa", "--quiet", "--target-version", "py314")
        rules = ("--select", SELECT, "--ignore", IGNORE, "--output-format", "json")
        return (f"{toolbox.bin}/ruff", *options, *rules, "--", *(f"./{to_argument(p)}" for p in paths))

    def parse(self, runs: Sequence[RawRun], change: Change, settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
        files = [f for f in text_files(change, settings) if is_python(f.path)]
        missing = cut(self.name, files) if runs else []
        missing += [
            NotChecked(f"{self.name}: {f.path}", "ruff cannot report on a file whose name is not UTF-8") for f in files if not named(f)
        ]
        sides: dict[str, list[Report]] = {"head": [], "base": []}
        for run in runs:
            issues = output(self.name, run, list[_Issue], good=(0, 1))
            if isinstance(issues, NotChecked):
                missing.append(issues)
                continue
            side = "base" if run.name.startswith("ruff-base") else "head"
            sides[side] += [report(issue, artifact(run)) for issue in issues]
        found = [
            making.make(
                self.name,
                f"ruff/{new.report.rule}",
                severity(new.report.rule),
                new.report.path,
                new.report.line,
                new.report.message,
                evidence=new.evidence,
                artifact=new.report.artifact,
                help=new.report.help,
            )
            for new in new_reports(one_parse_error(sides["head"]), sides["base"], change)
            if not excluded(new.report.path, settings) and not (is_test(new.report.path) and new.report.rule in NOT_IN_TESTS)
        ]
        return found, missing


def named(file: FileChange) -> bool:
    """False for names that are not UTF-8, which no recorded command can carry, and which ruff prints with the bytes lost."""
    return is_utf8(file.path) and is_utf8(file.old_path)


def report(issue: _Issue, source: str) -> Report:
    """ruff's words as ours. Problems without a rule are parse errors."""
    parse_error = issue.code in (None, "invalid-syntax", "E999")
    code = PARSE if parse_error else str(issue.code)
    path = relative(relative(issue.filename, trees.HEAD), trees.BASE)
    line = issue.location.row if issue.location else 1
    return Report(path, line, code, severity(code), issue.message, issue.url or "", source, whole=parse_error)


def one_parse_error(reports: Sequence[Report]) -> list[Report]:
    """A broken file brings a shower of parse errors; the first one says it."""
    seen: set[str] = set()
    kept = []
    for one in reports:
        if one.rule == PARSE:
            if one.path in seen:
                continue
            seen.add(one.path)
        kept.append(one)
    return kept
