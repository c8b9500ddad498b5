"""How a run ended or why it waits: for people, and as the document of `--json`.

The document of `review`, `run`, `agent`, `resume`, `show` and of an answer that resumes a run (schema `quarterdeck.run/1`):

    schema       "quarterdeck.run/1"
    run          the run's id
    name, kind   of what ran
    state        queued | running | waiting | completed | failed | cancelled | incomplete
    created      true: submitted by this command; false: an unfinished one was found and resumed
    exit_code    what this command exits with
    result       what the workflow returned, or null
    error        {type, message, hint}, or null
    waiting      [{approval, run, role, question, approve, deny}]: what it waits for and the commands that answer
    waits_for    in words, or ""
    resume       the command that goes on, or ""
    cost_usd     number
    tokens       {input, output}
    decisions    {allow, deny, ask, ...}: how often each
    commands     how many commands ran in the sandbox
    seconds      wall time from submission to the end or until now
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from quarterdeck.protocol.records import ENDED, Record, Run
from quarterdeck.store import Store

from .face import Face, print_error
from .words import clean, one_line, plural, seconds, usd

SCHEMA = "quarterdeck.run/1"
COUNTS = (
    "findings",
    "high",
    "medium",
    "low",
    "conventions",
    "newly_failing",
    "newly_passing",
    "flaky",
    "dropped",
    "not_checked",
    "tickets",
)
"""Of a review's counts, those that fit into one line; the report has all."""
STUCK = ("nondeterministic", "stuck")
"""What a run waits for when its code, its model or its tools must be mended first."""


async def conclude(store: Store, root: str, face: Face, *, created: bool = False, interrupted: int = 0) -> int:
    """Say how the run stands and return the exit code."""
    document = await run_document(store, root, face, created=created, interrupted=interrupted)
    if face.json:
        face.document(document)
    elif interrupted:
        face.note(f"\nStopped; finished steps are kept, and running commands go on in their environment.\nresume: {document['resume']}")
    else:
        _print(document, face)
    return int(document["exit_code"])


async def run_document(store: Store, root: str, face: Face, *, created: bool = False, interrupted: int = 0) -> dict[str, Any]:
    """The document of one run and its children."""
    from quarterdeck.telemetry import summarize, tree_of

    rows = await store.tree(root)
    records = {row.id: await store.records(row.id) for row in rows}
    row = next(r for r in rows if r.id == root)
    ended = next((r.body for r in reversed(records[root]) if r.kind == "run.completed"), {})
    totals = summarize(tree_of(root, rows, records))
    waiting = await _questions(store, rows, face) if row.state not in ENDED else []
    resumable = row.state not in ENDED
    stuck = next((r.waiting for r in rows if r.state == "waiting" and (r.waiting or "").startswith(STUCK)), "")
    return {
        "schema": SCHEMA, "run": root, "name": row.name, "kind": row.kind, "state": row.state, "created": created,
        "exit_code": 128 + interrupted if interrupted else exit_code(row, ended, bool(waiting), bool(stuck)),
        "result": ended.get("result"), "error": ended.get("error"), "waiting": waiting, "waits_for": stuck or row.waiting or "",
        "resume": face.command("resume", root) if resumable else "", "cost_usd": (await store.account(f"run:{root}")).settled / 1e6,
        "tokens": {"input": totals.input_tokens, "output": totals.output_tokens}, "decisions": totals.decisions,
        "commands": totals.commands, "seconds": round(((row.ended_at or _last(records[root], row)) - row.created_at) / 1e6, 3),
    }  # fmt: skip


def _last(records: list[Record], row: Run) -> int:
    return time.time_ns() // 1000 if row.owner else records[-1].at


def exit_code(row: Run, ended: Mapping[str, Any], waits_for_person: bool, stuck: bool) -> int:
    """0 pass or done; 1 findings, or cut short; 2 could not run; 3 waits for a person."""
    if row.state not in ENDED:
        if waits_for_person:
            return 3
        return 2 if stuck else 3
    if row.state in ("failed", "cancelled"):
        return 2
    result = ended.get("result")
    if isinstance(result, dict) and isinstance(result.get("exit_code"), int):  # a workflow may choose, as `review` does
        return min(max(int(result["exit_code"]), 0), 2)
    return 1 if row.state == "incomplete" else 0


