"""Stale parameters: what a docstring says of a parameter that this change took away is removed, and nothing else.

Google, NumPy and Sphinx styles. When exactly one parameter was replaced at its place, its name is replaced instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from .patches import Edit
from .symbols import Definition

MAX_LINE = 1_000

_GOOGLE = re.compile(r"(\s*)(Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Other Parameters):\s*$")
_GOOGLE_ITEM = re.compile(r"\\?\*{0,2}(\w+)\s*(\([^()]*(\([^()]*\))?[^()]*\))?\s*:(\s|$)")
_NUMPY = re.compile(r"(\s*)(Parameters|Other Parameters)\s*$")
_NUMPY_ITEM = re.compile(r"((?:\\?\*){0,2}\w+(?:\s*,\s*(?:\\?\*){0,2}\w+)*)\s*(:.*)?$")
_DASHES = re.compile(r"\s*-{3,}\s*$")
_SPHINX = re.compile(r"\s*:(param|parameter|arg|argument|key|keyword|type|kwtype)\s+([^:]*[\s*])?(\w+)\s*:")
_OPENING = re.compile(r"""\s*[rRuU]?("{3}|'{3})""")


class Item(msgspec.Struct, frozen=True):
    """One documented parameter: its lines in the file (from 0, end excluded), and the section around it when it has one."""

    names: tuple[str, ...]
    start: int
    end: int
    section: tuple[int, int] | None = None
    """Header's first line, and the end of the section's items."""


class Stale(msgspec.Struct, frozen=True):
    """What was done for one definition."""

    edits: tuple[Edit, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    problem: str = ""


def texts(lines: Sequence[bytes]) -> list[str]:
    """The lines as text without their ends; what `stale_parameters` reads. Very long ones are cut: they are no prose."""
    return [line[:MAX_LINE].decode("utf-8", "surrogateescape").rstrip("\r\n") for line in lines]


def stale_parameters(lines: Sequence[bytes], text: Sequence[str], old: Definition, new: Definition) -> Stale:
    """Find the parameters that `old` had, `new` has not, and the docstring of `new` still describes."""
    gone = [name for name in old.parameters if name not in new.parameters]
    if not gone or new.doc_end - new.doc_start < 1:
        return Stale()
    items = list(_items(text, new.doc_start - 1, new.doc_end))
    stale = [item for item in items if set(item.names) & set(gone)]
    if not stale:
        return Stale()
    if not _OPENING.match(text[new.doc_start - 1]) or any(i.start < new.doc_start or i.end >= new.doc_end for i in stale):
        return Stale(problem=f"its docstring still describes {', '.join(gone)}, in the line of the quotes or in a form that is not known")
    renames = _renames(old, new, items)
    edits = [edit for item in stale for edit in _edit(lines, item, gone, renames)]
    edits += _empty_sections(text, items, stale, gone, renames)
    named = {name for item in stale for name in item.names if name in gone}
    return Stale(
        edits=_merged(edits),
        removed=tuple(n for n in gone if n in named and n not in renames),
        renamed=tuple((n, renames[n]) for n in gone if n in named and n in renames),
    )


def _renames(old: Definition, new: Definition, items: Sequence[Item]) -> dict[str, str]:
    """The one parameter that has another name at the same place, unless the new name is described already."""
    differ = [(a, b) for a, b in zip(old.parameters, new.parameters, strict=False) if a != b]
    documented = {name for item in items for name in item.names}
    if len(old.parameters) == len(new.parameters) and len(differ) == 1 and differ[0][1] not in documented:
        return {differ[0][0]: differ[0][1]}
    return {}


def _items(text: Sequence[str], start: int, end: int) -> Iterator[Item]:
    number = start
    while number < end:
        if match := _GOOGLE.match(text[number]):
            items = list(_section(text, number, number + 1, end, len(match[1]), google=True))
        elif (match := _NUMPY.match(text[number])) and number + 1 < end and _DASHES.match(text[number + 1]):
            items = list(_section(text, number, number + 2, end, len(match[1]), google=False))
        elif match := _SPHINX.match(text[number]):
            stop = _block_end(text, number + 1, end, _indent(text[number]))
            yield Item((match[3],), number, stop)
            number += 1
            continue
        else:
            number += 1
            continue
        yield from items
        number = items[-1].end if items else number + 1


def _section(text: Sequence[str], header: int, first: int, end: int, base: int, *, google: bool) -> Iterator[Item]:
    """The items below a header. Google's are indented deeper than it, NumPy's stand at its indent."""
    found: list[Item] = []
    number, item_indent = first, -1 if google else base
    while number < end:
        line = text[number]
        if not line.strip():
            number += 1
            continue
        indent = _indent(line)
        if indent < base or (google and indent == base) or (not google and number + 1 < end and _DASHES.match(text[number + 1])):
            break
        item_indent = indent if item_indent < 0 else item_indent
        match = (_GOOGLE_ITEM if google else _NUMPY_ITEM).match(line.strip())
        if indent != item_indent or not match:
            if not google and indent == base:
                break
            number += 1
            continue
        stop = _block_end(text, number + 1, end, item_indent)
        names = tuple(n.strip().lstrip("\\*") for n in match[1].split(","))
        found.append(Item(names, number, stop))
        number = stop
    last = found[-1].end if found else first
    yield from (Item(i.names, i.start, i.end, (header, last)) for i in found)


def _block_end(text: Sequence[str], number: int, end: int, indent: int) -> int:
    """Where the deeper lines below an item end; blank lines behind it are not its own."""
    last = number
    while number < end and (not text[number].strip() or _indent(text[number]) > indent):
        number += 1
        last = number if text[number - 1].strip() else last
    return last


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _edit(lines: Sequence[bytes], item: Item, gone: Sequence[str], renames: dict[str, str]) -> list[Edit]:
    if all(name in gone and name not in renames for name in item.names):
        return [Edit(item.start, item.end, ())]
    line = lines[item.start]
    for name in item.names:
        raw = name.encode()
        if name in renames:
            line = re.sub(rb"(?<![\w.])%s(?!\w)" % re.escape(raw), renames[name].encode(), line, count=1)
        elif name in gone:
            line = re.sub(rb"(\\?\*){0,2}\b%s\b\s*,\s*|\s*,\s*(\\?\*){0,2}\b%s\b" % (re.escape(raw), re.escape(raw)), b"", line, count=1)
    return [Edit(item.start, item.start + 1, (line,))] if line != lines[item.start] else []


def _empty_sections(
    text: Sequence[str], items: Sequence[Item], stale: Sequence[Item], gone: Sequence[str], renames: dict[str, str]
) -> list[Edit]:
    """A section that loses all its items loses its header, and the blank lines before it."""
    edits: list[Edit] = []
    for section in {i.section for i in stale if i.section}:
        inside = [i for i in items if i.section == section]
        if all(all(n in gone and n not in renames for n in i.names) for i in inside):
            start = section[0]
            while start > 0 and not text[start - 1].strip():
                start -= 1
            edits.append(Edit(start, section[1], ()))
    return edits


def _merged(edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Removals that lie inside of a bigger removal are part of it."""
    whole = [e for e in edits if not any(o is not e and not o.lines and o.start <= e.start and e.end <= o.end and o != e for o in edits)]
    return tuple(sorted(set(whole)))
