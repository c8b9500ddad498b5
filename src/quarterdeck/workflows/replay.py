"""Replay: the pure decider that drives a workflow's coroutines by hand over the log.

Every awaited want is matched with a record by name, occurrence and digest. What has an outcome is handed back in the
order in which outcomes were recorded, so that a run goes the same way each time; what has none is named to the kernel.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import msgspec

from quarterdeck.kernel.decider import Await, Command, End, Note
from quarterdeck.kernel.log import RunLog
from quarterdeck.protocol.actions import Outcome
from quarterdeck.protocol.errors import ActionFailed, BadInput, QuarterdeckError, out_of_space

from .wants import GatherWant, StageWant, Want


class Suspended(BaseException):
    """Raised by every `ctx` call while a coroutine is being dropped: cleanup code must not act."""


class Nondeterministic(Exception):
    """A `ctx` call differs from its record; the run is parked until the code fits again."""


@dataclass
class Branch:
    """One coroutine that is driven: the workflow, a stage's body, or a part of a gather."""

    coroutine: Coroutine[Any, Any, Any]
    scope: str
    parent: Branch | None = None
    index: int = 0
    want: Want[Any] | None = None
    send: Any = None
    throw: BaseException | None = None
    ready: bool = True
    open_parts: int = 0
    parts: list[Outcome | Any] = field(default_factory=list)
    failures: list[BaseException | None] = field(default_factory=list)


