"""Typed writes find their owner here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from quarterdeck.protocol import writes as w

from . import approvals, budgets, effects, inbox, labels, memory, outbox
from .database import Place, Tx

OWNERS: dict[type, Callable[[Tx, Place, Any], Awaitable[None]]] = {
    w.EffectStart: effects.start,
    w.EffectEnd: effects.end,
    w.Reserve: budgets.reserve,
    w.Settle: budgets.settle,
    w.SetCap: budgets.write_cap,
    w.OpenApproval: approvals.open_,
    w.UseApproval: approvals.use,
    w.AnswerApproval: approvals.answer,
    w.SendMessage: inbox.deliver,
    w.InboxDone: inbox.done,
    w.AddLabels: labels.add,
    w.OutboxPut: outbox.put,
    w.OutboxDone: outbox.done,
    w.Remember: memory.put,
}


async def apply(tx: Tx, place: Place, write: w.Write) -> None:
    """Commit one typed write of an append."""
    await OWNERS[type(write)](tx, place, write)
