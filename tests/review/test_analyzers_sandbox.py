"""A4, A16: the analyzers' commands as they really run: in the sandbox, with the toolbox that the runtime shows inside."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

from analyzers_lab import rules, text_change

from quarterdeck.protocol.actions import ActionKind, Permit
from quarterdeck.protocol.environment import Command, EnvironmentSpec
from quarterdeck.sandbox import LocalDriver, toolbox
from quarterdeck.workflows.review.analyzers import ANALYZERS, collect
from quarterdeck.workflows.review.model import Change, Finding, NotChecked, Plan, RawRun, Settings

BASE = {
    "pkg/__init__.py": "",
    "pkg/core.py": "def f(a, b=1):\n    return a\n\n\ndef g():\n    return 1\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: make\n",
}
HEAD = {
    **BASE,
    "pkg/core.py": "import os\n\n\ndef f(a):\n    os.system(a)\n    return missing\n\n\ndef g(x):\n"
    + "".join(f"    if x == {n}:\n        return {n}\n" for n in range(13)),
    "pkg/keys.py": "KEY = '" + "AKIA" + "Z7QK4M2NPXR5TLWB'\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: make ${{ github.head_ref }}\n",
    "Dockerfile": "FROM python\n",
    "requirements.txt": "rich @ git+https://x.org/rich\n",
}
EXPECTED = {
    *("ruff/F821", "bandit/B605", "secrets/aws-access-key", "api/parameter-removed", "api/parameter-added-required", "complexity/grown"),
    *("risky/script-injection", "risky/dependency-url", "deploy/latest-image"),
}


class AnyPermit:
    """Accepts every permit: this test is not about the gate."""

    async def consume(self, permit: Permit, kind: ActionKind) -> None:
        assert permit.kind == kind


def tar(files: dict[str, str], folder: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{folder}/{path}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


class Inside:
    """One environment with both trees at /workspace."""

    def __init__(self, home: Path) -> None:
        self.tools = toolbox()
        self.driver = LocalDriver(home, AnyPermit())
        self.count = 0

    def permit(self, kind: ActionKind) -> Permit:
        self.count += 1
        return Permit("run_1", self.count, 1, 1, kind, "digest", f"nonce{self.count}")

    async def start(self) -> None:
        await self.driver.create(self.permit("tool.call"), EnvironmentSpec("analyzers", binds=self.tools.binds))
        for files, folder in ((BASE, "base"), (HEAD, "head")):
            done = await self.command(Command(argv=("tar", "-x", "-C", "/workspace"), stdin=tar(files, folder)))
            assert done.ok, done.stderr

    async def command(self, command: Command) -> RawRun:
        result = await self.driver.exec(self.permit("shell.exec"), "analyzers", command)
        return RawRun("x", command.argv, result.state, result.exit_code, result.stdout.text, result.stderr.text)

    async def run(self, plan: Plan) -> RawRun:
        done = await self.command(Command(argv=plan.argv, cwd=plan.cwd, timeout_s=plan.timeout_s, output_bytes=plan.output_bytes))
        return RawRun(plan.name, plan.argv, done.state, done.exit_code, done.stdout, done.stderr)


async def review(home: Path) -> tuple[list[Finding], list[NotChecked]]:
    inside = Inside(home)
    await inside.start()
    files = tuple(text_change(p, BASE.get(p), HEAD.get(p)) for p in sorted(HEAD) if BASE.get(p) != HEAD.get(p))
    change = Change("demo", "base", "head", (), files)
    found: list[Finding] = []
    missing: list[NotChecked] = []
    try:
        for analyzer in ANALYZERS:
            plans = analyzer.plan(change, inside.tools, Settings())
            assert isinstance(plans, list)
            findings, lacking = analyzer.parse([await inside.run(plan) for plan in plans], change, Settings())
            found += findings
            missing += lacking
    finally:
        await inside.driver.delete("analyzers")
    return collect(found), missing


def test_every_analyzer_works_inside(tmp_path: Path) -> None:
    found, missing = asyncio.run(review(tmp_path / "home"))
    assert missing == []
    assert rules(found) >= EXPECTED
