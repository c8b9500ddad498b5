"""Planted against found (A28): what counts as found, as missed, as false."""

from __future__ import annotations

from pathlib import Path

from quarterdeck.demo.catalogue import Seeded, SeededFault
from quarterdeck.demo.faults import RULES
from quarterdeck.demo.scenes.score import Found, reported, score

BUG = SeededFault("failing-test", "src/a.py", 5, RULES["failing-test"], "a bug")
CALL = SeededFault("unsafe-call", "src/b.py", 9, RULES["unsafe-call"], "eval")
SEEDED = Seeded(Path(), "b", "h", (BUG, CALL), ("tests.test_a::test_bug",))


def test_everything_found_is_one_and_one() -> None:
    judged = score(SEEDED, [Found("tests/newly-failing", "tests.test_a::test_bug", 0, ""), Found("bandit/B307", "src/b.py", 9, "")])
    assert (judged.seeded, judged.found, judged.false, judged.precision, judged.recall) == (2, 2, (), 1.0, 1.0)


def test_two_findings_about_one_fault_are_one_fault_found() -> None:
    judged = score(SEEDED, [Found("bandit/B307", "src/b.py", 9, ""), Found("unsafe/eval", "src/b.py", 9, "")])
    assert (judged.found, judged.true, judged.recall) == (1, 2, 0.5)


def test_what_points_at_nothing_is_false() -> None:
    stray = [Found("tests/newly-failing", "tests.test_a::test_other", 0, ""), Found("bandit/B307", "src/c.py", 9, "")]
    judged = score(SEEDED, stray)
    assert (judged.found, judged.false, judged.precision, judged.recall) == (0, tuple(stray), 0.0, 0.0)


def test_a_report_gives_findings_and_newly_failing_tests() -> None:
    finding = {"rule": "r", "path": "p", "line": 3, "message": "m", "severity": "low"}
    assert reported({"findings": [finding], "tests": {"newly_failing": [{"id": "t::x", "message": "E"}]}}) == [
        Found("r", "p", 3, "m"),
        Found("tests/newly-failing", "t::x", 0, "E"),
    ]
    assert reported({"findings": [], "tests": None}) == []
