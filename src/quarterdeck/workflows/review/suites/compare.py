"""Base against head: a pure function of the kept runs, so that `report verify` can compute it again (A6, A13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ..model import Change, NotChecked, RawRun, TestCase, TestReport
from .coverage import ChangedCoverage, measure
from .discover import Suite
from .outcome import INCOMPLETE_ID, Outcome, cases_of

_BAD = ("failed", "error")
_FIXTURES = ("setUpClass", "setUpModule", "tearDownClass", "tearDownModule")


class SideRuns(msgspec.Struct, frozen=True):
    """Everything one side left behind. `not_checked` is what `plans.problems` answered."""

    suite: Suite
    runs: tuple[RawRun, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()


class _Side(NamedTuple):
    """One side, read. `fails` are its failures that a re-run did not disprove; `flaky` those that it did."""

    present: bool
    cases: tuple[TestCase, ...]
    incomplete: str
    passes: frozenset[str]
    fails: frozenset[str]
    flaky: frozenset[str]
    broken: tuple[str, ...]
    """Modules and classes whose tests are not there because they could not be imported or set up."""


def _named(runs: Sequence[RawRun], side: str, *steps: str) -> RawRun | None:
    """The last of `steps` that ran."""
    names = {r.name: r for r in runs}
    return next((names[n] for s in reversed(steps) if (n := f"tests-{side}-{s}") in names), None)


def read_side(side: str, given: SideRuns) -> _Side:
    run = _named(given.runs, side, "run", "run-again", "run-bare")
    if run is None:
        return _Side(False, (), "", frozenset(), frozenset(), frozenset(), ())
    outcome = cases_of(run, given.suite)
    bad = {c.id for c in outcome.cases if c.outcome in _BAD}
    again = _named(given.runs, side, "rerun")
    flaky = bad & _healed(again, given.suite) if again else set()
    passes = {c.id for c in outcome.cases if c.outcome == "passed"}
    broken = tuple(_scope(c) for c in outcome.cases if c.id in bad and _scope(c))
    return _Side(True, outcome.cases, outcome.incomplete, frozenset(passes), frozenset(bad - flaky), frozenset(flaky), broken)


def _healed(run: RawRun, suite: Suite) -> frozenset[str]:
    """Tests that passed on the re-run. One that was not seen again, or in a re-run that broke off, has not healed."""
    outcome: Outcome = cases_of(run, suite)
    return frozenset() if outcome.incomplete else frozenset(c.id for c in outcome.cases if c.outcome == "passed")


def _scope(case: TestCase) -> str:
    """The dotted module or class that a failure takes down as a whole, or an empty string."""
    classname, separator, name = case.id.rpartition("::")
    if not separator:
        return case.id
    return classname if name in _FIXTURES else ""


def _hidden(test_id: str, broken: Sequence[str]) -> bool:
    classname = test_id.partition("::")[0]
    return any(classname == b or classname.startswith(f"{b}.") for b in broken)


def compare(base: SideRuns, head: SideRuns, change: Change) -> TestReport:
    """The report of both sides.

    Newly failing: fails in the head, again on the re-run, and did not fail on the base; new tests that fail count too.
    A head that does not complete where the base does is newly failing as `suite::did-not-complete`. Flaky: failed once and
    passed on the re-run of the same side. Removed: on the base, and nowhere in a head that completed.
    """
    b, h = read_side("base", base), read_side("head", head)
    base_ids, head_ids = [c.id for c in b.cases], [c.id for c in h.cases]
    in_base, in_head = set(base_ids), set(head_ids)
    failed_before = b.fails | b.flaky
    newly_failing = [i for i in head_ids if i in h.fails and i not in failed_before and not _hidden_before(i, b)]
    still = [i for i in head_ids if i in h.fails and i not in newly_failing]
    newly_passing = [i for i in head_ids if i in h.passes and i in b.fails]
    removed: list[str] = []
    if b.present and h.present and not h.incomplete:
        removed = [i for i in base_ids if i not in in_head and not _hidden(i, h.broken)]
    notes = [*base.not_checked, *head.not_checked, *_words(b, h, in_base)]
    if b.present and not b.incomplete and (h.incomplete or not h.present):
        newly_failing.append(INCOMPLETE_ID)
    elif h.incomplete and b.present and b.incomplete:
        still.append(INCOMPLETE_ID)
    covered, more = _covered(head, change, h.present)
    return TestReport(
        runner=head.suite.runner if h.present or not b.present else base.suite.runner,
        base=b.cases,
        head=h.cases,
        newly_failing=tuple(newly_failing),
        newly_passing=tuple(newly_passing),
        still_failing=tuple(still),
        flaky=tuple(dict.fromkeys((*(i for i in base_ids if i in b.flaky), *(i for i in head_ids if i in h.flaky)))),
        removed=tuple(removed),
        changed_lines=covered.changed,
        covered_lines=covered.covered,
        uncovered=covered.uncovered,
        not_checked=tuple(dict.fromkeys((*notes, *more))),
    )


def _hidden_before(test_id: str, base: _Side) -> bool:
    """A test that the base could not even import is not newly failing: its file failed before."""
    return _hidden(test_id, base.broken)


def _words(b: _Side, h: _Side, in_base: set[str]) -> list[NotChecked]:
    found = []
    for name, side in (("base", b), ("head", h)):
        if side.incomplete:
            found.append(NotChecked(f"tests of the {name}", side.incomplete))
        elif side.present and not side.cases:
            found.append(NotChecked(f"tests of the {name}", "The suite ran and collected no tests."))
    if h.fails and (b.incomplete or not b.present):
        count = sum(i not in in_base for i in h.fails)
        if count:
            reason = f"{count} failing tests of the head have no complete run of the base beside them; they count as newly failing."
            found.append(NotChecked("whether failures are new", reason))
    if b.present and h.incomplete:
        found.append(NotChecked("removed tests", "The head's run is incomplete, so absent tests are not called removed."))
    return found


def _covered(head: SideRuns, change: Change, ran: bool) -> tuple[ChangedCoverage, list[NotChecked]]:
    run = _named(head.runs, "head", "coverage")
    if run is None:
        return ChangedCoverage(), []
    if not run.ok or not run.output.strip():
        said = (run.stdout + run.stderr).strip().splitlines()
        reason = f"coverage wrote no data ({said[-1][:200] if said else run.state})."
        return ChangedCoverage(), [NotChecked("coverage of the changed lines", reason)]
    try:
        found = measure(run.output, change)
    except ValueError as error:
        return ChangedCoverage(), [NotChecked("coverage of the changed lines", f"coverage's JSON cannot be read: {error}.")]
    if not found.unknown:
        return found, []
    names = ", ".join(found.unknown[:5]) + (", ..." if len(found.unknown) > 5 else "")
    return found, [NotChecked("coverage of some files", f"No test imported {names}, and coverage does not know them.")]
