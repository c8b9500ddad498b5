"""Runs: the log's one write path, submission, claiming and leases."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from quarterdeck.protocol.canonical import canonical
from quarterdeck.protocol.errors import LostLease, NotFound
from quarterdeck.protocol.leaf import GENESIS, commitment, leaf, leaf_hash
from quarterdeck.protocol.records import ENDED, NewRecord, NewRun, Record, Run
from quarterdeck.protocol.writes import Write

from .apply import apply
from .blobs import INLINE_BYTES, Blobs
from .database import Place, Row, Tx

COLUMNS = (
    "id, project, kind, name, root, parent, state, waiting, environment, actor, labels, next_seq, owner, epoch, lease_until, "
    "wake_at, inbox_done, created_at, ended_at"
)


class Packed:
    """A record made ready outside the transaction: its bytes, and its blob when it is big."""

    __slots__ = ("blob", "body", "data", "kind", "salt")

    def __init__(self, record: NewRecord, blobs: Blobs) -> None:
        self.kind, self.body = record.kind, record.body
        self.data = canonical(record.body)
        self.salt = os.urandom(16).hex()
        self.blob = blobs.put(self.data) if len(self.data) > INLINE_BYTES else None


def run_of(row: Row) -> Run:
    values = list(row)
    values[10] = tuple(json.loads(values[10]))
    return Run(*values)


async def _insert(tx: Tx, run: str, epoch: int, first: int, head: str, records: Sequence[Packed]) -> str:
    for offset, record in enumerate(records):
        seq = first + offset
        inline = None if record.blob else record.data.decode("utf-8", "surrogatepass")
        await tx.run(
            "INSERT INTO record (run, seq, epoch, kind, body, blob, salt, at) VALUES (?,?,?,?,?,?,?,?)",
            run, seq, epoch, record.kind, inline, record.blob, record.salt, tx.now,
        )  # fmt: skip
        data = leaf(run, seq, tx.now, epoch, record.kind, record.body, commitment(record.salt, record.data), head)
        head = leaf_hash(data)
        await tx.run("INSERT INTO audit_leaf (run, seq, leaf, hash) VALUES (?,?,?,?)", run, seq, data.decode(), head)
    return head


async def append(
    tx: Tx, run: str, epoch: int, records: Sequence[Packed], *,
    state: str | None, waiting: str | None, wake_at: int | None, writes: Sequence[Write],
) -> tuple[int, int]:  # fmt: skip
    """Append records and commit typed writes with them. Returns (first seq, time). Raises LostLease.

    `state` None keeps the state; otherwise `waiting` and `wake_at` are set with it. An ended run has no owner.
    """
    row = await tx.one("SELECT next_seq, leaf_head, project, ended_at FROM run WHERE id=? AND epoch=?", run, epoch)
    if row is None:
        raise LostLease(f"Run {run} has another owner now (epoch {epoch} is over).")
    first, head, project, ended_at = row
    if ended_at is not None:
        raise LostLease(f"Run {run} has ended; its log is closed.")
    head = await _insert(tx, run, epoch, first, head, records)
    await tx.run("UPDATE run SET next_seq=?, leaf_head=? WHERE id=?", first + len(records), head, run)
    if state is not None:
        await tx.run("UPDATE run SET state=?, waiting=?, wake_at=? WHERE id=?", state, waiting, wake_at, run)
    if state in ENDED:
        await tx.run("UPDATE run SET ended_at=?, owner=NULL, lease_until=0, wake_at=NULL WHERE id=?", tx.now, run)
    place = Place(project, run, epoch, first)
    for write in writes:
        await apply(tx, place, write)
    return first, tx.now


async def submit(tx: Tx, new: NewRun, first: Packed, caller_key: tuple[str, str] | None) -> tuple[str, bool]:
    """Insert a run with its first record. Returns (run, created); an equal unfinished submission is found again."""
    if caller_key is not None:
        row = await tx.one(
            "SELECT s.run, r.state FROM submission s JOIN run r ON r.id=s.run WHERE s.project=? AND s.caller=? AND s.key=?",
            new.project, *caller_key,
        )  # fmt: skip
        if row is not None and row[1] not in ENDED:
            return str(row[0]), False
        await tx.run("DELETE FROM submission WHERE project=? AND caller=? AND key=?", new.project, *caller_key)
        await tx.run("INSERT INTO submission (project, caller, key, run, at) VALUES (?,?,?,?,?)", new.project, *caller_key, new.id, tx.now)
    elif await tx.one("SELECT 1 FROM run WHERE id=?", new.id):
        return new.id, False
    await tx.run(
        "INSERT INTO run (id, project, kind, name, root, parent, state, environment, actor, labels, leaf_head, wake_at, created_at) "
        "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        new.id, new.project, new.kind, new.name, new.root or new.id, new.parent, new.state, new.environment, new.actor,
        json.dumps(new.labels), GENESIS, 0, tx.now,
    )  # fmt: skip
    head = await _insert(tx, new.id, 0, 0, GENESIS, [first])
    await tx.run("UPDATE run SET next_seq=1, leaf_head=? WHERE id=?", head, new.id)
    return new.id, True


async def claim(tx: Tx, owner: str, lease_us: int, dead: Sequence[str], *, run: str | None, root: str | None) -> Run | None:
    """Take one claimable run (of `run`, or of the tree `root`, or any) and raise its epoch.

    `dead` are owners proven dead: their leases need not run out.
    """
    held = "(owner IS NULL OR lease_until < ?" + "".join(" OR owner=?" for _ in dead) + ")"
    where = f"state IN ('queued','running','waiting') AND wake_at IS NOT NULL AND wake_at <= ? AND {held}"
    args: list[Any] = [tx.now, tx.now, *dead]
    if run is not None:
        where, args = where + " AND id=?", [*args, run]
    elif root is not None:
        where, args = where + " AND root=?", [*args, root]
    row = await tx.one(f"SELECT id FROM run WHERE {where} AND kind NOT IN ('operator','system') ORDER BY wake_at, id LIMIT 1", *args)
    if row is None:
        return None
    await tx.run(
        "UPDATE run SET state='running', waiting=NULL, owner=?, epoch=epoch+1, lease_until=?, wake_at=0 WHERE id=?",
        owner, tx.now + lease_us, row[0],
    )  # fmt: skip
    return await get(tx, str(row[0]))


async def own(tx: Tx, run: str, owner: str) -> int:
    """Take a run that only its process writes (operator, system) and return its epoch."""
    await tx.run("UPDATE run SET owner=?, epoch=epoch+1, state='running' WHERE id=?", owner, run)
    return (await get(tx, run)).epoch


async def renew(tx: Tx, run: str, epoch: int, lease_us: int) -> None:
    if not await tx.run("UPDATE run SET lease_until=? WHERE id=? AND epoch=? AND owner IS NOT NULL", tx.now + lease_us, run, epoch):
        raise LostLease(f"The lease of {run} is lost.")


async def release(tx: Tx, run: str, epoch: int, wake_at: int | None) -> None:
    """Hand a run back. A message that arrived meanwhile keeps it awake."""
    await tx.run("UPDATE run SET owner=NULL, lease_until=0 WHERE id=? AND epoch=?", run, epoch)
    if wake_at is not None:
        await tx.run("UPDATE run SET wake_at=? WHERE id=? AND epoch=?", wake_at, run, epoch)
    await tx.run("UPDATE run SET wake_at=0 WHERE id=? AND inbox_next > inbox_done AND state='waiting'", run)


async def get(tx: Tx, run: str) -> Run:
    row = await tx.one(f"SELECT {COLUMNS} FROM run WHERE id=?", run)
    if row is None:
        raise NotFound(f"There is no run {run}.", hint="`quarterdeck runs` lists them.", param="run")
    return run_of(row)


async def find(tx: Tx, prefix: str) -> list[str]:
    """Runs whose id starts or ends with `prefix` (as people type them)."""
    like = prefix.replace("%", "").replace("_", r"\_")
    rows = await tx.all(r"SELECT id FROM run WHERE id LIKE ? ESCAPE '\' OR id LIKE ? ESCAPE '\' LIMIT 3", like + "%", "%" + like)
    return [str(r[0]) for r in rows]


async def listing(tx: Tx, limit: int, *, before: str | None, state: str | None, kinds: Sequence[str]) -> list[Run]:
    """Newest first; `before` pages on."""
    where, args = "1=1", list[Any]()
    if before:
        where, args = where + " AND id < ?", [*args, before]
    if state:
        where, args = where + " AND state=?", [*args, state]
    if kinds:
        where, args = where + f" AND kind IN ({','.join('?' * len(kinds))})", [*args, *kinds]
    rows = await tx.all(f"SELECT {COLUMNS} FROM run WHERE {where} ORDER BY id DESC LIMIT ?", *args, limit)
    return [run_of(r) for r in rows]


async def tree(tx: Tx, root: str) -> list[Run]:
    return [run_of(r) for r in await tx.all(f"SELECT {COLUMNS} FROM run WHERE root=? ORDER BY id", root)]


async def owners(tx: Tx) -> list[str]:
    return [str(r[0]) for r in await tx.all("SELECT DISTINCT owner FROM run WHERE owner IS NOT NULL")]


async def records(tx: Tx, run: str, after: int, blobs: Blobs, limit: int = 1_000_000) -> list[Record]:
    """Committed records with seq > `after`, in order."""
    rows = await tx.all("SELECT seq, epoch, kind, body, blob, at FROM record WHERE run=? AND seq>? ORDER BY seq LIMIT ?", run, after, limit)
    return [Record(run, q, e, k, json.loads(blobs.get(blob) if blob else body), at) for q, e, k, body, blob, at in rows]
