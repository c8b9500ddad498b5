"""Which changed lines the head's tests ran, from `coverage json`."""

from __future__ import annotations

import posixpath

import msgspec

from ..model import Change
from .discover import is_test


class _File(msgspec.Struct):
    executed_lines: list[int]
    missing_lines: list[int]


class _Report(msgspec.Struct):
    files: dict[str, _File]


class ChangedCoverage(msgspec.Struct, frozen=True):
    """Executable changed lines, those that ran, and per path those that did not. `unknown`: files without data."""

    changed: int = 0
    covered: int = 0
    uncovered: dict[str, tuple[int, ...]] = {}
    unknown: tuple[str, ...] = ()


def measure(report: str, change: Change) -> ChangedCoverage:
    """Test files are left out: that a test's own lines run says nothing. Raises ValueError for unreadable JSON."""
    try:
        files = msgspec.json.decode(report, type=_Report).files
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(str(error)[:200]) from None
    known = {posixpath.normpath(path): data for path, data in files.items()}
    changed = covered = 0
    uncovered: dict[str, tuple[int, ...]] = {}
    unknown = []
    for file in change.files:
        lines = file.head_lines()
        if not lines or not file.path.endswith(".py") or is_test(file.path):
            continue
        data = known.get(file.path)
        if data is None:
            unknown.append(file.path)
            continue
        ran, missed = set(lines) & set(data.executed_lines), set(lines) & set(data.missing_lines)
        changed += len(ran | missed)
        covered += len(ran)
        if missed - ran:
            uncovered[file.path] = tuple(sorted(missed - ran))
    return ChangedCoverage(changed, covered, uncovered, tuple(unknown))
