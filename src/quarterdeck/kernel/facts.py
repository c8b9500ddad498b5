"""What a run's log says of it, in numbers: for reports and for people."""

from __future__ import annotations

from typing import Any

from quarterdeck.store import Store

from .log import Entry, RunLog


async def facts(store: Store, run: str) -> dict[str, Any]:
    """Numbers of a run and its children until now.

    Keys: run, workflow, principal, started_at, now (UTC microseconds), decisions {allow, deny, ask}, cost_microusd, tokens,
    models, bundles (policy hashes), stages [{name, seconds, state}], audit_head.
    """
    row = await store.run(run)
    logs = [RunLog.of(r.id, await store.records(r.id)) for r in await store.tree(row.root)]
    own = next(log for log in logs if log.run == run)
    decisions = {"allow": 0, "deny": 0, "ask": 0}
    bundles: set[str] = set()
    models: set[str] = set()
    tokens = 0
    for log in logs:
        for entry in log.entries.values():
            if entry.decision is None:
                continue
            first = str(log.records[entry.seq].body["decision"]["effect"])
            decisions[first if first in decisions else "deny"] += 1
            bundles.add(entry.decision.bundle)
            usage = _usage(entry)
            tokens += usage.get("input", 0) + usage.get("output", 0)
            if usage and entry.request is not None:
                models.add(entry.request.resource.id)
    stages = [
        {
            "name": e.key[0],
            "seconds": round(((e.done_at or own.records[-1].at) - e.at) / 1e6, 3),
            "state": e.outcome.state if e.outcome else "running",
        }
        for e in own.entries.values()
        if e.kind == "stage" and "/" not in e.key[0]
    ]
    submitted = own.submitted
    return {
        "run": run, "workflow": f"{submitted['name']} {submitted.get('version', '')}".strip(), "principal": row.actor,
        "started_at": row.created_at, "now": own.records[-1].at, "decisions": decisions,
        "cost_microusd": (await store.account(f"run:{row.root}")).settled, "tokens": tokens, "models": sorted(models),
        "bundles": sorted(bundles), "stages": stages, "audit_head": await store.head(run),
    }  # fmt: skip


def _usage(entry: Entry) -> dict[str, int]:
    result = entry.outcome.result if entry.outcome else None
    usage = result.get("usage") if isinstance(result, dict) else None
    return usage if isinstance(usage, dict) else {}
