"""A rich review and an empty one, as artifacts, with a small real deriver. Shared by the report's tests.

`rich(n)` differs from `rich(m)` in every word and number that comes from data, so that a test can tell data from labels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from quarterdeck.protocol.canonical import sha256
from quarterdeck.protocol.environment import Capabilities
from quarterdeck.workflows.review import findings as making
from quarterdeck.workflows.review.model import (
    Change,
    Commit,
    FileChange,
    Finding,
    Hunk,
    NotChecked,
    RawRun,
    Settings,
    Summary,
    Symbol,
    TestCase,
    TestReport,
)
from quarterdeck.workflows.review.report import (
    Decisions,
    Derived,
    Dismissal,
    DocFact,
    Docs,
    ModelFindings,
    RunFacts,
    Step,
    Ticket,
    build,
    encode,
)

Artifacts = dict[str, bytes]


def derive(artifacts: Mapping[str, bytes]) -> Derived:
    """Parse the raw artifacts again, as the workflow's deriver does with its analyzers."""
    found: list[Finding] = []
    broken: list[Finding] = []
    for name in sorted(a for a in artifacts if a.startswith("raw/")):
        raw = json.loads(artifacts[name])
        for line in raw["stdout"].splitlines():
            item = json.loads(line)
            finding = making.make(raw["name"], artifact=name, **item)
            (broken if raw["name"] == "conventions" else found).append(finding)
    tests = compare(artifacts) if any(a.startswith("tests/") for a in artifacts) else None
    return Derived(tuple(making.ordered(found)), tests, conventions=tuple(making.ordered(broken)))


def compare(artifacts: Mapping[str, bytes]) -> TestReport:
    """Read the JUnit files of both sides."""
    sides = {}
    for side in ("base", "head"):
        root = ET.fromstring(artifacts[f"tests/{side}.xml"])
        sides[side] = tuple(_case(e) for e in root.iter("testcase"))
    bad = {s: {c.id for c in cases if c.outcome in ("failed", "error")} for s, cases in sides.items()}
    ids = {s: {c.id for c in cases} for s, cases in sides.items()}
    lines = json.loads(artifacts["tests/coverage.json"])
    missed = {path: tuple(v["missed"]) for path, v in lines.items() if v["missed"]}
    return TestReport(
        runner="pytest",
        base=sides["base"],
        head=sides["head"],
        newly_failing=tuple(sorted(bad["head"] - bad["base"])),
        newly_passing=tuple(sorted(bad["base"] - bad["head"] & ids["head"])),
        still_failing=tuple(sorted(bad["base"] & bad["head"])),
        removed=tuple(sorted(ids["base"] - ids["head"])),
        changed_lines=sum(v["changed"] for v in lines.values()),
        covered_lines=sum(v["changed"] - len(v["missed"]) for v in lines.values()),
        uncovered=missed,
    )


def _case(element: ET.Element) -> TestCase:
    failure = element.find("failure")
    outcome = "failed" if failure is not None else "skipped" if element.find("skipped") is not None else "passed"
    message = (failure.text or "") if failure is not None else ""
    return TestCase(f"{element.get('classname')}::{element.get('name')}", outcome, float(element.get("time", "0")), message)


def _junit(cases: list[tuple[str, str, float, str]]) -> bytes:
    root = ET.Element("testsuite")
    for name, outcome, seconds, message in cases:
        group, _, short = name.partition("::")
        case = ET.SubElement(root, "testcase", classname=group, name=short, time=str(seconds))
        if outcome == "failed":
            ET.SubElement(case, "failure").text = message
        elif outcome == "skipped":
            ET.SubElement(case, "skipped")
    return ET.tostring(root)


def raw(name: str, items: list[dict[str, object]], exit_code: int = 1) -> bytes:
    return encode(RawRun(name, (name, "--json"), "exited", exit_code, "\n".join(json.dumps(i) for i in items), ""))


def item(rule: str, severity: str, path: str, line: int, message: str, evidence: str, help: str = "") -> dict[str, object]:
    return {"rule": rule, "severity": severity, "path": path, "line": line, "message": message, "evidence": evidence, "help": help}


