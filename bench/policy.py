"""Time of one decision of the gate, against the same question put to Cedar with nothing around it (the ratio is the result).

    python bench/policy.py [--decisions N] [--json FILE]

Also against no handles at all (policies and schema as text on each call), which is what pre-parsing saves.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cedarpy

from quarterdeck.policy import CedarGate, load_bundle
from quarterdeck.policy.bundle import parse_bundle
from quarterdeck.policy.facts import cedar_request
from quarterdeck.policy.shell import facts
from quarterdeck.protocol.actions import ActionKind, Resource
from quarterdeck.protocol.ports import Budget, GateRequest


def request(kind: ActionKind, resource: Resource, role: str = "agent", **args: object) -> GateRequest:
    return GateRequest(
        project="default",
        run="run_1",
        principal=f"{role}:bench",
        role=role,
        actor="user:bench",
        trust="operator",
        kind=kind,
        resource=resource,
        args=dict(args),
        labels=("untrusted:pr",),
        step="tests",
        budget=Budget(1000, 5000),
    )


REQUESTS = {
    "shell.exec allow": request("shell.exec", Resource("Sandbox", "env_1"), shell="timeout 60 python -m pytest -q tests"),
    "file.read allow": request("file.read", Resource("Path", "src/a.py", ("workspace",)), "reviewer"),
    "model.call allow": request("model.call", Resource("Model", "openai/m"), "reviewer"),
    "output.publish deny": request("output.publish", Resource("Channel", "forge")),
    "file.write ask": request("file.write", Resource("Path", ".github/workflows/ci.yml", ("workspace",))),
}


def measure(work: Callable[[], object], count: int) -> tuple[float, float]:
    """p50 and p95 in microseconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def row(name: str, gate: CedarGate, asked: GateRequest, count: int) -> dict[str, object]:
    bundle = load_bundle()
    question, entities = cedar_request(asked)
    plain = json.dumps(entities)

    def bare() -> object:
        return cedarpy.is_authorized(question, bundle.policy_set, plain, bundle.schema_handle)

    def unparsed() -> object:
        return cedarpy.is_authorized(question, bundle.text, plain, bundle.schema)

    p50, p95 = measure(lambda: gate.decide(asked), count)
    base, _ = measure(bare, count)
    text, _ = measure(unparsed, max(3, count // 100))
    return {
        "request": name,
        "p50_us": round(p50),
        "p95_us": round(p95),
        "cedar_p50_us": round(base),
        "ratio": round(p50 / base, 2),
        "text_p50_us": round(text),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bundle = load_bundle()
    gate = CedarGate(bundle)
    rows = [row(name, gate, asked, options.decisions) for name, asked in REQUESTS.items()]
    extra = "\n".join(
        f'@id("x{i}") forbid (principal in Role::"r{i}", action == Action::"shell.exec", resource) when {{ context.step == "s{i}" }};'
        for i in range(50 - len(bundle.policies))
    )
    fifty = CedarGate(parse_bundle(bundle.text + extra, "fifty"))
    p50, p95 = measure(lambda: fifty.decide(REQUESTS["shell.exec allow"]), options.decisions)
    parse, _ = measure(lambda: facts.__wrapped__("timeout 60 python -m pytest -q tests | tee out.txt"), options.decisions)
    print(f"microseconds, {len(bundle.policies)} policies")
    print(f"{'request':22} {'p50':>6} {'p95':>6} {'Cedar alone':>12} {'ratio':>6} {'unparsed':>9}")
    for r in rows:
        print(f"{r['request']:22} {r['p50_us']:>6} {r['p95_us']:>6} {r['cedar_p50_us']:>12} {r['ratio']:>6} {r['text_p50_us']:>9}")
    print(f"with 50 policies: p50 {p50:.0f}, p95 {p95:.0f} (goal for p50: 500);  shell facts, uncached: p50 {parse:.0f}")
    if options.json:
        report = {"rows": rows, "fifty_p50_us": round(p50), "fifty_p95_us": round(p95), "shell_facts_p50_us": round(parse)}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
