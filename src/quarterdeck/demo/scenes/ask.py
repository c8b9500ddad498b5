"""A policy that asks a person: the run waits as a row, its process ends, and an answer from elsewhere lets it go on."""

from __future__ import annotations

import json
import time
from importlib import resources
from pathlib import Path

from quarterdeck.app import Runtime

from . import errands
from .show import SceneFailed, Show

WAITS = 3
"""The exit code of a command whose run waits for a person."""


def title(show: Show) -> str:
    return "policy ask.cedar wants a person's yes before a ticket goes out"


async def play(show: Show) -> list[str]:
    """Run until the question, look that nothing went out, answer from another process, look that it did."""
    policy = str(resources.files("quarterdeck.policy") / "bundles" / "ask.cedar")
    since, key = time.time_ns() // 1000, show.folder.name
    value = json.dumps({"title": f"Demo of seed {show.seed}", "key": key})
    asking = await show.quarterdeck("run", f"{errands.__file__}:demo-ticket", "--input", value, "--policy", policy)
    if asking.code != WAITS:
        raise SceneFailed(f"A run that waits must end its process with {WAITS}: {asking.told}")
    async with Runtime(config=show.config()) as runtime:
        mine = [a for a in await runtime.store.approvals() if a.created_at >= since]
        if len(mine) != 1:
            raise SceneFailed(f"There must be one open question, and there are {len(mine)}.")
        approval, run = mine[0], mine[0].run
        early = _tickets(show.home, since)
        waiting = (await runtime.store.run(run)).state
        answered = await show.quarterdeck("approvals", "approve", approval.id, "--reason", "seen in the demo")
        after = await runtime.store.run(run)
        late = _tickets(show.home, since)
    if answered.code != 0 or after.state != "completed":
        raise SceneFailed(f"The answer did not resume the run ({after.state}): {answered.told}")
    if early or not late or waiting != "waiting":
        raise SceneFailed(f"Tickets must go out after the answer only: {early} before it, {late} after it; the run was {waiting}.")
    return [
        f"asked: {'; '.join(approval.question['reasons'])} ({', '.join(approval.question['policies'])})",
        f"its process ended with exit code {asking.code}; the run is a row that waits; tickets sent: {early}",
        f"`quarterdeck approvals approve {approval.id}` in another process: run {after.state}, tickets sent: {late}",
    ]


def _tickets(home: Path, since: int) -> int:
    """How many tickets lie in the outbox's folder that were written since then."""
    folder = home / "outbox" / "tickets"
    return sum(path.stat().st_mtime_ns // 1000 >= since for path in folder.glob("*")) if folder.is_dir() else 0
