"""Records: the rows of a run's log, and the run itself, as data.

Kinds of records (the body's fields in brackets):

    run.submitted       {kind, name, input, actor, labels, version, source, origin}
    action.requested    {name, occurrence, digest, request, decision}        its seq is the action's identity
    action.started      {action, attempt}                                    an attempt after the first decision
    action.completed    {action, attempt, state, result, error, cost}
    approval.requested  {approval, name, occurrence, action, role, question, digest}
    approval.answered   {approval, verdict, by, reason}
    stage.started       {name, occurrence, digest}
    stage.completed     {name, occurrence, state, result, error}
    value               {name, occurrence, digest, value}                    a recorded local fact (time, random, patch)
    artifact            {name, occurrence, digest, artifact, sha256, bytes, media_type}
    timer.set           {name, occurrence, digest, until}
    signal.received     {signal, body, n}
    child.submitted     {name, occurrence, digest, run}
    child.completed     {run, state, result, error}
    run.waiting         {for}
    call.refused        {name, occurrence, call_id, error}                   a model's call that cannot become an action
    run.note            {text, ...}                                          for readers only
    run.cancelling      {by, reason}
    run.completed       {state, result, error}
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

RunState = Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "incomplete"]
ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled", "incomplete"})


class NewRecord(msgspec.Struct, frozen=True):
    """A record before the log gave it a number."""

    kind: str
    body: dict[str, Any]


class Record(msgspec.Struct, frozen=True):
    """A committed record. `at` is UTC microseconds of the database's clock."""

    run: str
    seq: int
    epoch: int
    kind: str
    body: dict[str, Any]
    at: int


class Run(msgspec.Struct, frozen=True):
    """A run's row. Times are UTC microseconds; `waiting` names what it waits for."""

    id: str
    project: str
    kind: str
    name: str
    root: str
    parent: str | None
    state: RunState
    waiting: str | None
    environment: str | None
    actor: str
    labels: tuple[str, ...]
    next_seq: int
    owner: str | None
    epoch: int
    lease_until: int
    wake_at: int | None
    inbox_done: int
    created_at: int
    ended_at: int | None


class NewRun(msgspec.Struct, frozen=True):
    """A run to submit. `submission` makes it idempotent: an unended or equal submission is returned instead."""

    id: str
    kind: str
    name: str
    input: Any
    actor: str
    project: str = "default"
    parent: str | None = None
    root: str | None = None
    environment: str | None = None
    labels: tuple[str, ...] = ()
    version: str = ""
    source: str = ""
    state: RunState = "queued"


class Message(msgspec.Struct, frozen=True):
    """A row of a run's inbox."""

    n: int
    kind: str
    body: dict[str, Any]
    at: int
