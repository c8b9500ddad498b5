"""`quarterdeck trace RUN`: the tree of what happened (A21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..face import Face
from ..options import Home, Json, NoColor, RunId
from ..words import clean, one_line, plural, seconds, usd

if TYPE_CHECKING:
    from quarterdeck.telemetry import Span

MARKS = {"done": "✓", "completed": "✓", "failed": "✗", "denied": "✗", "cancelled": "-", "unknown": "?", "incomplete": "~"}
STYLES = {"✓": "green", "✗": "red", "?": "yellow", "~": "yellow", "-": "dim", "▸": "cyan"}


def add(app: typer.Typer) -> None:
    app.command("trace")(trace)


def trace(
    run: RunId,
    depth: Annotated[int, typer.Option("--depth", min=1, help="How many levels to show.")] = 20,
    home: Home = None,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Show what a run did, as a tree.

    Stages, actions, commands, decisions, tokens, cost, and how long each took.

    \b
    Examples:
      quarterdeck trace 3f2a91bc
      quarterdeck trace 3f2a91bc --depth 2
      quarterdeck trace 3f2a91bc --json
    """
    import asyncio
    import time

    from quarterdeck.telemetry import summarize, tree_of

    from ..reading import opened, resolve

    face = Face(home, json=json, no_color=no_color)

    async def read() -> Span:
        with opened(face.home) as store:
            row = await store.run(await resolve(store, run))
            rows = await store.tree(row.root)
            return tree_of(row.id, rows, {r.id: await store.records(r.id) for r in rows})

    span = asyncio.run(read())
    totals = summarize(span)
    face.document({"schema": "quarterdeck.trace/1", "span": plain(span), "totals": vars(totals)})
    if face.json:
        return 0
    _print(span, face, "", "", depth, time.time_ns() // 1000)
    words = [plural(totals.commands, "command"), plural(totals.model_calls, "model call"), plural(totals.artifacts, "artifact")]
    words.append(f"decisions {' '.join(f'{k} {v}' for k, v in totals.decisions.items())}")
    words.append(f"{totals.input_tokens} tokens in, {totals.output_tokens} out, {usd(totals.cost_microusd)}")
    words += [f"{plural(totals.collected, 'command')} collected after a crash"] if totals.collected else []
    words += [f"{plural(totals.unknown, 'outcome')} unknown"] if totals.unknown else []
    face.out("; ".join(words))
    return 0


def plain(span: Span) -> dict[str, Any]:
    """A span as JSON: times in UTC microseconds."""
    return {
        "name": span.name, "kind": span.kind, "start": span.start, "end": span.end, "attributes": span.attrs,
        "children": [plain(child) for child in span.children],
    }  # fmt: skip


def _print(span: Span, face: Face, lead: str, branch: str, depth: int, now: int) -> None:
    from quarterdeck.telemetry import names

    state = span.attrs.get(names.STATE, "")
    mark = MARKS.get(state, "▸")
    waits = span.attrs.get(names.APPROVAL) and not span.attrs.get(names.VERDICT) and span.end is None
    words = " ".join(w for w in (_words(span), f"waits for approval {span.attrs[names.APPROVAL]}" if waits else "") if w)
    line = f"{lead}{branch}{face.style(mark, STYLES.get(mark, 'dim'))} {face.style(span.name, 'bold' if span.children else 'cyan')}"
    face.out(f"{line} {face.style(seconds(span.seconds(now)), 'dim')}{f'  {words}' if words else ''}")
    if depth <= 1:
        return
    inner = lead + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
    for index, child in enumerate(span.children):
        _print(child, face, inner, "└─ " if index == len(span.children) - 1 else "├─ ", depth - 1, now)


def _words(span: Span) -> str:
    """What else is worth saying of a span, in one line."""
    from quarterdeck.telemetry import names

    attrs, said = span.attrs, list[str]()
    if span.kind == "run":
        said.append(f"{attrs[names.RUN]} {attrs.get(names.STATE, '')}")
    if span.kind == "action":
        said.append(clean(str(attrs[names.ACTION])))
        if names.DECISION in attrs and (attrs[names.DECISION] != "allow" or attrs[names.POLICIES]):
            said.append(f"[{attrs[names.DECISION]} {', '.join(attrs[names.POLICIES])}]")
    if attrs.get(names.VERDICT):
        said.append(clean(f"{attrs[names.VERDICT]}"))
    if names.COMMAND in attrs:
        said.append(one_line(attrs[names.COMMAND], 80))
    if attrs.get(names.COMMAND_STATE):
        ended = attrs[names.COMMAND_STATE]
        said.append(f"exit {attrs[names.EXIT_CODE]}" if ended == "exited" else str(ended))
    if names.REQUEST_MODEL in attrs and names.INPUT_TOKENS in attrs:
        said.append(f"{attrs[names.INPUT_TOKENS]} in, {attrs[names.OUTPUT_TOKENS]} out, {usd(attrs.get(names.COST, 0))}")
    if attrs.get(names.ATTEMPTS, 1) > 1:
        said.append(f"attempt {attrs[names.ATTEMPTS]}")
    if attrs.get(names.COLLECTED):
        said.append("collected after a crash")
    if attrs.get(names.ARTIFACTS):
        said.append(plural(attrs[names.ARTIFACTS], "artifact"))
    if attrs.get(names.ERROR_MESSAGE):
        said.append(one_line(attrs[names.ERROR_MESSAGE], 160))
    return " ".join(said)
