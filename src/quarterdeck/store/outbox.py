"""The outbox: deliveries waiting to go out, deduplicated per channel."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from quarterdeck.protocol.canonical import canonical
from quarterdeck.protocol.writes import OutboxDone, OutboxPut

from .database import Place, Tx


class Delivery(msgspec.Struct, frozen=True):
    """One delivery. `state`: waiting, delivered, failed, unknown."""

    id: str
    run: str
    channel: str
    body: dict[str, Any]
    dedupe_key: str
    state: str
    result: str | None
    created_at: int


async def put(tx: Tx, place: Place, write: OutboxPut) -> None:
    if await tx.one("SELECT 1 FROM outbox WHERE channel=? AND dedupe_key=?", write.channel, write.dedupe_key):
        return
    await tx.run(
        "INSERT INTO outbox (id, project, run, action, channel, body, dedupe_key, state, created_at) VALUES (?,?,?,?,?,?,?,'waiting',?)",
        write.id, place.project, place.run, place.action(write.action), write.channel,
        canonical(write.body).decode(), write.dedupe_key, tx.now,
    )  # fmt: skip


async def done(tx: Tx, place: Place, write: OutboxDone) -> None:
    await tx.run("UPDATE outbox SET state=?, result=? WHERE id=?", write.state, write.result, write.id)


async def listing(tx: Tx, *, state: str | None = None, run: str | None = None, limit: int = 200) -> list[Delivery]:
    where, args = "1=1", list[Any]()
    if state:
        where, args = where + " AND state=?", [*args, state]
    if run:
        where, args = where + " AND run=?", [*args, run]
    rows = await tx.all(
        f"SELECT id, run, channel, body, dedupe_key, state, result, created_at FROM outbox WHERE {where} ORDER BY created_at, id LIMIT ?",
        *args, limit,
    )  # fmt: skip
    return [Delivery(i, r, c, json.loads(b), k, s, x, t) for i, r, c, b, k, s, x, t in rows]
