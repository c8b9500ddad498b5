"""Making strangers' text safe to show: no control signs, no hidden direction changes, nothing that a format obeys."""

from __future__ import annotations

import re
import textwrap
import unicodedata

_HIDDEN = {0x061C, 0x180E, 0x2028, 0x2029, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)}
"""Zero-width and bidirectional signs: with them text can read otherwise than it is (“Trojan Source”)."""


def visible(text: str) -> str:
    """Write control, hidden, private and unassigned characters as escapes such as `\\u202e`; keep tabs and newlines."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or _plain(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def _plain(char: str) -> bool:
    return ord(char) not in _HIDDEN and unicodedata.category(char) not in ("Cc", "Cs", "Cn", "Co", "Cf")


def one_line(text: str) -> str:
    """`visible` on a single line, white space folded."""
    return visible(" ".join(text.split()))


def cut(text: str, characters: int) -> str:
    """Shorten text for display; the artifact holds the whole."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def quoted(source: str, characters: int) -> str:
    """Source text for display: common indentation taken off, then cut."""
    return cut(textwrap.dedent(source), characters)


_XML_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Replace the characters that XML 1.0 cannot hold."""
    return _XML_FORBIDDEN.sub("\ufffd", text)
