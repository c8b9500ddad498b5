"""Drives the plans of the suites room for real on this host, with folders of a test in place of /workspace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from quarterdeck.workflows.review.model import Change, FileChange, Hunk, Plan, RawRun, Settings, TestReport
from quarterdeck.workflows.review.suites import (
    FolderTree,
    Job,
    Roots,
    SideRuns,
    Wanted,
    Wheelhouse,
    compare,
    discover,
    next_plan,
    problems,
    requirements,
)
from quarterdeck.workflows.review.suites.plans import Side

Files = Mapping[str, str]
CORE = Wanted(("coverage", "pytest"), ("pip", "setuptools", "wheel"))


def write(root: Path, files: Files) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def run(plan: Plan) -> RawRun:
    """What the sandbox does with a plan, without the isolation: own process group, time limit, the output file."""
    home = {"HOME": "/nonexistent", **plan.env}
    with subprocess.Popen(
        plan.argv, cwd=plan.cwd, env=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=plan.timeout_s)
            state = "exited" if process.returncode >= 0 else "signaled"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            state = "timeout"
    code = process.returncode if state == "exited" else None
    output = Path(plan.output).read_text(errors="replace")[: plan.output_bytes] if plan.output and Path(plan.output).exists() else ""
    return RawRun(plan.name, plan.argv, state, code, out.decode(errors="replace"), err.decode(errors="replace"), output)


class Bench:
    """A workspace with a base, a head and one environment that every side borrows (making one takes seconds)."""

    def __init__(self, root: Path, house: Wheelhouse, venv: Path) -> None:
        self.root, self.house, self.venv = root, house, venv
        self.settings = Settings()
        self.timeout_s = 60.0

    def job(self, side: Side, changed: tuple[str, ...] = ()) -> Job:
        tree = FolderTree(self.root / side)
        suite = discover(tree, self.settings)
        needs = requirements(tree, suite.addopts)
        roots = Roots(str(self.root), str(Path(self.house.path).parent) if self.house.path else str(self.root))
        return Job(
            side=side,
            suite=suite,
            requirements=needs,
            house=self.house,
            python=sys.executable,
            timeout_s=self.timeout_s,
            changed=changed,
            roots=roots,
        )

    def side(self, side: Side, files: Files, *, full: bool = False, changed: tuple[str, ...] = ()) -> SideRuns:
        """Run one side to its end. Unless `full`, the shared environment stands in for making and filling one."""
        write(self.root / side, files)
        (self.root / "scratch").mkdir(exist_ok=True)
        job = self.job(side, changed)
        runs: list[RawRun] = []
        while (plan := next_plan(job, runs)) is not None:
            if not full and plan.name.endswith(("-venv", "-needs")):
                if plan.name.endswith("-venv"):
                    Path(job.venv).symlink_to(self.venv)
                runs.append(RawRun(plan.name, plan.argv, "exited", 0, "", ""))
            elif not full and plan.name.endswith(("-project", "-project-again")):
                runs.append(RawRun(plan.name, plan.argv, "exited", 1, "", "not built in this test"))
            else:
                runs.append(run(plan))
        return SideRuns(job.suite, tuple(runs), problems(job, runs))

    def compare(self, base: Files, head: Files, change: Change | None = None) -> TestReport:
        report = compare(self.side("base", base), self.side("head", head), change or changed({}))
        # Artifacts are JSON: a report computed from what was written and read back must be the same.
        assert msgspec.json.decode(msgspec.json.encode(report), type=TestReport) == report
        return report


def changed(added: Mapping[str, Mapping[int, str]]) -> Change:
    files = tuple(
        FileChange(path, "modified", added=len(lines), hunks=tuple(Hunk(0, 0, n, 1, (text,)) for n, text in lines.items()))
        for path, lines in added.items()
    )
    return Change("r", "b", "h", (), files)
