"""Approvals: durable questions to people, bound to one action's digest, used once."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from quarterdeck.protocol.canonical import canonical
from quarterdeck.protocol.errors import BadInput, NotFound, PermitRefused
from quarterdeck.protocol.writes import AnswerApproval, OpenApproval, UseApproval

from . import inbox
from .database import Place, Row, Tx

COLUMNS = "id, run, action, role, digest, question, state, created_at, expires_at, answered_at, answered_by, reason"


class Approval(msgspec.Struct, frozen=True):
    """One question. `state`: pending, approved, denied, used, expired. Times in UTC microseconds."""

    id: str
    run: str
    action: int
    role: str
    digest: str
    question: dict[str, Any]
    state: str
    created_at: int
    expires_at: int | None
    answered_at: int | None
    answered_by: str | None
    reason: str | None


def _of(row: Row, now: int) -> Approval:
    values = list(row)
    values[5] = json.loads(values[5])
    if values[6] in ("pending", "approved") and values[8] is not None and values[8] < now:
        values[6] = "expired"
    return Approval(*values)


async def open_(tx: Tx, place: Place, write: OpenApproval) -> None:
    await tx.run(
        "INSERT INTO approval (id, project, run, action, role, digest, question, state, created_at, expires_at) "
        "VALUES (?,?,?,?,?,?,?,'pending',?,?)",
        write.id, place.project, place.run, place.action(write.action), write.role, write.digest,
        canonical(write.question).decode(), tx.now, write.expires_at,
    )  # fmt: skip


async def get(tx: Tx, approval: str) -> Approval:
    rows = await tx.all(f"SELECT {COLUMNS} FROM approval WHERE id=? OR id LIKE ? LIMIT 2", approval, "%" + approval)
    if len(rows) != 1:
        what = "more than one approval ends with" if rows else "there is no approval"
        raise NotFound(f"{what.capitalize()} {approval}.", hint="`quarterdeck approvals list` shows them.", param="approval")
    return _of(rows[0], tx.now)


async def listing(tx: Tx, *, pending: bool, run: str | None) -> list[Approval]:
    where, args = ("run=?", [run]) if run else ("1=1", [])
    rows = await tx.all(f"SELECT {COLUMNS} FROM approval WHERE {where} ORDER BY created_at", *args)
    found = [_of(r, tx.now) for r in rows]
    return [a for a in found if a.state == "pending"] if pending else found


async def answer(tx: Tx, place: Place, write: AnswerApproval) -> None:
    """Record a person's verdict and wake the run that asked. BadInput if it was answered or has expired."""
    found = await get(tx, write.id)
    if found.state != "pending":
        who = f" by {found.answered_by}" if found.answered_by else ""
        raise BadInput(f"Approval {found.id} is already {found.state}{who}.", hint="`quarterdeck approvals list` shows what is open.")
    state = "approved" if write.verdict == "approve" else "denied"
    await tx.run(
        "UPDATE approval SET state=?, answered_at=?, answered_by=?, reason=? WHERE id=? AND state='pending'",
        state, tx.now, write.by, write.reason, found.id,
    )  # fmt: skip
    body = {"approval": found.id, "verdict": write.verdict, "by": write.by, "reason": write.reason}
    await inbox.send(tx, found.run, "approval.answered", body, f"approval:{found.id}")


async def use(tx: Tx, place: Place, write: UseApproval) -> None:
    if not await tx.run(
        "UPDATE approval SET state='used' WHERE id=? AND digest=? AND state='approved' AND (expires_at IS NULL OR expires_at>=?)",
        write.id, write.digest, tx.now,
    ):  # fmt: skip
        raise PermitRefused(f"Approval {write.id} is not valid for this action: used, expired, denied or for other arguments.")
