"""`report.json`: the one description of a review that every other output file is drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from quarterdeck.protocol.canonical import sha256

from . import data, sections
from .claims import Claims, Json
from .data import RunFacts
from .inputs import Inputs, Reported, reported
from .verdict import Verdict, blocks, decide, plural
from .words import duration, moment, money, short, size

SCHEMA = "urn:quarterdeck:review-report:1"
"""Identity of the published schema, `schema.json` beside this file."""


def document(artifacts: Mapping[str, bytes], inputs: Inputs) -> Json:
    """Return the report as JSON data. Pure; equal artifacts give equal data. Raises BadInput when a claim has no artifact."""
    claims, entries = Claims(artifacts), reported(inputs)
    verdict = decide(inputs, entries)
    head = claims.add("verdict", verdict.text, verdict.artifact, verdict.pointer)
    _why(claims, inputs, entries, verdict)
    parts: Json = {
        "change": sections.change(claims, inputs.change),
        "findings": sections.findings(claims, inputs, entries),
        "tests": sections.tests(claims, inputs),
        "coverage": sections.coverage(claims, inputs.tests),
        "summary": sections.summary(claims, inputs.summary),
        "docs": sections.docs(claims, inputs.docs, inputs.patch),
        "tickets": sections.tickets(claims, inputs),
        "not_checked": sections.not_checked(claims, inputs),
        "dismissed": sections.dismissed(claims, inputs),
        "probes": sections.probes(claims, artifacts),
        "run": _run(claims, inputs.run),
    }
    return {
        "schema": SCHEMA,
        "schema_version": 1,
        "verdict": {"state": verdict.state, "exit_code": verdict.exit_code, "fail_on": inputs.run.settings.fail_on, "claim": head},
        "counts": _counts(inputs, entries, parts),
        "claims": claims.all(),
        **parts,
        "artifacts": [{"name": n, "sha256": sha256(artifacts[n]), "bytes": len(artifacts[n])} for n in sorted(artifacts)],
    }


_SOURCES = {"analyzer": "The analyzers report", "model": "The model reports", "convention": "The conventions give"}


def _why(claims: Claims, inputs: Inputs, entries: Sequence[Reported], verdict: Verdict) -> None:
    """The reasons behind the verdict, each with its own artifact: its number may add up several sources."""
    if verdict.exit_code == 2:
        return
    threshold = inputs.run.settings.fail_on
    blocking = [e for e in entries if blocks(e, inputs)]
    for source, subject in _SOURCES.items():
        mine = [e for e in blocking if e.source == source]
        if mine:
            claims.add(f"verdict.{source}", f"{subject} {plural(len(mine), 'finding')} at or above {threshold}.", mine[0].artifact)
    claims.add("verdict.fail_on", f"The review fails from {threshold} severity on.", data.RUN, "/settings/fail_on")


def _counts(inputs: Inputs, entries: Sequence[Reported], parts: Json) -> Json:
    active = [e for e in entries if e.dismissal is None]
    level = Counter(e.finding.severity for e in active if e.source != "convention")
    source = Counter(e.source for e in active)
    change, tests = inputs.change, inputs.tests
    return {
        "commits": len(change.commits) if change else 0,
        "files": len(change.files) if change else 0,
        "added": change.added if change else 0,
        "deleted": change.deleted if change else 0,
        "findings": level.total(),
        "high": level["high"],
        "medium": level["medium"],
        "low": level["low"],
        "blocking": sum(blocks(e, inputs) for e in entries),
        "dismissed": len(entries) - len(active),
        "from_model": source["model"],
        "model_dropped": inputs.model.dropped if inputs.model else 0,
        "conventions": source["convention"],
        "tests_base": len(tests.base) if tests else 0,
        "tests_head": len(tests.head) if tests else 0,
        "newly_failing": len(tests.newly_failing) if tests else 0,
        "newly_passing": len(tests.newly_passing) if tests else 0,
        "flaky": len(tests.flaky) if tests else 0,
        "tickets": len(inputs.tickets),
        "not_checked": len(parts["not_checked"]),
    }


def _run(claims: Claims, run: RunFacts) -> Json:
    seconds = max(0, run.ended_at - run.started_at) / 1_000_000
    told = {
        "id": (
            f"Run {run.run} of {run.workflow} by {run.principal} with Quarterdeck {run.quarterdeck},"
            f" {moment(run.started_at)}, {duration(seconds)}.",
            "/run",
        ),
        "policy": (f"Every action was decided by the policy bundle {short(run.policy_sha256)}.", "/policy_sha256"),
        "decisions": (
            f"The gate allowed {run.decisions.allow:,}, denied {run.decisions.deny:,} and asked {run.decisions.ask:,}.",
            "/decisions",
        ),
        "cost": (f"The run cost {money(run.cost_microusd)} and {run.tokens:,} tokens; {_models(run)}.", "/cost_microusd"),
        "environment": (_environment(run), "/environment"),
        "settings": (_settings(run), "/settings"),
    }
    if run.environment:
        told["limits"] = (_limits(run), "/limits")
    if run.audit_head:
        told["audit"] = (f"Its newest audit leaf was {short(run.audit_head)} when the facts were recorded.", "/audit_head")
    for name, (text, pointer) in told.items():
        claims.add(f"run.{name}", text, data.RUN, pointer)
    for n, note in enumerate(run.settings_notes):
        claims.add(f"run_note.{n}", note, data.RUN, f"/settings_notes/{n}")
    steps = []
    for n, step in enumerate(run.steps):
        claim = claims.add(f"step.{n}", f"{step.name}: {step.state} after {duration(step.seconds)}.", data.RUN, f"/steps/{n}")
        steps.append(msgspec.to_builtins(step) | {"claim": claim})
    facts: Json = msgspec.to_builtins(run)
    return facts | {"id": facts.pop("run"), "steps": steps, "seconds": round(seconds, 3)}


def _models(run: RunFacts) -> str:
    return f"model {', '.join(run.models)}" if run.models else "no model was used"


def _environment(run: RunFacts) -> str:
    if run.environment is None:
        return "No command ran in a sandbox."
    env = run.environment
    return f"Commands ran in sandbox mode {env.mode}: {env.isolation.rstrip('.')}."


def _limits(run: RunFacts) -> str:
    caps = run.limits
    text = f"Limits: {size(caps.memory_bytes)} memory, {caps.pids} processes, {caps.cpu:g} cores, {size(caps.workspace_bytes)} workspace"
    loose = sorted(k for k, v in run.environment.limits.items() if v == "none") if run.environment else []
    return text + (f"; this host does not enforce {', '.join(loose)}." if loose else ".")


def _settings(run: RunFacts) -> str:
    s = run.settings
    own = f"tests by “{s.tests}”" if s.tests else "tests as discovered"
    return f"Settings: fail on {s.fail_on}, ticket on {s.ticket_on}, {own}, complexity up to {s.max_complexity}."
