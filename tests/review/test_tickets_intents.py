"""Findings above a level become ticket intents (A11)."""

from __future__ import annotations

from quarterdeck.workflows.review.findings import at_least, fingerprint, make
from quarterdeck.workflows.review.model import Finding, Settings, Severity, TestCase, TestReport
from quarterdeck.workflows.review.tickets import ticket_intents


def finding(
    severity: Severity = "high", line: int = 3, message: str = "Key leaked", evidence: str = "KEY = 'x'", path: str = "a.py"
) -> Finding:
    return make("secrets", "secrets/key", severity, path, line, message, evidence=evidence, artifact="raw/secrets.json", help="Revoke it.")


def test_a11_the_level_decides() -> None:
    findings = [finding("low", evidence="1"), finding("medium", evidence="2"), finding("high", evidence="3")]
    assert len(ticket_intents(findings, None, Settings())) == 1
    assert [t["severity"] for t in ticket_intents(findings, None, Settings(ticket_on="medium"))] == ["high", "medium"]
    assert at_least("high", "low") and not at_least("low", "medium")


def test_a11_a_ticket_says_where_what_and_by_which_evidence() -> None:
    (ticket,) = ticket_intents([finding()], None, Settings())
    assert ticket["title"] == "Key leaked (a.py:3)" and ticket["labels"] == ["quarterdeck", "high", "secrets"]
    for part in ("`secrets/key`", "`a.py:3`", "KEY = 'x'", "Revoke it.", "`raw/secrets.json`", ticket["dedupe_key"]):
        assert part in ticket["body"]
    assert ticket["evidence"] == ["raw/secrets.json"]


def test_a11_the_key_survives_line_moves_and_separates_faults() -> None:
    keys = [
        ticket_intents([finding(line=n, evidence=e)], None, Settings())[0]["dedupe_key"] for n, e in ((3, "a  b"), (90, " a b"), (3, "c"))
    ]
    assert keys[0] == keys[1] != keys[2]
    (both,) = ticket_intents([finding(line=3), finding(line=9)], None, Settings())
    assert "`a.py:3`, `a.py:9`" in both["body"]
    assert fingerprint("t", "r", "p", "e") != fingerprint("t", "r", "pe", "")


def test_a11_newly_failing_tests_get_tickets_and_a_flood_gets_one() -> None:
    report = TestReport("pytest", (), (TestCase("t::a", "failed", message="assert 1 == 2"),), newly_failing=("t::a",))
    (ticket,) = ticket_intents([], report, Settings())
    assert ticket["title"] == "Test newly fails: t::a" and "assert 1 == 2" in ticket["body"]
    flood = TestReport("pytest", newly_failing=tuple(f"t::{i}" for i in range(50)))
    (ticket,) = ticket_intents([], flood, Settings())
    assert ticket["title"] == "50 tests newly fail" and "and 30 more" in ticket["body"]
    assert ticket_intents([], TestReport("pytest"), Settings()) == []


def test_a30_hostile_text_brings_no_markup_mentions_or_links() -> None:
    evil = "@everyone <img src=x> [click](https://evil.invalid) `code`\n# Big"
    (ticket,) = ticket_intents([finding(message=evil, evidence="```\n# out\n````", path="a`b\n.py")], None, Settings())
    head = ticket["body"].split("`````")[0]
    assert "@everyone" not in head and "<img" not in head.replace("\\<img", "") and "](https://" not in head and "\n# Big" not in head
    assert ticket["body"].count("`````") == 2 and "\n" not in ticket["title"] and len(ticket["title"]) <= 120
