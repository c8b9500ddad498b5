"""The frame of every inside script: read both versions of each changed file safely, run a check on both, print what is new.

A request is one JSON argument: `{"head": ROOT, "base": ROOT, "items": [[HEAD, BASE, LINES, REMOVED, FLAGS], ...]}`. HEAD and BASE are
paths relative to their roots ("" where there is none); LINES and REMOVED are lists of `[first, count]`, null for every line, or the
word "diff" when the hunks were too big to pass and are approximated here. The answer is `{"hits": [...], "notes": [[PATH, WHY], ...]}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MAX_FILE = 2 << 20
MAX_HITS = 2000
MAX_TEXT = 400
FILE_SECONDS = 10.0
"""How long one check may take over one file, so that one crafted file cannot use up the time of all."""


class Hit(NamedTuple):
    """One result of a check. `whole`: about the file, not about a line, so it counts on unchanged lines too.

    `key` is what makes it the same problem in base and head (default: the evidence without its white space); it is never printed.
    """

    line: int
    rule: str
    severity: str
    message: str
    evidence: str
    whole: bool = False
    key: str = ""


class Unreadable(Exception):
    """A file that a check cannot judge; the text says why."""


class Item(NamedTuple):
    head: str
    base: str
    lines: object
    removed: object
    flags: str


Check = Callable[[str, str], Iterable[Hit]]
Note = tuple[str, str]


def real_path(root: str, path: str) -> Path:
    """The file itself: the change writes undecodable ones as `\\xNN` (see `review.paths`)."""
    name = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), path.encode("utf-8", "surrogateescape"))
    return Path(root, os.fsdecode(name))


def open_regular(root: str, path: str) -> int:
    """Return a descriptor of a plain file of the tree. Raises Unreadable for links, pipes, devices and paths that leave the tree."""
    full = real_path(root, path)
    try:
        if not full.parent.resolve().is_relative_to(Path(root).resolve()):
            raise Unreadable("its folder leads out of the tree")
        fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError, RuntimeError) as error:
        raise Unreadable(f"it could not be opened ({type(error).__name__}: {getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Unreadable("it is not a plain file")
    return fd


def read_bytes(root: str, path: str, limit: int = MAX_FILE) -> bytes:
    """Return a file's content. Raises Unreadable when it is longer than `limit` bytes."""
    with os.fdopen(open_regular(root, path), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Unreadable(f"it is longer than {limit >> 10} KiB")
    return data


def read_text(root: str, path: str, limit: int = MAX_FILE) -> str:
    return read_bytes(root, path, limit).decode("utf-8", "replace").removeprefix("\ufeff")


def new_lines(mine: str, other: str) -> set[int]:
    """Lines of `mine` that occur more often than in `other`: the linear stand-in for a diff of a file too big for one."""
    left = Counter(other.split("\n"))
    found = set()
    for number, line in enumerate(mine.split("\n"), 1):
        if left[line] > 0:
            left[line] -= 1
        else:
            found.add(number)
    return found


def line_set(spec: object, mine: str, other: str) -> set[int] | None:
    """Turn the request's LINES into numbers; None means every line."""
    if spec == "diff":
        return new_lines(mine, other)
    if not isinstance(spec, list):
        return None
    return {first + i for first, count in spec for i in range(count)}


@contextlib.contextmanager
def limited(seconds: float = FILE_SECONDS) -> Iterator[None]:
    """Raise Unreadable in the block after so many seconds. Main thread only; regular expressions are interrupted too."""

    def stop(number: int, frame: object) -> None:
        raise Unreadable(f"it took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def guarded(check: Check, path: str, text: str, notes: list[Note]) -> list[Hit]:
    """Run a check so that no file can break the others: whatever it raises becomes a note."""
    try:
        with limited():
            return list(check(path, text))
    except Unreadable as error:
        notes.append((path, str(error)))
    except (RecursionError, MemoryError):
        notes.append((path, "it is nested too deeply or too big to analyse"))
    except Exception as error:
        notes.append((path, f"the check failed on it ({type(error).__name__}: {str(error)[:200]})"))
    return []


def load(root: str, path: str, notes: list[Note]) -> str | None:
    if not path:
        return ""
    try:
        return read_text(root, path)
    except Unreadable as error:
        notes.append((path, str(error)))
        return None


def key_of(hit: Hit) -> tuple[str, str]:
    return hit.rule, hit.key or " ".join(hit.evidence.split())


def compare(request: dict[str, object], check: Check) -> tuple[list[tuple[str, Hit]], list[Note]]:
    """Run the check on both sides; return the hits that the change brings, with their paths.

    A hit on an added line counts unless the same hit stood on a removed line (the code moved); a hit about the whole file counts
    unless the base's version of the file had it too.
    """
    notes: list[Note] = []
    found: list[tuple[str, Hit]] = []
    moved: Counter[tuple[str, str]] = Counter()
    for item in items(request):
        unheard: list[Note] = []
        base = load(str(request["base"]), item.base, unheard) or ""
        head = load(str(request["head"]), item.head, notes)
        before = guarded(check, item.base, base, unheard) if base else []
        gone = line_set(item.removed, base, head or "") if base else set()
        moved.update(key_of(h) for h in before if not h.whole and (gone is None or h.line in gone))
        if not item.head or head is None:
            continue
        had = Counter(key_of(h) for h in before if h.whole)
        lines = line_set(item.lines, head, base)
        for hit in guarded(check, item.head, head, notes):
            if hit.whole and had[key_of(hit)] > 0:
                had[key_of(hit)] -= 1
            elif hit.whole or lines is None or hit.line in lines:
                found.append((item.head, hit))
    return _without_moved(found, moved), notes


def _without_moved(found: list[tuple[str, Hit]], moved: Counter[tuple[str, str]]) -> list[tuple[str, Hit]]:
    kept = []
    for path, hit in found:
        if not hit.whole and moved[key_of(hit)] > 0:
            moved[key_of(hit)] -= 1
        else:
            kept.append((path, hit))
    return kept


def items(request: dict[str, object]) -> list[Item]:
    raw = request["items"]
    assert isinstance(raw, list)
    return [Item(*entry) for entry in raw]


def request_of_argv() -> dict[str, object]:
    """The request, as the host passed it."""
    sys.setrecursionlimit(2000)
    loaded: dict[str, object] = json.loads(sys.argv[1])
    return loaded


def answer(found: list[tuple[str, Hit]], notes: list[Note]) -> None:
    """Print the result for the host. Bounded: at most MAX_HITS hits, each text at most MAX_TEXT characters."""
    if len(found) > MAX_HITS:
        notes = [*notes, ("", f"{len(found) - MAX_HITS} of {len(found)} results were left out")]
    hits = [
        {
            "path": path,
            "line": hit.line,
            "rule": hit.rule,
            "severity": hit.severity,
            "message": hit.message[:MAX_TEXT],
            "evidence": hit.evidence[:MAX_TEXT],
            "whole": hit.whole,
        }
        for path, hit in found[:MAX_HITS]
    ]
    with contextlib.suppress(BrokenPipeError):
        json.dump({"hits": hits, "notes": notes[:MAX_HITS]}, sys.stdout)
        sys.stdout.flush()


def run(check: Check) -> None:
    """The whole of a script that checks file by file."""
    answer(*compare(request_of_argv(), check))
