"""A run's log in memory: the fold of its records. Pure: the same records give the same state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from quarterdeck.protocol.actions import ActionRequest, Decision, Outcome
from quarterdeck.protocol.canonical import digest
from quarterdeck.protocol.records import Record

EntryKind = Literal["action", "stage", "value", "artifact", "approval", "timer", "child", "signal"]
OutcomeState = Literal["done", "failed", "unknown", "not_begun", "denied", "cancelled"]
Key = tuple[str, int]
"""(name, occurrence): what a decider calls one thing that it asked for."""


def request_digest(request: ActionRequest) -> str:
    """What makes two wanted actions the same: kind, resource and arguments."""
    return digest([request.kind, request.resource, request.args])


@dataclass
class Entry:
    """One thing that a decider asked for, and what became of it."""

    kind: EntryKind
    key: Key
    seq: int
    digest: str
    body: dict[str, Any]
    request: ActionRequest | None = None
    decision: Decision | None = None
    attempt: int = 0
    nonce: str = ""
    """Of the open attempt's permit, when this owner began it; never in the log."""
    approval: str = ""
    answer: dict[str, Any] | None = None
    outcome: Outcome | None = None
    done_seq: int | None = None
    at: int = 0
    done_at: int = 0

    def finish(self, record: Record, outcome: Outcome) -> None:
        self.outcome, self.done_seq, self.done_at = outcome, record.seq, record.at


@dataclass
class RunLog:
    """The state of a run, derived from its records in order."""

    run: str
    records: list[Record] = field(default_factory=list)
    entries: dict[Key, Entry] = field(default_factory=dict)
    by_seq: dict[int, Entry] = field(default_factory=dict)
    approvals: dict[str, Entry] = field(default_factory=dict)
    children: dict[str, Entry] = field(default_factory=dict)
    signals: dict[str, list[Record]] = field(default_factory=dict)
    submitted: dict[str, Any] = field(default_factory=dict)
    cancelling: dict[str, Any] | None = None
    ended: dict[str, Any] | None = None

    @classmethod
    def of(cls, run: str, records: Iterable[Record]) -> RunLog:
        log = cls(run)
        for record in records:
            log.add(record)
        return log

    def add(self, record: Record) -> None:
        """Fold one more record in."""
        self.records.append(record)
        fold = _FOLDS.get(record.kind)
        if fold is not None:
            fold(self, record)

    def open(self, kind: EntryKind, record: Record) -> Entry:
        """Enter a keyed record."""
        body = record.body
        entry = Entry(kind, (body["name"], body["occurrence"]), record.seq, body.get("digest", ""), body, at=record.at)
        self.entries[entry.key] = entry
        self.by_seq[record.seq] = entry
        return entry

    def entry(self, name: str, occurrence: int) -> Entry | None:
        return self.entries.get((name, occurrence))

    @property
    def input(self) -> Any:
        return self.submitted.get("input")


def _submitted(log: RunLog, record: Record) -> None:
    log.submitted = record.body


def _requested(log: RunLog, record: Record) -> None:
    entry = log.open("action", record)
    entry.request = msgspec.convert(record.body["request"], ActionRequest)
    entry.decision = msgspec.convert(record.body["decision"], Decision)
    entry.attempt = 1 if entry.decision.effect == "allow" else 0


def _started(log: RunLog, record: Record) -> None:
    entry = log.by_seq[record.body["action"]]
    entry.attempt = record.body["attempt"]
    if record.body.get("decision"):
        entry.decision = msgspec.convert(record.body["decision"], Decision)


def _completed(log: RunLog, record: Record) -> None:
    body = record.body
    log.by_seq[body["action"]].finish(record, Outcome(body["state"], body.get("result"), body.get("error")))


def _asked(log: RunLog, record: Record) -> None:
    body = record.body
    if body["action"] is None:  # asked by the workflow itself, not about an action
        entry = log.open("approval", record)
    else:
        entry = log.by_seq[record.seq - 1 if body["action"] == "previous" else body["action"]]
        entry.answer = None
    entry.approval = body["approval"]
    log.approvals[body["approval"]] = entry


def _answered(log: RunLog, record: Record) -> None:
    entry = log.approvals.get(record.body["approval"])
    if entry is None or entry.approval != record.body["approval"]:
        return
    entry.answer = record.body
    if entry.kind == "approval":
        entry.finish(record, Outcome("done", {k: record.body.get(k) for k in ("verdict", "by", "reason")}))


def _stage_completed(log: RunLog, record: Record) -> None:
    body = record.body
    log.entries[(body["name"], body["occurrence"])].finish(record, Outcome(body["state"], body.get("result"), body.get("error")))


def _value(log: RunLog, record: Record) -> None:
    log.open("value", record).finish(record, Outcome("done", record.body.get("value")))


def _refused(log: RunLog, record: Record) -> None:
    log.open("value", record).finish(record, Outcome("failed", error={"type": "BadInput", "message": record.body["error"], "hint": ""}))


def _artifact(log: RunLog, record: Record) -> None:
    entry = log.open("artifact", record)
    entry.finish(record, Outcome("done", {k: record.body[k] for k in ("artifact", "sha256", "bytes", "media_type")}))


def _signal(log: RunLog, record: Record) -> None:
    log.signals.setdefault(record.body["signal"], []).append(record)


def _child_completed(log: RunLog, record: Record) -> None:
    body = record.body
    entry = log.children.get(body["run"])
    if entry is not None and entry.outcome is None:
        # An incomplete child was cut short, and has a partial result that says by what.
        ends: dict[str, OutcomeState] = {"completed": "done", "incomplete": "done", "cancelled": "cancelled"}
        state = ends.get(body["state"], "failed")
        entry.finish(record, Outcome(state, body.get("result"), body.get("error")))


def _child(log: RunLog, record: Record) -> None:
    log.children[record.body["run"]] = log.open("child", record)


def _timer(log: RunLog, record: Record) -> None:
    log.open("timer", record)


def _timer_fired(log: RunLog, record: Record) -> None:
    log.entries[(record.body["name"], record.body["occurrence"])].finish(record, Outcome("done"))


def _stage(log: RunLog, record: Record) -> None:
    log.open("stage", record)


def _cancelling(log: RunLog, record: Record) -> None:
    log.cancelling = record.body


def _ended(log: RunLog, record: Record) -> None:
    log.ended = record.body


_FOLDS = {
    "run.submitted": _submitted,
    "action.requested": _requested,
    "action.started": _started,
    "action.completed": _completed,
    "approval.requested": _asked,
    "approval.answered": _answered,
    "stage.started": _stage,
    "stage.completed": _stage_completed,
    "value": _value,
    "call.refused": _refused,
    "artifact": _artifact,
    "timer.set": _timer,
    "timer.fired": _timer_fired,
    "signal.received": _signal,
    "child.submitted": _child,
    "child.completed": _child_completed,
    "run.cancelling": _cancelling,
    "run.completed": _ended,
}