def facts(n: int = 1, **change: object) -> RunFacts:
    values: dict[str, object] = {
        "run": f"run_0199a{n}c7d2e4",
        "workflow": f"review {n}",
        "quarterdeck": f"0.{n}.0",
        "started_at": 1_790_000_000_000_000 + n * 86_400_000_000,
        "ended_at": 1_790_000_084_200_000 + n * 86_407_000_000,
        "principal": f"user:{'mara' if n == 1 else 'olu'}",
        "policy_sha256": sha256(b"policy %d" % n),
        "decisions": Decisions(31 + n, n, n + 1),
        "cost_microusd": 18_240 * n,
        "tokens": 9_120 * n,
        "steps": tuple(
            Step(s + ("" if n == 1 else "2"), 1.37 * (i + n), "done") for i, s in enumerate(("intake", "review", "tests", "docs"))
        ),
        "environment": Capabilities(
            "AB"[n % 2], f"namespaces, seccomp and cgroup {n}", {"memory": "enforced", "cpu": "none"} if n == 1 else {}
        ),
        "models": (f"openai/model-{n}",),
        "settings": Settings(fail_on="high" if n == 1 else "medium", max_complexity=11 + n),
        "settings_notes": (f"`[review] colour{n}` is not a setting and was ignored.",),
        "audit_head": sha256(b"leaf %d" % n),
    }
    return RunFacts(**(values | change))  # type: ignore[arg-type]


def rich(n: int = 1) -> Artifacts:
    """A review with something in every section."""
    area = "ledger" if n == 1 else "parcel"
    path, other = f"src/{area}/transfer.py", f"src/{area}/ünï côde.py"
    artifacts: Artifacts = {}
    high = "red" if n == 1 else "blue"
    artifacts["raw/bandit.json"] = raw(
        "bandit" if n == 1 else "bandid",
        [
            item(
                f"B60{n}",
                "high",
                path,
                40 + n,
                f"subprocess call with `shell=True` and input from {high} request",
                f"subprocess.run(cmd_{area}, shell=True)",
                f"Pass a list of arguments instead of a string ({n}).",
            ),
            item(f"S10{n}", "high", f"conf/{area}.env", n, "an access key is committed", f'AWS_KEY = "AKIA…{n}{n}{n}"'),
            item(f"B10{n}", "low", other, 7 * n, f"assert {n} is removed under -O", f"assert {area}"),
        ],
    )
    artifacts["raw/ruff.json"] = raw(
        "ruff" if n == 1 else "rough",
        [
            item(f"F40{n}", "medium", path, 3 + n, f"`os{n}` imported but unused", f"import os{n}"),
            item(
                f"C90{n}", "medium", path, 60 + n, f"`settle_{area}` is too complex ({12 + n} > 12)", f"def settle_{area}(account, amount):"
            ),
        ],
    )
    artifacts["raw/conventions.json"] = raw(
        "conventions",
        [item("changelog" if n == 1 else "subject", "low", f"NEWS{n}.md", 0, f"no line about `{area}` in the changelog", f"NEWS{n}.md")],
    )
    old = [
        (f"tests.test_{area}.Test::test_{t}", "passed", 0.01 * n, "")
        for t in (*(f"case{n}{i}" for i in range(6 * n)), f"gone{n}", f"broken{n}")
    ]
    old.append((f"tests.test_{area}.Test::test_fixed{n}", "failed", 0.5, f"assert {n} == 3"))
    new = [t for t in old if f"gone{n}" not in t[0] and f"fixed{n}" not in t[0] and f"broken{n}" not in t[0]]
    new += [
        (
            f"tests.test_{area}.Test::test_broken{n}",
            "failed",
            0.2,
            f"def test_broken{n}():\n>   assert settle_{area}(10, {n}) == 9\nE   assert 1{n} == 9\nE    +  where 1{n} = settle_{area}()",
        ),
        (f"tests.test_{area}.Test::test_fixed{n}", "passed", 0.2, ""),
        (f"tests.test_{area}.Test::test_slow{n}", "skipped", 0.0, ""),
    ]
    artifacts["tests/base.xml"], artifacts["tests/head.xml"] = _junit(old), _junit(new)
    artifacts["tests/coverage.json"] = encode(
        {path: {"changed": 40 + n, "missed": [3, 4, 5, 20 + n]}, other: {"changed": 9, "missed": [n]}}
    )
    derived = derive(artifacts)
    artifacts["findings.json"] = encode(derived.findings)
    artifacts["conventions.json"] = encode(derived.conventions)
    artifacts["tests.json"] = encode(derived.tests)
    model = making.make(
        f"agent{n}",
        "logic" if n == 1 else "bounds",
        "medium",
        path,
        52 + n,
        f"{area} balance may go below {n} when two transfers race",
        evidence=f"balance -= amount * {n}",
        artifact="model/findings.json",
    )
    artifacts["model/findings.json"] = encode(ModelFindings((model,), n, (f"quoted line {n} is not in the diff",), f"openai/model-{n}"))
    artifacts["change.json"] = encode(_change(n, area, path, other))
    artifacts["diff.patch"] = f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-old{n}\n+new{n}\n".encode()
    artifacts["summary.json"] = encode(
        Summary(
            f"## Settling {area} {n}\n\nThe change moves settlement into `settle_{area}` and callers must now pass an amount.\n\n"
            f"- `Account{n}.close` is gone from the public API\n- the {high} path runs a shell command",
            f"openai/model-{n}",
        )
    )
    artifacts["docs.json"] = encode(
        Docs(
            (DocFact(f"`settle_{area}` gained the parameter `amount{n}`.", f"docs/api{n}.md", 12), f"Changelog entry for {area}."),
            (NotChecked(f"docstrings of {other}", f"it does not parse on line {n}"),),
        )
    )
    artifacts["docs.patch"] = (
        f"--- a/docs/api{n}.md\n+++ b/docs/api{n}.md\n@@ -12 +12 @@\n-settle_{area}(account)\n+settle_{area}(account, amount{n})\n".encode()
    )
    first = derived.findings[0]
    artifacts["tickets.json"] = encode(
        [Ticket(first.fingerprint, f"{first.rule}: {first.message}", "see report", f"file{n}", "queued" if n == 1 else "sent")]
    )
    gone = derived.findings[-1]
    artifacts["dismissed.json"] = encode(
        [Dismissal(gone.fingerprint, f"user:{'ada' if n == 1 else 'bo'}", 1_780_000_000_000_000, f"test code {n}")]
    )
    artifacts["not_checked.json"] = encode([NotChecked(f"types of {area}", f"no configuration {n} in the base")])
    artifacts["run.json"] = encode(facts(n))
    return artifacts


