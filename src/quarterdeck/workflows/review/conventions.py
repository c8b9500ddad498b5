"""Conventions (A8): what the repository asks of its own code, taken from the base, held against the change.

Three steps, as everywhere in the review: `collect` reads facts from git (the artifact `habits.json`), `plan` names the
commands for the sandbox, `judge` is pure and derives the findings from the facts and the raw runs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import msgspec

from ...protocol.environment import Toolbox
from .analyzers import trees
from .analyzers.base import absent, artifact, chunked, excluded, output, relative, slug, touches
from .areas import is_python
from .conventions_habits import ARTIFACT, Habits, learn
from .conventions_habits import judge as judge_habits
from .conventions_style import Kind, StyleTool, detect, tool_for, wanted
from .findings import make, ordered
from .model import Change, FileChange, Finding, NotChecked, Plan, RawRun, Settings
from .paths import shown, to_argument
from .repository import Range, Repository

__all__ = ["ARTIFACT", "Facts", "collect", "judge", "plan"]

_TIMEOUT_S = 120.0
_PREFIX: dict[Kind, str] = {"lint": "conventions-lint", "imports": "conventions-imports", "format": "conventions-format"}

Row = Annotated[int, msgspec.Meta(ge=0)]


class Facts(msgspec.Struct, frozen=True):
    """Everything that `judge` needs beside the change and the raw runs: the artifact `habits.json`."""

    habits: Habits = Habits()
    tools: tuple[StyleTool, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()


class _Place(msgspec.Struct, frozen=True):
    row: Row
    column: Row = 1


class _Edit(msgspec.Struct, frozen=True):
    location: _Place
    end_location: _Place
    content: str = ""


class _Fix(msgspec.Struct, frozen=True):
    edits: tuple[_Edit, ...] = ()


class _Issue(msgspec.Struct, frozen=True):
    filename: str
    message: str
    location: _Place | None = None
    code: str | None = None
    url: str | None = None
    fix: _Fix | None = None


def collect(repo: Repository, span: Range, change: Change) -> Facts:
    """Read the base's style settings and habits. Raises BadInput only for a damaged clone."""
    paths = wanted(list(repo.tree(span.base_sha)))
    tools, missing = detect(repo.read_many(span.base_sha, paths, 256 << 10))
    return Facts(habits=learn(repo, span, change), tools=tools, not_checked=missing)


def plan(facts: Facts, change: Change, toolbox: Toolbox, settings: Settings) -> tuple[list[Plan], list[NotChecked]]:
    """Return the commands for the sandbox, and what cannot be checked since ruff is absent."""
    files = _files(change, settings)
    if not files or not facts.tools:
        return [], []
    if "ruff" not in toolbox.modules:
        return [], [absent(f"ruff, which stands in for the repository's {' and '.join(sorted({t.meant for t in facts.tools}))},")]
    plans: list[Plan] = []
    for kind in _PREFIX:
        plans += _plans(kind, "head", facts.tools, [(f.path, f.path) for f in files], toolbox)
        if kind != "lint":
            # Only a file that kept to the tool before can be asked to keep to it now.
            plans += _plans(kind, "base", facts.tools, [(f.path, f.old_path or f.path) for f in files if f.status != "added"], toolbox)
    return plans, []


def _files(change: Change, settings: Settings) -> list[FileChange]:
    def usable(file: FileChange) -> bool:
        plain = file.path.isprintable() and file.path == to_argument(file.path) and file.old_path.isprintable()
        return is_python(file.path) and plain and file.status != "deleted" and not (file.binary or file.symlink or file.submodule)

    return [f for f in change.files if usable(f) and not excluded(f.path, settings)]


def _plans(kind: Kind, side: str, tools: Sequence[StyleTool], pairs: list[tuple[str, str]], toolbox: Toolbox) -> list[Plan]:
    """One command for each tool and side. `pairs` are (head path, path on this side); the head's path chooses the tool."""
    root = trees.HEAD if side == "head" else trees.BASE
    groups: list[tuple[StyleTool, list[str]]] = []
    for tool in (t for t in tools if t.kind == kind):
        paths = [path for head, path in pairs if tool_for(tools, kind, head) is tool and tool.covers(path)]
        groups += [(tool, group) for group in chunked([p.removeprefix(f"{tool.folder}/") if tool.folder else p for p in paths])]
    name = f"{_PREFIX[kind]}-{side}"
    return [
        Plan(slug(name, i), _argv(tool, paths, toolbox), cwd=f"{root}/{tool.folder}".rstrip("/"), timeout_s=_TIMEOUT_S)
        for i, (tool, paths) in enumerate(groups)
    ]


def _argv(tool: StyleTool, paths: list[str], toolbox: Toolbox) -> tuple[str, ...]:
    verb = ("format", "--check") if tool.kind == "format" else ("check",)
    return (
        f"{toolbox.bin}/ruff",
        *verb,
        *("--no-cache", "--quiet", "--force-exclude", "--output-format", "json"),
        *tool.options,
        *("--", *(f"./{p}" for p in paths)),
    )


