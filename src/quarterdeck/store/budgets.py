"""Budgets: reserve before, settle after, in the run's own transaction. Integer micro-USD."""

from __future__ import annotations

import msgspec

from quarterdeck.protocol.errors import BudgetRefused
from quarterdeck.protocol.writes import Reserve, SetCap, Settle

from .database import Place, Tx


class BudgetRow(msgspec.Struct, frozen=True):
    """One scope's account. `cap` None: unlimited."""

    scope: str
    cap: int | None
    reserved: int
    settled: int
    overrun: int

    @property
    def left(self) -> int | None:
        return None if self.cap is None else self.cap - self.reserved - self.settled


async def set_cap(tx: Tx, scope: str, cap: int) -> None:
    if not await tx.run("UPDATE budget SET cap=? WHERE scope=?", cap, scope):
        await tx.run("INSERT INTO budget (scope, cap) VALUES (?,?)", scope, cap)


async def account(tx: Tx, scope: str) -> BudgetRow:
    row = await tx.one("SELECT scope, cap, reserved, settled, overrun FROM budget WHERE scope=?", scope)
    return BudgetRow(*row) if row else BudgetRow(scope, None, 0, 0, 0)


async def write_cap(tx: Tx, place: Place, write: SetCap) -> None:
    await set_cap(tx, write.scope, write.cap)


async def reserve(tx: Tx, place: Place, write: Reserve) -> None:
    """Reserve in every scope or in none. BudgetRefused names the first scope that stands in the way."""
    run, action, attempt, amount = place.run, place.action(write.action), write.attempt, write.amount
    for scope in sorted(write.scopes):
        row = await account(tx, scope)
        if row.overrun:
            raise BudgetRefused(
                f"The budget {scope} is stopped: a provider billed {row.overrun / 1e6:.6f} USD beyond its bound.",
                scope=scope, needed=amount, left=0, hint="Raise the cap to start again.",
            )  # fmt: skip
        if row.left is not None and amount > row.left:
            raise BudgetRefused(
                f"The call may cost up to {amount / 1e6:.6f} USD; {max(row.left, 0) / 1e6:.6f} USD of the budget {scope} are left.",
                scope=scope, needed=amount, left=row.left, hint="Raise it with --budget, or use a cheaper model.",
            )  # fmt: skip
        if not await tx.run("UPDATE budget SET reserved=reserved+? WHERE scope=?", amount, scope):
            await tx.run("INSERT INTO budget (scope, reserved) VALUES (?,?)", scope, amount)
        await tx.run(
            "INSERT INTO reservation (run, action, attempt, scope, amount) VALUES (?,?,?,?,?)", run, action, attempt, scope, amount
        )


async def settle(tx: Tx, place: Place, write: Settle) -> None:
    """Turn the attempt's reservation into `amount` spent. Beyond what was reserved it is an overrun."""
    run, action, attempt, amount = place.run, place.action(write.action), write.attempt, write.amount
    rows = await tx.all(
        "SELECT scope, amount FROM reservation WHERE run=? AND action=? AND attempt=? AND settled IS NULL ORDER BY scope",
        run,
        action,
        attempt,
    )
    for scope, reserved in rows:
        await tx.run(
            "UPDATE budget SET reserved=reserved-?, settled=settled+?, overrun=overrun+? WHERE scope=?",
            reserved, amount, max(0, amount - reserved), scope,
        )  # fmt: skip
    await tx.run(
        "UPDATE reservation SET settled=? WHERE run=? AND action=? AND attempt=? AND settled IS NULL", amount, run, action, attempt
    )


async def reserved(tx: Tx, run: str, action: int, attempt: int) -> int:
    """What an attempt holds: its worst case."""
    row = await tx.one(
        "SELECT max(amount) FROM reservation WHERE run=? AND action=? AND attempt=? AND settled IS NULL", run, action, attempt
    )
    return int(row[0]) if row and row[0] is not None else 0
