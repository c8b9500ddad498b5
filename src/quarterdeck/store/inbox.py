"""Inboxes: anybody may write; a message wakes its run in the same transaction."""

from __future__ import annotations

import json
from typing import Any

from quarterdeck.protocol.canonical import canonical
from quarterdeck.protocol.errors import NotFound
from quarterdeck.protocol.records import Message
from quarterdeck.protocol.writes import InboxDone, SendMessage

from .database import Place, Tx


async def send(tx: Tx, run: str, kind: str, body: dict[str, Any], idem_key: str) -> bool:
    """Put a message into the inbox and wake the run. False: it was there already. NotFound for an unknown run."""
    row = await tx.one("SELECT inbox_next, state FROM run WHERE id=?", run)
    if row is None:
        raise NotFound(f"There is no run {run}.", hint="`quarterdeck runs` lists them.", param="run")
    if await tx.one("SELECT 1 FROM inbox WHERE run=? AND idem_key=?", run, idem_key):
        return False
    await tx.run(
        "INSERT INTO inbox (run, n, kind, body, idem_key, at) VALUES (?,?,?,?,?,?)",
        run, row[0], kind, canonical(body).decode(), idem_key, tx.now,
    )  # fmt: skip
    await tx.run("UPDATE run SET inbox_next=inbox_next+1 WHERE id=?", run)
    await tx.run("UPDATE run SET wake_at=0 WHERE id=? AND state='waiting'", run)
    return True


async def deliver(tx: Tx, place: Place, write: SendMessage) -> None:
    await send(tx, write.run, write.kind, write.body, write.idem_key)


async def done(tx: Tx, place: Place, write: InboxDone) -> None:
    await tx.run("UPDATE run SET inbox_done=? WHERE id=? AND inbox_done<?", write.n, place.run, write.n)


async def messages(tx: Tx, run: str, after: int) -> list[Message]:
    rows = await tx.all("SELECT n, kind, body, at FROM inbox WHERE run=? AND n>=? ORDER BY n", run, after)
    return [Message(n, kind, json.loads(body), at) for n, kind, body, at in rows]
