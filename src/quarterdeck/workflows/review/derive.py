"""From raw artifacts to results: the one derivation, used to make a report and to check it afterwards (law 8, A13)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec

from quarterdeck.protocol.canonical import sha256

from . import conventions
from .analyzers import ANALYZERS, collect, validate
from .analyzers.redaction import without_secrets
from .host import Side
from .model import Change, Finding, NotChecked, RawRun, Settings, TestReport
from .report import Derived, RunFacts, encode
from .suites import Job, SideRuns, Wheelhouse, compare, problems

MODEL_RAW = "raw/model-review.json"
SUITES = "suites.json"


class Suites(msgspec.Struct, frozen=True):
    """What the tests' verdict needs beside their raw runs: the artifact `suites.json`."""

    base: Side
    head: Side
    base_house: Wheelhouse
    head_house: Wheelhouse
    python: str

    def job(self, side: str, settings: Settings, change: Change) -> Job:
        mine, house = (self.base, self.base_house) if side == "base" else (self.head, self.head_house)
        changed = tuple(f.path for f in change.files if f.status != "deleted")
        return Job(
            side="base" if side == "base" else "head", suite=mine.suite, requirements=mine.requirements, house=house, python=self.python,
            timeout_s=settings.test_timeout_s, changed=changed, versioned=mine.versioned,
        )  # fmt: skip


def digest_of(run: RawRun) -> str:
    """The SHA-256 of a run's artifact."""
    return sha256(encode(run))


def analysis(
    runs: Sequence[RawRun], planned: Sequence[NotChecked], change: Change, settings: Settings
) -> tuple[list[Finding], list[NotChecked]]:
    """What the analyzers found, and what they could not check."""
    found: list[Finding] = []
    missing = list(planned)
    for analyzer in ANALYZERS:
        mine = [r for r in sorted(runs, key=lambda r: r.name) if r.name == analyzer.name or r.name.startswith(f"{analyzer.name}-")]
        findings, lacking = analyzer.parse(mine, change, settings)
        found += findings
        missing += lacking
    return collect(found), missing


def style(habits: conventions.Facts, change: Change, runs: Sequence[RawRun], settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
    """What the repository's own conventions say; no finding quotes a secret."""
    findings, missing = conventions.judge(habits, change, sorted(runs, key=lambda r: r.name), settings)
    return [without_secrets(f) for f in findings], missing


def tests(suites: Suites, runs: Sequence[RawRun], change: Change, settings: Settings) -> TestReport:
    """Base against head."""
    sides = {}
    for side in ("base", "head"):
        job = suites.job(side, settings, change)
        mine = tuple(r for r in sorted(runs, key=lambda r: r.name) if r.name.startswith(f"tests-{side}-"))
        sides[side] = SideRuns(job.suite, mine, problems(job, mine))
    return compare(sides["base"], sides["head"], change)


def model_findings(raw: bytes, change: Change, diff: bytes) -> tuple[list[Finding], int, list[str]]:
    """What of a model's answer the diff bears out."""
    return validate(json.loads(raw), change, diff.decode("utf-8", "replace"), artifact=MODEL_RAW)


def derive(artifacts: Mapping[str, bytes]) -> Derived:
    """Compute every result again from the raw artifacts alone."""
    if "change.json" not in artifacts:
        return Derived(())
    change = msgspec.json.decode(artifacts["change.json"], type=Change)
    settings = msgspec.json.decode(artifacts["run.json"], type=RunFacts).settings
    raw = sorted(n for n in artifacts if n.startswith("raw/") and n != MODEL_RAW)
    runs = [msgspec.json.decode(artifacts[name], type=RawRun) for name in raw]
    findings, missing = analysis(runs, (), change, settings)
    kept = None
    if "habits.json" in artifacts:
        habits = msgspec.json.decode(artifacts["habits.json"], type=conventions.Facts)
        kept, lacking = style(habits, change, runs, settings)
        missing += lacking
    suites = msgspec.json.decode(artifacts[SUITES], type=Suites) if SUITES in artifacts and "tests.json" in artifacts else None
    checked = model_findings(artifacts[MODEL_RAW], change, artifacts["diff.patch"])[0] if MODEL_RAW in artifacts else None
    report = tests(suites, runs, change, settings) if suites else None
    return Derived(
        findings=tuple(findings), tests=report, not_checked=tuple(dict.fromkeys(missing)),
        conventions=None if kept is None else tuple(kept), model_findings=None if checked is None else tuple(checked),
    )  # fmt: skip
