"""Head against base for tools that know one tree only: a problem on an added line is new unless the same one stood on a removed line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ..model import Change, FileChange, NotChecked
from .base import base_path, removed_lines, touches


class Report(NamedTuple):
    """One problem that a tool reports. `path` is relative to its tree."""

    path: str
    line: int
    rule: str
    severity: str
    message: str
    help: str = ""
    artifact: str = ""
    whole: bool = False
    """The problem spoils the whole file (it does not parse): it counts on any line, unless the base's file had it too."""


class New(NamedTuple):
    report: Report
    evidence: str


def folded(text: str) -> str:
    return " ".join(text.split())


def new_reports(head: Iterable[Report], base: Iterable[Report], change: Change) -> list[New]:
    """Return the head's reports that the change is to blame for, each with the source line that it is about."""
    by_base = {base_path(f): f for f in change.files if base_path(f)}
    moved: Counter[tuple[str, str]] = Counter()
    spoiled: set[tuple[str, str]] = set()
    for report in base:
        file = by_base.get(report.path)
        if report.whole:
            spoiled.add((report.path, report.rule))
        elif file and (text := removed_lines(file).get(report.line)) is not None:
            moved[report.rule, folded(text)] += 1
    found: list[New] = []
    for report in head:
        file = change.file(report.path)
        if file is None or file.status == "deleted":
            continue
        text = file.head_lines().get(report.line, "")
        if report.whole:
            if (base_path(file), report.rule) not in spoiled:
                found.append(New(report, text.strip() or report.message))
        elif touches(file, report.line):
            if text and moved[report.rule, folded(text)] > 0:
                moved[report.rule, folded(text)] -= 1
            else:
                found.append(New(report, text.strip() or report.message))
    return found


def cut(tool: str, files: Iterable[FileChange]) -> list[NotChecked]:
    """Say which files could not be attributed because their hunks were left out."""
    return [
        NotChecked(f"{tool}: {f.path}", "the change to this file is too big to tell its new lines from its old ones")
        for f in files
        if f.truncated and f.status not in ("added", "deleted")
    ]