def judge(facts: Facts, change: Change, runs: Sequence[RawRun], settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
    """Derive findings and what was not checked. Pure; never raises, whatever the runs printed."""
    missing = list(facts.not_checked)
    findings = judge_habits(facts.habits, change)
    files = {f.path: f for f in _files(change, settings)}
    for kind, of in _JUDGES.items():
        issues, _ = _read(runs, f"{_PREFIX[kind]}-head", trees.HEAD, missing)
        before, whole = _read(runs, f"{_PREFIX[kind]}-base", trees.BASE, missing)
        # Without a whole answer for the base nobody knows who kept to the tool: only new files are judged.
        judged = {p: f for p, f in files.items() if whole or f.status == "added"}
        findings += of(facts, judged, issues, before)
    return ordered(f for f in findings if not (f.path and excluded(f.path, settings))), missing


Issues = dict[str, list[tuple[_Issue, str]]]
"""Path -> the issues there, each with its artifact."""


def _read(runs: Sequence[RawRun], prefix: str, root: str, missing: list[NotChecked]) -> tuple[Issues, bool]:
    """Return the issues of one side, and whether every command gave an answer."""
    found: Issues = {}
    whole = True
    for run in runs:
        if run.name != prefix and not run.name.startswith(f"{prefix}-"):
            continue
        # Status 2 with JSON on stdout: some file could not be parsed, the others were judged.
        good = (0, 1, 2) if run.stdout.lstrip().startswith("[") else (0, 1)
        issues = output("the repository's own style", run, list[_Issue], good=good)
        if isinstance(issues, NotChecked):
            missing.append(issues)
            whole = False
            continue
        for issue in issues:
            found.setdefault(relative(issue.filename, root), []).append((issue, artifact(run)))
    return found, whole


def _lint(facts: Facts, files: dict[str, FileChange], issues: Issues, _before: Issues) -> Iterator[Finding]:
    """One finding for each rule in each file: twenty long lines are one thing to look at."""
    for path, file in files.items():
        by_rule: dict[str, list[tuple[_Issue, str]]] = {}
        for issue, source in issues.get(path, []):
            if issue.code and issue.code != "invalid-syntax" and issue.location and touches(file, issue.location.row):
                by_rule.setdefault(issue.code, []).append((issue, source))
        tool = tool_for(facts.tools, "lint", path)
        for code, found in sorted(by_rule.items()):
            if tool:
                yield _lint_finding(tool, file, code, found)


def _lint_finding(tool: StyleTool, file: FileChange, code: str, found: list[tuple[_Issue, str]]) -> Finding:
    (first, source), more = found[0], len(found) - 1
    line = first.location.row if first.location else 1
    also = f", and {more} more in changed lines of this file" if more else ""
    return make(
        "conventions",
        f"conv/lint/{code}",
        "low",
        file.path,
        line,
        f"{first.message} ({_asked(tool)} asks for {code}{also}).",
        evidence=file.head_lines().get(line, "").strip() or first.message,
        artifact=source,
        help=first.url or "",
    )


def _asked(tool: StyleTool) -> str:
    stood_in = "" if tool.meant.startswith("ruff") else ", checked by ruff"
    return f"{tool.meant} in the base's {shown(tool.source)}{stood_in}"


def _format(facts: Facts, files: dict[str, FileChange], issues: Issues, before: Issues) -> Iterator[Finding]:
    for path, file in files.items():
        tool = tool_for(facts.tools, "format", path)
        if not tool or not _kept_before(tool, file, before):
            continue
        for issue, source in issues.get(path, []):
            lines = _reformatted(file, issue)
            if issue.code != "invalid-syntax" and lines:
                yield make(
                    "conventions",
                    "conv/format",
                    "low",
                    path,
                    lines[0],
                    f"{_asked(tool)} would lay out {'this line' if len(lines) == 1 else f'{len(lines)} changed lines'} differently.",
                    evidence=file.head_lines().get(lines[0], "").strip() or f"line {lines[0]}",
                    artifact=source,
                    end_line=lines[-1],
                    help=f"Run the formatter on {shown(path)}.",
                )


def _reformatted(file: FileChange, issue: _Issue) -> list[int]:
    """The changed lines that the formatter would write differently.

    ruff answers with one edit from the first difference to the last, so a changed line that stands in the new text as it
    is was not meant. When only blank lines differ, the first changed line of the edit stands for them.
    """
    head = file.head_lines()
    edits = issue.fix.edits if issue.fix else ()
    inside = [n for n in sorted(head) if any(e.location.row <= n <= max(e.location.row, e.end_location.row) for e in edits)]
    kept = {line.rstrip("\r") for e in edits for line in e.content.split("\n")}
    first = {e.location.row for e in edits if e.location.column > 1}
    return [n for n in inside if head[n].strip() and (n in first or head[n].rstrip("\r") not in kept)] or inside[:1]


def _imports(facts: Facts, files: dict[str, FileChange], issues: Issues, before: Issues) -> Iterator[Finding]:
    for path, file in files.items():
        tool = tool_for(facts.tools, "imports", path)
        if not tool or not _kept_before(tool, file, before):
            continue
        for issue, source in issues.get(path, []):
            if issue.code == "I001" and issue.location and not file.truncated:
                line = issue.location.row
                yield make(
                    "conventions",
                    "conv/imports",
                    "low",
                    path,
                    line,
                    f"The imports are not in the order that {_asked(tool)} asks for.",
                    evidence=f"import block at line {line}",
                    artifact=source,
                )
                break


def _kept_before(tool: StyleTool, file: FileChange, before: Issues) -> bool:
    """True for a new file, and for one whose base version the tool had nothing to say about."""
    return tool.new_files if file.status == "added" else not before.get(file.old_path or file.path)


_JUDGES: dict[Kind, Callable[[Facts, dict[str, FileChange], Issues, Issues], Iterator[Finding]]] = {
    "lint": _lint,
    "imports": _imports,
    "format": _format,
}
