"""docs/benchmarks.md from the committed results: `python bench/tables.py` writes it, a test holds it to the JSON. A32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "bench" / "results", ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `bench/tables.py` from `bench/results/*.json`, which `make bench` measures. Each ratio compares with a baseline of the same
run; absolute times are of one machine with 2 cores, and the load average that stood on it is named.

```console
$ make bench
```

| what | p50 | p95 | baseline of the same run | ratio | target |
|---|---|---|---|---|---|
"""


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def rows() -> list[str]:
    kernel, start, step, sandbox = load("kernel"), load("start"), load("test_step"), load("sandbox")
    turn, commit, boxes = kernel["turn"], kernel["commit"], sandbox["results"]
    found = [
        f"| kernel turn on SQLite (2 actions, {kernel['commits_per_turn']} commits) | {turn['p50']:.1f} ms | {turn['p95']:.1f} ms "
        f"| as many bare durable commits, {commit['p50'] * kernel['commits_per_turn']:.1f} ms | {kernel['ratio']:.2f} | 4 ms |"
    ]
    for key, what, goal in (
        ("cold", "environment: cold start to the first command's end", "60 ms"),
        ("exec", "exec of `/bin/true`", "3 ms"),
    ):
        box = boxes[key]
        found.append(
            f"| {what} | {box['p50_ms']:.1f} ms | {box['p95_ms']:.1f} ms "
            f"| spawn of `/bin/true`, {boxes['spawn']['p50_ms']:.2f} ms | {box['of_spawn']:.1f} | {goal} |"
        )
    found.append(
        f"| a test suite in the sandbox | {step['inside_p50_s']:.2f} s | {step['inside_p95_s']:.2f} s "
        f"| the same command bare, {step['bare_p50_s']:.2f} s | {step['ratio']:.2f} | 1.10, plus 0.1 s |"
    )
    found.append(
        f"| `quarterdeck --help` | {start['help_p50_s']:.3f} s | {start['help_p95_s']:.3f} s "
        f"| an interpreter that does nothing, {start['bare_p50_s']:.3f} s | {start['ratio']:.1f} | 0.25 s |"
    )
    found.append(f"| memory of an idle Runtime | {start['idle_mb']:.0f} MB | | | | 60 MB |")
    for row in load("policy")["rows"]:
        found.append(
            f"| a decision: {row['request']} | {row['p50_us'] / 1000:.2f} ms | {row['p95_us'] / 1000:.2f} ms "
            f"| Cedar alone, {row['cedar_p50_us'] / 1000:.2f} ms | {row['ratio']} | 0.5 ms |"
        )
    for wire in ("chat", "responses"):
        row = load("models")[wire]
        found.append(
            f"| a stream of 50 deltas over {wire}, CPU | {row['quarterdeck_cpu_ms']:.2f} ms | "
            f"| reading it with httpx2 alone, {row['bare_httpx2_cpu_ms']:.2f} ms | {row['ratio']} | |"
        )
    return found


def page() -> str:
    load_average = load("sandbox")["load"]
    return (
        HEAD + "\n".join(rows()) + f"\n\nSandbox mode {load('sandbox')['mode']}, load average {load_average:.1f} while it was measured.\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page())
