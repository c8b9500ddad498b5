"""The suite's own rules: it fails when no test ran or when more is skipped than was agreed. (A24)"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
from house_source import ROOT


def script(name: str) -> ModuleType:
    """A script of tools/ as a module (they have no suffix, for they are commands)."""
    loader = SourceFileLoader(f"tools_{name}", str(ROOT / "tools" / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def suite() -> ModuleType:
    return script("suite")


def junit_of(folder: Path, source: str) -> Path:
    """The JUnit file of a real pytest run of `source`."""
    (folder / "test_it.py").write_text(source)
    junit = folder / "junit.xml"
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        os.devnull,
        "-p",
        "no:cacheprovider",
        f"--rootdir={folder}",
        f"--junit-xml={junit}",
        str(folder),
    ]
    subprocess.run(argv, check=False, capture_output=True, cwd=folder)
    return junit


def test_skips_are_counted_by_reason_and_expected_failures_are_skips(suite: ModuleType, tmp_path: Path) -> None:
    source = (
        "import pytest\n"
        "def test_a(): pass\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_b(n): pytest.skip('needs root')\n"
        "@pytest.mark.xfail(reason='later')\n"
        "def test_c(): assert 0\n"
    )
    assert suite.tally(junit_of(tmp_path, source)) == (1, Counter({"needs root": 2, "later": 1}))


def test_nothing_ran_is_seen(suite: ModuleType, tmp_path: Path) -> None:
    assert suite.tally(junit_of(tmp_path, "import pytest\npytest.skip('all of it', allow_module_level=True)\n"))[0] == 0


def test_a_new_reason_and_a_risen_number_break_the_suite(suite: ModuleType) -> None:
    allowed = {"needs root": 2, "needs a user": 3}
    assert suite.too_many_skips(Counter({"needs root": 2}), allowed) == []
    assert suite.too_many_skips(Counter({"needs root": 3, "new": 1}), allowed) == [
        "3 skipped, 2 allowed: needs root",
        "1 skipped, 0 allowed: new",
    ]


def test_every_installed_dependency_is_pinned_in_its_section() -> None:
    """`tools/bootstrap` says beforehand how many packages it will install: it counts these sections."""
    constraints = script("constraints")
    text = (ROOT / "constraints.txt").read_text()
    committed, wanted = (file.partition("# extra: review")[2] for file in (text, constraints.render()))
    sections = zip(*(re.split("^# .*$", part, flags=re.M) for part in (committed, wanted)), strict=True)
    missing = [sorted(set(theirs.split()) - set(ours.split())) for ours, theirs in sections]
    assert missing == [[], [], []], "run .venv/bin/python tools/constraints"
    assert not [line for line in text.splitlines() if "==" not in line and not line.startswith("#")], "only name==version lines"
