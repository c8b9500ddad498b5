"""What is remembered between runs: one value per (project, scope, kind, key)."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from quarterdeck.protocol.canonical import canonical
from quarterdeck.protocol.writes import Remember

from .database import Place, Tx


class Memory(msgspec.Struct, frozen=True):
    """One remembered value, with the run that wrote it and the labels it carries."""

    scope: str
    kind: str
    key: str
    body: dict[str, Any]
    labels: tuple[str, ...]
    run: str
    at: int


async def put(tx: Tx, place: Place, write: Remember) -> None:
    await tx.run("DELETE FROM memory WHERE project=? AND scope=? AND kind=? AND key=?", place.project, write.scope, write.kind, write.key)
    await tx.run(
        "INSERT INTO memory (project, scope, kind, key, body, labels, run, at) VALUES (?,?,?,?,?,?,?,?)",
        place.project, write.scope, write.kind, write.key, canonical(write.body).decode(), json.dumps(write.labels), place.run, tx.now,
    )  # fmt: skip


async def recall(tx: Tx, project: str, scope: str, kind: str, limit: int = 10_000) -> list[Memory]:
    """Newest first."""
    rows = await tx.all(
        "SELECT scope, kind, key, body, labels, run, at FROM memory WHERE project=? AND scope=? AND kind=? ORDER BY at DESC, key LIMIT ?",
        project, scope, kind, limit,
    )  # fmt: skip
    return [Memory(s, k, key, json.loads(b), tuple(json.loads(lab)), r, at) for s, k, key, b, lab, r, at in rows]
