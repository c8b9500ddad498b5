"""SQLite: one writer thread per process with group commit, and one reading connection.

Members of a group run one after another in one `BEGIN IMMEDIATE` transaction, each in its own SAVEPOINT, and are
acknowledged only after the commit (WAL, `synchronous=FULL`). A crash loses nothing that was acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Awaitable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar, cast

from quarterdeck.protocol.errors import DiskFull, StoreError

from .database import Row, Work
from .schema import SCHEMA_VERSION, TABLES

T = TypeVar("T")
GROUP = 64
BUSY_MS = 20_000


def _now() -> int:
    return time.time_ns() // 1000


def _drive(coroutine: Awaitable[T]) -> T:
    """Run a coroutine that never really waits."""
    try:
        cast("Coroutine[Any, Any, T]", coroutine).send(None)
    except StopIteration as stop:
        return cast("T", stop.value)
    raise AssertionError("store code waited for something that is not the database")


class SqliteTx:
    """A `Tx` on one connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.now = _now()

    async def all(self, sql: str, *args: Any) -> list[Row]:
        return self._connection.execute(sql, args).fetchall()

    async def one(self, sql: str, *args: Any) -> Row | None:
        return cast("Row | None", self._connection.execute(sql, args).fetchone())

    async def run(self, sql: str, *args: Any) -> int:
        return self._connection.execute(sql, args).rowcount


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a connection with the pragmas that durability rests on."""
    target = f"file:{_quote(path)}?mode=ro" if read_only else f"file:{_quote(path)}"
    connection = sqlite3.connect(target, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    if not read_only:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
    return connection


def copy_database(source: Path, target: Path) -> None:
    """Write a consistent copy of a live database into one file."""
    with contextlib.closing(connect(source, read_only=True)) as live, contextlib.closing(sqlite3.connect(target)) as copied:
        live.backup(copied)


def _quote(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _explain(error: sqlite3.Error, path: Path) -> StoreError:
    text = str(error)
    if "full" in text:
        return DiskFull(f"The disk that holds {path} is full; nothing of this write was kept.", hint="Free space, then resume the run.")
    if "locked" in text or "busy" in text:
        return StoreError(f"Another process holds the database {path} for more than {BUSY_MS // 1000} s.", hint="Try again.")
    if "malformed" in text or "not a database" in text:
        return StoreError(
            f"The database {path} is damaged: {text}.", hint="Restore a copy; `quarterdeck audit verify` tells what is whole."
        )
    return StoreError(f"The database {path} refused: {text}.", hint="Check the disk and the permissions of HOME.")


class SqliteDatabase:
    """A `Database` in one file."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """`read_only` opens a copy for looking at it: nothing is written, not even its journal mode."""
        self.path = path
        try:
            self._reader = connect(path, read_only=read_only)
            self._prepare(create=not read_only)
        except sqlite3.Error as error:
            raise _explain(error, path) from error
        self._queue: queue.SimpleQueue[tuple[Work[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_loop, name="quarterdeck-store", daemon=True)
        if not read_only:
            self._thread.start()

    def _prepare(self, create: bool) -> None:
        version = self._reader.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise StoreError(
                f"The database {self.path} has schema {version}; this Quarterdeck knows schema {SCHEMA_VERSION}.",
                hint="Use the Quarterdeck version that wrote it, or another --home.",
            )
        if version == 0:
            if not create:
                raise StoreError(f"{self.path} is not a database of Quarterdeck.", hint="Give a copy of HOME/quarterdeck.db.")
            foreign = self._reader.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if foreign and not self._reader.execute("SELECT 1 FROM sqlite_master WHERE name='audit_leaf'").fetchone():
                raise StoreError(f"{self.path} is a database of another program.", hint="Choose another --home.")
            self._reader.execute("BEGIN IMMEDIATE")
            for statement in TABLES:
                self._reader.execute(statement)
            self._reader.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            self._reader.execute("COMMIT")

    async def transact(self, work: Work[T]) -> T:
        future: Future[T] = Future()
        self._queue.put((work, future))
        return await asyncio.wrap_future(future)

    def transact_now(self, work: Work[T]) -> T:
        future: Future[T] = Future()
        self._queue.put((work, future))
        return future.result()

    async def read(self, work: Work[T]) -> T:
        # Reads take microseconds and never wait for the writer in WAL mode, so they stay on the caller's thread.
        self._reader.execute("BEGIN")
        try:
            return _drive(work(SqliteTx(self._reader)))
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error
        finally:
            self._reader.execute("ROLLBACK")

    def version(self) -> int:
        return int(self._reader.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._reader.close()

    def _write_loop(self) -> None:
        connection = connect(self.path)
        while True:
            first = self._queue.get()
            if first is None:
                break
            group = [first]
            stop = False
            while len(group) < GROUP:
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
                if item is None:
                    stop = True
                    break
                group.append(item)
            self._commit_group(connection, group)
            if stop:
                break
        connection.close()

    def _commit_group(self, connection: sqlite3.Connection, group: list[tuple[Work[Any], Future[Any]]]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work, future in group:
                if not future.set_running_or_notify_cancel():
                    continue
                connection.execute("SAVEPOINT member")
                try:
                    value = _drive(work(SqliteTx(connection)))
                except sqlite3.OperationalError:
                    raise  # the disk or the file, not the member: the whole group fails
                except BaseException as error:  # handed to the caller, whoever that is
                    connection.execute("ROLLBACK TO member")
                    connection.execute("RELEASE member")
                    future.set_exception(error)
                else:
                    connection.execute("RELEASE member")
                    done.append((future, value))
            connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            shown = _explain(error, self.path) if isinstance(error, sqlite3.Error) else error
            for _, future in group:
                if not future.done():
                    future.set_exception(shown)
            return
        for future, value in done:
            future.set_result(value)
