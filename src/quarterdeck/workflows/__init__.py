"""Workflows: durable Python functions. The API for authors, the replaying decider, and the workflows that we ship.

    @workflow
    async def greet(ctx, input):
        out = await ctx.shell("echo hello")
        return out.stdout.text

A workflow awaits only `ctx` objects. Each is a record: after a crash the function is run again from the top, and what
was recorded is handed back instead of done again.
"""

from __future__ import annotations

from .context import Context
from .define import Workflow, workflow

__all__ = ["Context", "Workflow", "workflow"]