class Replay:
    """The decider of one workflow run."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, Any]], report: Callable[[BaseException], None] = lambda error: None) -> None:
        self._start, self._report = start, report
        self._branches: list[Branch] = []
        self._counts: Counter[str] = Counter()
        self._end: End | None = None
        self._parked = ""
        self._notes: list[Note] = []
        self._log: RunLog | None = None
        self.dropped = False

    def advance(self, log: RunLog) -> list[Command]:
        self._log, self._notes = log, []
        if not self._branches and self._end is None:
            self._branches.append(Branch(self._start(), ""))
        try:
            while self._end is None and not self._parked and (self._run_ready() or self._resolve_next()):
                pass
        except Nondeterministic as error:
            self._parked = str(error)
        if self._parked:
            return [Await(f"nondeterministic: {self._parked}")]
        if self._end is not None:
            return [self._end]
        if self._notes:
            return list(self._notes)
        waiting = [b.want for b in self._branches if b.want is not None and not isinstance(b.want, (StageWant, GatherWant))]
        return [w.command(log) for w in waiting if w.entry(log) is None or self._unfinished(w)]

    def _unfinished(self, want: Want[Any]) -> bool:
        assert self._log is not None
        entry = want.entry(self._log)
        return entry is None or entry.outcome is None

    def close(self) -> None:
        """Drop the coroutines. Their `finally` blocks run, and every `ctx` call in them raises Suspended."""
        self.dropped = True
        for branch in reversed(self._branches):
            with contextlib.suppress(BaseException):
                branch.coroutine.close()
        self._branches.clear()

    # --- driving

    def _run_ready(self) -> bool:
        moved = False
        for branch in list(self._branches):
            if branch.ready and branch in self._branches:
                moved = True
                self._step(branch)
        return moved

    def _step(self, branch: Branch) -> None:
        """Run a coroutine to its next await, its return or its failure."""
        branch.ready = False
        send, throw = branch.send, branch.throw
        branch.send = branch.throw = branch.want = None
        try:
            want = branch.coroutine.throw(throw) if throw is not None else branch.coroutine.send(send)
        except StopIteration as stop:
            self._returned(branch, stop.value, None)
        except (Suspended, Nondeterministic):
            raise
        except Exception as error:
            if full := out_of_space(error):  # `ctx.write` keeps its bytes at once
                raise full from error
            self._returned(branch, None, error)
        else:
            self._await(branch, want)

    def _await(self, branch: Branch, want: object) -> None:
        if not isinstance(want, Want):
            message = f"a workflow may await only ctx objects, not {type(want).__name__}"
            branch.throw, branch.ready = BadInput(message, hint="Put other asynchronous work into ctx.step(name, fn)."), True
            return
        branch.want = want
        if isinstance(want, GatherWant):
            self._gather(branch, want)
            return
        name = branch.scope + want.name
        want.key = (name, self._counts[name])
        self._counts[name] += 1
        self._check(want)
        if isinstance(want, StageWant):
            self._stage(branch, want)

    def _check(self, want: Want[Any]) -> None:
        assert self._log is not None
        entry = want.entry(self._log)
        if entry is not None and want.digest and entry.digest != want.digest:
            raise Nondeterministic(f"{want.key[0]} (occurrence {want.key[1]}) has other arguments than its record {entry.seq}")

    def _gather(self, branch: Branch, want: GatherWant) -> None:
        number = self._counts[f"{branch.scope}gather"]
        self._counts[f"{branch.scope}gather"] += 1
        branch.open_parts = len(want.parts)
        branch.parts, branch.failures = [None] * len(want.parts), [None] * len(want.parts)
        if not want.parts:
            branch.send, branch.ready = [], True
        for index, part in enumerate(want.parts):
            # A bare want is named by its own scope; a coroutine of several wants needs one of its own.
            scope = branch.scope if isinstance(part, Want) else f"{branch.scope}{number}.{index}/"
            self._branches.append(Branch(_coroutine(part), scope, branch, index))

    def _stage(self, branch: Branch, want: StageWant[Any]) -> None:
        assert self._log is not None
        entry = want.entry(self._log)
        if entry is not None and entry.outcome is not None:
            return
        if entry is None:
            self._notes.append(want.started())
        occurrence = f"#{want.key[1]}" if want.key[1] else ""
        self._branches.append(Branch(want.start(), f"{want.key[0]}{occurrence}/", branch))

    def _returned(self, branch: Branch, value: Any, error: BaseException | None) -> None:
        self._branches.remove(branch)
        parent = branch.parent
        if parent is None:
            self._end = _ended(value, error)
            if error is not None:
                self._report(error)
        elif isinstance(parent.want, StageWant):
            self._notes.append(parent.want.completed(_outcome(value, error)))
        else:
            parent.parts[branch.index], parent.failures[branch.index] = value, error
            parent.open_parts -= 1
            if parent.open_parts == 0:
                parent.throw = next((f for f in parent.failures if f is not None), None)
                parent.send, parent.ready = parent.parts, True

    def _resolve_next(self) -> bool:
        """Hand the earliest recorded outcome to the branch that waits for it."""
        assert self._log is not None
        best: tuple[int, Branch, Outcome] | None = None
        for branch in self._branches:
            if branch.want is None or isinstance(branch.want, GatherWant):
                continue
            entry = branch.want.entry(self._log)
            if (
                entry is not None
                and entry.outcome is not None
                and entry.done_seq is not None
                and (best is None or entry.done_seq < best[0])
            ):
                best = (entry.done_seq, branch, entry.outcome)
        if best is None:
            return False
        _, branch, outcome = best
        assert branch.want is not None
        try:
            branch.send = branch.want.value(outcome)
        except QuarterdeckError as error:
            branch.throw = error
        branch.ready = True
        return True


def _coroutine(part: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    async def one() -> Any:
        return await part

    return one()


def plain(value: Any) -> Any:
    """JSON data of a value, or BadInput saying what cannot be recorded."""
    try:
        return msgspec.json.decode(msgspec.json.encode(value))
    except (TypeError, msgspec.MsgspecError) as error:
        raise BadInput(f"A workflow's value cannot be recorded: {error}.", hint="Return JSON data or msgspec structs.") from error


def _error(error: BaseException) -> dict[str, str]:
    hint = error.hint if isinstance(error, QuarterdeckError) else ""
    message = error.message if isinstance(error, QuarterdeckError) else str(error) or repr(error)
    return {"type": type(error).__name__, "message": message, "hint": hint}


def _outcome(value: Any, error: BaseException | None) -> Outcome:
    if error is None:
        try:
            return Outcome("done", plain(value))
        except BadInput as bad:
            error = bad
    state = error.state if isinstance(error, ActionFailed) else "failed"
    return Outcome(state if state in ("denied", "unknown", "cancelled") else "failed", error=_error(error))  # type: ignore[arg-type]


def _ended(value: Any, error: BaseException | None) -> End:
    outcome = _outcome(value, error)
    return End("completed", outcome.result) if outcome.state == "done" else End("failed", error=outcome.error)


__all__ = ["Nondeterministic", "Replay", "Suspended", "plain"]
