"""The effect ledger: intent before, outcome after, and permits used once."""

from __future__ import annotations

from quarterdeck.protocol.actions import Permit
from quarterdeck.protocol.errors import LostLease, PermitRefused
from quarterdeck.protocol.writes import EffectEnd, EffectStart

from .database import Place, Tx


async def start(tx: Tx, place: Place, write: EffectStart) -> None:
    run, action, attempt = place.run, place.action(write.action), write.attempt
    if await tx.one("SELECT 1 FROM effect WHERE run=? AND action=? AND attempt=?", run, action, attempt):
        raise PermitRefused(f"Attempt {run}.{action}.{attempt} already began.")
    await tx.run(
        "INSERT INTO effect (run, action, attempt, state, epoch, permit) VALUES (?,?,?,'started',?,?)",
        run,
        action,
        attempt,
        place.epoch,
        write.nonce,
    )


async def consume(tx: Tx, permit: Permit) -> None:
    """Use a permit up. PermitRefused if it was used or is none of ours; LostLease if the run has a new owner."""
    row = await tx.one("SELECT epoch FROM run WHERE id=?", permit.run)
    if row is None or row[0] != permit.epoch:
        raise LostLease(f"Run {permit.run} has another owner; the permit {permit.key} is void.")
    touched = await tx.run(
        "UPDATE effect SET permit=NULL WHERE run=? AND action=? AND attempt=? AND epoch=? AND state='started' AND permit=?",
        permit.run, permit.action, permit.attempt, permit.epoch, permit.nonce,
    )  # fmt: skip
    if not touched:
        raise PermitRefused(f"The permit {permit.key} was already used, or was never given.")


async def end(tx: Tx, place: Place, write: EffectEnd) -> None:
    """Close an attempt; closing it twice, or one that never began, fails the append."""
    run, action, attempt = place.run, place.action(write.action), write.attempt
    if not await tx.run(
        "UPDATE effect SET state=?, epoch=?, permit=NULL WHERE run=? AND action=? AND attempt=? AND state='started'",
        write.state, place.epoch, run, action, attempt,
    ):  # fmt: skip
        raise PermitRefused(f"Attempt {run}.{action}.{attempt} is not open in the ledger.")


async def open_attempts(tx: Tx, run: str) -> list[tuple[int, int, bool]]:
    """Attempts without outcome: (action, attempt, whether the permit was used)."""
    rows = await tx.all("SELECT action, attempt, permit FROM effect WHERE run=? AND state='started' ORDER BY action, attempt", run)
    return [(a, n, permit is None) for a, n, permit in rows]


async def states(tx: Tx, run: str) -> list[tuple[int, int, str]]:
    return [(a, n, s) for a, n, s in await tx.all("SELECT action, attempt, state FROM effect WHERE run=?", run)]
