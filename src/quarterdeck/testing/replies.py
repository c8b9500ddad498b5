"""What a scripted model says: text, calls, reasoning, or a fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..protocol.models import Usage


@dataclass(frozen=True)
class Call:
    """One function call. `arguments` may be text, also broken text, to test what an agent makes of it."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str = ""

    @property
    def text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True)
class Reply:
    """One turn. Times are seconds. Without a fault the turn is: reasoning, then text, then calls."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    reasoning: str = ""
    usage: Usage | None = None
    """None: counted from the bytes of request and answer, about four to a token."""
    finish: str = ""
    """Empty: `stop` or `tool_calls`; else `length` or `content_filter`."""
    piece: int = 12
    """Characters per delta."""
    report_usage: bool = True

    delay: float = 0.0
    """Before each event."""
    split: int = 0
    """Write the stream in pieces of so many bytes, also in the middle of a character; 0: an event at a time."""

    status: int = 200
    """Another one makes the answer an error, with `message` and `code`."""
    message: str = ""
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Drop the connection after so many events."""
    malformed_after: int | None = None
    """Send an event that is not JSON after so many events."""
    error_after: int | None = None
    """Send an error event (`message`, `code`) after so many events and end."""
    stall_after: int | None = None
    """Send nothing more after so many events, but keep the connection."""


Script = Sequence[Reply] | Callable[[dict[str, Any]], Reply]
"""The turns in order, or a function of the request's JSON body."""


def text(words: str, **options: Any) -> Reply:
    """Return a turn that says `words`; `options` are fields of Reply."""
    return Reply(text=words, **options)


def call(name: str, /, **arguments: Any) -> Reply:
    """Return a turn with one function call."""
    return Reply(calls=(Call(name, arguments),))


def calls(*several: Call, **options: Any) -> Reply:
    """Return a turn with several calls at once."""
    return Reply(calls=several, **options)


def fail(status: int, message: str = "", *, retry_after: float | str | None = None, code: str = "") -> Reply:
    """Return a turn that refuses with an HTTP status, with `Retry-After` if given."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(status=status, message=message, code=code, headers=headers)
