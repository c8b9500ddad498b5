"""Values as people read them. Everything that came from outside is cleaned: a repository must not steer a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """The text without control characters (escape sequences, bidirectional overrides); line ends and tabs stay."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def one_line(text: str, width: int = 100) -> str:
    """The text on one line of at most `width` characters."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def seconds(value: float) -> str:
    """A duration: `0.42 s`, `12.3 s`, `3 min 05 s`, `2 h 03 min`."""
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def usd(micro: int) -> str:
    """Money in micro-USD as dollars."""
    return f"{micro / 1e6:.4f} USD" if micro else "0 USD"


def size(count: int) -> str:
    """Bytes as kB, MB or GB (powers of ten)."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def when(micros: int | None) -> str:
    """UTC microseconds as local time."""
    return datetime.fromtimestamp(micros / 1e6).astimezone().strftime("%Y-%m-%d %H:%M:%S") if micros else ""


def clock(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6).astimezone().strftime("%H:%M:%S")


def plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns; the last column runs free."""
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(max((len(r) for r in rows), default=0))]
    return ["  ".join(cell.ljust(widths[i]) if i < len(row) - 1 else cell for i, cell in enumerate(row)).rstrip() for row in rows]


def short(run: str) -> str:
    """The end of an id: enough to name it, and what differs between ids of one moment."""
    return run[-8:]
