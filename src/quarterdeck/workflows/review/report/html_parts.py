"""Cards of the page: one finding, one test."""

from __future__ import annotations

from .claims import Json
from .html_text import artifact_link, esc, evidence, rich, tag
from .text import quoted
from .view import View
from .words import place

EVIDENCE_CHARS, MESSAGE_CHARS = 1200, 2500

_PILL = {"aside": "dismissed", "newly_failing": "newly failing", "flaky": "flaky"}


def finding_card(view: View, finding: Json, kind: str) -> str:
    """One finding: where, what, the code, and the links to the list and to the tool's raw output."""
    claim = view.claim(finding["claim"])
    spot = place(finding["path"], finding["line"], finding["end_line"])
    head = _pill(kind) + tag("span", esc(spot), "place mono") + tag("span", esc(f"{finding['tool']} {finding['rule']}"), "rule")
    links = artifact_link(finding["artifact"]) + (evidence(claim) if claim["artifact"] != finding["artifact"] else "")
    body = tag("p", rich(finding["message"]))
    if finding["evidence"]:
        body += tag("pre", esc(quoted(finding["evidence"], EVIDENCE_CHARS)))
    if finding["help"]:
        body += tag("p", rich(finding["help"]), "help")
    return f'<article class="finding {kind}" data-claim="{esc(claim["id"])}"><div class="where">{head}{links}</div>{body}</article>'


def test_card(view: View, test: Json, kind: str) -> str:
    """One test that speaks: its name and what it said."""
    claim = view.claim(test["claim"])
    head = _pill(kind) + tag("span", esc(test["id"]), "place mono") + evidence(claim)
    body = tag("pre", esc(quoted(test["message"], MESSAGE_CHARS))) if test["message"] else ""
    return f'<article class="finding {kind}" data-claim="{esc(claim["id"])}"><div class="where">{head}</div>{body}</article>'


def _pill(kind: str) -> str:
    return f'<span class="pill {kind}">{_PILL.get(kind, kind)}</span>'
