"""Workflows that the scenes hand to processes of their own: `quarterdeck run errands.py:NAME`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from quarterdeck import Context, workflow

SECONDS = 2
"""How long each interrupted command takes."""
COMMANDS = {"idempotent command": "idempotent", "unrepeatable command": "never"}


def note(witness: str, word: str) -> str:
    """Leave a mark outside of the runtime: who did what, each time that it is really done."""
    with Path(witness).open("a", encoding="utf-8") as file:
        file.write(f"{word} by process {os.getpid()}\n")
    return word


@workflow(name="demo-interrupted")
async def interrupted(ctx: Context, value: dict[str, Any]) -> dict[str, str]:
    """Two steps, two long commands at once, one more step. Each command says how often it was begun."""
    for word in ("first", "second"):
        await ctx.step(word, note, value["witness"], word)
    await ctx.environment()
    unrepeatable = ctx.shell(_long("unrepeatable"), name="unrepeatable command")
    idempotent = ctx.shell(_long("idempotent"), name="idempotent command", effect="idempotent")
    ran = await ctx.gather(idempotent, unrepeatable)
    await ctx.step("last", note, value["witness"], "last")
    return dict(zip(COMMANDS, (one.stdout.text.strip() for one in ran), strict=True))


def _long(name: str) -> str:
    return f"echo begun >> /workspace/{name}; sleep {SECONDS}; wc -l < /workspace/{name}"


@workflow(name="demo-ticket", role="reviewer")
async def ticket(ctx: Context, value: dict[str, Any]) -> str:
    """Hand a ticket in. The policy decides whether a person must agree."""
    title = await ctx.step("write", str, value["title"])
    return await ctx.publish("tickets", {"title": title, "body": "From the demo.", "target": "file"}, dedupe_key=value["key"])
