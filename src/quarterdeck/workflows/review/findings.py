"""Making findings: one way to build them, and one identity that survives line moves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from .model import SEVERITIES, Finding, Severity

EVIDENCE_CHARS = 400
"""Evidence is a quotation, not a copy: longer text is cut, the artifact holds the whole."""


def fingerprint(tool: str, rule: str, path: str, evidence: str) -> str:
    """Return 16 hex digits that name a finding independently of its line number.

    White space in the evidence is folded, so that re-indenting code does not bring a dismissed finding back.
    """
    parts = (tool, rule, path, " ".join(evidence.split()))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def make(
    tool: str,
    rule: str,
    severity: Severity,
    path: str,
    line: int,
    message: str,
    *,
    evidence: str,
    artifact: str,
    end_line: int = 0,
    help: str = "",
) -> Finding:
    """Build a finding. The fingerprint is taken from the whole evidence, before it is cut to `EVIDENCE_CHARS`."""
    shown = evidence if len(evidence) <= EVIDENCE_CHARS else evidence[: EVIDENCE_CHARS - 1] + "…"
    return Finding(
        tool=tool,
        rule=rule,
        severity=severity,
        path=path,
        line=line,
        message=message,
        evidence=shown,
        artifact=artifact,
        fingerprint=fingerprint(tool, rule, path, evidence),
        end_line=end_line,
        help=help,
    )


def at_least(severity: Severity, threshold: Severity) -> bool:
    """True when `severity` is `threshold` or worse."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(threshold)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first, then by path, line and rule: the order in which every report shows them."""
    return sorted(findings, key=lambda f: (-SEVERITIES.index(f.severity), f.path, f.line, f.tool, f.rule, f.fingerprint))
