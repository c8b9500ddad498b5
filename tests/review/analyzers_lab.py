"""A bench for analyzers: two small trees in a temporary folder, the real tools run on them, the change worked out by difflib.

Only the place differs from production: `trees.HEAD` and `trees.BASE` point into the temporary folder, and commands run unsandboxed.
"""

from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

from quarterdeck.protocol.environment import Toolbox
from quarterdeck.workflows.review.analyzers import ANALYZERS, Analyzer, trees
from quarterdeck.workflows.review.model import Change, FileChange, Finding, Hunk, NotChecked, Plan, RawRun, Settings

MODULES = tuple(m for m in ("bandit", "griffe", "yaml") if find_spec(m))
BIN = Path(sys.executable).parent


def toolbox(*without: str) -> Toolbox:
    """The tests' own environment as a toolbox, some modules left out."""
    present = (*MODULES, *(["ruff"] if (BIN / "ruff").exists() else []))
    site = sysconfig.get_paths()["purelib"]
    return Toolbox(sys.executable, site, str(BIN), tuple(m for m in present if m not in without))


def hunks(base: str, head: str) -> tuple[Hunk, ...]:
    old, new = base.splitlines(), head.splitlines()
    return tuple(
        Hunk(i1 + 1, i2 - i1, j1 + 1, j2 - j1, tuple(new[j1:j2]), tuple(old[i1:i2]))
        for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if tag != "equal"
    )


def text_change(path: str, base: str | None, head: str | None, old_path: str = "") -> FileChange:
    made = hunks(base or "", head or "")
    added, deleted = sum(len(h.added) for h in made), sum(len(h.removed) for h in made)
    status = "added" if base is None else "deleted" if head is None else "renamed" if old_path else "modified"
    return FileChange(path, status, old_path, added=added, deleted=deleted, hunks=made)


class Bench:
    """Two trees, the change between them, and what every analyzer makes of it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.base, self.head = root / "base", root / "head"
        self.base.mkdir()
        self.head.mkdir()
        monkeypatch.setattr(trees, "HEAD", str(self.head))
        monkeypatch.setattr(trees, "BASE", str(self.base))
        self.files: list[FileChange] = []
        self.runs: dict[str, RawRun] = {}
        self.not_checked: list[NotChecked] = []
        self.settings = Settings()
        self.tools = toolbox()

    def put(self, side: Path, path: str, content: str | bytes) -> Path:
        where = side / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(content.encode() if isinstance(content, str) else content)
        return where

    def change(self, path: str, base: str | None, head: str | None, *, old_path: str = "") -> None:
        """Put both versions of a text file into the trees and note the change."""
        if base is not None:
            self.put(self.base, old_path or path, base)
        if head is not None:
            self.put(self.head, path, head)
        if base != head or old_path:
            self.files.append(text_change(path, base, head, old_path))

    def same(self, path: str, content: str) -> None:
        self.put(self.base, path, content)
        self.put(self.head, path, content)

    def without_yaml(self) -> None:
        """A toolbox whose Python has the standard library only."""
        self.tools = Toolbox(sys.executable, "/nonexistent", str(BIN), ())

    @property
    def pull(self) -> Change:
        return Change("demo", "base", "head", (), tuple(self.files))

    def review(self, *names: str) -> list[Finding]:
        """Run the named analyzers (default: all) for real and return their findings."""
        found: list[Finding] = []
        for analyzer in ANALYZERS:
            if not names or analyzer.name in names:
                found += self.run(analyzer)
        return found

    def run(self, analyzer: Analyzer) -> list[Finding]:
        plans = analyzer.plan(self.pull, self.tools, self.settings)
        if isinstance(plans, NotChecked):
            self.not_checked.append(plans)
            return []
        runs = [execute(plan) for plan in plans]
        self.runs.update({run.name: run for run in runs})
        found, missing = analyzer.parse(runs, self.pull, self.settings)
        self.not_checked += missing
        return found


def execute(plan: Plan) -> RawRun:
    """Run a plan's command here, as the workflow does inside."""
    done = subprocess.run(
        plan.argv, cwd=plan.cwd, capture_output=True, timeout=60, env={"PATH": os.environ["PATH"], **plan.env}, check=False
    )
    return RawRun(
        plan.name, plan.argv, "exited", done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )


def answer(*hits: dict[str, object], notes: Iterable[tuple[str, str]] = ()) -> str:
    """What an inside script prints."""
    return json.dumps({"hits": hits, "notes": list(notes)})


def rules(findings: Iterable[Finding]) -> set[str]:
    return {f.rule for f in findings}
