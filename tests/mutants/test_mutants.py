"""Every law's test can fail: each patch in this folder breaks a law, and its named tests notice. (A14)"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import runner

HASH = "return hashlib.sha256(data).hexdigest()"
HEADER = "Law: none\nBreaks: {breaks}\nTest: {test}\n\n"
DIFF = """diff --git a/src/quarterdeck/protocol/canonical.py b/src/quarterdeck/protocol/canonical.py
--- a/src/quarterdeck/protocol/canonical.py
+++ b/src/quarterdeck/protocol/canonical.py
@@ -{line},3 +{line},3 @@
 {before}
-{old}
+{new}
 {after}
"""
SAMPLE = """
from quarterdeck.protocol.canonical import sha256

def test_hash():
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""


@pytest.mark.parametrize("patch", sorted(runner.HERE.glob("*.patch")), ids=lambda path: path.stem)
def test_mutant_is_killed(patch: Path, tmp_path: Path) -> None:
    mutant = runner.read(patch)
    if mutant.needs_root and os.geteuid() != 0:
        pytest.skip("this mutant changes what only root's path does")
    verdict = runner.kill(mutant, tmp_path)
    assert verdict.state == "killed", verdict.detail


def mutant(folder: Path, new: str, test: str = SAMPLE) -> runner.Mutant:
    """A mutant that replaces the line of `sha256` that makes the hash, with a test of its own."""
    lines = (runner.ROOT / "src/quarterdeck/protocol/canonical.py").read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if HASH in line)
    (folder / "patches").mkdir()
    sample = folder / "patches/test_sample.py"
    sample.write_text(test)
    patch = folder / "patches/sample.patch"
    diff = DIFF.format(line=at, before=lines[at - 1], old=lines[at], new=new, after=lines[at + 1])
    patch.write_text(HEADER.format(breaks="a sample", test=sample) + diff)
    return runner.read(patch)


def verdict(mutant: runner.Mutant, folder: Path) -> runner.Verdict:
    (folder / "copy").mkdir()
    return runner.kill(mutant, folder / "copy")


def test_the_runner_reports_a_survivor(tmp_path: Path) -> None:
    """A patch that changes nothing that matters must not count as caught, or no mutant proves anything."""
    assert verdict(mutant(tmp_path, f"    {HASH}  # the same"), tmp_path).state == "survived"


def test_the_runner_reports_a_kill(tmp_path: Path) -> None:
    assert verdict(mutant(tmp_path, "    return hashlib.sha1(data).hexdigest()"), tmp_path).state == "killed"


def test_a_mutant_that_breaks_the_import_proves_nothing(tmp_path: Path) -> None:
    assert verdict(mutant(tmp_path, "    return ("), tmp_path).state == "broken"


def test_another_exception_counts_only_when_it_is_named(tmp_path: Path) -> None:
    crash = mutant(tmp_path, "    raise KeyError(data)")
    (tmp_path / "again").mkdir()
    assert verdict(crash, tmp_path).state == "broken"
    named = runner.Mutant(crash.path, crash.law, crash.breaks, crash.tests, frozenset({"KeyError"}))
    assert verdict(named, tmp_path / "again").state == "killed"


def test_a_patch_that_no_longer_applies_is_reported(tmp_path: Path) -> None:
    stale = mutant(tmp_path, "    return ''")
    stale.path.write_text(stale.path.read_text().replace(HASH, "return hashlib.md5(data).hexdigest()"))
    assert verdict(stale, tmp_path).state == "stale"


def test_a_header_names_law_and_test(tmp_path: Path) -> None:
    (tmp_path / "x.patch").write_text("Law: 1\nBreaks: something\n--- a/x\n+++ b/x\n")
    with pytest.raises(ValueError, match="Test:"):
        runner.read(tmp_path / "x.patch")
