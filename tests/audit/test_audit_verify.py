"""Law 8, A21: whatever is changed in a copied database, `audit verify` says so and names the leaf."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from quarterdeck import Runtime, workflow
from quarterdeck.audit import Problem, verify_run
from quarterdeck.store import open_store


@workflow(name="audited")
async def audited(ctx: Any) -> str:
    await ctx.step("one", lambda: "a" * 50)
    await ctx.artifact("big", b"x" * 100)
    await ctx.step("two", lambda: "b" * 100_000)  # a body that becomes a blob
    return "done"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("audit")
    runtime = Runtime(home)

    async def main() -> str:
        run, _ = await runtime.start(audited)
        await runtime.drive(run)
        return run

    return home, runtime._sync(main())


@pytest.fixture
def copy(original: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    home = tmp_path / "copy"
    shutil.copytree(original[0], home)
    return home, original[1]


async def problems(home: Path, run: str) -> list[Problem]:
    store = open_store(home)
    try:
        heads = {r: (n, h, s) for r, n, h, s in await store.heads()}
        return verify_run(run, await store.audit_rows(run), *heads[run], await store.effect_states(run))
    finally:
        store.close()


def change(home: Path, sql: str, *args: Any) -> None:
    with sqlite3.connect(home / "quarterdeck.db") as connection:
        connection.execute(sql, args)
    connection.close()


async def test_an_untouched_log_verifies(copy: tuple[Path, str]) -> None:
    assert await problems(*copy) == []


@pytest.mark.parametrize("seq", range(7))
async def test_one_changed_byte_of_a_record_names_its_leaf(copy: tuple[Path, str], seq: int) -> None:
    home, run = copy
    with sqlite3.connect(home / "quarterdeck.db") as connection:
        body, blob = connection.execute("SELECT body, blob FROM record WHERE run=? AND seq=?", (run, seq)).fetchone()
    connection.close()
    if blob:
        path = home / "blobs" / "sha256" / blob[:2] / blob
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    else:
        middle = len(body) // 2
        letter = "x" if body[middle] != "x" else "y"
        change(home, "UPDATE record SET body=? WHERE run=? AND seq=?", body[:middle] + letter + body[middle + 1 :], run, seq)
    found = await problems(home, run)
    assert [p.seq for p in found] == [seq]
    assert "body was changed" in found[0].what


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE record SET kind='run.note' WHERE run=? AND seq=3",
        "UPDATE record SET at=at+1 WHERE run=? AND seq=3",
        "UPDATE record SET epoch=epoch+1 WHERE run=? AND seq=3",
        "UPDATE audit_leaf SET leaf=replace(leaf, 'epoch', 'epoxh') WHERE run=? AND seq=3",
        "UPDATE audit_leaf SET hash=lower(hex(randomblob(32))) WHERE run=? AND seq=3",
        "DELETE FROM record WHERE run=? AND seq=3",
        "DELETE FROM audit_leaf WHERE run=? AND seq=3",
    ],
)
async def test_every_column_is_bound_to_its_leaf(copy: tuple[Path, str], sql: str) -> None:
    home, run = copy
    change(home, sql, run)
    found = await problems(home, run)
    assert found
    assert 3 in {p.seq for p in found}


async def test_a_cut_tail_a_gap_and_a_swap_are_seen(copy: tuple[Path, str]) -> None:
    home, run = copy
    last = len(await _rows(home, run)) - 1
    change(home, "DELETE FROM record WHERE run=? AND seq=?", run, last)
    change(home, "DELETE FROM audit_leaf WHERE run=? AND seq=?", run, last)
    assert await problems(home, run)
    change(home, "UPDATE run SET next_seq=? WHERE id=?", last, run)
    assert any("head" in p.what for p in await problems(home, run))


async def test_state_and_ledger_must_agree_with_the_log(copy: tuple[Path, str]) -> None:
    home, run = copy
    change(home, "UPDATE run SET state='failed' WHERE id=?", run)
    assert any("row says failed" in p.what for p in await problems(home, run))
    change(home, "UPDATE run SET state='completed' WHERE id=?", run)
    change(home, "UPDATE effect SET state='unknown' WHERE run=?", run)
    assert any("ledger says unknown" in p.what for p in await problems(home, run))


async def _rows(home: Path, run: str) -> list[Any]:
    store = open_store(home)
    try:
        return await store.audit_rows(run)
    finally:
        store.close()
