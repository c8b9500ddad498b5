"""A kernel turn on SQLite against the same number of bare durable commits, in one run (the ratio is the result). A32.

    python bench/kernel.py [--turns N] [--json FILE]

A turn is two actions, each wanted, decided by Cedar, entered in the ledger, permitted, done and closed: what an agent's
model call and its tool call cost the kernel. The model and the tool cost nothing here. Baseline: as many commits of one
small row on the same disk with the same durability (WAL, synchronous=FULL).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import resource
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from quarterdeck import Runtime, workflow

TARGET_MS = 4.0


def nothing() -> None:
    return None


@workflow(name="turns")
async def turns(ctx: Any, count: int) -> None:
    for _ in range(count):
        await ctx.retried_step("model", nothing)
        await ctx.retried_step("tool", nothing)


def bare(folder: Path, commits: int) -> list[float]:
    """Milliseconds of each of `commits` durable commits."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (body TEXT)")
    took = []
    for number in range(commits):
        began = time.perf_counter()
        connection.execute("INSERT INTO t VALUES (?)", (f"{number} " + "x" * 350,))
        took.append((time.perf_counter() - began) * 1e3)
    connection.close()
    return took


async def kernel(folder: Path, count: int) -> tuple[list[float], int]:
    """Milliseconds of each turn, and the number of commits of one turn."""
    stamps: list[float] = []
    commits = 0

    def saw(run: Any, record: Any) -> None:
        if record.kind == "action.completed":
            stamps.append(time.perf_counter())

    async with Runtime(folder, observe=saw) as runtime:
        inner = runtime.store.database.transact

        async def counted(work: Any) -> Any:
            nonlocal commits
            commits += 1
            return await inner(work)

        run, _ = await runtime.start(turns, count)
        runtime.store.database.transact = counted  # type: ignore[method-assign]
        await runtime.drive(run)
    ends = stamps[1::2]
    return [(b - a) * 1e3 for a, b in itertools.pairwise(ends)], round(commits / count)


def show(name: str, values: list[float]) -> dict[str, float]:
    cut = statistics.quantiles(values, n=20)
    found = {"p50": round(statistics.median(values), 3), "p95": round(cut[-1], 3), "n": len(values)}
    print(f"{name:28} p50 {found['p50']:8.3f} ms   p95 {found['p95']:8.3f} ms   n {len(values)}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        took, commits = asyncio.run(kernel(folder / "home", options.turns))
        base = bare(folder, commits * options.turns)
    found: dict[str, Any] = {"turn": show("kernel turn (2 actions)", took), "commit": show("bare durable commit", base)}
    found["commits_per_turn"] = commits
    found["ratio"] = round(found["turn"]["p50"] / (found["commit"]["p50"] * commits), 2)
    found["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(f"{commits} commits a turn; turn / bare commits = {found['ratio']}; target {TARGET_MS} ms; peak memory {found['rss_mb']} MB")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
