"""What of HOME nothing references any more. Conservative: while a process drives a run, blobs are left alone."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from quarterdeck.kernel.lease import proven_dead
from quarterdeck.kernel.operator import open_own_run
from quarterdeck.protocol.canonical import canonical, sha256
from quarterdeck.protocol.errors import StoreError
from quarterdeck.protocol.records import ENDED, NewRecord, Run
from quarterdeck.sandbox import LocalDriver
from quarterdeck.store import Store

DIGEST = re.compile(rb"\b[0-9a-f]{64}\b")
YOUNG_S = 3600.0
"""A blob is written before the record that names it: younger ones are never unreferenced."""
PAGE = 500
MAYBE_BLOB = 32 << 10


@dataclass(frozen=True)
class Item:
    """One thing to remove."""

    kind: str
    path: Path
    bytes: int
    why: str


async def collect(store: Store, home: Path, older_s: float) -> tuple[list[Item], list[str]]:
    """Everything that may go, and notes on what was left alone and why. Removes nothing."""
    runs = await _all_runs(store)
    unfinished = [r for r in runs.values() if r.state not in ENDED and r.kind in ("workflow", "agent")]
    needed, digests = await _read(store, runs.values(), {r.id for r in unfinished})
    notes: list[str] = []
    items = [
        *_environments(home, runs.values()),
        *_run_folders(home, runs, older_s),
        *_wheels(home, needed, older_s),
        *_crashes(home, older_s),
    ]
    driven = [r for r in runs.values() if r.owner and r.state not in ENDED and not proven_dead(r.owner)]
    if driven:
        notes.append(f"blobs were left alone: a process drives {driven[0].id}")
    else:
        items += _blobs(store, digests)
    return items, notes


async def remove(store: Store, home: Path, items: Sequence[Item], actor: str) -> None:
    """Remove them: an environment with its processes, everything else as files. Then say so in a `system` run of its own.

    The record comes last: on a full disk there is room for it only then, and everything removed was nobody's.
    """
    driver = LocalDriver(home, store)
    for item in items:
        if item.kind == "environment":
            await driver.delete(item.path.name)
        elif item.path.is_dir() and not item.path.is_symlink():
            shutil.rmtree(item.path, ignore_errors=True)
        else:
            item.path.unlink(missing_ok=True)
    if not items:
        return
    handle = await open_own_run(store, "system", actor)
    kinds = {kind: sum(i.kind == kind for i in items) for kind in dict.fromkeys(i.kind for i in items)}
    said = NewRecord("run.note", {"text": "gc removed what nothing references", "removed": kinds, "bytes": sum(i.bytes for i in items)})
    await handle.append([said, NewRecord("run.completed", {"state": "completed", "result": None, "error": None})], state="completed")


async def _all_runs(store: Store) -> dict[str, Run]:
    runs: dict[str, Run] = {}
    before: str | None = None
    while page := await store.runs(PAGE, before=before):
        runs |= {r.id: r for r in page}
        before = page[-1].id
    return runs


async def _read(store: Store, runs: Iterable[Run], unfinished: set[str]) -> tuple[bytes, set[str]]:
    """The text of unfinished runs' logs (what they name is needed), and every digest that any log names."""
    needed: list[bytes] = []
    digests: set[str] = set()
    for run in runs:
        for row in await store.audit_rows(run.id):
            if row.data is None:
                raise StoreError(f"A body of {run.id} is gone, so nobody can say what it names.", hint="quarterdeck audit verify")
            digests |= {found.decode() for found in DIGEST.findall(row.data)}
            if len(row.data) > MAYBE_BLOB:  # a big body is a blob itself, found by its own digest
                digests.add(sha256(row.data))
            if run.id in unfinished:
                needed.append(row.data)
    for delivery in await store.outbox():
        digests |= {found.decode() for found in DIGEST.findall(canonical(delivery.body))}
    return b"\n".join(needed), digests


def _environments(home: Path, runs: Iterable[Run]) -> list[Item]:
    """Environments whose run has ended, or is not of this database."""
    alive = {r.environment for r in runs if r.state not in ENDED and r.environment}
    folder = home / "environments"
    found = [p for p in sorted(folder.iterdir()) if p.is_dir() and p.name not in alive] if folder.is_dir() else []
    return [Item("environment", p, _size(p), "its run has ended") for p in found]


def _run_folders(home: Path, runs: dict[str, Run], older_s: float) -> list[Item]:
    """Scratch of ended runs at once, their whole folders (with the report) when they are old."""
    folder = home / "runs"
    items: list[Item] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        run = runs.get(path.name)
        if run is not None and run.state not in ENDED:
            continue
        ended = run.ended_at / 1e6 if run is not None and run.ended_at else path.stat().st_mtime
        scratch = path / "scratch"
        if time.time() - ended >= older_s:
            items.append(Item("run folder", path, _size(path), "old; its artifacts stay in the log's blobs"))
        elif scratch.is_dir():
            items.append(Item("scratch folder", scratch, _size(scratch), "its run has ended"))
    return items


def _wheels(home: Path, needed: bytes, older_s: float) -> list[Item]:
    """Fetched wheels that were not written lately and that no unfinished run names."""
    folder = home / "cache" / "wheels"
    found = [p for p in sorted(folder.iterdir()) if time.time() - p.stat().st_mtime >= older_s] if folder.is_dir() else []
    return [Item("wheel folder", p, _size(p), "old; fetched again when needed") for p in found if str(p).encode() not in needed]


def _crashes(home: Path, older_s: float) -> list[Item]:
    folder = home / "crash"
    found = [p for p in sorted(folder.iterdir()) if time.time() - p.stat().st_mtime >= older_s] if folder.is_dir() else []
    return [Item("crash file", p, _size(p), "old") for p in found]


def _blobs(store: Store, digests: set[str]) -> list[Item]:
    """Blobs that no log names."""
    root = store.blobs.root
    now = time.time()
    found = [p for p in sorted(root.rglob("*")) if p.is_file() and p.name not in digests] if root.is_dir() else []
    return [Item("blob", p, p.stat().st_size, "no log names it") for p in found if now - p.stat().st_mtime >= YOUNG_S]


def _size(path: Path) -> int:
    if path.is_file() or path.is_symlink():
        return path.lstat().st_size
    return sum(p.lstat().st_size for p in path.rglob("*") if not p.is_dir() or p.is_symlink())
