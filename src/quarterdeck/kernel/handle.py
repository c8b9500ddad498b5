"""A run in the hands of its owner: the log in memory and the one way to append to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from quarterdeck.protocol.records import NewRecord, Record, Run
from quarterdeck.protocol.writes import Write
from quarterdeck.store import Store

from .log import RunLog

Observer = Callable[[Run, Record], None]
Progress = Callable[[str, Mapping[str, Any]], None]


class Handle:
    """An owned run. Appends go one after another; readers of this process see a record only after its commit (law 1)."""

    def __init__(self, store: Store, run: Run, log: RunLog, observe: Observer, progress: Progress) -> None:
        self.store, self.run, self.log = store, run, log
        self.stopping = ""
        self.labels: tuple[str, ...] = run.labels
        self.inbox_done = run.inbox_done
        self._observe, self._progress = observe, progress
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, store: Store, run: Run, observe: Observer, progress: Progress) -> Handle:
        return cls(store, run, RunLog.of(run.id, await store.records(run.id)), observe, progress)

    async def append(
        self, records: Sequence[NewRecord], *, writes: Sequence[Write] = (), state: str | None = None, waiting: str | None = None,
        wake_at: int | None = None,
    ) -> int:  # fmt: skip
        """Commit, then fold in. A cancelled caller still leaves log and memory equal. Returns the first seq."""
        return await asyncio.shield(self._append(records, writes, state, waiting, wake_at))

    async def _append(
        self, records: Sequence[NewRecord], writes: Sequence[Write], state: str | None, waiting: str | None, wake_at: int | None
    ) -> int:
        async with self._lock:
            run = self.run
            first, at = await self.store.append(
                run.id, run.epoch, records, state=state, waiting=waiting, wake_at=wake_at, writes=writes
            )  # fmt: skip
            for offset, record in enumerate(records):
                committed = Record(run.id, first + offset, run.epoch, record.kind, record.body, at)
                self.log.add(committed)
                self._observe(run, committed)
            return first

    def lose(self, task: asyncio.Task[None]) -> None:
        """Another worker has the run: stop driving it, without a word to log or environment."""
        self.stopping = self.stopping or "lost"
        task.cancel()

    def progress(self, event: Mapping[str, Any]) -> None:
        self._progress(self.run.id, event)
