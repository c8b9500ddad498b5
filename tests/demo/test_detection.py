"""The analyzers on the catalogue: every planted fault that shows without running tests, and nothing else. (A4, A27, A28)

The tools run here as the workflow runs them inside, only unsandboxed and on folders of this test; the whole way is tested elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from quarterdeck.demo import catalogue
from quarterdeck.protocol.environment import Toolbox
from quarterdeck.workflows.review import conventions
from quarterdeck.workflows.review.analyzers import ANALYZERS, trees
from quarterdeck.workflows.review.intake import read_change
from quarterdeck.workflows.review.model import Finding, NotChecked, Plan, RawRun, Settings
from quarterdeck.workflows.review.repository import open_repository

BIN = Path(sys.executable).parent
TOOLS = Toolbox(sys.executable, sysconfig.get_paths()["purelib"], str(BIN), ("ruff", "bandit", "griffe", "yaml"))


def execute(plan: Plan) -> RawRun:
    env = {"PATH": os.environ["PATH"], **plan.env}
    done = subprocess.run(plan.argv, cwd=plan.cwd, env=env, capture_output=True, text=True, timeout=120, check=False)
    return RawRun(plan.name, plan.argv, "exited", done.returncode, done.stdout, done.stderr)


def review(folder: Path, seeded: catalogue.Seeded, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Finding], list[NotChecked]]:
    """Every finding that needs no test run, from the real tools."""
    monkeypatch.setattr(trees, "HEAD", str(folder / "head"))
    monkeypatch.setattr(trees, "BASE", str(folder / "base"))
    with open_repository(seeded.repo) as repo:
        span = repo.range(seeded.base, seeded.head)
        change = read_change(repo, span)
        facts = conventions.collect(repo, span, change)
        for side, sha in (("base", span.base_sha), ("head", span.head_sha)):
            repo.tree_tar(sha, folder / f"{side}.tar")
            (folder / side).mkdir()
            subprocess.run(["tar", "-xf", folder / f"{side}.tar", "-C", folder / side], check=True)
    found: list[Finding] = []
    missing: list[NotChecked] = []
    for analyzer in ANALYZERS:
        plans = analyzer.plan(change, TOOLS, Settings())
        assert not isinstance(plans, NotChecked), plans
        findings, notes = analyzer.parse([execute(plan) for plan in plans], change, Settings())
        found, missing = found + findings, missing + notes
    style, notes = conventions.plan(facts, change, TOOLS, Settings())
    findings, more = conventions.judge(facts, change, [execute(plan) for plan in style], Settings())
    return found + findings, [*missing, *notes, *more]


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 20), marks=pytest.mark.slow)], ids=["two", "the rest of twenty"])
def test_a28_every_seeded_fault_is_found_and_nothing_else(seeds: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeded = found = false = 0
    wrong: list[str] = []
    for seed in seeds:
        request = catalogue.build(tmp_path / str(seed) / "repo", seed)
        findings, missing = review(tmp_path / str(seed), request, monkeypatch)
        assert not missing, missing
        visible = [fault for fault in request.faults if fault.kind != "failing-test"]
        unseen = [fault for fault in visible if not any(fault.found_by(f.rule, f.path, f.line) for f in findings)]
        stray = [f for f in findings if not any(fault.found_by(f.rule, f.path, f.line) for fault in request.faults)]
        wrong += [f"seed {seed} missed {fault}" for fault in unseen]
        wrong += [f"seed {seed} false {f.rule} {f.path}:{f.line} {f.message}" for f in stray]
        seeded, found, false = seeded + len(visible), found + len(visible) - len(unseen), false + len(stray)
    print(f"seeds {len(seeds)}: seeded {seeded}, found {found}, false {false}; recall {found / seeded:.3f}")
    assert not wrong, "\n".join(wrong)
