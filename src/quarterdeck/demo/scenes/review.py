"""The main act: a pull request of the seed is built and reviewed, stage by stage before your eyes, and judged by what was planted."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from quarterdeck.app import Runtime
from quarterdeck.demo.catalogue import Seeded, build
from quarterdeck.protocol.records import Record, Run
from quarterdeck.workflows.review import prepare, review, verify_report
from quarterdeck.workflows.review.evidence import Evidence
from quarterdeck.workflows.review.host import Ready

from .score import Found, Score, reported, score
from .show import SceneFailed, Show

WIDTH = 14
PLACE = 36


@dataclass(frozen=True)
class Reviewed:
    """What the main act leaves. `seconds` by stage."""

    run: str
    report: Path
    score: Score
    seconds: dict[str, float]
    findings: tuple[str, ...]
    """Fingerprints, most severe first."""


class Progress:
    """One line per stage, when it has ended; on a terminal, the running command until then."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._began: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    def observe(self, run: Run, record: Record) -> None:
        body = record.body
        name = str(body.get("name", ""))
        if record.kind == "action.requested":
            self._show.doing(f"{name.replace('/', ': ', 1)} …")
        if run.parent is not None or "/" in name:
            return
        if record.kind == "stage.started":
            self._began[name] = record.at
        elif record.kind == "stage.completed":
            self.seconds[name] = (record.at - self._began[name]) / 1e6
            told = (
                _told(name, body["result"]) if body["state"] == "done" else f"{body['state']}: {(body['error'] or {}).get('message', '')}"
            )
            self._show.say(f"  {name:<{WIDTH}}{self.seconds[name]:5.1f} s  {told}")


def _told(stage: str, result: Any) -> str:
    """What a stage established, in a few words."""
    if stage == "intake":
        change = msgspec.convert(result, Ready).source.change
        return f"{len(change.commits)} commits, {len(change.files)} files, +{change.added} -{change.deleted}, risk {change.risk}"
    if stage == "report":
        return str(result["headline"])
    evidence = msgspec.convert(result, Evidence)
    if stage == "tests":
        tests = evidence.tests
        if tests is None or not tests.head:
            return "no test ran"
        return f"{len(tests.base)} tests in the base, {len(tests.head)} in the head, newly failing {len(tests.newly_failing)}"
    if stage in ("review", "conventions"):
        model = f", and {len(evidence.from_model)} by the model" if evidence.from_model else ""
        return f"{len(evidence.findings)} finding{'' if len(evidence.findings) == 1 else 's'}{model}"
    return ", ".join(evidence.files)


async def play(show: Show) -> Reviewed:
    """Build, review, judge. SceneFailed if the review does not end or its report does not hold."""
    began = time.monotonic()
    seeded = build(show.folder / "pull-request", show.seed)
    show.say(f"  {'build':<{WIDTH}}{time.monotonic() - began:5.1f} s  a repository with a pull request, in {show.folder}")
    progress = Progress(show)
    async with Runtime(config=show.config(), observe=progress.observe) as runtime:
        value = prepare(seeded.repo, base="main", head="feature", home=show.home, model=show.model)
        run, _ = await runtime.start(review, value, model=show.model, labels=("untrusted:pr",))
        row = await runtime.drive(run)
        if row.state != "completed":
            raise SceneFailed(f"The review ended as {row.state} ({row.waiting or 'no reason'}).", hint=show.command("show", run))
        report = Path((await runtime.result(run))["report"])
        verified = await verify_report(runtime.store, report)
    show.run = run
    if not verified.ok:
        raise SceneFailed(f"The report does not hold: {verified.problems[0]}", hint=show.command("report", "verify", str(report)))
    document = json.loads((report / "report.json").read_text("utf-8"))
    judged = score(seeded, reported(document))
    for line in _judged(seeded, judged):
        show.say(line)
    unchecked = dict.fromkeys(one["what"] for one in document["not_checked"])
    if unchecked:
        show.say(f"  not checked, for the reasons in the report: {', '.join(unchecked)}")
    show.say(f"  report: {report / 'report.html'}, verified: {verified.checked} checks, all hold")
    return Reviewed(run, report, judged, progress.seconds, tuple(f["fingerprint"] for f in document["findings"]))


def _judged(seeded: Seeded, judged: Score) -> list[str]:
    """A line per planted fault, then what was reported beside them."""
    lines = [f"  {'planted':<{WIDTH}}{'where':<{PLACE}}reported as"]
    for fault, hits in judged.matches:
        where = f"{fault.path}:{fault.line}" if fault.line else fault.path
        lines.append(f"  {fault.kind:<{WIDTH}}{where:<{PLACE}}{_names(hits) or 'MISSED'}")
    lines += [f"  {'false':<{WIDTH}}{f'{one.path}:{one.line}':<{PLACE}}{one.rule} {one.message[:60]}" for one in judged.false]
    return lines


def _names(hits: tuple[Found, ...]) -> str:
    return ", ".join(dict.fromkeys(hit.path if hit.rule.startswith("tests/") else hit.rule for hit in hits))
