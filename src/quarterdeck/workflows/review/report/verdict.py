"""The verdict: one word and one exit code, from findings, tests and what the run's log says about itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ..findings import at_least
from . import data
from .inputs import Inputs, Reported

State = Literal["pass", "findings", "tests", "could-not-run"]

_BROKEN = ("failed", "unknown", "denied", "cancelled")
"""Step states after which no result can be trusted to be complete."""


class Verdict(msgspec.Struct, frozen=True):
    """`exit_code`: 0 pass, 1 blocking findings or newly failing tests, 2 could not run. `artifact` shows why."""

    state: State
    exit_code: Literal[0, 1, 2]
    text: str
    artifact: str
    pointer: str = ""


def plural(n: int, one: str, many: str = "") -> str:
    """Return `n` with its noun: `1 finding`, `2 findings`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def blocks(entry: Reported, inputs: Inputs) -> bool:
    """True when this finding alone makes the review end with exit code 1."""
    return entry.dismissal is None and at_least(entry.finding.severity, inputs.run.settings.fail_on)


def decide(inputs: Inputs, findings: Sequence[Reported]) -> Verdict:
    """Return the verdict. What could not be checked never fails a review by itself, but it is said in the sentence."""
    stopped = _why_not(inputs)
    if stopped:
        return Verdict("could-not-run", 2, f"The review could not run: {stopped}", data.RUN, "/error")
    threshold = inputs.run.settings.fail_on
    blocking = [f for f in findings if blocks(f, inputs)]
    failing = inputs.tests.newly_failing if inputs.tests else ()
    found = f"{plural(len(blocking), 'finding')} at or above {threshold}"
    if failing:
        text = f"{plural(len(failing), 'newly failing test')}" + (f" and {found}." if blocking else ".")
        return Verdict("tests", 1, text, data.TESTS, "/newly_failing")
    if blocking:
        return Verdict("findings", 1, found + ".", blocking[0].artifact, f"/{blocking[0].index}" if len(blocking) == 1 else "")
    tests = "no newly failing test" if inputs.tests and inputs.tests.head else "tests were not run"
    rest = " Not everything could be checked." if _left_out(inputs) else ""
    return Verdict("pass", 0, f"No finding at or above {threshold}, {tests}.{rest}", data.FINDINGS)


def _left_out(inputs: Inputs) -> bool:
    told = (inputs.not_checked, inputs.tests and inputs.tests.not_checked, inputs.docs and inputs.docs.not_checked)
    return any(told) or bool(inputs.change and inputs.change.notes)


def _why_not(inputs: Inputs) -> str:
    if inputs.run.error:
        return inputs.run.error
    for step in inputs.run.steps:
        if step.state in _BROKEN:
            return f"step {step.name} ended as {step.state}."
    if inputs.change is None:
        return "the change could not be read."
    if inputs.findings is None:
        return "the analyzers left no result."
    return ""
