"""How risky a change is: rules that each name their reason. No model, no weights: anybody can check the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from . import areas
from .model import SEVERITIES, FileChange, Severity, Symbol
from .paths import shown
from .signatures import same_call

BIG_LINES, HUGE_LINES = 400, 2_000
MANY_MEDIUM = 3
"""So many reasons of medium weight make the whole change a high risk."""

_RISKY_CODE = re.compile(
    r"\b(subprocess|os\.system|os\.popen|pickle|marshal|ctypes|hashlib|hmac|cryptography|ssl)\b|\b(eval|exec|compile|__import__)\("
    r"|shell\s*=\s*True|\.execute\w*\(|verify\s*=\s*False|yaml\.load\("
)

Reason = tuple[Severity, str]


def assess(files: Sequence[FileChange], symbols: Sequence[Symbol]) -> tuple[Severity, tuple[str, ...]]:
    """Return the risk and its reasons, worst first. `low` without reasons is a real answer."""
    reasons = [*_size(files), *_places(files), *_api(symbols), *_code(files), *_tests(files)]
    reasons.sort(key=lambda r: -SEVERITIES.index(r[0]))
    weights = [weight for weight, _ in reasons]
    high = "high" in weights or weights.count("medium") >= MANY_MEDIUM
    risk: Severity = "high" if high else "medium" if "medium" in weights else "low"
    return risk, tuple(text for _, text in reasons)


def _size(files: Sequence[FileChange]) -> Iterator[Reason]:
    lines = sum(f.added + f.deleted for f in files)
    if lines > BIG_LINES:
        yield ("high" if lines > HUGE_LINES else "medium"), f"It is big: {lines:,} changed lines in {count(len(files), 'file')}."


def _places(files: Sequence[FileChange]) -> Iterator[Reason]:
    for area, text in (
        ("ci", "It changes what continuous integration runs"),
        ("build", "It changes how the project is built or tested"),
        ("dependencies", "It changes dependencies"),
        ("deployment", "It changes deployment"),
    ):
        if paths := [f.path for f in files if areas.area(f.path) == area]:
            yield "medium", f"{text}: {listed(paths)}."
    if paths := [f.path for f in files if areas.is_sensitive(f.path) and areas.area(f.path) == "source"]:
        yield "medium", f"It touches files whose names speak of security: {listed(paths)}."
    if paths := [f.path for f in files if f.binary and f.status != "deleted"]:
        yield "medium", f"It brings binary files, which a reader cannot review: {listed(paths)}."
    if paths := [f.path for f in files if f.submodule]:
        yield "medium", f"It moves submodules: {listed(paths)}."
    if paths := [f.path for f in files if f.symlink and f.status != "deleted"]:
        yield "medium", f"It brings or changes symbolic links: {listed(paths)}."


def _api(symbols: Sequence[Symbol]) -> Iterator[Reason]:
    public = [s for s in symbols if s.public]
    if removed := [s.name for s in public if s.change == "removed"]:
        yield "high", f"It removes public definitions: {listed(removed)}."
    if changed := [s.name for s in public if s.change == "modified" and not same_call(s.old_signature, s.signature)]:
        yield "medium", f"It changes public signatures: {listed(changed)}."


def _code(files: Sequence[FileChange]) -> Iterator[Reason]:
    found: dict[str, None] = {}
    for file in files:
        if areas.area(file.path) == "source":
            for text in file.head_lines().values():
                if match := _RISKY_CODE.search(text[:2000]):
                    found.setdefault(match[0].strip("(. "), None)
    if found:
        yield "medium", f"Its added lines use {listed(list(found))}."


def _tests(files: Sequence[FileChange]) -> Iterator[Reason]:
    source = [f for f in files if areas.area(f.path) == "source" and f.status != "deleted" and f.added]
    if source and not any(areas.is_test(f.path) for f in files):
        yield "medium", f"It changes source ({count(len(source), 'file')}) and no test."


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return the first names in one line, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown(n) for n in names[:most]) + more


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 file`, `2 files`, `1,000 files`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
