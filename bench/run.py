"""Every measured figure of the house, one after another (`make bench`). A32.

    python bench/run.py [--only NAME]... [--json FOLDER]

Each bench prints p50 and p95 with a baseline measured in the same run: on a noisy machine the ratio is the result.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BENCHES = ("start", "kernel", "policy", "models", "sandbox", "test_step")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=BENCHES)
    parser.add_argument("--json", type=Path, help="a folder for one JSON file per bench")
    options = parser.parse_args()
    failed = []
    load = os.getloadavg()[0]
    print(f"load average {load:.1f} on {os.cpu_count()} cores" + (": expect large absolute times" if load > 1 else ""))
    for name in options.only or BENCHES:
        print(f"\n== {name}", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py")]
        if options.json:
            options.json.mkdir(parents=True, exist_ok=True)
            command += ["--json", str(options.json / f"{name}.json")]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
