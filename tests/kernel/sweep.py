"""The crash-point sweep: die before and after every commit and every effect, restart, run to the end, and check the laws."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quarterdeck import Runtime
from quarterdeck.audit import verify_run
from quarterdeck.protocol.records import ENDED, Record, Run
from quarterdeck.workflows import Workflow


class Crash(BaseException):
    """The process dies here."""


@dataclass
class World:
    """What survives crashes outside the database: witnesses, and the place where to die."""

    point: int
    when: str
    count: int = 0
    fired: bool = False
    dead: bool = False
    effects: Counter[str] = field(default_factory=Counter)
    seen: dict[tuple[str, int], str] = field(default_factory=dict)

    def boundary(self, when: str) -> None:
        """A place where the process may die."""
        if self.dead:
            raise Crash
        if self.fired:
            return
        if when == "before":
            self.count += 1
        if self.count == self.point and when == self.when:
            self.fired = self.dead = True
            raise Crash

    def effect(self, name: str) -> None:
        """An effect on the world, witnessed by the tool itself."""
        self.boundary("before")
        self.effects[name] += 1
        self.boundary("after")

    def saw(self, run: Run, record: Record) -> None:
        """A reader was shown a record: it must be there for ever, unchanged (law 1)."""
        self.seen[(run.id, record.seq)] = json.dumps(record.body, sort_keys=True)


Setup = Callable[[Runtime, World], Workflow]
CONFIG: list[str] = []
"""The `quarterdeck.toml` of every HOME of a sweep, if there is one."""


def open_runtime(home: Path, world: World, setup: Setup) -> tuple[Runtime, Workflow]:
    if CONFIG:
        home.mkdir(parents=True, exist_ok=True)
        (home / "quarterdeck.toml").write_text(CONFIG[0])
    runtime = Runtime(home, observe=world.saw)
    work = setup(runtime, world)
    runtime.register(work)
    inner = runtime.store.database.transact

    async def transact(member: Any) -> Any:
        world.boundary("before")
        value = await inner(member)
        world.boundary("after")
        return value

    runtime.store.database.transact = transact  # type: ignore[method-assign]
    return runtime, work


async def expire_leases(home: Path) -> None:
    """What time does: the dead process's lease runs out."""
    from quarterdeck.store import open_store

    store = open_store(home)
    await store.database.transact(lambda tx: tx.run("UPDATE run SET lease_until=0, owner='gone' WHERE owner IS NOT NULL"))
    store.close()


async def live(home: Path, setup: Setup, world: World, people: Callable[[Runtime, str], Any] | None = None) -> str:
    """Run the workflow to its end, through the crash. Returns the run."""
    run = ""
    for _ in range(12):
        world.dead = False
        runtime, work = open_runtime(home, world, setup)
        try:
            if not run:
                run, _created = await runtime.start(work, key="the one")
            for _ in range(6):
                row = await runtime.drive(run)
                if row.state in ENDED:
                    return run
                if people is not None:
                    await people(runtime, run)
        except Crash:
            pass
        finally:
            world.dead = False
            world.fired = True
            await runtime.aclose()
        await expire_leases(home)
    raise AssertionError(f"the run does not end; point {world.point} {world.when}")


async def check(home: Path, run: str, world: World, never: Callable[[str], bool]) -> list[str]:
    """Every law that a run must keep whatever happened. Returns what was broken."""
    runtime = Runtime(home)
    wrong: list[str] = []
    try:
        for row in await runtime.store.tree(run):
            records = await runtime.store.records(row.id)
            if [r.seq for r in records] != list(range(len(records))):
                wrong.append("law 1: the log has gaps")
            bodies = {r.seq: json.dumps(r.body, sort_keys=True) for r in records}
            wrong += [f"law 1: record {s} was shown and is gone" for (r, s), b in world.seen.items() if r == row.id and bodies.get(s) != b]
            effects = await runtime.store.effect_states(row.id)
            wrong += [f"law 3: attempt {a}.{n} is still open" for a, n, s in effects if s == "started"]
            rows = await runtime.store.audit_rows(row.id)
            heads = {r: (n, h, s) for r, n, h, s in await runtime.store.heads()}
            wrong += [f"law 8: {p.what}" for p in verify_run(row.id, rows, *heads[row.id], effects)]
            requested = {r.seq: r.body for r in records if r.kind == "action.requested"}
            done = [requested[r.body["action"]]["name"] for r in records if r.kind == "action.completed" and r.body["state"] == "done"]
            wrong += [
                f"law 3: {name} is done, its effect never happened" for name in done if name in world.effects and not world.effects[name]
            ]
            account = await runtime.store.account(f"run:{run}")
            if account.reserved:
                wrong.append(f"law 7: {account.reserved} micro-USD stay reserved")
        wrong += [f"law 3: {name} happened {n} times" for name, n in world.effects.items() if n > 1 and never(name)]
    finally:
        await runtime.aclose()
    return wrong


async def sweep(
    folder: Path, setup: Setup, *, never: Callable[[str], bool], people: Callable[[Runtime, str], Any] | None = None, limit: int = 400
) -> tuple[int, list[str]]:
    """Die once at every point. Returns (number of points, violations)."""
    violations: list[str] = []
    points = 0
    for point in range(1, limit):
        fired = False
        for when in ("before", "after"):
            world = World(point, when)
            home = folder / f"{point}-{when}"
            run = await live(home, setup, world, people)
            fired = fired or world.count >= point
            violations += [f"point {point} {when}: {w}" for w in await check(home, run, world, never)]
            points += 1
        if not fired:
            return points, violations
    raise AssertionError(f"more than {limit} crash points")