def _change(n: int, area: str, path: str, other: str) -> Change:
    hunk = Hunk(1, 2, 1, 1, (f"import os{n}",), ("a", "b"))
    return Change(
        repository=f"shop/{area}",
        base=sha256(b"base %d" % n)[:40],
        head=sha256(b"head %d" % n)[:40],
        commits=tuple(Commit(sha256(b"%d %d" % (n, i))[:40], f"dev{n}", f"Settle {area} {i}") for i in range(n)),
        files=(
            FileChange(path, "modified", added=40 + n, deleted=11 * n, hunks=(hunk,)),
            FileChange(other, "added", added=9, hunks=(hunk,)),
            FileChange(f"conf/{area}.env", "added", added=n),
        ),
        symbols=(
            Symbol(path, f"settle_{area}", "function", "modified", True, 60),
            *(Symbol(path, f"_x{i}", "function", "added", False, i) for i in range(n)),
        ),
        risk="high" if n == 1 else "medium",
        risk_reasons=(f"touches {area} secrets", f"removes public API {n}"),
        notes=(f"{n} binary file was not read.",),
    )


def empty(**change: object) -> Artifacts:
    """A review that found nothing and ran no tests."""
    one = FileChange("README.md", "modified", added=1, deleted=1, hunks=(Hunk(1, 1, 1, 1, ("b",), ("a",)),))
    return {
        "change.json": encode(Change("shop/docs", "a" * 40, "b" * 40, (Commit("b" * 40, "dev", "Fix typo"),), (one,))),
        "diff.patch": b"",
        "findings.json": encode([]),
        "conventions.json": encode([]),
        "not_checked.json": encode([NotChecked("tests", "the repository has no tests")]),
        "run.json": encode(facts(environment=None, models=(), cost_microusd=0, tokens=0, settings_notes=(), **change)),
    }


def built(artifacts: Artifacts) -> dict[str, bytes]:
    """Build with the facts that the artifacts hold."""
    from quarterdeck.workflows.review.report.inputs import decode

    return build(artifacts, decode("run.json", artifacts["run.json"], RunFacts), derive)


def digests(artifacts: Artifacts, outputs: Mapping[str, bytes]) -> dict[str, str]:
    """What the run's log knows."""
    return {n: sha256(b) for n, b in artifacts.items()} | {f"out/{n}": sha256(b) for n, b in outputs.items()}
