"""Reading leaves beside their records, raw, for whoever verifies them."""

from __future__ import annotations

from quarterdeck.protocol.leaf import Row

from .blobs import Blobs
from .database import Tx


def _raw(blobs: Blobs, digest: str) -> bytes | None:
    try:
        return blobs.path(digest).read_bytes()
    except OSError:
        return None


async def rows(tx: Tx, run: str, blobs: Blobs) -> list[Row]:
    """Every leaf and every record of a run, paired by seq; what lacks its other half has None there."""
    found = await tx.all(
        "SELECT r.seq, r.epoch, r.kind, r.at, r.salt, r.body, r.blob, l.leaf, l.hash FROM record r "
        "LEFT JOIN audit_leaf l ON l.run=r.run AND l.seq=r.seq WHERE r.run=? ORDER BY r.seq",
        run,
    )
    pairs = [
        Row(run, seq, epoch, kind, at, salt, _raw(blobs, blob) if blob else str(body).encode("utf-8", "surrogatepass"), leaf, digest)
        for seq, epoch, kind, at, salt, body, blob, leaf, digest in found
    ]
    lonely = await tx.all(
        "SELECT l.seq, l.leaf, l.hash FROM audit_leaf l LEFT JOIN record r ON r.run=l.run AND r.seq=l.seq WHERE l.run=? AND r.run IS NULL",
        run,
    )
    pairs += [Row(run, seq, None, None, None, None, None, leaf, digest) for seq, leaf, digest in lonely]
    return sorted(pairs, key=lambda p: p.seq)


async def head(tx: Tx, run: str) -> str:
    """The newest hash of a run's chain."""
    row = await tx.one("SELECT leaf_head FROM run WHERE id=?", run)
    return str(row[0]) if row else ""


async def heads(tx: Tx) -> list[tuple[str, int, str, str]]:
    """(run, number of records, head of its chain, state) of every run."""
    return [(r, n, h, s) for r, n, h, s in await tx.all("SELECT id, next_seq, leaf_head, state FROM run ORDER BY id")]
