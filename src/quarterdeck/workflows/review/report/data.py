"""What a report is made of, as plain data: the run's facts, the recorded lists, and the port that derives results anew.

Every struct here is the JSON of one artifact. Unknown fields are ignored when read, so that a newer workflow's
artifacts stay readable; the bytes themselves are what digests and the run's log speak about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from quarterdeck.protocol.environment import Capabilities, Limits

from ..model import Finding, NotChecked, Settings, TestReport

OUTPUTS = ("report.json", "report.md", "report.html", "findings.sarif", "junit.xml", "docs.patch")
"""The files of a report, beside the folder `artifacts/`."""

RUN, CHANGE, FINDINGS, MODEL_FINDINGS = "run.json", "change.json", "findings.json", "model/findings.json"
CONVENTIONS, TESTS, SUMMARY, DOCS = "conventions.json", "tests.json", "summary.json", "docs.json"
DOCS_PATCH, TICKETS, DISMISSED, NOT_CHECKED = "docs.patch", "tickets.json", "dismissed.json", "not_checked.json"


class Step(msgspec.Struct, frozen=True):
    """A step of the workflow. `state` is its ledger state: done, failed, unknown, skipped, ..."""

    name: str
    seconds: float
    state: str


class Decisions(msgspec.Struct, frozen=True):
    """How often the gate answered what during the run, up to the recording of `run.json`."""

    allow: int = 0
    deny: int = 0
    ask: int = 0


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the run's log says about the run: the artifact `run.json`. Times are UTC microseconds, money micro-USD."""

    run: str
    workflow: str
    """Name and version of the workflow, e.g. `review 1`."""
    quarterdeck: str
    started_at: int
    ended_at: int
    principal: str
    policy_sha256: str
    decisions: Decisions = Decisions()
    cost_microusd: int = 0
    tokens: int = 0
    steps: tuple[Step, ...] = ()
    environment: Capabilities | None = None
    limits: Limits = Limits()
    models: tuple[str, ...] = ()
    settings: Settings = Settings()
    settings_notes: tuple[str, ...] = ()
    error: str = ""
    """Why the review could not run, one sentence; empty when it ran."""
    audit_head: str = ""
    """Hash of the run's newest audit leaf when `run.json` was recorded."""


class ModelFindings(msgspec.Struct, frozen=True):
    """What the model added: `model/findings.json`. `reasons` says why others were dropped, one sentence each."""

    findings: tuple[Finding, ...] = ()
    dropped: int = 0
    reasons: tuple[str, ...] = ()
    model: str = ""


class DocFact(msgspec.Struct, frozen=True):
    """One fact that the documentation patch writes down."""

    text: str
    path: str = ""
    line: int = 0


class Docs(msgspec.Struct, frozen=True):
    """What `docs.patch` holds and what it could not say: `docs.json`. A fact may be a plain sentence."""

    facts: tuple[DocFact | str, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()


class Ticket(msgspec.Struct, frozen=True):
    """A ticket intent handed to the outbox. `target` names the outbox' destination."""

    fingerprint: str
    title: str
    body: str = ""
    target: str = "file"
    state: str = "queued"


class Dismissal(msgspec.Struct, frozen=True):
    """A finding that somebody dismissed earlier. `when` is UTC microseconds."""

    fingerprint: str
    who: str
    when: int
    reason: str = ""


class Derived(msgspec.Struct, frozen=True):
    """Results computed again from raw artifacts. None: this workflow cannot derive it; the recorded list stands."""

    findings: tuple[Finding, ...]
    tests: TestReport | None = None
    not_checked: tuple[NotChecked, ...] = ()
    conventions: tuple[Finding, ...] | None = None
    model_findings: tuple[Finding, ...] | None = None


class Deriver(Protocol):
    """Runs the pure parsers again on `raw/*.json` and `tests/*.xml`. Must be deterministic and touch nothing else."""

    def __call__(self, artifacts: Mapping[str, bytes], /) -> Derived: ...
