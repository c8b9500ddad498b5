"""Drive a run in this process, or follow the process that has it, until it ends, waits for a person, or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from quarterdeck.app import Runtime
from quarterdeck.config import load_config
from quarterdeck.protocol.records import ENDED, Run
from quarterdeck.store import Store

from .ending import conclude
from .face import Face
from .progress import Display
from .reading import live

Begin = Callable[[Runtime], Awaitable[tuple[str, bool]]]
"""Finds or submits a run: (run, whether it is new)."""
POLL_S = 0.1


def drive_command(face: Face, begin: Begin, flags: Mapping[str, Any] | None = None) -> int:
    """Run `begin` and then the run that it names. Returns the exit code."""
    return asyncio.run(_session(face, begin, flags or {}))


def flags_of(*, policy: Path | None = None, budget: float | None = None, model: str = "") -> dict[str, Any]:
    """Options that override the configuration."""
    return {"policy": policy_name(policy) if policy else None, "budget_usd": budget, "model": model or None}


def policy_name(policy: Path) -> str:
    """A policy as any process finds it again: the bare name of a packaged one as it is, a file by its absolute path."""
    from quarterdeck.policy import packaged_bundles

    if str(policy) in packaged_bundles() and not policy.exists():
        return str(policy)
    return str(policy.expanduser().absolute())


async def _session(face: Face, begin: Begin, flags: Mapping[str, Any]) -> int:
    display = Display(face)
    runtime = Runtime(config=load_config(face.home, flags), observe=display.record, progress=display.event)
    async with runtime:
        with Interrupts(runtime) as interrupts:
            started: tuple[str, bool] | None = await interrupts.guard(begin(runtime))
            if started is None:
                face.note("\nStopped before anything was done; the same command begins, or goes on with what was submitted.")
                code = 128 + interrupts.signal
            else:
                code = await _to_the_end(runtime, *started, face, display, interrupts)
    if code >= 128:
        # A step's thread may still be at work and cannot be stopped; the run was handed back, so nobody waits for it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


async def _to_the_end(runtime: Runtime, run: str, created: bool, face: Face, display: Display, interrupts: Interrupts) -> int:
    root = (await runtime.store.run(run)).root
    if not created:
        await _past(runtime.store, root, display)
    with display:
        row = await _settle(runtime, root, face, display, interrupts)
    return await conclude(runtime.store, root, face, created=created, interrupted=interrupts.signal if row is None else 0)


async def _past(store: Store, root: str, display: Display) -> None:
    """Show what was done before, so that a reader sees what is not done again."""
    display.past = True
    await read_new(store, root, display, {})
    display.past = False


async def _settle(runtime: Runtime, root: str, face: Face, display: Display, interrupts: Interrupts) -> Run | None:
    """Drive, or follow whoever drives, until nothing goes on without a person. None: interrupted."""
    told = False
    while True:
        row: Run | None = await interrupts.guard(runtime.drive(root))
        if row is None:  # interrupted; but perhaps only after the end, while deliveries went out
            row = await runtime.store.run(root)
            return row if row.state in ENDED else None
        if row.state in ENDED:
            return row
        holder = await live_owner(runtime.store, root)
        if holder is None:
            return row
        if not told:
            face.note(f"Process {holder.split(':')[1]} drives this run already; following it (read only).")
            told = True
        if await interrupts.guard(follow(runtime.store, root, display)) is None:
            return None


async def live_owner(store: Store, root: str) -> str | None:
    """The process that drives a run of this tree now, if it lives."""
    return next((run.owner for run in await store.tree(root) if run.state not in ENDED and live(run)), None)


async def follow(store: Store, root: str, display: Display) -> bool:
    """Show another process's run until it ends, waits, or its process dies."""
    after: dict[str, int] = {}
    await read_new(store, root, display, after)
    while await live_owner(store, root) is not None:
        await read_new(store, root, display, after)
        await asyncio.sleep(POLL_S)
    await read_new(store, root, display, after)
    return True


async def read_new(store: Store, root: str, display: Display, after: dict[str, int]) -> None:
    """Hand the display every record of the tree that it has not seen."""
    for run in await store.tree(root):
        for record in await store.records(run.id, after.get(run.id, -1)):
            after[run.id] = record.seq
            display.record(run, record)


class Interrupts:
    """Ctrl-C: the first drains (commands go on in their environment and are collected later), the second kills this process."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.signal = 0
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> Interrupts:
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Outside the main thread Python takes no handlers; Ctrl-C then ends that program in its own way.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                self._loop.add_signal_handler(number, self._stop, number)
        return self

    def __exit__(self, *exc: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                self._loop.remove_signal_handler(number)

    def _stop(self, number: int) -> None:
        if self.signal:
            os._exit(128 + number)
        self.signal = number
        self.runtime.worker.drain()
        if self._task is not None:
            self._task.cancel()

    async def guard(self, work: Awaitable[Any]) -> Any:
        """Await `work`; None if it was interrupted."""
        self._task = asyncio.ensure_future(work)
        try:
            return await self._task if not self.signal else None
        except asyncio.CancelledError:
            if not self.signal:
                raise
            return None
        finally:
            self._task = None


def check_model(runtime: Runtime, model: str) -> str:
    """The model in force (option, else configuration); ConfigError before anything begins if it cannot be called or has no price."""
    chosen = model or str(runtime.config["model"])
    if chosen:
        runtime.models.profile(chosen)
        runtime.models.price(chosen)
    return chosen


def origin_of(runtime: Runtime) -> dict[str, str]:
    """What a run's submission says of where it came from; who resumes it elsewhere needs it."""
    policy = runtime.config["policy"]
    return {"policy": policy_name(Path(policy))} if policy else {}
