"""The review's test step in the sandbox against the same command bare, alternating in one run. A32.

    python bench/test_step.py [--runs N] [--json FILE]

The command is a unittest suite that computes and writes files. Both sides write to memory (tmpfs), so that no disk is compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from quarterdeck import Runtime, workflow

MEMORY = Path("/dev/shm")
SUITE = """
import hashlib, pathlib, tempfile, unittest
class Work(unittest.TestCase): pass
def case(n):
    def test(self):
        with tempfile.TemporaryDirectory() as d:
            for i in range(40):
                p = pathlib.Path(d, str(i)); p.write_bytes(hashlib.sha256(str(n + i).encode()).digest() * 100)
                data = p.read_bytes()
                for _ in range(30): data = hashlib.sha512(data).digest() * 30
    return test
for n in range(60): setattr(Work, f"test_{n}", case(n))
"""


@workflow(name="bench")
async def bench(ctx: Any, runs: int) -> list[list[float]]:
    tools = await ctx.toolbox()
    await ctx.environment(binds=tools.binds)
    await ctx.write("/workspace/suite.py", SUITE)
    pairs = []
    for number in range(runs):
        inside = await ctx.step(f"clock {number}", time.perf_counter)
        await ctx.shell([tools.python, "-m", "unittest", "-q", "suite"], name="suite", effect="idempotent")
        inside = await ctx.step(f"clock again {number}", time.perf_counter) - inside
        pairs.append([inside, await ctx.step(f"bare {number}", bare, tools.python)])
    return pairs


def bare(python: str) -> float:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        Path(folder, "suite.py").write_text(SUITE)
        began = time.perf_counter()
        env = {**os.environ, "TMPDIR": folder}
        subprocess.run([python, "-m", "unittest", "-q", "suite"], cwd=folder, check=True, stderr=subprocess.DEVNULL, env=env)
        return time.perf_counter() - began


async def measure(runs: int) -> list[list[float]]:
    with tempfile.TemporaryDirectory() as home:
        async with Runtime(home) as runtime:
            run, _ = await runtime.start(bench, runs)
            await runtime.drive(run)
            found: list[list[float]] = await runtime.result(run)
            return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pairs = asyncio.run(measure(options.runs))
    inside, outside = [p[0] for p in pairs], [p[1] for p in pairs]
    for name, took in (("in the sandbox, whole step", inside), ("bare", outside)):
        print(f"{name:28} p50 {statistics.median(took):6.3f} s   p95 {statistics.quantiles(took, n=20)[-1]:6.3f} s   n {len(took)}")
    ratio, extra = statistics.median(inside) / statistics.median(outside), statistics.median(inside) - 1.1 * statistics.median(outside)
    print(f"ratio {ratio:.2f}; beyond 1.10 of bare: {extra:+.3f} s (target 0.1 s)")
    if options.json:
        found = {
            "inside_p50_s": round(statistics.median(inside), 4), "inside_p95_s": round(statistics.quantiles(inside, n=20)[-1], 4),
            "bare_p50_s": round(statistics.median(outside), 4), "ratio": round(ratio, 3), "n": len(inside),
        }  # fmt: skip
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
