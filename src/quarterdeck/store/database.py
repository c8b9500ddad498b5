"""The transaction, as owners of tables see it. One code for both databases.

Owners write `async def f(tx, ...)`. On SQLite every `await` completes at once (the writer thread drives the
coroutine by hand); on PostgreSQL the same code waits for the network.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from quarterdeck.protocol.writes import HERE

Row = Sequence[Any]
T = TypeVar("T")


class Tx(Protocol):
    """An open transaction. `now` is UTC microseconds of the database's clock, fixed for the transaction."""

    now: int

    async def all(self, sql: str, *args: Any) -> list[Row]: ...

    async def one(self, sql: str, *args: Any) -> Row | None: ...

    async def run(self, sql: str, *args: Any) -> int:
        """Execute and return the number of rows it touched."""
        ...


class Place(msgspec.Struct, frozen=True):
    """Where an append stands: its run, its epoch, and the seq of its first record."""

    project: str
    run: str
    epoch: int
    first: int

    def action(self, value: int) -> int:
        """Resolve an action that may be `HERE`."""
        return self.first if value == HERE else value


Work = Callable[[Tx], Awaitable[T]]


class Database(Protocol):
    """Where transactions come from."""

    async def transact(self, work: Work[T]) -> T:
        """Commit `work` durably, possibly together with others; each member fails or succeeds alone."""
        ...

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a consistent snapshot; it must not write."""
        ...

    def transact_now(self, work: Work[T]) -> T:
        """The same as `transact`, from any thread, blocking: for the lease's own thread."""
        ...

    def version(self) -> int:
        """A number that changes when another connection has committed."""
        ...

    def close(self) -> None: ...