async def _questions(store: Store, rows: list[Run], face: Face) -> list[dict[str, Any]]:
    """The open questions of a tree of runs, with the commands that answer them."""
    found = [a for row in rows for a in await store.approvals(run=row.id)]
    return [
        {
            "approval": a.id, "run": a.run, "role": a.role, "question": a.question,
            "approve": face.command("approvals", "approve", a.id), "deny": face.command("approvals", "deny", a.id),
        }
        for a in found
    ]  # fmt: skip


def _print(document: Mapping[str, Any], face: Face) -> None:
    if document["state"] not in ENDED:
        print_waiting(document, face)
    elif document["error"]:
        error = document["error"]
        print_error(
            error.get("type", ""),
            f"{document['run']} {document['state']}: {error.get('message', '')}",
            error.get("hint", ""),
            json_wanted=False,
        )
        face.note(f"trace: {face.command('trace', document['run'])}")
    else:
        _print_result(document, face)


def print_waiting(document: Mapping[str, Any], face: Face) -> None:
    """What it waits for, and the exact command that answers."""
    if not document["waiting"]:
        face.out(f"{document['run']} waits for: {clean(document['waits_for'] or 'its turn')}")
        face.out(f"resume: {document['resume']}")
    for asked in document["waiting"]:
        face.out(face.style(f"{document['run']} waits for {asked['role']}:", "yellow"))
        for line in question_lines(asked["question"]):
            face.out(f"  {line}")
        face.out(f"approve: {asked['approve']}")
        face.out(f"deny:    {asked['deny']}")


def question_lines(question: Mapping[str, Any]) -> list[str]:
    """A question as a person must see it: everything that the answer is bound to."""
    if "question" in question:
        facts = question.get("facts") or {}
        return [clean(str(question["question"])), *[f"{k}: {one_line(str(v), 400)}" for k, v in facts.items()]]
    args = dict(question.get("args") or {})
    shown = args.pop("shell", "") or " ".join(args.pop("argv", ()) or ())
    lines = [f"{question.get('kind')} {clean(str(question.get('step', '')))}"]
    if shown:
        lines.append(f"command: {clean(shown)}")
    lines += [f"{k}: {one_line(json.dumps(v, ensure_ascii=False), 400)}" for k, v in args.items() if v not in ("", None, [], {})]
    resource = question.get("resource") or {}
    lines.append(f"on: {resource.get('type')} {clean(str(resource.get('id')))}")
    lines += [f"why: {clean(reason)}" for reason in question.get("reasons", ())]
    lines.append(f"policy: {', '.join(question.get('policies', ()))}; labels: {', '.join(question.get('labels', ())) or 'none'}")
    return lines


def _print_result(document: Mapping[str, Any], face: Face) -> None:
    result = document["result"]
    if document["name"] == "review" and isinstance(result, dict) and "verdict" in result:
        _print_review(document, result, face)
    elif document["name"] == "agent-task" and isinstance(result, dict) and "patch" in result:
        _print_agent(result, face)
    else:
        face.out(clean(result).rstrip("\n") if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False))
    face.note(_footer(document, face))


def _print_review(document: Mapping[str, Any], result: Mapping[str, Any], face: Face) -> None:
    style = {"pass": "green", "could-not-run": "yellow"}.get(result["verdict"], "red")
    face.out(face.style(f"{result['verdict']}: {result['headline']}", style))
    counts = result.get("counts") or {}
    said = [f"{clean(key).replace('_', ' ')} {counts[key]}" for key in COUNTS if counts.get(key)]
    if said and not face.quiet:
        face.out(", ".join(said))
    face.out(f"report: {clean(result['report'])}")


def _print_agent(result: Mapping[str, Any], face: Face) -> None:
    face.out(clean(result.get("text") or ""))
    if result.get("finish") != "done":
        face.out(face.style(f"cut short: {result.get('finish')}", "yellow"))
    if result.get("files"):
        face.out(f"changed: {', '.join(one_line(f) for f in result['files'])}")
        face.out(f"patch: {clean(result['patch'])}")
    else:
        face.out("No file was changed.")


def _footer(document: Mapping[str, Any], face: Face) -> str:
    parts = [seconds(document["seconds"]), usd(round(document["cost_usd"] * 1e6)), plural(document["commands"], "command")]
    decisions = " ".join(f"{k} {v}" for k, v in document["decisions"].items() if v)
    return f"{document['run']}: {', '.join(parts)}, decisions {decisions or 'none'}\ntrace: {face.command('trace', document['run'])}"
