"""Signatures quoted in README and docs: where the exact old text of a changed signature stands, the new one is put.

Only where the text is plainly a signature: a whole inline code span, a `def` line, or an autodoc directive. A call in
an example is left alone, for its arguments belong to the reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from .areas import area
from .patches import Edit, split_lines
from .symbols import Definition

MAX_FILES = 500
_SUFFIXES = (".md", ".rst", ".txt", ".adoc")
_CONTEXTS = (
    (r"`(?:[\w.]+\.)?", "`"),
    (r"\b(?:def|class) ", r":| ->|\s*$"),
    (r"\.\. (?:py:)?(?:function|method|class|classmethod|staticmethod)::\s+(?:[\w.]+\.)?", r"\s*$"),
)
"""What must stand before and behind: a code span (where `f()` is only a name), a `def`, an autodoc directive."""


class Rewrite(msgspec.Struct, frozen=True):
    """One changed public signature: the bare name before and after, and the spellings place by place."""

    old_name: str
    new_name: str
    pairs: tuple[tuple[str, str], ...]


class Found(msgspec.Struct, frozen=True):
    """One line that quotes a signature."""

    edit: Edit
    line: int
    old: str
    new: str


def is_documentation(path: str) -> bool:
    """README and pages of docs; change logs speak of the past and stay as they are."""
    return path.endswith(_SUFFIXES) and area(path) == "docs"


def rewrite(name: str, old: Definition, new: Definition, new_name: str = "") -> Rewrite | None:
    """Pair the spellings of two versions; None when none differs."""
    before, after = name.rpartition(".")[2], (new_name or name).rpartition(".")[2]
    # Where one old spelling has several new ones, the plainest counts: the page shows no annotations either.
    pairs = {a: b for a, b in zip(old.forms, new.forms, strict=False) if before + a != after + b}
    return Rewrite(before, after, tuple(pairs.items())) if pairs else None


def find(data: bytes, rewrites: Sequence[Rewrite], allowed: Callable[[Rewrite, str], bool]) -> list[Found]:
    """Return the lines of a page to rewrite. `allowed` is asked before an old spelling is taken to mean this function."""
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        return []
    wanted = [(r, a, b) for r in rewrites for a, b in r.pairs if r.old_name + a in whole]
    if not wanted:
        return []
    lines = split_lines(data)
    found: list[Found] = []
    for number, raw in enumerate(lines):
        line = raw.decode("utf-8")
        for one, old, new in wanted:
            if one.old_name + old not in line or not allowed(one, old):
                continue
            changed = _replaced(line, one, old, new)
            if changed != line:
                line = changed
                found.append(Found(Edit(number, number + 1, (line.encode(),)), number + 1, one.old_name + old, one.new_name + new))
    last = {f.line: f for f in found}
    return [Found(last[f.line].edit, f.line, f.old, f.new) for f in found]


def _replaced(line: str, one: Rewrite, old: str, new: str) -> str:
    text = re.escape(one.old_name + old)
    for before, after in _CONTEXTS if old != "()" else _CONTEXTS[1:]:
        line = re.sub(f"({before}){text}(?={after})", lambda m: m[1] + one.new_name + new, line)
    return line
