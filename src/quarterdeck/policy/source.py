"""Cedar text as statements with line numbers, because the Cedar parser tells no positions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """One policy's text. `line` (from 1) is where its first token stands; `complete` is False without its `;`."""

    text: str
    line: int
    complete: bool

    def line_of(self, token: str) -> int:
        """The line of `token` if it occurs exactly once here, else the statement's own line."""
        if token and self.text.count(token) == 1:
            return self.line + self.text[: self.text.index(token)].count("\n")
        return self.line


def split(text: str) -> list[Statement]:
    """Cut Cedar text at each `;` that is outside strings and comments. Never raises."""
    found: list[Statement] = []
    start = -1
    i, end = 0, len(text)
    while i < end:
        char = text[i]
        if text.startswith("//", i):
            newline = text.find("\n", i)
            i = end if newline < 0 else newline
            continue
        if start < 0 and not char.isspace():
            start = i
        if char == '"':
            i = _string_end(text, i)
            continue
        i += 1
        if char == ";":
            found.append(_statement(text, start, i, complete=True))
            start = -1
    if start >= 0:
        found.append(_statement(text, start, end, complete=False))
    return found


def _string_end(text: str, start: int) -> int:
    i = start + 1
    while i < len(text):
        if text[i] == "\\":
            i += 2
        elif text[i] == '"':
            return i + 1
        else:
            i += 1
    return len(text)


def _statement(text: str, start: int, end: int, *, complete: bool) -> Statement:
    return Statement(text[start:end], text.count("\n", 0, start) + 1, complete)
