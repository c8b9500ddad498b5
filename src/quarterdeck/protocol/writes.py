"""Typed writes: what a room asks the store to commit in the same transaction as records.

`Here` as an action means "the seq of the first record of this append": the identity that the log is about to mint.
"""

from __future__ import annotations

from typing import Any

import msgspec

HERE = -1


class EffectStart(msgspec.Struct, frozen=True, tag=True):
    """Enter an attempt into the ledger as `started`, with the permit that its receiver must consume."""

    action: int
    attempt: int
    nonce: str


class EffectEnd(msgspec.Struct, frozen=True, tag=True):
    """Close an attempt of the ledger: done, failed, unknown or not_begun."""

    action: int
    attempt: int
    state: str


class Reserve(msgspec.Struct, frozen=True, tag=True):
    """Reserve micro-USD in every scope, or fail the whole append with BudgetRefused."""

    action: int
    attempt: int
    scopes: tuple[str, ...]
    amount: int


class Settle(msgspec.Struct, frozen=True, tag=True):
    """Turn an attempt's reservation into money spent; more than reserved is an overrun and stops the scope."""

    action: int
    attempt: int
    amount: int


class OpenApproval(msgspec.Struct, frozen=True, tag=True):
    """Open a question to people of `role`; valid for exactly the action whose digest is given."""

    id: str
    action: int
    role: str
    digest: str
    question: dict[str, Any]
    expires_at: int | None


class UseApproval(msgspec.Struct, frozen=True, tag=True):
    """Use a yes up: fails the append with PermitRefused if it is not approved, is used, or is for another digest."""

    id: str
    digest: str


class AnswerApproval(msgspec.Struct, frozen=True, tag=True):
    """A person's answer; also wakes the run that asked."""

    id: str
    verdict: str
    by: str
    reason: str


class SendMessage(msgspec.Struct, frozen=True, tag=True):
    """Put a message into another run's inbox and wake it."""

    run: str
    kind: str
    body: dict[str, Any]
    idem_key: str


class InboxDone(msgspec.Struct, frozen=True, tag=True):
    """The messages before `n` have become records."""

    n: int


class AddLabels(msgspec.Struct, frozen=True, tag=True):
    """Labels only grow."""

    labels: tuple[str, ...]


class SetCap(msgspec.Struct, frozen=True, tag=True):
    """Set a budget's cap in micro-USD."""

    scope: str
    cap: int


class OutboxPut(msgspec.Struct, frozen=True, tag=True):
    """Queue a delivery; an equal `dedupe_key` on the same channel is queued once."""

    id: str
    action: int
    channel: str
    body: dict[str, Any]
    dedupe_key: str


class OutboxDone(msgspec.Struct, frozen=True, tag=True):
    """A delivery ended: delivered, failed or unknown."""

    id: str
    state: str
    result: str


class Remember(msgspec.Struct, frozen=True, tag=True):
    """Store something for later runs; `key` is unique in its scope and kind, a new value supersedes the old one."""

    scope: str
    kind: str
    key: str
    body: dict[str, Any]
    labels: tuple[str, ...]


Write = (
    EffectStart
    | EffectEnd
    | Reserve
    | Settle
    | OpenApproval
    | UseApproval
    | AnswerApproval
    | SendMessage
    | InboxDone
    | AddLabels
    | SetCap
    | OutboxPut
    | OutboxDone
    | Remember
)
