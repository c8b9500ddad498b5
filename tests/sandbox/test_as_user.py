"""Root runs the whole folder a second time as an ordinary user. A16: law 5 and all the rest hold as root and as an ordinary user."""

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
UID = 0x6FFF_1234
"""A uid that nobody has."""
SECONDS = 240


def test_a16_everything_holds_as_an_ordinary_user_too() -> None:
    if os.geteuid() != 0:
        return  # this very run is the ordinary user's; test_isolation asserts that it is mode C
    home = Path(tempfile.mkdtemp(prefix="quarterdeck-user-", dir="/tmp"))
    os.chown(home, UID, UID)
    needed = [HERE.parents[1], sys.base_prefix, sys.prefix, Path(quarterdeck.__file__).parents[1], sysconfig.get_path("purelib")]
    ini = HERE.parents[1] / "pyproject.toml"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", str(ini), "--rootdir", str(HERE.parents[1])]
    pytest_command = [sys.executable, "-m", "pytest", *options]
    deselect = ["--deselect", f"{HERE}/test_as_user.py", f"--basetemp={home}/pytest", str(HERE)]
    command = [sys.executable, str(HERE / "ordinary.py"), str(UID), str(home), *map(str, needed), "--", *pytest_command, *deselect]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if done.returncode != 0:
        pytest.fail(f"as an ordinary user (exit {done.returncode}):\n{done.stdout[-12000:]}\n{done.stderr[-3000:]}", pytrace=False)
    assert done.stdout.count(".") > 60 and "SKIPPED" not in done.stdout, done.stdout
