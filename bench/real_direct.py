"""A suite run directly, outside Quarterdeck, in the same environment: same interpreter, same wheels (A29).

Nothing of the product's test stage is used here, neither its commands nor its readers, so that the two can disagree.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from quarterdeck.workflows.review.suites import Wheelhouse

MEMORY = 3 << 30


class Direct(msgspec.Struct, frozen=True):
    """What one run of a suite said. `finished`: it came to its end (no time-out, no crash, nothing uncollected)."""

    finished: bool
    passed: int = 0
    skipped: int = 0
    failed: frozenset[str] = frozenset()
    errors: frozenset[str] = frozenset()
    seconds: float = 0.0
    said: str = ""

    @property
    def bad(self) -> frozenset[str]:
        return self.failed | self.errors


class Environment:
    """A virtual environment for one side, filled from the wheels that the review had, and the source tree as published."""

    def __init__(self, folder: Path, tree: Path, python: str, house: Wheelhouse) -> None:
        self.folder, self.tree, self.python, self.house = folder, tree, python, house
        self.venv = folder / "venv"
        self.env = {
            "PATH": f"{self.venv}/bin:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV": str(self.venv), "HOME": str(folder),
            "PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1", "TZ": "UTC", "LANG": "C.UTF-8", "PY_COLORS": "0",
            # A mutant may be as long and as new as the file before it: no compiled file may stand in for it.
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip

    def build(self) -> None:
        """Raises CalledProcessError when a wheel or the project cannot be installed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.venv / "ready").exists():
            return
        self._run(self.python, "-m", "venv", "--without-pip", "--clear", str(self.venv))
        pip = [f"{self.venv}/bin/python", f"{self.house.path}/{self.house.pip}/pip", "install", "--isolated", "--no-index", "-q"]
        pip += [f"--find-links={self.house.path}", "--disable-pip-version-check", "--no-cache-dir"]
        self._run(*pip, *self.house.install)
        self._run(*pip, "--no-deps", "--editable", str(self.tree))
        (self.venv / "ready").touch()

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, check=True, env=self.env, cwd=self.folder, capture_output=True)

    def test(self, arguments: Sequence[str], timeout_s: float) -> Direct:
        """Run `python ARGUMENTS` in the tree: `-m pytest` or `-m unittest discover`."""
        junit, log = self.folder / "junit.xml", self.folder / "run.log"
        junit.unlink(missing_ok=True)
        pytest = "pytest" in arguments
        argv = [f"{self.venv}/bin/python", *arguments, *([f"--junitxml={junit}", "-p", "no:cacheprovider"] if pytest else [])]
        began = time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(
                argv, cwd=self.tree, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=_limited,
            )  # fmt: skip
            try:
                status = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                status = -9
            finally:
                _end(process)
        seconds = time.monotonic() - began
        said = log.read_text(errors="replace")
        # A mutant of pytest's own plugin system ends pytest with status 1 before it writes anything.
        if status not in (0, 1) or (pytest and not junit.exists()):
            return Direct(False, seconds=seconds, said=f"status {status}: {said.strip()[-300:]}")
        read = read_junit(junit.read_bytes()) if pytest else read_unittest(said)
        return msgspec.structs.replace(read, seconds=seconds)


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group, helpers of the tests too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read_junit(xml: bytes) -> Direct:
    """Read pytest's own results file. A test whose teardown fails too has two entries there; they are one test's."""
    seen: Counter[str] = Counter()
    outcomes: dict[str, str] = {}
    for case in ET.fromstring(xml).iter("testcase"):
        name = "::".join(p for p in (case.get("classname", ""), case.get("name", "")) if p)
        seen[name] += 1
        test = name if seen[name] == 1 else f"{name}#{seen[name]}"
        tags = {child.tag for child in case}
        outcomes[test] = next((o for o in ("error", "failure", "skipped") if o in tags), "passed")
    if "pytest::internal" in outcomes:
        return Direct(False, said="pytest itself broke off with an internal error")
    of = {o: frozenset(t for t, is_ in outcomes.items() if is_ == o) for o in ("passed", "skipped", "failure", "error")}
    return Direct(True, len(of["passed"]), len(of["skipped"]), of["failure"], of["error"])


_BAD = re.compile(r"^(FAIL|ERROR|UNEXPECTED SUCCESS): (\S+) \(([^\s()]+)\)", re.M)


def read_unittest(said: str) -> Direct:
    """Read what unittest prints at its end. Subtests are their test's: a test with three failing ones is one failed test."""
    ran = re.search(r"^Ran (\d+) tests? in ", said, re.M)
    last = re.search(r"^(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?\s*\Z", said, re.M)
    if not ran or not last:
        return Direct(False, said=said.strip()[-300:])
    counts = {k.strip(): int(v) for k, v in (part.split("=") for part in (last.group(1) or "").split(",") if part)}
    skipped = counts.get("skipped", 0) + counts.get("expected failures", 0)
    kinds: dict[str, set[str]] = {"FAIL": set(), "ERROR": set(), "UNEXPECTED SUCCESS": set()}
    for kind, name, where in _BAD.findall(said):
        kinds[kind].add(_unittest_id(name, where))
    errors = frozenset(kinds["ERROR"])
    failed = frozenset(kinds["FAIL"] | kinds["UNEXPECTED SUCCESS"]) - errors
    # A class or module that cannot be set up is an error that unittest does not count as a test that ran.
    fixtures = sum("::" in e and e.rpartition("::")[2] in ("setUpClass", "tearDownClass", "setUpModule", "tearDownModule") for e in errors)
    return Direct(True, int(ran.group(1)) - skipped - len(failed) - len(errors) + fixtures, skipped, failed, errors)


def _unittest_id(name: str, where: str) -> str:
    if where.startswith("unittest.loader._FailedTest."):
        return where.removeprefix("unittest.loader._FailedTest.")
    classname = where.removesuffix(f".{name}")
    return f"{classname}::{name}"
