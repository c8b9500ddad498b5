"""The store's entrance: every question and every write of the house, over one `Database`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from quarterdeck.protocol.actions import ActionKind, Permit
from quarterdeck.protocol.errors import BadInput, NotFound, PermitRefused, StoreError
from quarterdeck.protocol.leaf import Row
from quarterdeck.protocol.records import Message, NewRecord, NewRun, Record, Run
from quarterdeck.protocol.writes import Write

from . import approvals, audit, budgets, effects, inbox, memory, outbox, runs
from .blobs import Blobs
from .database import Database

DATABASE = "quarterdeck.db"


class Store:
    """All durable state. Async methods are safe from one event loop; `renew` is safe from any thread."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self.database = database
        self.blobs = blobs

    # --- the log

    async def append(
        self, run: str, epoch: int, records: Sequence[NewRecord], *, state: str | None = None, waiting: str | None = None,
        wake_at: int | None = None, writes: Sequence[Write] = (),
    ) -> tuple[int, int]:  # fmt: skip
        """The one write path of a log. Returns the first record's seq and the time. Raises LostLease and what writes raise."""
        packed = [runs.Packed(r, self.blobs) for r in records]
        return await self.database.transact(
            lambda tx: runs.append(tx, run, epoch, packed, state=state, waiting=waiting, wake_at=wake_at, writes=writes)
        )

    async def records(self, run: str, after: int = -1, limit: int = 1_000_000) -> list[Record]:
        return await self.database.read(lambda tx: runs.records(tx, run, after, self.blobs, limit))

    # --- runs

    async def submit(
        self, new: NewRun, body: dict[str, Any], caller_key: tuple[str, str] | None = None, cap: int | None = None
    ) -> tuple[str, bool]:
        """Submit a run, once per `caller_key` (caller, key) while it is unfinished. Returns (run, created). `cap` is micro-USD."""
        packed = runs.Packed(NewRecord("run.submitted", body), self.blobs)

        async def work(tx: Any) -> tuple[str, bool]:
            run, created = await runs.submit(tx, new, packed, caller_key)
            if created and cap is not None:
                await budgets.set_cap(tx, f"run:{run}", cap)
            return run, created

        return await self.database.transact(work)

    async def claim(self, owner: str, lease_us: int, dead: Sequence[str], *, run: str | None = None, root: str | None = None) -> Run | None:
        return await self.database.transact(lambda tx: runs.claim(tx, owner, lease_us, dead, run=run, root=root))

    async def own(self, run: str, owner: str) -> int:
        return await self.database.transact(lambda tx: runs.own(tx, run, owner))

    def renew(self, run: str, epoch: int, lease_us: int) -> None:
        self.database.transact_now(lambda tx: runs.renew(tx, run, epoch, lease_us))

    async def release(self, run: str, epoch: int, wake_at: int | None = None) -> None:
        await self.database.transact(lambda tx: runs.release(tx, run, epoch, wake_at))

    async def send(self, run: str, kind: str, body: dict[str, Any], idem_key: str) -> bool:
        return await self.database.transact(lambda tx: inbox.send(tx, run, kind, body, idem_key))

    async def messages(self, run: str, after: int) -> list[Message]:
        return await self.database.read(lambda tx: inbox.messages(tx, run, after))

    async def run(self, run: str) -> Run:
        return await self.database.read(lambda tx: runs.get(tx, run))

    async def resolve(self, text: str) -> str:
        """Turn what a person typed (an id, its beginning or its end) into a run's id. NotFound or BadInput."""
        found = await self.database.read(lambda tx: runs.find(tx, text)) if text else []
        if not found:
            raise NotFound(f"There is no run {text!r}.", hint="`quarterdeck runs` lists them.", param="run")
        if len(found) > 1 and text not in found:
            raise BadInput(f"{text!r} means more than one run: {', '.join(found)}.", hint="Give more of the id.", param="run")
        return text if text in found else found[0]

    async def runs(self, limit: int = 50, *, before: str | None = None, state: str | None = None, kinds: Sequence[str] = ()) -> list[Run]:
        return await self.database.read(lambda tx: runs.listing(tx, limit, before=before, state=state, kinds=kinds))

    async def tree(self, root: str) -> list[Run]:
        return await self.database.read(lambda tx: runs.tree(tx, root))

    async def owners(self) -> list[str]:
        return await self.database.read(runs.owners)

    # --- ledger, permits, money, approvals

    async def consume(self, permit: Permit, kind: ActionKind) -> None:
        """Use a permit up (`ports.Permits`)."""
        if permit.kind != kind:
            raise PermitRefused(f"The permit {permit.key} is for {permit.kind}, not for {kind}.")
        await self.database.transact(lambda tx: effects.consume(tx, permit))

    async def open_attempts(self, run: str) -> list[tuple[int, int, bool]]:
        return await self.database.read(lambda tx: effects.open_attempts(tx, run))

    async def effect_states(self, run: str) -> list[tuple[int, int, str]]:
        return await self.database.read(lambda tx: effects.states(tx, run))

    async def account(self, scope: str) -> budgets.BudgetRow:
        return await self.database.read(lambda tx: budgets.account(tx, scope))

    async def reserved(self, run: str, action: int, attempt: int) -> int:
        return await self.database.read(lambda tx: budgets.reserved(tx, run, action, attempt))

    async def set_cap(self, scope: str, cap: int) -> None:
        await self.database.transact(lambda tx: budgets.set_cap(tx, scope, cap))

    async def approval(self, approval: str) -> approvals.Approval:
        return await self.database.read(lambda tx: approvals.get(tx, approval))

    async def approvals(self, *, pending: bool = True, run: str | None = None) -> list[approvals.Approval]:
        return await self.database.read(lambda tx: approvals.listing(tx, pending=pending, run=run))

    # --- audit

    async def audit_rows(self, run: str) -> list[Row]:
        return await self.database.read(lambda tx: audit.rows(tx, run, self.blobs))

    async def head(self, run: str) -> str:
        return await self.database.read(lambda tx: audit.head(tx, run))

    async def heads(self) -> list[tuple[str, int, str, str]]:
        return await self.database.read(audit.heads)

    # --- outbox, memory

    async def outbox(self, *, state: str | None = None, run: str | None = None) -> list[outbox.Delivery]:
        return await self.database.read(lambda tx: outbox.listing(tx, state=state, run=run))

    async def recall(self, project: str, scope: str, kind: str) -> list[memory.Memory]:
        return await self.database.read(lambda tx: memory.recall(tx, project, scope, kind))

    def close(self) -> None:
        self.database.close()


def open_store(home: Path) -> Store:
    """Open (and create) the store under `home`. StoreError says what is wrong and what to do."""
    from .sqlite import SqliteDatabase

    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = home / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StoreError(
            f"HOME {home} cannot be written: {error.strerror}.", hint="Choose another with --home or QUARTERDECK_HOME."
        ) from error
    return Store(SqliteDatabase(home / DATABASE), Blobs(home / "blobs" / "sha256"))


def open_copy(database: Path, home: Path) -> Store:
    """Open a copy of a database for reading; its blobs are those of `home`. StoreError if it is none of ours."""
    from .sqlite import SqliteDatabase

    if not database.is_file():
        raise StoreError(f"There is no file {database}.", hint="Give a copy of HOME/quarterdeck.db.")
    return Store(SqliteDatabase(database, read_only=True), Blobs(home / "blobs" / "sha256"))
