"""Cold start and exec of the sandbox against a bare fork+exec, in one run (the ratio is the result). A32.

    python bench/sandbox.py [--cold N] [--execs N] [--json FILE]

Cold: from create() to the end of the first command. Exec: /bin/true through the whole stack; the permit costs nothing here.
Baseline: posix_spawn of /bin/true and waitpid. The three alternate, so that a noisy machine disturbs all of them alike.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from quarterdeck.protocol.actions import ActionKind, Permit
from quarterdeck.protocol.environment import Command, EnvironmentSpec
from quarterdeck.sandbox import LocalDriver, detect

TARGETS_MS = {"cold": 60.0, "exec": 3.0}
numbers = itertools.count(1)


class FreePermits:
    """A permit costs nothing here: the store's part is measured elsewhere."""

    async def consume(self, permit: Permit, kind: ActionKind) -> None:
        return None


def permit(kind: ActionKind) -> Permit:
    return Permit("run_bench", next(numbers), 1, 1, kind, "", "")


async def timed(action: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds of one action."""
    began = time.perf_counter()
    await action()
    return (time.perf_counter() - began) * 1e3


async def spawn() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)  # noqa: ASYNC221, ASYNC222  the baseline


async def measure(home: Path, cold: int, execs: int) -> dict[str, list[float]]:
    driver = LocalDriver(home, FreePermits())
    found: dict[str, list[float]] = {"cold": [], "delete": [], "exec": [], "spawn": []}

    async def start(name: str) -> None:
        await driver.create(permit("tool.call"), EnvironmentSpec(name))
        assert (await driver.exec(permit("shell.exec"), name, Command(argv=("/bin/true",)))).ok

    await start("warm")
    for number in range(cold):
        name = f"cold{number}"
        found["cold"].append(await timed(lambda name=name: start(name)))  # type: ignore[misc]
        found["delete"].append(await timed(lambda name=name: driver.delete(name)))  # type: ignore[misc]
        found["spawn"].append(await timed(spawn))
    for _ in range(execs):
        found["exec"].append(await timed(lambda: driver.exec(permit("shell.exec"), "warm", Command(argv=("/bin/true",)))))
        found["spawn"].append(await timed(spawn))
    await driver.delete("warm")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", type=int, default=30)
    parser.add_argument("--execs", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), options.cold, options.execs))
    base = statistics.median(found["spawn"])
    table = {}
    for name, times in found.items():
        times.sort()
        p10, p50, p95 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.1, 0.5, 0.95))
        table[name] = {
            "n": len(times),
            "p10_ms": p10,
            "p50_ms": p50,
            "p95_ms": p95,
            "of_spawn": p50 / base,
            "target_ms": TARGETS_MS.get(name),
        }
        goal = f"   target p50 {TARGETS_MS[name]:.0f} ms" if name in TARGETS_MS else ""
        print(f"{name:7} n={len(times):<4} p10 {p10:7.2f}  p50 {p50:7.2f}  p95 {p95:7.2f} ms   {p50 / base:6.1f} x spawn{goal}")
    print(f"mode {detect().mode}, load {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.write_text(json.dumps({"mode": detect().mode, "load": os.getloadavg()[0], "results": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
