"""Reviews in processes of their own, and what must hold of HOME and of the host afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from quarterdeck.audit import verify_run
from quarterdeck.protocol.environment import CommandResult
from quarterdeck.protocol.records import Record
from quarterdeck.store import Store, open_store

CHILD = Path(__file__).with_name("driving_child.py")
COMMAND = [sys.executable, "-c", "from quarterdeck.cli import main; main()"]
PATIENCE_S = 60.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """A process's environment, with a temporary folder beside HOME that shows what was left there."""
    temporary = home.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(temporary), **more}


def start(home: Path, repo: Path, env: dict[str, str] | None = None, **plan: Any) -> subprocess.Popen[str]:
    """Begin a review in a process of its own; see driving_child.py for `plan`."""
    argv = [sys.executable, str(CHILD), str(home), str(repo), json.dumps(plan)]
    return subprocess.Popen(argv, env=env or environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    """Wait for a process; returns the last line that it printed, if it was not killed."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, (process.returncode, out, err)
    told: dict[str, Any] = json.loads(out.splitlines()[-1]) if out.strip() else {}
    return told


def command(home: Path, *args: str, code: int = 0) -> dict[str, Any]:
    """Run the real command with --json."""
    argv = [*COMMAND, *args, "--home", str(home), "--json"]
    done = subprocess.run(argv, env=environment(home), capture_output=True, text=True, timeout=PATIENCE_S * 2, check=False)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def again(home: Path, repo: Path, *, code: int = 0) -> dict[str, Any]:
    """The same review by the real command."""
    return command(home, "review", "--repo", str(repo), "--base", "main", "--head", "feature", code=code)


async def stop(process: subprocess.Popen[str], home: Path) -> None:
    """Stop a process, but not within a commit: a stopped process that holds SQLite's lock stops everybody."""
    while True:
        process.send_signal(signal.SIGSTOP)
        database = sqlite3.connect(home / "quarterdeck.db", isolation_level=None, timeout=0.0)
        try:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.05)
        finally:
            database.close()


async def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.02)


class Home:
    """The store of a HOME beside the processes that work with it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store: Store = open_store(home)

    def __enter__(self) -> Home:
        return self

    def __exit__(self, *exc: object) -> None:
        self.store.close()

    async def run(self) -> str:
        """The one workflow run that there is; waits for it."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := [r.id for r in await self.store.runs() if r.kind == "workflow"]):
            assert time.monotonic() < deadline, "no run was submitted"
            await asyncio.sleep(0.02)
        assert len(found) == 1
        return found[0]

    async def begun(self, name: str) -> None:
        """Wait until the shim has begun the command that this action asks for."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for run in await self.store.runs():
                for record in await self.store.records(run.id):
                    if record.kind == "action.requested" and record.body["name"] == name:
                        key = f"{run.id}.{record.seq}."
                        if any(key in path.read_text() for path in self.home.glob("environments/*/ledger")):
                            return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{name} did not begin")

    async def audited(self) -> None:
        """Every chain is whole, and agrees with the ledger."""
        for run, expected, head, state in await self.store.heads():
            rows, effects = await self.store.audit_rows(run), await self.store.effect_states(run)
            assert verify_run(run, rows, expected, head, state, effects) == []


def attempts(records: list[Record]) -> dict[str, int]:
    """How often each action was begun."""
    names = {r.seq: r.body["name"] for r in records if r.kind == "action.requested"}
    found = Counter(names.values())
    found.update(names[r.body["action"]] for r in records if r.kind == "action.started" and r.body["attempt"] > 1)
    return dict(found)


def outcomes(records: list[Record], name: str) -> list[dict[str, Any]]:
    """The recorded outcomes of an action."""
    asked = {r.seq for r in records if r.kind == "action.requested" and r.body["name"] == name}
    return [r.body for r in records if r.kind == "action.completed" and r.body["action"] in asked]


def said(records: list[Record], name: str) -> list[str]:
    """What each run of a command printed."""
    return [msgspec.convert(o["result"], CommandResult).stdout.text for o in outcomes(records, name)]


def processes(mark: str) -> list[str]:
    """Command lines on this host that hold `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if mark in line and int(path.parent.name) != os.getpid():
            found.append(line)
    return found


async def nothing_left(home: Path) -> None:
    """No environment, no process that names HOME, no mount, no temporary file."""
    folder = home / "environments"
    assert [p.name for p in folder.iterdir() if not p.name.startswith(".")] == [] if folder.exists() else True
    await until(lambda: not processes(str(home)))
    assert str(home) not in await asyncio.to_thread(Path("/proc/self/mounts").read_text)
    temporary = home.parent / "temporary"
    assert not temporary.exists() or list(temporary.iterdir()) == []
