"""The figures at the end, read from the log and the operating system; nothing is counted by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quarterdeck.store import Store

KILO = 1024


@dataclass(frozen=True)
class Totals:
    """Sums over runs. Money in micro-USD, memory in bytes."""

    allow: int
    deny: int
    ask: int
    cost: int
    largest_command: int


async def totals(store: Store, since: int) -> Totals:
    """Sum up every run of this HOME that was submitted at or after `since` (UTC microseconds)."""
    decisions = {"allow": 0, "deny": 0, "ask": 0}
    cost = largest = 0
    for run in await store.runs(limit=10_000):
        if run.created_at < since:
            continue
        for record in await store.records(run.id):
            if record.kind == "action.requested":
                effect = str(record.body["decision"]["effect"])
                decisions[effect if effect in decisions else "deny"] += 1
            elif record.kind == "action.completed":
                cost += int(record.body.get("cost") or 0)
                result = record.body.get("result")
                if isinstance(result, dict):
                    largest = max(largest, int(result.get("max_rss_bytes") or 0))
    return Totals(**decisions, cost=cost, largest_command=largest)


def peak_memory() -> int:
    """The largest resident size of this process, in bytes. Not getrusage's: that begins with what our parent had."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * KILO for line in status if line.startswith("VmHWM"))
