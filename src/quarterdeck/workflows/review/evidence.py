"""What the stages of a review hand on: digests of artifacts, and the results that were derived from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from quarterdeck.protocol.environment import Capabilities, CommandResult, Limits

from .model import Change, Finding, NotChecked, Plan, RawRun, Settings, TestReport
from .report import Decisions, Dismissal, RunFacts, Step, Ticket
from .summary import diff_excerpt


class Evidence(msgspec.Struct, frozen=True):
    """The outcome of a stage. `files`: artifact name -> SHA-256."""

    files: dict[str, str] = {}
    findings: tuple[Finding, ...] = ()
    from_model: tuple[Finding, ...] = ()
    tests: TestReport | None = None
    not_checked: tuple[NotChecked, ...] = ()

    def lacking(self, what: str, why: str) -> Evidence:
        """The same, with one more thing that could not be checked."""
        return msgspec.structs.replace(self, not_checked=(*self.not_checked, NotChecked(what, why)))


def merged(parts: Iterable[Evidence]) -> Evidence:
    """All files and all that was not checked, of several stages."""
    files: dict[str, str] = {}
    missing: list[NotChecked] = []
    for part in parts:
        files |= part.files
        missing += part.not_checked
    return Evidence(files, not_checked=tuple(dict.fromkeys(missing)))


def raw_run(plan: Plan, result: CommandResult, output: bytes) -> RawRun:
    """A command's outcome as an artifact."""
    return RawRun(
        name=plan.name, argv=plan.argv, state=result.state, exit_code=result.exit_code, stdout=result.stdout.text,
        stderr=result.stderr.text, output=output.decode("utf-8", "replace"), truncated=bool(result.stdout.omitted or result.stderr.omitted),
    )  # fmt: skip


def raw_name(run: RawRun) -> str:
    return f"raw/{run.name}.json"


def review_task(change: Change, diff: bytes) -> str:
    """What a reviewing model is asked."""
    files = "\n".join(f"{f.status} {f.path} (+{f.added} -{f.deleted})" for f in change.files[:200])
    shown = diff_excerpt(diff)
    where = "The head is checked out at /workspace/head, the base at /workspace/base."
    return f"Review this pull request. {where}\n\nFiles:\n{files}\n\nDiff:\n{shown}"


def run_facts(
    facts: Mapping[str, Any], host: Capabilities, limits: Limits, settings: Settings, notes: Sequence[str], version: str
) -> RunFacts:
    """The artifact `run.json`, from what the log says (`ctx.facts`)."""
    return RunFacts(
        run=facts["run"], workflow=facts["workflow"], quarterdeck=version, started_at=facts["started_at"], ended_at=facts["now"],
        principal=facts["principal"], policy_sha256=facts["bundles"][-1] if facts["bundles"] else "",
        decisions=Decisions(**facts["decisions"]), cost_microusd=facts["cost_microusd"], tokens=facts["tokens"],
        steps=tuple(Step(s["name"], s["seconds"], s["state"]) for s in facts["stages"]), environment=host, limits=limits,
        models=tuple(facts["models"]), settings=settings, settings_notes=tuple(notes), audit_head=facts["audit_head"],
    )  # fmt: skip


def dismissals(rows: Sequence[Mapping[str, Any]]) -> list[Dismissal]:
    """What people dismissed before, from memory."""
    found = [Dismissal(str(r["key"]), str(r["body"].get("by", "")), int(r["at"]), str(r["body"].get("reason", ""))) for r in rows]
    return sorted(found, key=lambda d: d.fingerprint)


def tickets(intents: Sequence[Mapping[str, Any]]) -> list[Ticket]:
    """The artifact `tickets.json`."""
    return [Ticket(i["fingerprint"], i["title"], i["body"], i.get("target", "file")) for i in intents]


def memories(findings: Iterable[Finding]) -> dict[str, dict[str, Any]]:
    """What a later review of the same repository may know."""
    return {
        f.fingerprint: {"tool": f.tool, "rule": f.rule, "path": f.path, "line": f.line, "severity": f.severity, "message": f.message}
        for f in findings
    }


def result(report: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """What the run answers: the verdict and where the report lies."""
    verdict = report["verdict"]
    texts = {c["id"]: c["text"] for c in report["claims"]}
    return {
        "verdict": verdict["state"], "exit_code": verdict["exit_code"], "headline": texts[verdict["claim"]], "report": folder,
        "counts": report["counts"],
    }  # fmt: skip
