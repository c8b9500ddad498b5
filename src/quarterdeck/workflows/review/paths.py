"""Names from git are bytes that an attacker chose. This is how they become text, and bytes again.

Text is UTF-8 with each undecodable byte written as ``\\xNN`` (lower-case hex). A name that really contains the four
characters ``\\xNN`` has its backslash written as ``\\x5c``, so that `to_bytes(to_text(name)) == name` for every name.
"""

from __future__ import annotations

import os
import re

_LOOKS_ESCAPED = re.compile(r"\\(?=x[0-9a-f]{2})")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def to_text(name: bytes) -> str:
    """Return the printable form that `FileChange.path` carries."""
    raw = name.decode("utf-8", "surrogateescape")
    raw = _LOOKS_ESCAPED.sub(r"\\x5c", raw)
    return "".join(f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in raw)


def to_bytes(text: str) -> bytes:
    """Undo `to_text`."""
    raw = _ESCAPED.sub(lambda m: chr(0xDC00 + int(m[1], 16)) if int(m[1], 16) >= 0x80 else chr(int(m[1], 16)), text)
    return raw.encode("utf-8", "surrogateescape")


def to_argument(text: str) -> str:
    """Return the name as Python passes it to the operating system: for argv of a command inside."""
    return os.fsdecode(to_bytes(text))


def is_utf8(text: str) -> bool:
    """True for a name that is UTF-8: only such a one can be an argument of a command, since commands are recorded as JSON."""
    return to_argument(text).isascii() or not any("\ud800" <= c <= "\udfff" for c in to_argument(text))


def is_safe(name: bytes) -> bool:
    """False for names that no honest tree has: absolute, empty, `.`/`..` parts, NUL, or a `.git` folder."""
    parts = name.split(b"/")
    return bool(name) and b"\0" not in name and not any(p in (b"", b".", b"..") or p.lower() == b".git" for p in parts)


def shown(text: str) -> str:
    """Return the name for one line of prose: control characters become escapes, so that it cannot forge lines."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
