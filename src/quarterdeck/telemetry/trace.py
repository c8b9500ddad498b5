"""The trace of a run: a tree of spans, derived from the records of a run and its children. Pure: no clock, no I/O.

Stages nest what they awaited, actions are leaves, a child run hangs below the call that wanted it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from quarterdeck.protocol.records import ENDED, Record, Run

from . import names

SpanKind = Literal["run", "stage", "action", "approval", "timer", "child"]
OPERATIONS = {
    "model.call": "chat",
    "tool.call": "execute_tool",
    "shell.exec": "execute_tool",
    "file.read": "execute_tool",
    "file.write": "execute_tool",
}


@dataclass
class Span:
    """Something that took time. `start` and `end` are UTC microseconds; `end` None: it goes on."""

    name: str
    kind: SpanKind
    start: int
    end: int | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    children: list[Span] = field(default_factory=list)

    def seconds(self, now: int) -> float:
        return ((self.end if self.end is not None else max(now, self.start)) - self.start) / 1e6

    def walk(self) -> list[Span]:
        """This span and all below it, in order."""
        return [self, *[below for child in self.children for below in child.walk()]]


def tree_of(root: str, runs: Sequence[Run], records: Mapping[str, Sequence[Record]]) -> Span:
    """The tree of the run `root`. `runs` are the rows of the tree, `records` the logs by run. KeyError if `root` is not among them."""
    rows = {run.id: run for run in runs}
    return _RunTrace(rows[root], rows, records).span


class _RunTrace:
    """The fold of one run's records into its span."""

    def __init__(self, run: Run, rows: Mapping[str, Run], records: Mapping[str, Sequence[Record]]) -> None:
        self._rows, self._records = rows, records
        self.span = Span(
            run.name, "run", run.created_at, run.ended_at, {names.RUN: run.id, names.RUN_KIND: run.kind, names.STATE: run.state}
        )
        if run.kind == "agent":
            self.span.attrs |= {names.OPERATION: "invoke_agent", names.AGENT_NAME: run.name}
        if run.waiting:
            self.span.attrs[names.WAITING] = run.waiting
        self._stages: dict[str, Span] = {}
        self._by_seq: dict[int, Span] = {}
        self._by_key: dict[tuple[str, int], Span] = {}
        self._by_approval: dict[str, Span] = {}
        for record in records.get(run.id, ()):
            fold = getattr(self, f"_{record.kind.replace('.', '_')}", None)
            if fold is not None:
                fold(record, record.body)
        self.span.end = run.ended_at if run.state in ENDED else None

    def _parent(self, name: str) -> tuple[Span, str]:
        """The stage that a scoped name lies in, and the rest of the name."""
        parts = name.split("/")
        for cut in range(len(parts) - 1, 0, -1):
            stage = self._stages.get("/".join(parts[:cut]))
            if stage is not None:
                return stage, _bare(parts[cut:])
        return self.span, _bare(parts)

    def _add(self, record: Record, kind: SpanKind, attrs: dict[str, Any] | None = None) -> Span:
        body = record.body
        parent, name = self._parent(str(body["name"]))
        span = Span(name, kind, record.at, attrs=attrs or {})
        parent.children.append(span)
        self._by_seq[record.seq] = span
        self._by_key[(body["name"], body["occurrence"])] = span
        return span

    def _stage_started(self, record: Record, body: Mapping[str, Any]) -> None:
        occurrence = f"#{body['occurrence']}" if body["occurrence"] else ""
        self._stages[f"{body['name']}{occurrence}"] = self._add(record, "stage")

    def _stage_completed(self, record: Record, body: Mapping[str, Any]) -> None:
        span = self._by_key[(body["name"], body["occurrence"])]
        span.end = record.at
        _ended(span, body)

    def _action_requested(self, record: Record, body: Mapping[str, Any]) -> None:
        request, decision = body["request"], body["decision"]
        kind = request["kind"]
        attrs: dict[str, Any] = {
            names.ACTION: kind, names.DECISION: decision["effect"], names.POLICIES: list(decision.get("policies", ())),
            names.ATTEMPTS: 1 if decision["effect"] == "allow" else 0,
        }  # fmt: skip
        if kind in OPERATIONS:
            attrs[names.OPERATION] = OPERATIONS[kind]
        if kind == "model.call":
            provider, _, model = str(request["resource"]["id"]).partition("/")
            attrs |= {names.PROVIDER: provider, names.REQUEST_MODEL: model}
        elif kind == "tool.call":
            attrs[names.TOOL_NAME] = request["resource"]["id"]
        elif kind == "shell.exec":
            attrs[names.COMMAND] = request["args"].get("shell") or " ".join(request["args"].get("argv", ()))
        if request.get("call_id"):
            attrs[names.TOOL_CALL_ID] = request["call_id"]
        self._add(record, "action", attrs)

    def _action_started(self, record: Record, body: Mapping[str, Any]) -> None:
        self._by_seq[body["action"]].attrs[names.ATTEMPTS] = body["attempt"]

    def _action_completed(self, record: Record, body: Mapping[str, Any]) -> None:
        span = self._by_seq[body["action"]]
        span.end = record.at
        _ended(span, body)
        if body.get("cost") is not None:
            span.attrs[names.COST] = body["cost"]
        if body.get("collected"):
            span.attrs[names.COLLECTED] = True
        result = body.get("result")
        if not isinstance(result, dict):
            return
        usage = result.get("usage")
        if span.attrs[names.ACTION] == "model.call" and isinstance(usage, dict):
            span.attrs |= {
                names.INPUT_TOKENS: usage.get("input", 0),
                names.OUTPUT_TOKENS: usage.get("output", 0),
                names.CACHED_TOKENS: usage.get("cached", 0),
            }
            span.attrs |= {names.RESPONSE_MODEL: result.get("model", ""), names.FINISH_REASONS: [result.get("finish", "")]}
        if span.attrs[names.ACTION] == "shell.exec":
            span.attrs |= {names.EXIT_CODE: result.get("exit_code"), names.COMMAND_STATE: result.get("state", "")}

    def _approval_requested(self, record: Record, body: Mapping[str, Any]) -> None:
        if body["action"] is None:
            span = self._add(record, "approval", {names.ACTION: "ask"})
        else:
            span = self._by_seq[record.seq - 1 if body["action"] == "previous" else body["action"]]
        span.attrs[names.APPROVAL] = body["approval"]
        self._by_approval[body["approval"]] = span

    def _approval_answered(self, record: Record, body: Mapping[str, Any]) -> None:
        span = self._by_approval.get(body["approval"])
        if span is None:
            return
        span.attrs[names.VERDICT] = f"{body.get('verdict')} by {body.get('by')}"
        if span.kind == "approval":
            span.end, span.attrs[names.STATE] = record.at, "done"

    def _timer_set(self, record: Record, body: Mapping[str, Any]) -> None:
        self._add(record, "timer")

    def _timer_fired(self, record: Record, body: Mapping[str, Any]) -> None:
        span = self._by_key[(body["name"], body["occurrence"])]
        span.end, span.attrs[names.STATE] = record.at, "done"

    def _child_submitted(self, record: Record, body: Mapping[str, Any]) -> None:
        child = self._rows.get(body["run"])
        if child is None:
            self._add(record, "child", {names.RUN: body["run"]})
            return
        parent, name = self._parent(str(body["name"]))
        span = _RunTrace(child, self._rows, self._records).span
        span.name = name
        parent.children.append(span)

    def _artifact(self, record: Record, body: Mapping[str, Any]) -> None:
        parent, _ = self._parent(str(body["name"]))
        parent.attrs[names.ARTIFACTS] = parent.attrs.get(names.ARTIFACTS, 0) + 1

    def _run_completed(self, record: Record, body: Mapping[str, Any]) -> None:
        _ended(self.span, body)


def _bare(parts: Sequence[str]) -> str:
    """A name without the scopes of a gather (`0.1`)."""
    return "/".join(p for p in parts if not p.replace(".", "").isdigit()) or "/".join(parts)


def _ended(span: Span, body: Mapping[str, Any]) -> None:
    span.attrs[names.STATE] = body["state"]
    error = body.get("error")
    if isinstance(error, dict):
        span.attrs |= {names.ERROR_TYPE: error.get("type", ""), names.ERROR_MESSAGE: error.get("message", "")}
