"""Static reading of TOML and INI files that nobody vouches for: a broken or hostile file reads as empty."""

from __future__ import annotations

import configparser
import tomllib
from collections.abc import Mapping, Sequence

from .tree import TreeReader, text

Table = Mapping[str, object]
EMPTY: Table = {}


def toml(tree: TreeReader, path: str) -> Table:
    """The file's top table. Deep nesting exhausts the parser's stack, hence the RecursionError."""
    try:
        return tomllib.loads(text(tree, path))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return EMPTY


def ini(tree: TreeReader, path: str) -> Mapping[str, Mapping[str, str]]:
    """Sections and their raw values, without interpolation."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, comment_prefixes=("#", ";"), inline_comment_prefixes=None)
    try:
        parser.read_string(text(tree, path))
        return {name: {k: v or "" for k, v in parser.items(name)} for name in parser.sections()}
    except (configparser.Error, ValueError, AttributeError):
        return {}


def table(value: object, *keys: str) -> Table:
    """Walk nested tables; whatever is not a table on the way reads as an empty one."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else EMPTY


def strings(value: object) -> tuple[str, ...]:
    """The strings of a list, or the single string; everything else is dropped."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Sequence):
        return tuple(v for v in value if isinstance(v, str))
    return ()


def lines(value: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in value.splitlines() if line.strip() and not line.strip().startswith(("#", ";")))
