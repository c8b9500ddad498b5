"""Totals of a trace: tokens, money, decisions, commands, and how long each stage took."""

from __future__ import annotations

from dataclasses import dataclass, field

from . import names
from .trace import Span


@dataclass
class Totals:
    """Sums over a run and its children. Money is micro-USD, durations are seconds."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int = 0
    model_calls: int = 0
    decisions: dict[str, int] = field(default_factory=lambda: {"allow": 0, "deny": 0, "ask": 0})
    actions: int = 0
    commands: int = 0
    failed_commands: int = 0
    collected: int = 0
    """Commands whose outcome was collected after a crash."""
    unknown: int = 0
    """Actions whose outcome nobody can know."""
    repeated: int = 0
    """Attempts after the first."""
    artifacts: int = 0
    stages: list[tuple[str, float, str]] = field(default_factory=list)
    """(name, seconds, state) of the run's own stages, in order; a running one has the seconds until its last record."""


def summarize(root: Span) -> Totals:
    """Add up a tree."""
    totals = Totals()
    for span in root.walk():
        totals.artifacts += span.attrs.get(names.ARTIFACTS, 0)
        if span.kind == "action":
            _action(totals, span)
    last = max((s.end or s.start for s in root.walk()), default=root.start)
    totals.stages = [(s.name, s.seconds(last), s.attrs.get(names.STATE, "running")) for s in root.children if s.kind == "stage"]
    return totals


def _action(totals: Totals, span: Span) -> None:
    attrs = span.attrs
    totals.actions += 1
    totals.decisions[attrs[names.DECISION]] = totals.decisions.get(attrs[names.DECISION], 0) + 1
    totals.cost_microusd += attrs.get(names.COST, 0)
    totals.repeated += max(0, attrs[names.ATTEMPTS] - 1)
    totals.unknown += attrs.get(names.STATE) == "unknown"
    if attrs[names.ACTION] == "model.call":
        totals.model_calls += attrs[names.ATTEMPTS] > 0
        totals.input_tokens += attrs.get(names.INPUT_TOKENS, 0)
        totals.cached_tokens += attrs.get(names.CACHED_TOKENS, 0)
        totals.output_tokens += attrs.get(names.OUTPUT_TOKENS, 0)
    elif attrs[names.ACTION] == "shell.exec" and attrs[names.ATTEMPTS] > 0:
        totals.commands += 1
        totals.collected += bool(attrs.get(names.COLLECTED))
        totals.failed_commands += attrs.get(names.EXIT_CODE) not in (0, None) or attrs.get(names.COMMAND_STATE) not in ("exited", None)
