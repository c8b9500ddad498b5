"""Labels of a run only grow."""

from __future__ import annotations

import json

from quarterdeck.protocol.writes import AddLabels

from .database import Place, Tx


async def add(tx: Tx, place: Place, write: AddLabels) -> None:
    row = await tx.one("SELECT labels FROM run WHERE id=?", place.run)
    held = set(json.loads(row[0])) if row else set()
    await tx.run("UPDATE run SET labels=? WHERE id=?", json.dumps(sorted(held | set(write.labels))), place.run)
