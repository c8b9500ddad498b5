"""Words of a command: what is written, and what it surely means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

MAGIC = re.compile(r"[\\*?\[\]{}~$`]")
"""Characters by which an unquoted word may become another word, or several."""

FIND_WORDS = {"\\;": ";", "\\(": "(", "\\)": ")", "\\!": "!"}
"""Escapes that `find` made everyday."""

PLACEHOLDER = re.compile(r"[\w./=:,+-]*(\{\}[\w./=:,+-]*)+")
"""Empty braces are not expanded: `{}` of find and `-I{}` of xargs mean themselves."""


@dataclass(frozen=True)
class Word:
    """One word of a command. `value` is None when it is computed (expansion, glob, escape): it may be any number of words."""

    raw: str
    value: str | None

    @property
    def computed(self) -> bool:
        return self.value is None

    def leads_outside(self, escapes: bool) -> bool:
        """Whether this word as a path may leave the workspace; `escapes` is the answer for its text."""
        return escapes if self.value is not None else escapes or bool(re.search(r"[$`~]|^/", self.raw))


def literal(text: str) -> Word:
    """A word that means what it says, as in an argv."""
    return Word(text, text)


COMPUTED = Word("", None)
"""Words that only the moment of running knows, such as those that xargs reads."""


def word(node: Node) -> Word:
    """The word at a node of the syntax tree."""
    raw = text(node)
    if raw in FIND_WORDS:
        return Word(raw, FIND_WORDS[raw])
    if "{}" in raw and PLACEHOLDER.fullmatch(raw):
        return Word(raw, raw)
    return Word(raw, _value(node))


def text(node: Node) -> str:
    """The source text of a node."""
    return (node.text or b"").decode("utf-8", "replace")


def _value(node: Node) -> str | None:
    kind, raw = node.type, text(node)
    if kind == "raw_string":
        return raw[1:-1]
    if kind == "string":
        plain = all(child.type in ("string_content", '"') for child in node.children)
        return raw[1:-1] if plain and not re.search(r"[\\`$]", raw) else None
    if kind == "command_name" and node.child_count == 1:
        return _value(node.children[0])
    if kind == "concatenation":
        parts = [_value(child) for child in node.children]
        return None if any(part is None for part in parts) else "".join(part or "" for part in parts)
    if kind in ("word", "number", "command_name", "variable_name") and node.child_count == 0:
        return None if MAGIC.search(raw) else raw
    return None
