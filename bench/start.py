"""What starting costs: `quarterdeck --help` against an interpreter that does nothing, and an idle Runtime's memory. A32.

python bench/start.py [--runs N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TARGET_HELP_S, TARGET_MB = 0.25, 60
IDLE = """
import asyncio, sys
from pathlib import Path
from quarterdeck import Runtime
async def main():
    async with Runtime(sys.argv[1]) as runtime:
        runtime.worker
        print([l for l in Path('/proc/self/status').read_text().splitlines() if l.startswith('VmRSS')][0].split()[1])
asyncio.run(main())
"""


def seconds(command: list[str], runs: int) -> list[float]:
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = {
        "bare interpreter": seconds([sys.executable, "-c", "pass"], options.runs),
        "quarterdeck --help": seconds([sys.executable, "-c", "from quarterdeck.cli import main; main()", "--help"], options.runs),
    }
    for name, took in rows.items():
        print(f"{name:28} p50 {statistics.median(took):6.3f} s   p95 {statistics.quantiles(took, n=20)[-1]:6.3f} s   n {len(took)}")
    with tempfile.TemporaryDirectory() as home:
        idle = int(subprocess.run([sys.executable, "-c", IDLE, home], check=True, capture_output=True, text=True).stdout) / 1024
    ratio = statistics.median(rows["quarterdeck --help"]) / statistics.median(rows["bare interpreter"])
    print(f"--help is {ratio:.1f} bare interpreters (target {TARGET_HELP_S} s); idle Runtime {idle:.0f} MB (target {TARGET_MB} MB)")
    if options.json:
        shown = rows["quarterdeck --help"]
        found = {
            "help_p50_s": round(statistics.median(shown), 4), "help_p95_s": round(statistics.quantiles(shown, n=20)[-1], 4),
            "bare_p50_s": round(statistics.median(rows["bare interpreter"]), 4), "ratio": round(ratio, 2), "idle_mb": round(idle, 1),
        }  # fmt: skip
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
