"""What leaves a review beside its report: tickets into the outbox, findings into memory. A policy may refuse either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from quarterdeck.protocol.errors import Denied
from quarterdeck.workflows import Context

from .evidence import memories
from .model import Finding, NotChecked


async def hand_over(ctx: Context, scope: str, intents: Sequence[Mapping[str, Any]], findings: Sequence[Finding]) -> list[NotChecked]:
    """Publish every ticket once per repository, and remember the findings; what policy refuses is said in the report."""
    refused: list[NotChecked] = []
    for intent in intents:
        try:
            await ctx.publish("tickets", intent, dedupe_key=f"{scope}:{intent['dedupe_key']}", name="ticket")
        except Denied as error:
            refused.append(NotChecked(f"the ticket {intent['title']}", f"It was not handed over: {error.message}."))
    try:
        await ctx.remember("finding", scope, memories(findings))
    except Denied as error:
        refused.append(NotChecked("memory of this review", f"Its findings were not remembered: {error.message}."))
    return refused
