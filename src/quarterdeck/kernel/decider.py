"""Deciders: pure functions of the log that name what is wanted next."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from quarterdeck.protocol.actions import ActionRequest

from .log import RunLog


class Do(msgspec.Struct, frozen=True):
    """An action is wanted. It stays wanted until it has an outcome."""

    request: ActionRequest


class Note(msgspec.Struct, frozen=True):
    """A record without an effect: stage.started, stage.completed, value, artifact, run.note. Written at once."""

    kind: str
    body: dict[str, Any]


class Question(msgspec.Struct, frozen=True):
    """A person of `role` is asked. `question` is what they see."""

    name: str
    occurrence: int
    digest: str
    role: str
    question: dict[str, Any]


class Timer(msgspec.Struct, frozen=True):
    """Wait for `seconds` from when this is first recorded."""

    name: str
    occurrence: int
    digest: str
    seconds: float


class Child(msgspec.Struct, frozen=True):
    """Another run is wanted; this one waits for its end."""

    name: str
    occurrence: int
    digest: str
    kind: str
    run_name: str
    input: Any
    role: str


class Await(msgspec.Struct, frozen=True):
    """Something from outside is wanted (a signal); nothing to do but wait."""

    what: str


class End(msgspec.Struct, frozen=True):
    """The run is over."""

    state: Literal["completed", "failed", "cancelled", "incomplete"]
    result: Any = None
    error: dict[str, str] | None = None


Command = Do | Note | Question | Timer | Child | Await | End


class Decider(Protocol):
    """Decides one run. Made anew at each claim; `advance` may keep a live coroutine between calls."""

    def advance(self, log: RunLog) -> list[Command]:
        """Everything that is wanted now and has no outcome in the log. `End` comes alone."""
        ...

    def close(self) -> None:
        """Drop what is live, without effect."""
        ...
