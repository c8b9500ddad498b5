"""`quarterdeck runs` and `quarterdeck show RUN` (A21)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from ..face import Face
from ..options import Home, Json, NoColor, RunId
from ..words import clean, columns, one_line, seconds, short, usd, when

State = Literal["queued", "running", "waiting", "completed", "failed", "cancelled", "incomplete"]
STYLE = {"completed": "green", "failed": "red", "waiting": "yellow", "running": "cyan", "cancelled": "dim", "incomplete": "yellow"}


def add(app: typer.Typer) -> None:
    app.command("runs")(runs)
    app.command("show")(show)


def runs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")] = 20,
    state: Annotated[State | None, typer.Option("--state", help="Only runs in this state.")] = None,
    before: Annotated[str, typer.Option("--before", metavar="RUN", help="Only runs older than this one: pages on.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also what people did (operator) and the runtime itself (system).")] = False,
    home: Home = None,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """List runs, newest first.

    \b
    Examples:
      quarterdeck runs
      quarterdeck runs --state waiting
      quarterdeck runs --limit 100 --json
    """
    import asyncio

    from ..reading import live, opened, resolve

    face = Face(home, json=json, no_color=no_color)

    async def read() -> list[Any]:
        with opened(face.home) as store:
            older = await resolve(store, before) if before else None
            return await store.runs(limit, before=older, state=state, kinds=() if everything else ("workflow", "agent"))

    found = asyncio.run(read())
    fields = ("id", "name", "kind", "state", "waiting", "parent", "created_at", "ended_at", "actor")
    face.document({"schema": "quarterdeck.runs/1", "runs": [{f: getattr(r, f) for f in fields} | {"driven": live(r)} for r in found]})
    if not found:
        face.note("No runs.")
        return 0
    rows = [("RUN", "STATE", "WHAT", "STARTED", "TOOK", "")]
    for run in found:
        took = seconds((run.ended_at - run.created_at) / 1e6) if run.ended_at else ""
        state_now = "interrupted" if run.state == "running" and not live(run) else run.state
        what = clean(run.name) + (f" (of {short(run.parent)})" if run.parent else "")
        rows.append((run.id, state_now, what, when(run.created_at), took, one_line(run.waiting or "", 60)))
    for line, run in zip(columns(rows), [None, *found], strict=True):
        face.out(face.style(line, STYLE.get(run.state, "dim") if run else "bold"))
    return 0


def show(run: RunId, home: Home = None, json: Json = False, no_color: NoColor = False) -> int:
    """Say how a run stands.

    Its state, what it waits for and what answers, cost, tokens, decisions, artifacts, errors.

    \b
    Examples:
      quarterdeck show 3f2a91bc
      quarterdeck show 3f2a91bc --json
    """
    import asyncio

    from ..ending import print_waiting, run_document
    from ..reading import opened, resolve

    face = Face(home, json=json, no_color=no_color)

    async def read() -> tuple[dict[str, Any], dict[str, Any]]:
        with opened(face.home) as store:
            row = await store.run(await resolve(store, run))
            records = await store.records(row.id)
            submitted = records[0].body
            artifacts = [{k: r.body[k] for k in ("artifact", "sha256", "bytes", "media_type")} for r in records if r.kind == "artifact"]
            document = await run_document(store, row.root, face)
            extra = {
                "asked": row.id, "actor": row.actor, "model": submitted.get("model", ""), "labels": list(row.labels),
                "created_at": row.created_at, "ended_at": row.ended_at, "origin": submitted.get("origin", {}), "artifacts": artifacts,
                "driven_by": row.owner or "",
            }  # fmt: skip
            return document, extra

    document, extra = asyncio.run(read())
    face.document({**document, **extra})
    if face.json:
        return 0
    rows = [
        ("run", document["run"]), ("what", f"{document['kind']} {clean(document['name'])}"),
        ("state", face.style(document["state"], STYLE.get(document["state"], "bold"))),
        ("started", f"{when(extra['created_at'])} by {clean(extra['actor'])}"), ("took", seconds(document["seconds"])),
        ("model", clean(extra["model"])), ("labels", ", ".join(extra["labels"])),
        ("cost", f"{usd(round(document['cost_usd'] * 1e6))}, {document['tokens']['input']} tokens in, {document['tokens']['output']} out"),
        ("decisions", ", ".join(f"{k} {v}" for k, v in document["decisions"].items())), ("commands", str(document["commands"])),
        ("driven by", extra["driven_by"]),
    ]  # fmt: skip
    for line in columns([row for row in rows if row[1]]):
        face.out(line)
    if document["error"]:
        face.out(face.style(f"error: {document['error'].get('message', '')}", "red"))
        if document["error"].get("hint"):
            face.out(f"hint: {clean(document['error']['hint'])}")
    for artifact in extra["artifacts"]:
        face.out(f"artifact {artifact['sha256'][:12]}  {artifact['bytes']:>9}  {clean(artifact['artifact'])}")
    if document["resume"]:
        print_waiting(document, face)
    return 0
