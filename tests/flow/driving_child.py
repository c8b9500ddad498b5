"""Drives a review in a process of its own that may be killed or stopped at an exact record: ``driving_child.py HOME REPO JSON``.

The JSON says at which record what happens: {"at": "action.requested intake/read git", "signal": 9, "after_s": 0.0}.
`limit` is RLIMIT_FSIZE in bytes.
The last line of stdout says how it ended, and what memory it took.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any

from quarterdeck.app import Runtime, request_key
from quarterdeck.protocol.errors import QuarterdeckError
from quarterdeck.protocol.records import ENDED, Record, Run
from quarterdeck.workflows.review import prepare, review


class Trap:
    """Sends this very process a signal, once, right after the wanted record was committed."""

    def __init__(self, at: str, signal: int, after_s: float) -> None:
        self.at, self.signal, self.after_s = at, signal, after_s
        self.names: dict[int, str] = {}

    def __call__(self, run: Run, record: Record) -> None:
        body = record.body
        name = body.get("artifact") or body.get("name") or self.names.get(body.get("action", -1), "")
        if record.kind == "action.requested":
            self.names[record.seq] = name
        if self.at and f"{record.kind} {name}".strip() == self.at:
            self.at = ""
            if self.after_s:
                threading.Timer(self.after_s, os.kill, (os.getpid(), self.signal)).start()
            else:
                os.kill(os.getpid(), self.signal)


async def main(home: Path, repo: Path, plan: dict[str, Any]) -> dict[str, Any]:
    trap = Trap(plan.get("at", ""), plan.get("signal", 9), plan.get("after_s", 0.0))
    async with Runtime(home, observe=trap) as runtime:
        value = prepare(repo, base="main", head="feature", home=home)
        key = request_key("review", {k: v for k, v in value.items() if k != "out"}, runtime.gate.bundle)  # as the command has it
        run, created = await runtime.start(review, value, key=key, labels=("untrusted:pr",))
        for record in await runtime.store.records(run):
            if record.kind == "action.requested":
                trap.names[record.seq] = record.body["name"]
        while (row := await runtime.drive(run)).state not in ENDED and not row.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        return {"run": run, "created": created, "state": row.state, "waiting": row.waiting}


if __name__ == "__main__":
    plan = json.loads(sys.argv[3])
    if plan.get("limit"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (plan["limit"], plan["limit"]))
    try:
        told = asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), plan))
    except QuarterdeckError as error:
        told = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    # Not getrusage for this process: its ru_maxrss begins with what the parent had when it made us.
    own = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    peak = own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({**told, "peak_kb": peak[0], "children_kb": peak[1]}))
