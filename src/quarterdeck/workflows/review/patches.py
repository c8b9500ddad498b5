"""Making a patch from line edits, byte for byte: any line end, any missing newline, any name that git can quote."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .paths import to_bytes

CONTEXT = 3


class Edit(msgspec.Struct, frozen=True, order=True):
    """Replace the lines `start` to `end` (from 0, end excluded) by `lines`, which carry their line ends."""

    start: int
    end: int
    lines: tuple[bytes, ...]


def split_lines(data: bytes) -> list[bytes]:
    """Split at line feeds only, as git does, and keep them."""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def newline_of(lines: Sequence[bytes]) -> bytes:
    """The file's line end: that of its first line."""
    return b"\r\n" if lines and lines[0].endswith(b"\r\n") else b"\n"


def insertion(lines: Sequence[bytes], at: int, new: Sequence[bytes]) -> Edit:
    """Insert before line `at`; behind a last line without newline, that line gets one."""
    if at == len(lines) and lines and not lines[-1].endswith(b"\n"):
        return Edit(at - 1, at, (lines[-1] + newline_of(lines), *new))
    return Edit(at, at, tuple(new))


def edited(lines: Sequence[bytes], edits: Sequence[Edit]) -> bytes:
    """Return the file after the edits, which must not overlap."""
    out: list[bytes] = []
    position = 0
    for edit in sorted(edits):
        out += [*lines[position : edit.start], *edit.lines]
        position = edit.end
    return b"".join([*out, *lines[position:]])


def unified(path: str, lines: Sequence[bytes], edits: Sequence[Edit]) -> bytes:
    """Return the patch of one existing file for `git apply`; empty without edits."""
    if not edits:
        return b""
    old, new = _name(b"a/" + to_bytes(path)), _name(b"b/" + to_bytes(path))
    out = [b"diff --git %s %s\n" % (old, new), b"--- %s\n+++ %s\n" % (_tabbed(old), _tabbed(new))]
    shift = 0
    for group in _groups(sorted(edits)):
        text, grown = _hunk(lines, group, shift)
        out.append(text)
        shift += grown
    return b"".join(out)


def _groups(edits: Sequence[Edit]) -> list[list[Edit]]:
    """Edits whose contexts touch share a hunk."""
    groups: list[list[Edit]] = []
    for edit in edits:
        if groups and edit.start - groups[-1][-1].end <= 2 * CONTEXT:
            groups[-1].append(edit)
        else:
            groups.append([edit])
    return groups


def _hunk(lines: Sequence[bytes], edits: Sequence[Edit], shift: int) -> tuple[bytes, int]:
    start, end = max(0, edits[0].start - CONTEXT), min(len(lines), edits[-1].end + CONTEXT)
    body: list[bytes] = []
    position = start
    for edit in edits:
        body += [_line(b" ", line) for line in lines[position : edit.start]]
        body += [_line(b"-", line) for line in lines[edit.start : edit.end]]
        body += [_line(b"+", line) for line in edit.lines]
        position = edit.end
    body += [_line(b" ", line) for line in lines[position:end]]
    grown = sum(len(e.lines) - (e.end - e.start) for e in edits)
    old_count, new_count = end - start, end - start + grown
    old_start = start + 1 if old_count else start
    new_start = start + shift + 1 if new_count else start + shift
    return b"@@ -%d,%d +%d,%d @@\n" % (old_start, old_count, new_start, new_count) + b"".join(body), grown


def _line(sign: bytes, line: bytes) -> bytes:
    return sign + line if line.endswith(b"\n") else sign + line + b"\n\\ No newline at end of file\n"


def _name(name: bytes) -> bytes:
    """Quote as git does when the name holds anything but plain ASCII."""
    if all(0x20 <= c < 0x7F and c not in b'"\\' for c in name):
        return name
    return b'"' + b"".join(bytes([c]) if 0x20 <= c < 0x7F and c not in b'"\\' else b"\\%03o" % c for c in name) + b'"'


def _tabbed(name: bytes) -> bytes:
    return name + b"\t" if b" " in name and not name.startswith(b'"') else name
