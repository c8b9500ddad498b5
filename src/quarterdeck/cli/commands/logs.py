"""`quarterdeck logs RUN`: the records themselves, from history and live, from any terminal (A21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..face import Face
from ..options import Home, NoColor, RunId
from ..words import clean, clock, one_line

if TYPE_CHECKING:
    from quarterdeck.protocol.records import Record

STYLES = {
    "action.completed": "green",
    "approval.requested": "yellow",
    "run.completed": "bold",
    "stage.started": "bold",
    "stage.completed": "bold",
}


def add(app: typer.Typer) -> None:
    app.command("logs")(logs)


def logs(
    run: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    after: Annotated[int, typer.Option("--after", metavar="SEQ", help="Only records after this number.")] = -1,
    home: Home = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document per record and line.")] = False,
    no_color: NoColor = False,
) -> int:
    """Print a run's records in order. With --follow they come live, also from a run of another process.

    \b
    Examples:
      quarterdeck logs 3f2a91bc
      quarterdeck logs 3f2a91bc --follow
      quarterdeck logs 3f2a91bc --after 120 --json
    """
    import asyncio

    from quarterdeck.kernel.feed import feed

    from ..reading import opened, resolve

    face = Face(home, no_color=no_color)

    async def read() -> None:
        with opened(face.home) as store:
            named = await resolve(store, run)
            async for record in feed(store, named, after, follow=follow):
                face.out(_json(record) if json else face.style(line(record), STYLES.get(record.kind, "dim")))
                if face.gone:
                    return

    asyncio.run(read())
    return 0


def _json(record: Record) -> str:
    import msgspec

    return msgspec.json.encode(record).decode()


def line(record: Record) -> str:
    """A record in one line."""
    return f"{record.seq:>5}  {clock(record.at)}  {record.kind:<18}  {_words(record.kind, record.body)}".rstrip()


def _words(kind: str, body: dict[str, Any]) -> str:
    name = clean(str(body.get("name", "")))
    match kind:
        case "action.requested":
            decision = body["decision"]
            said = f"{name}  {body['request']['kind']}  {decision['effect']} {', '.join(decision['policies'])}"
            args = body["request"]["args"]
            return f"{said}  {one_line(args.get('shell') or ' '.join(args.get('argv', ())), 90)}".rstrip()
        case "action.completed":
            result = body.get("result")
            code = f"  exit {result['exit_code']}" if isinstance(result, dict) and "exit_code" in result and "stdout" in result else ""
            return f"action {body['action']} {body['state']}{code}{_error(body)}"
        case "action.started":
            return f"action {body['action']} attempt {body['attempt']}"
        case "approval.requested":
            return f"{body['approval']} for {body['role']}"
        case "approval.answered":
            return f"{body['approval']} {body['verdict']} by {clean(str(body['by']))} {one_line(str(body.get('reason') or ''))}"
        case "stage.completed":
            return f"{name} {body['state']}{_error(body)}"
        case "artifact":
            return f"{clean(str(body['artifact']))} {body['bytes']} bytes {body['sha256'][:12]}"
        case "child.submitted" | "child.completed":
            return f"{name} {body['run']} {body.get('state', '')}".strip()
        case "run.completed":
            return f"{body['state']}{_error(body)}"
        case "run.waiting":
            return one_line(str(body.get("for", "")))
        case "run.cancelling":
            return one_line(f"by {body.get('by')}: {body.get('reason')}")
        case "run.note" | "call.refused":
            return one_line(str(body.get("text") or body.get("error") or ""), 120)
    return name


def _error(body: dict[str, Any]) -> str:
    error = body.get("error")
    return f": {one_line(str(error.get('message', '')), 120)}" if isinstance(error, dict) and error else ""
