"""How the tests of the command line drive it: the real command in a process of its own, with a HOME of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from quarterdeck.cli.main import run_command
from quarterdeck.protocol.errors import StoreError
from quarterdeck.protocol.records import Record
from quarterdeck.store import Store, open_copy

COMMAND = Path(sys.executable).parent / "quarterdeck"
TIMEOUT_S = 90

FLOWS = """
import time
from pathlib import Path

from quarterdeck import tool, workflow

HERE = Path(__file__).parent


def note(word):
    with open(HERE / "calls.txt", "a") as file:
        file.write(word + "\\n")
    return word


@workflow
async def hello(ctx, name):
    return f"hello {name or 'world'}"


async def part(ctx, word):
    return await ctx.step("note", note, word)


@workflow
async def stages(ctx):
    first = await ctx.stage("first", part, "one")
    return {"words": [first, await ctx.stage("second", part, "two")]}


@workflow
async def failing(ctx):
    def boom():
        raise ValueError("no luck")

    await ctx.step("boom", boom)


@workflow
async def asking(ctx):
    await ctx.step("before", note, "before")
    answer = await ctx.ask("May it go on?", amount=3)
    return f"{answer.verdict}: {answer.reason}"


@workflow
async def commanding(ctx, seconds):
    await ctx.environment()
    await ctx.step("before", note, "before")
    out = await ctx.shell(f"echo begun; sleep {seconds}; echo ended", name="long")
    return out.stdout.text.split()


@workflow
async def thinking(ctx):
    def think():
        note("thinking")
        time.sleep(45)

    await ctx.step("think", think)


@workflow
async def napping(ctx):
    await ctx.step("before", note, "before")
    await ctx.sleep(60)
"""


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Cli:
    """The command with one HOME, started in `folder`."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.env = {**os.environ, "QUARTERDECK_HOME": str(home)}

    def run(self, *words: str | Path, code: int | None = 0, env: Mapping[str, str] | None = None) -> Ran:
        """Run to the end; the exit code must be `code` unless that is None."""
        done = subprocess.run(
            [str(COMMAND), *map(str, words)], cwd=self.folder, env={**self.env, **(env or {})}, capture_output=True, text=True,
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert code is None or ran.code == code, f"{words}: exit {ran.code}\n{ran.out[-3000:]}\n{ran.err[-3000:]}"
        return ran

    def quick(self, *words: str | Path, code: int | None = 0, env: Mapping[str, str] | None = None) -> Ran:
        """The same, within this process: what only reads or refuses needs no process of its own."""
        out, err = io.StringIO(), io.StringIO()
        changed = {"QUARTERDECK_HOME": str(self.home), **(env or {})}
        streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
        with mock.patch.dict(os.environ, changed), contextlib.chdir(self.folder), streams[0], streams[1]:
            returned = run_command([str(word) for word in words])
        ran = Ran(returned, out.getvalue(), err.getvalue())
        assert code is None or ran.code == code, f"{words}: exit {ran.code}\n{ran.out[-3000:]}\n{ran.err[-3000:]}"
        return ran

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start in a session of its own, as from another terminal."""
        return subprocess.Popen(
            [str(COMMAND), *map(str, words)], cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def end(self, process: subprocess.Popen[str], number: int = 0) -> Ran:
        """Send a signal (if any) to that process alone and collect what it said."""
        if number:
            process.send_signal(signal.Signals(number))
        out, err = process.communicate(timeout=TIMEOUT_S)
        return Ran(process.returncode, out, err)

    def calls(self) -> list[str]:
        """What the steps of the flows noted, in order."""
        file = self.folder / "calls.txt"
        return file.read_text().split() if file.exists() else []

    def store(self) -> Store:
        """The store, opened for reading beside whoever writes it."""
        return open_copy(self.home / "quarterdeck.db", self.home)

    def records(self, run: str = "") -> list[Record]:
        """The records of a run (of the newest one), read without a process."""
        try:
            store = self.store()
        except StoreError:  # not made yet
            return []
        try:
            found = asyncio.run(store.runs(1, kinds=("workflow", "agent")))
            return asyncio.run(store.records(run or found[0].id)) if run or found else []
        finally:
            store.close()

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.quick("runs", "--json").document["runs"]
        return found


def until(what: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until `what()` is true and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
