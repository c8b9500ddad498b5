"""Numbers as people read them: money, time, sizes, ranges of lines. Pure, and the same in every locale."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta


def money(microusd: int) -> str:
    """Micro-USD as dollars with two to six decimals, never rounded: `$0.0123`."""
    whole, rest = divmod(abs(microusd), 1_000_000)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if microusd < 0 else ''}${whole:,}.{decimals}"


def moment(us: int) -> str:
    """UTC microseconds as `2026-01-31 12:00:00 UTC`; a number that is no date stays a number."""
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError):
        return f"{us} µs"


def duration(seconds: float) -> str:
    """Seconds as `0.84 s`, `12.3 s` or `3 min 20 s`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def size(count: int) -> str:
    """Bytes as `512 B`, `3.4 kB` (1000) or, for round powers of two, `2 GiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if count and count % factor == 0:
            return f"{count // factor:,} {unit}"
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def percent(part: int, whole: int) -> str:
    """A share, rounded down, so that 100 % means all."""
    return f"{100 * part // whole} %" if whole else "–"


def ranges(lines: Iterable[int]) -> str:
    """Line numbers as `3–5, 9`."""
    spans: list[list[int]] = []
    for line in sorted(set(lines)):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in spans)


def short(digest: str) -> str:
    """The first twelve digits of a hash, enough for a reader to compare."""
    return digest[:12]


def place(path: str, line: int = 0, end_line: int = 0) -> str:
    """Where a finding is: `path:line`, `path:line–end`, the path alone, or `the commits` when it is in no file."""
    if not path:
        return "the commits"
    if line <= 0:
        return path
    return f"{path}:{line}" + (f"–{end_line}" if end_line > line else "")
