"""An environment's folder as the driver sees it: is its shim alive, what does its ledger tell, and what is left to remove."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import marshal
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from . import client
from .shim.cgroups import Group
from .shim.ledger import Ledger
from .shim.processes import start_time

REACH_S = 1.6
"""How long a shim that lives but does not listen yet is waited for."""
SWEEP_S = 0.3
"""How long control groups may take to become empty."""


def collect(pid: int) -> None:
    """Take a dead shim's status, if it is our child, so that no zombie stays."""
    if pid:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def recorded(folder: Path, key: str) -> tuple[dict[str, Any], bytes] | None:
    """What a dead shim's ledger tells of a key: its end, its tombstone, or nothing."""
    ledger = Ledger(str(folder))
    if ledger.states.get(key) == "tombstoned":
        return {"state": "not_begun"}, b""
    known = ledger.result(key)
    return (known[0].to_answer(), known[1]) if known else None


def held(folder: Path) -> bool:
    """Whether a shim lives: it holds its lock for life, whatever becomes of its pid."""
    try:
        fd = os.open(folder / "shim.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


async def reach(folder: Path) -> socket.socket | None:
    """Connect to the folder's shim, waiting for one that is just starting. None: it is dead."""
    deadline = time.monotonic() + REACH_S
    while True:
        try:
            return client.connect(folder)
        except client.Broken:
            if not held(folder) or time.monotonic() > deadline:
                return None
            await asyncio.sleep(0.005)


def sweep(folder: Path) -> None:
    """Remove what a shim left: processes (by pid and start time), control groups, the folder. No process is waited for."""
    with contextlib.suppress(OSError, ValueError):
        if held(folder):
            os.kill(int((folder / "shim.lock").read_bytes()), signal.SIGKILL)
    with contextlib.suppress(OSError, ValueError):
        for line in (folder / "remains").read_text().splitlines():
            _, pid, started = line.split(" ")
            if started and start_time(int(pid)) == started:
                os.kill(int(pid), signal.SIGKILL)
    with contextlib.suppress(OSError, ValueError, EOFError):
        made = marshal.loads((folder / "plan").read_bytes())
        Group(made["group"], made["groups"]).remove(time.monotonic() + SWEEP_S)
    shutil.rmtree(folder, ignore_errors=True)


def _is(fd: int, path: Path) -> bool:
    """Whether the descriptor is the file that `path` names now."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


@contextlib.asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold a file's lock: only one process makes or deletes an environment at a time."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(0.01)
                continue
            if _is(fd, path):
                break
            os.close(fd)  # whoever deleted the environment deleted the lock with it
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        yield
    finally:
        os.close(fd)
