"""Reading a diff of two commits: which files changed, how many lines, and which lines.

git runs over the shadow (see `git.py`), so no attribute of the repository can declare a source file binary or
give it a driver. The patch is parsed as a stream by the line counts of its hunk headers, never by what lines look like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Literal

import msgspec

from .git import Git
from .model import Hunk
from .paths import to_text

FILE_LINES = 5_000
"""Hunks of a file with more changed lines than this are left out; its counts stay exact."""
TOTAL_LINES = 50_000
FILE_BYTES = 1 << 20
TOTAL_BYTES = 16 << 20

Status = Literal["added", "modified", "deleted", "renamed", "type-changed"]
_STATUS: dict[str, Status] = {"A": "added", "M": "modified", "D": "deleted", "R": "renamed", "T": "type-changed", "C": "added"}
_OPTIONS = (
    "-r",
    "-M",
    "-l1000",
    "--full-index",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-relative",
    "--diff-algorithm=myers",
    "--submodule=short",
    "--ignore-submodules=none",
)
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb'\\([0-7]{3}|[abtnvfr"\\])')
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r", b'"': b'"', b"\\": b"\\"}


class RawFile(msgspec.Struct, frozen=True):
    """One entry of `diff --raw --numstat`. Modes are git's; counts are None for a binary file."""

    path: str
    old_path: str
    status: Status
    old_mode: str
    mode: str
    old_oid: str
    oid: str
    added: int | None
    deleted: int | None


def raw_files(git: Git, base: str, head: str) -> list[RawFile]:
    """List the changed files in git's order, renames detected at 50 % similarity."""
    fields = iter(git.run("diff-tree", *_OPTIONS, "--raw", "--numstat", "-z", base, head).split(b"\0"))
    raw: list[tuple[list[str], bytes, bytes]] = []
    counts: dict[bytes, tuple[int | None, int | None]] = {}
    for field in fields:
        if field.startswith(b":"):
            facts = field[1:].decode("ascii").split()
            old = next(fields)
            raw.append((facts, old, next(fields) if facts[4][0] in "RC" else old))
        elif field:
            added, deleted, name = field.split(b"\t", 2)
            if not name:
                next(fields)
                name = next(fields)
            counts[name] = (_count(added), _count(deleted))
    return [_entry(facts, old, name, counts.get(name, (0, 0))) for facts, old, name in raw]


def _count(text: bytes) -> int | None:
    return None if text == b"-" else int(text)


def _entry(facts: list[str], old: bytes, name: bytes, counts: tuple[int | None, int | None]) -> RawFile:
    old_mode, mode, old_oid, oid, letter = facts
    return RawFile(
        path=to_text(name),
        old_path=to_text(old) if letter[0] == "R" else "",
        status=_STATUS.get(letter[0], "modified"),
        old_mode=old_mode,
        mode=mode,
        old_oid=old_oid,
        oid=oid,
        added=counts[0],
        deleted=counts[1],
    )


def read_hunks(git: Git, base: str, head: str, skip: frozenset[str]) -> tuple[dict[str, list[Hunk]], set[str]]:
    """Return path -> zero-context hunks, and the paths whose hunks were left out for size. `skip` are not kept either."""
    with git.open(("diff-tree", *_OPTIONS, "-p", "-U0", "--src-prefix=a/", "--dst-prefix=b/", base, head)) as stdout:
        return _Parser(stdout, skip).parse()


def unified_diff(git: Git, base: str, head: str, max_bytes: int) -> tuple[bytes, bool]:
    """Return the diff with three lines of context, and whether it was cut at a line end after `max_bytes`."""
    with git.open(("diff-tree", *_OPTIONS, "-p", "--src-prefix=a/", "--dst-prefix=b/", base, head)) as stdout:
        data = stdout.read(max_bytes)
        cut = False
        while stdout.read(1 << 20):
            cut = True
    return (data[: data.rfind(b"\n") + 1] if cut else data), cut


def touched_paths(git: Git, tip: str, most: int) -> list[list[str]]:
    """Return the paths that each of the newest steps of a branch touched; a merge is one step, as its pull request was."""
    options = ("-z", "--first-parent", "--diff-merges=first-parent", "--name-only", "--no-renames", "--format=tformat:%x01%H")
    steps: list[list[str]] = []
    for field in git.run("log", *options, f"--max-count={most}", tip).split(b"\0"):
        if field.startswith(b"\1"):
            steps.append([])
        elif field.strip(b"\n") and steps:
            steps[-1].append(to_text(field.lstrip(b"\n")))
    return steps


class _Parser:
    """A line-by-line state machine over `-U0` output."""

    def __init__(self, stdout: IO[bytes], skip: frozenset[str]) -> None:
        self._lines: Iterator[bytes] = iter(stdout)
        self._skip = skip
        self._hunks: dict[str, list[Hunk]] = {}
        self._dropped: set[str] = set()
        self._old = self._path = ""
        self._bytes: dict[str, int] = {}
        self._total_bytes = self._total_lines = 0

    def parse(self) -> tuple[dict[str, list[Hunk]], set[str]]:
        for line in self._lines:
            if line.startswith(b"diff --git "):
                self._old = self._path = ""
            elif line.startswith(b"--- "):
                self._old = file_name(line[4:])
            elif line.startswith(b"+++ "):
                self._path = file_name(line[4:]) or self._old
            elif match := _HUNK.match(line):
                self._hunk(*(1 if g is None else int(g) for g in match.groups()))
        return self._hunks, self._dropped

    def _hunk(self, base_start: int, base_lines: int, head_start: int, head_lines: int) -> None:
        path = self._path
        keep = path not in self._skip and path not in self._dropped
        removed, added = self._side(base_lines, keep), self._side(head_lines, keep)
        if not keep:
            return
        size = sum(map(len, removed)) + sum(map(len, added))
        self._bytes[path] = self._bytes.get(path, 0) + size
        self._total_bytes += size
        self._total_lines += base_lines + head_lines
        if self._bytes[path] > FILE_BYTES or self._total_bytes > TOTAL_BYTES or self._total_lines > TOTAL_LINES:
            self._dropped.add(path)
            self._hunks.pop(path, None)
            return
        hunk = Hunk(
            base_start=base_start, base_lines=base_lines, head_start=head_start, head_lines=head_lines, added=added, removed=removed
        )
        self._hunks.setdefault(path, []).append(hunk)

    def _side(self, count: int, keep: bool) -> tuple[str, ...]:
        """Consume `count` lines of one side, and the "no newline" remark that may follow; return them when kept."""
        lines: list[str] = []
        for _ in range(count):
            line = next(self._lines, b" ")
            while line.startswith(b"\\"):
                line = next(self._lines, b" ")
            if keep:
                lines.append(line[1:].removesuffix(b"\n").decode("utf-8", "replace"))
        return tuple(lines)


def file_name(field: bytes) -> str:
    """Return the text path of a `---` or `+++` line, without its `a/` or `b/`; empty for /dev/null."""
    field = field.removesuffix(b"\n").removesuffix(b"\t")
    if field.startswith(b'"') and field.endswith(b'"'):
        field = _ESCAPE.sub(_unescape, field[1:-1])
    return "" if field == b"/dev/null" else to_text(field[2:])


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return _ESCAPES[code] if code in _ESCAPES else bytes([int(code, 8) & 0xFF])
