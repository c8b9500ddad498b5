"""Ticket intents (A11): what is worth a ticket, as data for the outbox. Nothing is sent from here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from .findings import at_least, ordered
from .model import Finding, Settings, TestReport
from .paths import shown

TITLE_CHARS = 120
MAX_TESTS = 20
"""Newly failing tests that get a ticket of their own; more become one ticket, since one cause is likely."""


def ticket_intents(findings: Sequence[Finding], tests: TestReport | None, settings: Settings) -> list[dict[str, Any]]:
    """Return one intent for each finding at or above `settings.ticket_on`, and for newly failing tests.

    Keys: `title`, `body` (Markdown), `labels`, `severity`, `dedupe_key`, `fingerprint` (the same), `evidence` (names of
    artifacts), `target`. The key depends on rule, path and evidence, so that the next review of the same fault, even
    after the line moved, does not open a second ticket. Dismissed findings must have been taken out before.
    """
    by_key: dict[str, list[Finding]] = {}
    for finding in ordered(f for f in findings if at_least(f.severity, settings.ticket_on)):
        by_key.setdefault(finding.fingerprint, []).append(finding)
    intents = [_of_finding(same) for same in by_key.values()]
    return intents + (list(_of_tests(tests)) if tests else [])


def _of_finding(same: list[Finding]) -> dict[str, Any]:
    first = same[0]
    place = f"{shown(first.path)}:{first.line}" if first.path else "the commits"
    lines = [
        f"**{first.severity}** `{first.rule}` at {', '.join(_code(f'{f.path}:{f.line}') if f.path else 'the commits' for f in same[:20])}"
    ]
    lines += ["", _text(first.message)]
    if first.evidence:
        lines += ["", *_fenced(first.evidence)]
    if first.help:
        lines += ["", f"What to do: {_text(first.help)}"]
    evidence = sorted({f.artifact for f in same})
    lines += ["", f"Evidence: {', '.join(_code(e) for e in evidence)}. Fingerprint: `{first.fingerprint}`."]
    return _intent(f"{first.message} ({place})", lines, [first.severity, first.tool], first.severity, first.fingerprint, evidence)


def _of_tests(tests: TestReport) -> Iterable[dict[str, Any]]:
    failing = tests.newly_failing
    messages = {case.id: case.message for case in tests.head}
    if len(failing) > MAX_TESTS:
        lines = [f"{len(failing)} tests of {_code(tests.runner)} passed on the base and fail on the head:", ""]
        lines += [f"- {_code(name)}" for name in failing[:MAX_TESTS]]
        lines += [f"- and {len(failing) - MAX_TESTS} more", "", "Evidence: `tests.json`."]
        yield _intent(f"{len(failing)} tests newly fail", lines, ["high", "tests"], "high", _key("tests", *sorted(failing)), ["tests.json"])
        return
    for name in failing:
        lines = [f"The test {_code(name)} passed on the base and fails on the head (runner {_code(tests.runner)})."]
        if messages.get(name):
            lines += ["", *_fenced(messages[name][:4000])]
        lines += ["", "Evidence: `tests.json`."]
        yield _intent(f"Test newly fails: {name}", lines, ["high", "tests"], "high", _key("test", name), ["tests.json"])


def _intent(title: str, lines: list[str], labels: list[str], severity: str, key: str, evidence: list[str]) -> dict[str, Any]:
    title = shown(title)
    return {
        "title": title if len(title) <= TITLE_CHARS else title[: TITLE_CHARS - 1] + "…",
        "body": "\n".join(lines) + "\n",
        "labels": ["quarterdeck", *labels],
        "severity": severity,
        "dedupe_key": key,
        "fingerprint": key,
        "evidence": evidence,
        "target": "file",
    }


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _text(text: str) -> str:
    """One line of prose from hostile text: it can neither mention people, nor link, nor bring markup or HTML."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]<>#|~!" else c for c in shown(text))
    return escaped.replace("@", "@\u200b").replace("://", ":\u200b//")


def _code(text: str) -> str:
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{shown(text)}{pad}{ticks}"


def _fenced(text: str) -> list[str]:
    """A code block whose fence is longer than any in the text."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return [fence, *("".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line) for line in text.split("\n")), fence]


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
