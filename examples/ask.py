"""A workflow that asks a person, and costs nothing while it waits.

quarterdeck run examples/ask.py          exits with 3 and prints the command that answers
quarterdeck approvals approve APPROVAL   from any terminal: the run goes on
"""

from __future__ import annotations

from typing import Any

from quarterdeck import Context, workflow


def count_words(text: str) -> int:
    """Local code runs in a step: its result is recorded, and after a crash it is not run again."""
    return len(text.split())


@workflow
async def ask(ctx: Context) -> dict[str, Any]:
    words = await ctx.step("count", count_words, "To be published: three short notes.")
    answer = await ctx.ask("Publish the notes?", role="maintainer", words=words)
    if not answer.approved:
        return {"published": False, "because": answer.reason}
    delivery = await ctx.publish("files", {"words": words, "approved by": answer.by})
    return {"published": True, "delivery": delivery}
