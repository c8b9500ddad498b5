"""The change log entry: only what the code itself says, that is which public names came, went or changed how they are called."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

import msgspec

from .model import Change, Symbol
from .patches import Edit, insertion, newline_of, split_lines
from .signatures import same_call

MAX_ENTRIES = 50
_SHOWN_CHARS = 200
_KINDS = ("Added", "Changed", "Removed")
_ROOTS = ("src", "lib", "python")

_HEADING = re.compile(r"(#{1,4})\s+(\S.*)")
_UNRELEASED = re.compile(r"\[?unreleased\b|.*\(unreleased\)|\[?(next|in development)\]?\s*$", re.IGNORECASE)
_SUBSECTION = re.compile(r"(added|changed|removed|fixed|deprecated|security)\b", re.IGNORECASE)
_LINK = re.compile(r"\[[^\]]+\]:\s")
_BULLET = re.compile(r"([-*+])\s+\S")
_NOTHING = re.compile(r"[-*+]\s+(nothing (has )?changed( yet)?|no changes( yet)?)\.?\s*$", re.IGNORECASE)
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.])\1{2,}\s*$")


class Entry(msgspec.Struct, frozen=True):
    """One fact: `kind` is Added, Changed or Removed. `texts` alternate prose and code, prose first."""

    kind: str
    texts: tuple[str, ...]

    def render(self, ticks: str, with_kind: bool) -> str:
        text = "".join(f"{ticks}{part}{ticks}" if i % 2 else part for i, part in enumerate(self.texts))
        return f"{self.kind} {text}." if with_kind else f"{text}."


def entries(change: Change, renamed: Sequence[tuple[Symbol, Symbol]], inherited: Container[tuple[str, str]]) -> list[Entry]:
    """Return what happened to public names. A class speaks for the methods that came or went with it.

    `inherited` are the methods (path, name) that a class lost but may still have from a base: nothing is said of them.
    """
    gone = {id(s) for pair in renamed for s in pair}
    public = [s for s in change.symbols if s.public and id(s) not in gone]
    owners = {(s.path, s.name): s.change for s in public if s.kind == "class"}
    found = [Entry("Changed", ("", dotted(old, old.old_signature), " is now ", dotted(new, new.signature))) for old, new in renamed]
    for symbol in public:
        if owners.get((symbol.path, symbol.name.rpartition(".")[0])) == symbol.change != "modified":
            continue
        if symbol.change == "added":
            found.append(Entry("Added", ("", dotted(symbol, symbol.signature))))
        elif symbol.change == "removed" and (symbol.path, symbol.name) not in inherited:
            found.append(Entry("Removed", ("", dotted(symbol, symbol.old_signature))))
        elif symbol.change == "modified" and not same_call(symbol.old_signature, symbol.signature):
            before, after = dotted(symbol, symbol.old_signature), dotted(symbol, symbol.signature)
            found.append(Entry("Changed", ("", before, " is now ", after) if before != after else ("the arguments of ", before)))
    return sorted(set(found), key=lambda e: (_KINDS.index(e.kind), e.texts))


def dotted(symbol: Symbol, signature: str) -> str:
    """Return `package.module.Class.method(arguments)`; without the arguments when they are very long."""
    parts = symbol.path.rsplit(".", 1)[0].removesuffix("/__init__").split("/")
    parts = parts[1:] if parts[0] in _ROOTS and len(parts) > 1 else parts
    owner, _, name = symbol.name.rpartition(".")
    module = ".".join(parts) if all(p.isidentifier() for p in parts) and parts != ["__init__"] else ""
    call = re.sub(r"\s+", " ", signature.removeprefix("async "))
    if symbol.kind == "method":
        call = re.sub(r"\((self|cls)(, /)?(, |(?=\)))", "(", call, count=1)
    if len(call) > _SHOWN_CHARS or "`" in call:
        call = name
    return ".".join(p for p in (module, owner, call) if p)


def changelog_edits(data: bytes, found: Sequence[Entry]) -> list[Edit] | str:
    """Return the edits that put the entries under "Unreleased", or one sentence on why there are none."""
    try:
        text = [line.decode("utf-8").rstrip("\r\n") for line in split_lines(data)]
    except UnicodeDecodeError:
        return "it is not UTF-8"
    lines = split_lines(data)
    if (headed := _markdown(text)) is not None:
        return _markdown_edits(lines, text, headed, found)
    section = _rst(text)
    if section is None:
        return "it has no section for unreleased changes"
    start, end = section
    inner = text[start + 2 : end]
    if any(_UNDERLINE.match(line) for line in inner[1:]):
        return "its section for unreleased changes has sections of its own in a form that is not known"
    return _flat(lines, text, start + 2, end, found, "``")


def _markdown(text: Sequence[str]) -> tuple[int, int, int] | None:
    """First line, end and level of the section for unreleased changes."""
    for number, line in enumerate(text):
        match = _HEADING.match(line)
        if match and _UNRELEASED.match(match[2]):
            level = len(match[1])
            rest = range(number + 1, len(text))
            return number, next((i for i in rest if _ends(text[i], level)), len(text)), level
    return None


def _ends(line: str, level: int) -> bool:
    match = _HEADING.match(line)
    return bool(match and len(match[1]) <= level) or bool(_LINK.match(line))


def _rst(text: Sequence[str]) -> tuple[int, int] | None:
    for number in range(len(text) - 1):
        title, under = text[number].strip(), text[number + 1]
        if title and _UNRELEASED.match(title) and _UNDERLINE.match(under):
            sign = under[0]
            rest = range(number + 3, len(text))
            ends = (i - 1 for i in rest if text[i - 1].strip() and _UNDERLINE.match(text[i]) and text[i][0] == sign)
            return number, next(ends, len(text))
    return None


def _markdown_edits(lines: list[bytes], text: Sequence[str], section: tuple[int, int, int], found: Sequence[Entry]) -> list[Edit]:
    start, end, level = section
    headings = {i: m[2] for i, line in enumerate(text) if (m := _HEADING.match(line)) and len(m[1]) == level + 1}
    if not any(_SUBSECTION.match(title) for title in headings.values()):
        return _flat(lines, text, start + 1, end, found, "`")
    nl, bullet = newline_of(lines), _bullet(text)
    spaced = any(i + 1 < len(text) and not text[i + 1].strip() for i in headings)
    edits: dict[int, list[bytes]] = {}
    for kind in _KINDS:
        rows = [f"{bullet} {e.render('`', False)}".encode() + nl for e in found if e.kind == kind]
        if not rows:
            continue
        own = next((i for i, title in headings.items() if start < i < end and title.strip().lower() == kind.lower()), None)
        if own is not None:
            stop = next((i for i in sorted(headings) if own < i < end), end)
            last = _last_text(text, own, stop)
            gap = [nl] if last == own and spaced else []
            edits.setdefault(last + 1, []).extend([*gap, *rows])
        else:
            at = _last_text(text, start, end) + 1
            heading = [nl, b"#" * (level + 1) + b" " + kind.encode() + nl, *([nl] if spaced else [])]
            edits.setdefault(at, []).extend([*heading, *rows])
    return [_spaced_insertion(lines, text, at, rows, nl) for at, rows in edits.items()]


def _flat(lines: list[bytes], text: Sequence[str], start: int, end: int, found: Sequence[Entry], ticks: str) -> list[Edit]:
    """A plain list of entries; a line that says "nothing changed yet" gives way."""
    nl, bullet = newline_of(lines), _bullet(text)
    rows = [f"{bullet} {entry.render(ticks, True)}".encode() + nl for entry in found]
    for number in range(start, end):
        if _NOTHING.match(text[number]):
            return [Edit(number, number + 1, tuple(rows))]
    last = _last_text(text, start - 1, end)
    gap = [nl] if last < start or not _in_list(text, last, start) else []
    return [_spaced_insertion(lines, text, last + 1, [*gap, *rows], nl)]


def _in_list(text: Sequence[str], last: int, start: int) -> bool:
    """True when the last line belongs to a bullet, perhaps as its continuation."""
    while last >= start and text[last].startswith((" ", "\t")):
        last -= 1
    return last >= start and bool(_BULLET.match(text[last]))


def _last_text(text: Sequence[str], start: int, end: int) -> int:
    """The last line that is not blank in `start` to `end`; `start` itself when all others are."""
    return next((i for i in range(end - 1, start, -1) if text[i].strip()), start)


def _bullet(text: Sequence[str]) -> str:
    return next((m[1] for line in text if (m := _BULLET.match(line))), "-")


def _spaced_insertion(lines: list[bytes], text: Sequence[str], at: int, rows: list[bytes], nl: bytes) -> Edit:
    """Insert, with an empty line before a heading that would follow at once."""
    follows = text[at] if at < len(text) else ""
    return insertion(lines, at, [*rows, *([nl] if follows.strip() else [])])
