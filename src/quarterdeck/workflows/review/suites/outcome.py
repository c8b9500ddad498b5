"""What one run of a suite says: its tests, and whether the run is complete."""

from __future__ import annotations

import re

import msgspec

from ..model import RawRun, TestCase
from .discover import Suite
from .junit import JUnitError, parse

INCOMPLETE_ID = "suite::did-not-complete"
"""The id that stands for a suite which did not come to its end."""
COMMAND_ID = "suite::command"
"""The id that stands for a whole command (make test, npm test, ...)."""
_STATES = {
    "timeout": "it took longer than it may",
    "oom": "it used up its memory",
    "signaled": "a signal ended it",
    "killed": "it was stopped",
    "lost": "its outcome was lost",
}
_RUNNING = re.compile(r"^(\S+\.\w+::\S.*?)\s*$")


class Outcome(msgspec.Struct, frozen=True):
    """The tests of a run. `incomplete` is empty, or says why there may be more tests than these."""

    cases: tuple[TestCase, ...] = ()
    incomplete: str = ""


def _hint(run: RawRun) -> str:
    """The last thing the run said that tells where it stopped."""
    said = [line.strip() for line in run.stdout[-20_000:].splitlines() if line.strip()]
    for line in reversed(said[-3:]):
        if _RUNNING.match(line) and not re.search(r" (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b", line):
            return f" while {line[:200]} was running"
    errors = [x.strip() for x in (run.stderr[-20_000:] or run.stdout[-20_000:]).splitlines() if x.strip()]
    return f" (it said last: {errors[-1][:200]})" if errors else ""


def cases_of(run: RawRun, suite: Suite) -> Outcome:
    """Read one run. Never raises: XML that is missing, cut off or hostile makes the run incomplete, with its reason."""
    cases: list[TestCase] = []
    fault = "" if run.output.strip() else "it wrote no results"
    if not fault:
        try:
            cases = parse(run.output.encode("utf-8", "replace"))
        except JUnitError as error:
            cases, fault = error.cases, str(error)
    if suite.runner not in ("pytest", "unittest"):
        return _command(run, cases)
    if run.state != "exited":
        return Outcome(tuple(cases), f"The tests did not complete: {_STATES.get(run.state, run.state)}{_hint(run)}.")
    if fault:
        return Outcome(tuple(cases), f"The tests did not complete: {fault}, exit {run.exit_code}{_hint(run)}.")
    if run.exit_code not in _complete(suite):
        return Outcome(tuple(cases), f"The tests did not complete: {suite.runner} ended with exit {run.exit_code}{_hint(run)}.")
    collected = _collected(run) if suite.runner == "pytest" else 0
    told = sum("::" in c.id for c in cases)
    if told < collected:
        return Outcome(tuple(cases), f"The tests did not complete: {collected} were collected and {told} told their outcome{_hint(run)}.")
    return Outcome(tuple(cases))


def _collected(run: RawRun) -> int:
    """How many tests pytest said it would run; 0 when it did not say. `pytest.exit` in a test ends a run with status 0."""
    said = re.search(r"\bcollected (\d+) items?\b([^\n]*)", run.stdout)
    if said is None:
        return 0
    selected = re.search(r"/ (\d+) selected", said.group(2))
    return int((selected or said).group(1))


def _complete(suite: Suite) -> tuple[int, ...]:
    """The exit codes of a run that came to its end. pytest: 5 is "no tests collected", 2 to 4 are interruptions."""
    return (0, 1, 5) if suite.runner == "pytest" else (0, 1)


def _command(run: RawRun, cases: list[TestCase]) -> Outcome:
    """A command counts as one test more, since its exit code covers what wrote no XML."""
    if run.state != "exited":
        return Outcome(tuple(cases), f"The test command did not complete: {_STATES.get(run.state, run.state)}.")
    said = (run.stderr or run.stdout).strip().splitlines()
    message = "" if run.exit_code == 0 else f"exit {run.exit_code}" + (f": {said[-1][:500]}" if said else "")
    whole = TestCase(COMMAND_ID, "passed" if run.exit_code == 0 else "failed", 0.0, message)
    return Outcome((*cases, whole))
