"""Planted against found: pure, so that the demo and its tests count alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quarterdeck.demo.catalogue import Seeded, SeededFault


@dataclass(frozen=True)
class Found:
    """One thing that a review reports: a finding, or a newly failing test."""

    rule: str
    path: str
    line: int
    message: str


@dataclass(frozen=True)
class Score:
    """`matches`: each planted fault with what points at it (nothing: it was missed). `false`: what points at no fault."""

    matches: tuple[tuple[SeededFault, tuple[Found, ...]], ...]
    false: tuple[Found, ...]

    @property
    def seeded(self) -> int:
        return len(self.matches)

    @property
    def found(self) -> int:
        return sum(bool(hits) for _, hits in self.matches)

    @property
    def true(self) -> int:
        """How many reported things point at a planted fault; two may point at the same."""
        return sum(len(hits) for _, hits in self.matches)

    @property
    def precision(self) -> float:
        return self.true / (self.true + len(self.false)) if self.true or self.false else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.seeded if self.seeded else 1.0


def reported(report: Mapping[str, Any]) -> list[Found]:
    """Everything that `report.json` holds against the change."""
    findings = [Found(f["rule"], f["path"], f["line"], f["message"]) for f in report["findings"]]
    tests = report["tests"]["newly_failing"] if report["tests"] else []
    return [*findings, *(Found("tests/newly-failing", t["id"], 0, t["message"]) for t in tests)]


def score(seeded: Seeded, found: list[Found]) -> Score:
    """Match what was reported with what was planted. A test that fails points at the planted bug if it is the bug's own test."""
    hits: dict[SeededFault, list[Found]] = {fault: [] for fault in seeded.faults}
    false = []
    for one in found:
        mine = [fault for fault in seeded.faults if _points(seeded, fault, one)]
        for fault in mine[:1]:
            hits[fault].append(one)
        if not mine:
            false.append(one)
    return Score(tuple((fault, tuple(hits[fault])) for fault in seeded.faults), tuple(false))


def _points(seeded: Seeded, fault: SeededFault, found: Found) -> bool:
    if fault.kind == "failing-test":
        return found.rule.startswith(fault.rules) and found.path in seeded.tests_failing
    return fault.found_by(found.rule, found.path, found.line)
