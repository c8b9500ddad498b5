"""A29: the bench itself from end to end, over two small releases that lie on this machine."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import real_record
import real_releases
import real_reviews

CODE = (
    "def clamp(value, low, high):\n    if value < low:\n        return low\n"
    "    if value > high:\n        return high\n    return value\n\n\n"
    "def twice(value):\n    return value * 2\n"
)
TESTS = (
    "import unittest\nfrom clamps import clamp, twice\n\n\nclass Clamp(unittest.TestCase):\n"
    "    def test_low(self):\n        self.assertEqual(clamp(-1, 0, 9), 0)\n\n"
    "    def test_high(self):\n        self.assertEqual(clamp(10, 0, 9), 9)\n\n"
    "    def test_twice(self):\n        self.assertEqual(twice(3), 6)\n"
)


def release(into: Path, version: str, tests: str) -> None:
    top = into / f"clamps-{version}" / f"clamps-{version}"
    for path, text in {
        "pyproject.toml": f'[project]\nname = "clamps"\nversion = "{version}"\n\n[build-system]\nrequires = ["setuptools"]\n'
        'build-backend = "setuptools.build_meta"\n\n[tool.setuptools]\npackages = ["clamps"]\n',
        "README.md": "Clamps.\n",
        "clamps/__init__.py": CODE,
        "tests/__init__.py": "",
        "tests/test_clamps.py": tests,
    }.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)


@pytest.mark.slow
def test_a29_the_bench_from_releases_to_mutants(tmp_path: Path) -> None:
    """One more test in the head; one mutant through the whole review, two through its tests stage; then nothing is left to do."""
    release(tmp_path, "1", TESTS)
    release(tmp_path, "2", TESTS + "\n    def test_between(self):\n        self.assertEqual(clamp(5, 0, 9), 5)\n")
    file = tmp_path / "results.json"
    pair = real_releases.Pair("clamps", "1", "2", "clamps", real_releases.UNITTEST)
    asyncio.run(real_reviews.run((pair,), tmp_path, file, 3, 1, time.time() + 600))
    found = real_record.load(file).projects[0]
    assert found.on_base and found.on_head and (found.on_base.direct.all, found.on_head.direct.all) == (3, 4)
    assert found.on_base.equal and found.on_head.equal and found.upgrade and found.upgrade.not_checked == ()
    assert found.unchanged and (found.unchanged.tests, found.unchanged.newly_failing) == (4, ())
    assert [(m.right, m.way) for m in found.mutants] == [(True, "review"), (True, "tests stage"), (True, "tests stage")]
    before = file.read_bytes()
    asyncio.run(real_reviews.run((pair,), tmp_path, file, 3, 1, time.time() + 600))
    assert file.read_bytes() == before
