"""Mutants: source patches that break a law, and the tests that must notice.

A mutant is a file `NAME.patch`: header lines, then a unified diff against the repository (paths below src/ only).

    Law: 3, intent before effect
    Breaks: the ledger is not asked before an effect begins
    Test: tests/kernel/test_sweep.py::test_law_3_no_effect_begins_twice
    Raises: LostLease

`Law`, `Breaks` and at least one `Test` are needed; `Test` may repeat, and each named test must fail by itself. A test fails by an
assertion (or `pytest.raises` that saw nothing); other exceptions count only when `Raises` names them, so that a mutant which merely
breaks an import proves nothing. A patch that no longer applies is reported, never skipped. `Needs: root` is for what only root's path does.

To make one: change the source, `git diff src > tests/mutants/NAME.patch`, write the header above it, `git checkout src`.
To run some by hand: `.venv/bin/python tests/mutants/runner.py [NAME.patch ...]`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
TIMEOUT_S = 120
ASSERTIONS = {"AssertionError", "assert", "Failed"}


@dataclass(frozen=True)
class Mutant:
    """A patch with its header read."""

    path: Path
    law: str
    breaks: str
    tests: tuple[str, ...]
    raises: frozenset[str]
    needs_root: bool = False


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant. Only `killed` is good; `detail` says what to look at."""

    state: Literal["killed", "survived", "stale", "broken", "hung"]
    detail: str


def read(path: Path) -> Mutant:
    """Read a patch's header. Raises ValueError naming what is missing."""
    fields: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith(("diff ", "--- ")):
            break
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip().lower(), []).append(value.strip())
    missing = [key for key in ("law", "breaks", "test") if not fields.get(key)]
    if missing:
        raise ValueError(f"{path.name} lacks the header line {missing[0].capitalize()}:")
    raises = frozenset(name.strip() for line in fields.get("raises", []) for name in line.split(",") if name.strip())
    needs_root = "root" in fields.get("needs", [])
    return Mutant(path, fields["law"][0], fields["breaks"][0], tuple(fields["test"]), raises, needs_root)


def apply(mutant: Mutant, folder: Path) -> str:
    """Copy src/ into `folder` and patch the copy. Returns what git says against it, or nothing."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    env = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent), "GIT_DIR": str(folder / "no-repository")}
    argv = ["git", "apply", "--include=src/*", "--verbose", str(mutant.path)]
    run = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if run.returncode == 0 and "Applied patch src/" not in run.stderr:
        return "the patch touches nothing below src/"
    return "" if run.returncode == 0 else run.stderr.strip()


def judge(junit: Path, raises: frozenset[str], output: str) -> Verdict:
    """Read the result of one named test against the mutant."""
    if not junit.exists():
        return Verdict("broken", f"pytest could not run it:\n{output[-2000:]}")
    cases = list(ET.parse(junit).getroot().iter("testcase"))
    errors = [str(error.get("message")) for case in cases for error in case.iter("error")]
    failures = [str(failure.get("message")) for case in cases for failure in case.iter("failure")]
    if errors or not cases:
        setup = re.match(r'failed on setup with "([\w.]+)', (errors or [""])[0])
        if setup and setup[1].rpartition(".")[2] in raises:
            return Verdict("killed", errors[0].splitlines()[0][:160])
        return Verdict("broken", f"it did not get as far as failing: {(errors or [output[-2000:]])[0]}")
    if not failures:
        return Verdict("survived", "the test passes although the law is broken")
    kind = failures[0].split(":")[0].split()[0].rpartition(".")[2]
    if kind in ASSERTIONS | raises:
        return Verdict("killed", failures[0].splitlines()[0][:160])
    return Verdict("broken", f"it failed by {kind}, which is no assertion and not named by Raises: {failures[0][:300]}")


def run_python(arguments: list[str], env: dict[str, str]) -> str | None:
    """Run this Python from the repository's root; its output, or None when it hung (it and its children are ended then)."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=env,
        start_new_session=True,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            return process.communicate(timeout=TIMEOUT_S)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None


def run_test(test: str, raises: frozenset[str], folder: Path) -> Verdict:
    """Run one named test against the patched copy in `folder`."""
    junit = folder / "junit.xml"
    junit.unlink(missing_ok=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_"))}
    env |= {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    where = run_python(["-c", "import quarterdeck; print(quarterdeck.__file__)"], env) or ""
    if not where.startswith(str(folder)):
        return Verdict("broken", f"the tests would not see the copy but: {where.strip()[-500:]}")
    options = ["-x", "-n0", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}", f"--junit-xml={junit}"]
    output = run_python(["-m", "pytest", *options, test], env)
    return Verdict("hung", f"no result in {TIMEOUT_S} s") if output is None else judge(junit, raises, output)


def kill(mutant: Mutant, folder: Path) -> Verdict:
    """Break a copy of the source in the empty `folder` and demand that every named test fails there."""
    refused = apply(mutant, folder)
    if refused:
        return Verdict("stale", f"the patch does not apply; make it anew from the present source:\n{refused}")
    verdicts = {test: run_test(test, mutant.raises, folder) for test in mutant.tests}
    for test, verdict in verdicts.items():
        if verdict.state != "killed":
            return Verdict(verdict.state, f"{test}: {verdict.detail}")
    return Verdict("killed", "; ".join(verdict.detail for verdict in verdicts.values()))


def main(names: list[str]) -> int:
    good = True
    for path in [Path(name) for name in names] or sorted(HERE.glob("*.patch")):
        with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
            mutant = read(path.resolve())
            verdict = kill(mutant, Path(folder))
        print(f"{verdict.state:9} {path.stem} (law {mutant.law}): {verdict.detail}", flush=True)
        good &= verdict.state == "killed"
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
