"""Root runs the hostile suites and a killed review a second time as an ordinary user. A15, A31, law 5: all holds for both."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

import quarterdeck

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ORDINARY = ROOT / "tests" / "sandbox" / "ordinary.py"
UID = 0x6FFF_1235
"""A uid that nobody has."""
SECONDS = 300
TESTS = (
    f"{HERE}/test_hostile.py",
    f"{HERE}/test_kill.py::test_a15_killed_while_the_sandbox_runs_the_tests",
    f"{HERE}/test_input.py::test_a30_files_that_may_not_grow_are_said_and_the_run_goes_on_when_they_may",
)


def test_a31_law_5_hostile_suites_are_held_for_an_ordinary_user_too() -> None:
    if os.geteuid() != 0:
        return  # the tests beside this one are the ordinary user's already
    home = Path(tempfile.mkdtemp(prefix="quarterdeck-user-", dir="/tmp"))
    os.chown(home, UID, UID)
    needed = [ROOT, sys.base_prefix, sys.prefix, Path(quarterdeck.__file__).parents[1], sysconfig.get_path("purelib")]
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(ROOT),
        "-m",
        "not slow",
    ]
    tests = [sys.executable, "-m", "pytest", *options, f"--basetemp={home}/pytest", *TESTS]
    command = [sys.executable, str(ORDINARY), str(UID), str(home), *map(str, needed), "--", *tests]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if done.returncode != 0:
        pytest.fail(f"as an ordinary user (exit {done.returncode}):\n{done.stdout[-12000:]}\n{done.stderr[-3000:]}", pytrace=False)
    assert "6 passed" in done.stdout or done.stdout.count(".") >= 6, done.stdout
    assert "SKIPPED" not in done.stdout
