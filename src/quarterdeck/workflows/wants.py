"""What a workflow may await: each want knows its name, what it asks of the kernel, and how to turn the outcome into a value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from quarterdeck.kernel.decider import Await, Child, Command, Do, Note, Question, Timer
from quarterdeck.kernel.log import Entry, Key, RunLog, request_digest
from quarterdeck.protocol.actions import ActionRequest, Outcome
from quarterdeck.protocol.canonical import digest
from quarterdeck.protocol.errors import ActionFailed, Denied, OutcomeUnknown

T = TypeVar("T")


def failure(outcome: Outcome, name: str) -> ActionFailed:
    """The exception that a workflow sees for an outcome that is not `done`."""
    error = outcome.error or {}
    message = error.get("message") or f"{name} ended as {outcome.state}"
    kind = {"unknown": OutcomeUnknown, "denied": Denied}.get(outcome.state, ActionFailed)
    raised = kind(message, hint=error.get("hint", ""))
    raised.state = outcome.state
    return raised


class Want(Generic[T]):
    """An awaitable of the workflow API. `key` is set by the replay when it is awaited."""

    name: str
    digest: str
    key: Key

    def __await__(self) -> Generator[Want[T], T, T]:
        return (yield self)

    def command(self, log: RunLog) -> Command:
        """What is wanted of the kernel while there is no outcome."""
        raise AssertionError(self)

    def entry(self, log: RunLog) -> Entry | None:
        return log.entries.get(self.key)

    def value(self, outcome: Outcome) -> T:
        """The awaited value; raises `failure` by default."""
        if outcome.state != "done":
            raise failure(outcome, self.name)
        return self.convert(outcome.result)

    def convert(self, result: Any) -> T:
        return result  # type: ignore[no-any-return]


class ActionWant(Want[T]):
    """An action through the gate. `convert_with` turns the recorded JSON into the value."""

    def __init__(self, request: ActionRequest, convert_with: Callable[[Any], T]) -> None:
        self.request, self.name = request, request.name
        self.digest = request_digest(request)
        self._convert = convert_with

    def command(self, log: RunLog) -> Command:
        return Do(msgspec.structs.replace(self.request, name=self.key[0], occurrence=self.key[1]))

    def convert(self, result: Any) -> T:
        return self._convert(result)


class NoteWant(Want[T]):
    """A recorded local fact: kind `value` (time, patches) or `artifact`."""

    def __init__(self, kind: str, name: str, identity: Any, body: Callable[[], dict[str, Any]], convert_with: Callable[[Any], T]) -> None:
        self.kind, self.name, self.digest = kind, name, digest(identity)
        self._body, self._convert = body, convert_with

    def command(self, log: RunLog) -> Command:
        return Note(self.kind, {"name": self.key[0], "occurrence": self.key[1], "digest": self.digest, **self._body()})

    def convert(self, result: Any) -> T:
        return self._convert(result)


class QuestionWant(Want[T]):
    """A question to a person of `role`."""

    def __init__(self, name: str, role: str, question: dict[str, Any], convert_with: Callable[[Any], T]) -> None:
        self.name, self.role, self.question = name, role, question
        self.digest = digest([role, question])
        self._convert = convert_with

    def convert(self, result: Any) -> T:
        return self._convert({k: v or "" for k, v in result.items()})

    def command(self, log: RunLog) -> Command:
        return Question(self.key[0], self.key[1], self.digest, self.role, self.question)


class TimerWant(Want[None]):
    def __init__(self, seconds: float) -> None:
        self.name, self.seconds, self.digest = "sleep", seconds, digest(seconds)

    def command(self, log: RunLog) -> Command:
        return Timer(self.key[0], self.key[1], self.digest, self.seconds)


class SignalWant(Want[Any]):
    """The n-th signal of its name, n being the occurrence."""

    def __init__(self, signal: str) -> None:
        self.name, self.signal, self.digest = f"signal {signal}", signal, ""

    def command(self, log: RunLog) -> Command:
        return Await(self.name)

    def entry(self, log: RunLog) -> Entry | None:
        got = log.signals.get(self.signal, [])
        if len(got) <= self.key[1]:
            return None
        record = got[self.key[1]]
        return Entry("signal", self.key, record.seq, "", record.body, outcome=Outcome("done", record.body.get("body")), done_seq=record.seq)


class ChildWant(Want[T]):
    def __init__(self, name: str, kind: str, run_name: str, value: Any, role: str, convert_with: Callable[[Any], T]) -> None:
        self.name, self.kind, self.run_name, self.input, self.role = name, kind, run_name, value, role
        self.digest = digest([kind, run_name, value])
        self._convert = convert_with

    def command(self, log: RunLog) -> Command:
        return Child(self.key[0], self.key[1], self.digest, self.kind, self.run_name, self.input, self.role)

    def convert(self, result: Any) -> T:
        return self._convert(result)


class StageWant(Want[T]):
    """A named part of a workflow whose result is memoised; what it awaits is named below it."""

    def __init__(self, name: str, start: Callable[[], Coroutine[Any, Any, T]], identity: Any, convert_with: Callable[[Any], T]) -> None:
        self.name, self.start, self.digest = name, start, digest(identity)
        self._convert = convert_with

    def convert(self, result: Any) -> T:
        return self._convert(result)

    def started(self) -> Note:
        return Note("stage.started", {"name": self.key[0], "occurrence": self.key[1], "digest": self.digest})

    def completed(self, outcome: Outcome) -> Note:
        body = {"name": self.key[0], "occurrence": self.key[1], "state": outcome.state, "result": outcome.result, "error": outcome.error}
        return Note("stage.completed", body)


class GatherWant(Want[list[Any]]):
    """Several awaitables at once; waits for all, then raises the first failure in order."""

    def __init__(self, parts: Sequence[Awaitable[Any]]) -> None:
        self.parts, self.name, self.digest = parts, "gather", ""
