"""All analyzers' findings as one list: the same problem once, in one stable order."""

from __future__ import annotations

from collections.abc import Iterable

from ..findings import ordered
from ..model import SEVERITIES, Finding
from .redaction import without_secrets

MEANING = {
    "bandit/B307": "eval",
    "bandit/B102": "exec",
    "bandit/B301": "pickle",
    "bandit/B302": "pickle",
    "bandit/B306": "mktemp",
    "bandit/B323": "tls-verify",
    "bandit/B501": "tls-verify",
    "bandit/B506": "yaml-load",
    "bandit/B602": "shell",
    "bandit/B604": "shell",
    "bandit/B605": "shell",
    "bandit/B110": "silent-except",
    "ruff/E722": "bare-except",
    "ruff/S307": "eval",
    "ruff/S102": "exec",
    "ruff/S301": "pickle",
    "ruff/S306": "mktemp",
    "ruff/S501": "tls-verify",
    "ruff/S506": "yaml-load",
    "ruff/S602": "shell",
    "ruff/S605": "shell",
}
"""Rules of different tools that say the same. Every other rule means its own last word (`unsafe/eval` and `x/eval` are the same)."""


def meaning(finding: Finding) -> str:
    return MEANING.get(finding.rule) or finding.rule.rpartition("/")[2]


def dedupe(findings: Iterable[Finding]) -> list[Finding]:
    """Keep one finding for each path, line and meaning: the most severe, of the first tool by name among equals."""
    kept: dict[tuple[str, int, str], Finding] = {}
    for finding in sorted(findings, key=lambda f: (-SEVERITIES.index(f.severity), f.tool, f.rule, f.fingerprint)):
        # Rules about a whole file (line 1, or none) may say several things with one rule: their evidence tells them apart.
        place = (finding.path, finding.line, meaning(finding) + ("" if _code(finding) else "\0" + finding.evidence))
        kept.setdefault(place, finding)
    return list(kept.values())


def _code(finding: Finding) -> bool:
    return (
        finding.rule.startswith(("bandit/", "unsafe/", "ruff/", "review/", "deploy/download", "risky/download")) or "/" not in finding.rule
    )


def collect(findings: Iterable[Finding]) -> list[Finding]:
    """Return what a report shows: deduplicated, without secrets, worst first, then by path, line and rule."""
    return ordered(map(without_secrets, dedupe(findings)))
