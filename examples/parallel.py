"""Several commands at once in one sandbox, in a durable stage: quarterdeck run examples/parallel.py"""

from __future__ import annotations

from quarterdeck import Context, workflow

PARTS = ("alpha", "beta", "gamma")


async def measure(ctx: Context, part: str) -> int:
    """Two commands after one another; three of these run side by side."""
    await ctx.shell(f"printf '%s\\n' {part}-{{1..50}} > {part}.txt", name=f"write {part}", effect="idempotent")
    counted = await ctx.shell(["wc", "-l", f"{part}.txt"], name=f"count {part}", effect="read_only")
    return int(counted.stdout.text.split()[0])


async def measure_all(ctx: Context, parts: list[str]) -> dict[str, int]:
    """A stage: when it has ended it is never entered again, whatever happens later."""
    counts = await ctx.gather(*[measure(ctx, part) for part in parts])
    return dict(zip(parts, counts, strict=True))


@workflow
async def parallel(ctx: Context) -> dict[str, int]:
    await ctx.environment()
    counts: dict[str, int] = await ctx.stage("measure", measure_all, list(PARTS))
    return counts
