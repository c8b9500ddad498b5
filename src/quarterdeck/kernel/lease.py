"""Leases are renewed from a thread of their own, and only while the event loop is alive.

A hung loop must lose its runs: the thread renews only if the loop has ticked within half a lease.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from quarterdeck.protocol.errors import QuarterdeckError
from quarterdeck.store import Store


def _started(pid: int) -> str:
    """The process's start time in clock ticks: a pid alone may be reused."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def owner_name() -> str:
    """This process as an owner: host, pid, start time."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{_started(pid)}"


def proven_dead(owner: str) -> bool:
    """Whether `owner` was a process of this host that no longer runs. Of other hosts nothing is known: False."""
    host, _, process = owner.partition(":")
    pid, _, started = process.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    return _started(int(pid)) != started


class Leases:
    """Keeps the leases of one event loop's runs."""

    def __init__(self, store: Store, seconds: float) -> None:
        self.store, self.seconds = store, seconds
        self.lease_us = int(seconds * 1_000_000)
        self._held: dict[str, tuple[int, Callable[[], object]]] = {}
        self._lock = threading.Lock()
        self._tick = time.monotonic()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ticker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin renewing; after `stop` it may be started again."""
        self._stop.clear()
        self._tick = time.monotonic()
        self._ticker = asyncio.create_task(self._beat())
        self._thread = threading.Thread(target=self._renew, name="quarterdeck-lease", daemon=True)
        self._thread.start()

    def hold(self, run: str, epoch: int, lost: Callable[[], object]) -> None:
        """Renew `run` from now on; `lost` is called on the event loop when the lease is gone."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            loop.call_soon_threadsafe(lost)

        with self._lock:
            self._held[run] = (epoch, tell)

    def holds(self, run: str) -> bool:
        with self._lock:
            return run in self._held

    def drop(self, run: str) -> None:
        with self._lock:
            self._held.pop(run, None)

    def stop(self) -> None:
        self._stop.set()
        if self._ticker is not None:
            self._ticker.cancel()
        if self._thread is not None:
            self._thread.join()

    async def _beat(self) -> None:
        while True:
            self._tick = time.monotonic()
            await asyncio.sleep(self.seconds / 8)

    def _renew(self) -> None:
        while not self._stop.wait(self.seconds / 3):
            if time.monotonic() - self._tick > self.seconds / 2:
                continue
            with self._lock:
                held = list(self._held.items())
            for run, (epoch, lost) in held:
                try:
                    self.store.renew(run, epoch, self.lease_us)
                except QuarterdeckError:
                    with self._lock:
                        held_still = self._held.pop(run, None) is not None
                    if held_still:
                        lost()
