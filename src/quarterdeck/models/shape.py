"""Reading what servers send: the expected shape or TypeError, which the caller turns into one clear error."""

from __future__ import annotations

from typing import Any


def text(value: Any) -> str:
    """Return `value`, which must be text."""
    if not isinstance(value, str):
        raise TypeError(f"text was expected, {type(value).__name__} came")
    return value


def mapping(value: Any) -> dict[str, Any]:
    """Return `value`, which must be an object."""
    if not isinstance(value, dict):
        raise TypeError(f"an object was expected, {type(value).__name__} came")
    return value


def count(data: Any, field: str) -> int | None:
    """Return the number of tokens in `field` of `data`, or None where there is none."""
    value = data.get(field) if isinstance(data, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
