"""Reading artifacts: bytes become typed data, or an error that names the artifact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from quarterdeck.protocol.errors import BadInput

from ..findings import ordered
from ..model import Change, Finding, NotChecked, Summary, TestReport
from . import data
from .data import Derived, Dismissal, Docs, ModelFindings, RunFacts, Ticket

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+=-]*(/[A-Za-z0-9_][A-Za-z0-9._@+=-]*)*")
_NAME_BYTES = 200


def safe_name(name: str) -> bool:
    """True for a name that is the same path on every system: no `..`, no hidden part, no sign that needs quoting."""
    return len(name) <= _NAME_BYTES and bool(_NAME.fullmatch(name))


def decode(name: str, raw: bytes, kind: type[T]) -> T:
    """Decode one JSON artifact. Raises BadInput (param = the artifact's name) when it is not what its name says."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadInput(f"artifact {name} cannot be read: {error}", param=name, hint="run the review again") from None


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """All artifacts that a report speaks of, decoded. Optional ones are None or empty when they are absent."""

    run: RunFacts
    change: Change | None
    findings: tuple[Finding, ...] | None
    model: ModelFindings | None
    conventions: tuple[Finding, ...]
    tests: TestReport | None
    summary: Summary | None
    docs: Docs | None
    patch: bytes
    tickets: tuple[Ticket, ...]
    dismissed: tuple[Dismissal, ...]
    not_checked: tuple[NotChecked, ...]


def read(artifacts: Mapping[str, bytes]) -> Inputs:
    """Decode the artifacts. Raises BadInput for an unusable name, an unreadable artifact or a missing `run.json`."""
    for name in artifacts:
        if not safe_name(name):
            raise BadInput(f"artifact name {name!r} is not a plain relative path", param=name, hint="use letters, digits, . _ - and /")
    if data.RUN not in artifacts:
        raise BadInput("artifact run.json is missing: nothing says which run this is", param=data.RUN)

    def get(name: str, kind: type[T]) -> T | None:
        return decode(name, artifacts[name], kind) if name in artifacts else None

    return Inputs(
        run=decode(data.RUN, artifacts[data.RUN], RunFacts),
        change=get(data.CHANGE, Change),
        findings=get(data.FINDINGS, tuple[Finding, ...]),
        model=get(data.MODEL_FINDINGS, ModelFindings),
        conventions=get(data.CONVENTIONS, tuple[Finding, ...]) or (),
        tests=get(data.TESTS, TestReport),
        summary=get(data.SUMMARY, Summary),
        docs=get(data.DOCS, Docs),
        patch=artifacts.get(data.DOCS_PATCH, b""),
        tickets=get(data.TICKETS, tuple[Ticket, ...]) or (),
        dismissed=get(data.DISMISSED, tuple[Dismissal, ...]) or (),
        not_checked=get(data.NOT_CHECKED, tuple[NotChecked, ...]) or (),
    )


def contradictions(inputs: Inputs, derived: Derived, artifacts: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Compare what is recorded with what the raw artifacts give: `(artifact, sentence)` for each difference."""
    found: list[tuple[str, str]] = []

    def same(name: str, recorded: tuple[Finding, ...], again: tuple[Finding, ...] | None) -> None:
        if again is not None and recorded != again:
            at = next((i for i, (a, b) in enumerate(zip(recorded, again, strict=False)) if a != b), min(len(recorded), len(again)))
            found.append(
                (name, f"does not follow from the raw artifacts: {len(recorded)} recorded, {len(again)} derived, entry {at} differs")
            )

    if inputs.findings is not None:
        same(data.FINDINGS, inputs.findings, derived.findings)
    elif derived.findings:
        found.append((data.FINDINGS, "is missing although the raw artifacts hold findings"))
    same(data.CONVENTIONS, inputs.conventions, derived.conventions)
    same(data.MODEL_FINDINGS, inputs.model.findings if inputs.model else (), derived.model_findings)
    if inputs.tests != derived.tests:
        found.append((data.TESTS, "does not follow from the test results in tests/"))
    told = {*inputs.not_checked, *(inputs.tests.not_checked if inputs.tests else ())}
    found += [(data.NOT_CHECKED, f"leaves out: {n.what}: {n.why}") for n in derived.not_checked if n not in told]
    lists = {data.FINDINGS: inputs.findings or (), data.CONVENTIONS: inputs.conventions}
    if inputs.model:
        lists[data.MODEL_FINDINGS] = inputs.model.findings
        found += _outside_the_change(inputs.change, inputs.model.findings)
    for name, findings in lists.items():
        lost = sorted({f.artifact for f in findings} - artifacts.keys())
        found += [(artifact or name, f"is named as evidence in {name} but is not there") for artifact in lost]
    return found


def _outside_the_change(change: Change | None, findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    """A model's finding must speak of a file that the change touches (A5); the line is the workflow's to judge."""
    paths = {p for f in change.files for p in (f.path, f.old_path) if p} if change else set()
    return [(data.MODEL_FINDINGS, f"speaks of {f.path!r}, which the change does not touch") for f in findings if f.path not in paths]


class Reported(msgspec.Struct, frozen=True):
    """A finding with where it came from: the recorded list, its place there, and whether somebody dismissed it."""

    finding: Finding
    source: str
    artifact: str
    index: int
    dismissal: Dismissal | None


def reported(inputs: Inputs) -> list[Reported]:
    """All findings of the review, worst first; what an earlier source already reports at the same place is shown once."""
    dismissed = {d.fingerprint: d for d in inputs.dismissed}
    sources = [
        ("analyzer", data.FINDINGS, inputs.findings or ()),
        ("model", data.MODEL_FINDINGS, inputs.model.findings if inputs.model else ()),
        ("convention", data.CONVENTIONS, inputs.conventions),
    ]
    seen: set[tuple[str, str, int]] = set()
    entries: dict[int, Reported] = {}
    for source, artifact, findings in sources:
        new = [(i, f) for i, f in enumerate(findings) if (f.fingerprint, f.path, f.line) not in seen]
        seen |= {(f.fingerprint, f.path, f.line) for _, f in new}
        for index, finding in new:
            entries[id(finding)] = Reported(finding, source, artifact, index, dismissed.get(finding.fingerprint))
    return [entries[id(f)] for f in ordered(e.finding for e in entries.values())]
