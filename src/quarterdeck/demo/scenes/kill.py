"""A run is killed in mid-command, and another process goes on with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

from quarterdeck.app import Runtime
from quarterdeck.protocol.records import ENDED, Record
from quarterdeck.store import Store

from . import errands
from .show import SceneFailed, Show

NAME = "demo-interrupted"
BEGIN_S = 60.0
INTO_S = 0.3
"""The kill comes so long after both commands were begun."""


def title(show: Show) -> str:
    return "kill -9 hits a run in mid-command, and another process resumes it"


async def play(show: Show) -> list[str]:
    """Start a run in a process of its own, kill it, resume it in a second one, and count what was done."""
    witness = show.folder / "witness.txt"
    async with Runtime(config=show.config()) as runtime:
        run, pid, finished = await _killed(show, runtime.store, witness)
        before = (await runtime.store.run(run)).state
        resumed = await show.quarterdeck("resume", run, "--file", str(Path(errands.__file__)))
        if resumed.code != 0:
            raise SceneFailed(f"The run was not resumed: {resumed.told}")
        records = await runtime.store.records(run)
        result = await runtime.result(run)
    marks = Counter(line.split()[0] for line in witness.read_text("utf-8").splitlines())
    again = sum(marks[word] - 1 for word in finished)
    if again or marks["last"] != 1 or before in ENDED:
        raise SceneFailed(f"Steps were done again after the kill: {dict(marks)}; the run was {before} before.")
    lines = [
        f"process {pid} was killed by SIGKILL {INTO_S} s into two commands of {errands.SECONDS} s; finished steps: {', '.join(finished)}",
        f"`quarterdeck resume` in another process ended it; finished steps re-run: {again} (witness.txt: {_said(marks)})",
    ]
    return [*lines, *(_became(records, name, result[name]) for name in errands.COMMANDS)]


def _said(marks: Counter[str]) -> str:
    return ", ".join(f"{word} {count}x" for word, count in marks.items())


async def _killed(show: Show, store: Store, witness: Path) -> tuple[str, int, list[str]]:
    """Run until both commands have begun, then kill. Returns the run, who was killed, and the steps that had ended."""
    since = time.time_ns() // 1000
    argv = show.argv("run", f"{errands.__file__}:{NAME}", "--input", json.dumps({"witness": str(witness)}))
    log = show.folder / "killed.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *argv, env=show.environment(), stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        run = await _begun(store, process, since, log)
        await asyncio.sleep(INTO_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    records = await store.records(run)
    ended = {r.body["action"] for r in records if r.kind == "action.completed"}
    steps = [r.body["name"] for r in records if r.kind == "action.requested" and r.seq in ended]
    return run, process.pid, [name for name in steps if name in ("first", "second", "last")]


async def _begun(store: Store, process: asyncio.subprocess.Process, since: int, log: Path) -> str:
    """Wait until the ledger says that both commands have begun."""
    deadline = time.monotonic() + BEGIN_S
    while time.monotonic() < deadline and process.returncode is None:
        for run in await store.runs(limit=20):
            if run.name != NAME or run.created_at < since:
                continue
            names = {r.seq: r.body["name"] for r in await store.records(run.id) if r.kind == "action.requested"}
            used = {names.get(action) for action, _, permit_used in await store.open_attempts(run.id) if permit_used}
            if used >= set(errands.COMMANDS):
                return run.id
        await asyncio.sleep(0.05)
    raise SceneFailed(f"The run that was to be killed did not begin its commands: {_last_words(log)}")


def _last_words(log: Path) -> str:
    return " / ".join(log.read_text("utf-8", "replace").strip().splitlines()[-3:]) or "it said nothing"


def _became(records: list[Record], name: str, begun: str) -> str:
    """What became of an interrupted command. SceneFailed if it was begun twice although it may not be."""
    action = next(r.seq for r in records if r.kind == "action.requested" and r.body["name"] == name)
    end = next(r.body for r in records if r.kind == "action.completed" and r.body["action"] == action)
    if errands.COMMANDS[name] == "never" and (begun != "1" or end["attempt"] != 1):
        raise SceneFailed(f"The {name} was begun {begun} times, in {end['attempt']} attempts.")
    how = "collected from the shim that outlived the process" if end.get("collected") else f"run again as attempt {end['attempt']}"
    return f"{name}: {end['state']}, {how}; begun {begun} time{'' if begun == '1' else 's'}"
