"""A29: the bench of real projects. Its committed results hold, the table is theirs, and its own parts can be believed."""

from __future__ import annotations

import ast
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import real_direct
import real_mutants
import real_record
import real_releases

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench" / "results" / "real_reviews.json"
SOURCE = b'''"""Docs are left alone: 1 == 2."""
LIMIT = 3


def clamp(value: int, low: "int" = 0, *, high=LIMIT) -> int:
    text = f"{value + 1} is \xc3\xa4"  # no places inside of f-strings
    if value < low and not (value in (low, high)):
        return low
    total = (value) + (high)
    while total >= 2: total = total - 1
    return value if value is not None else None
'''


@pytest.fixture(scope="module")
def results() -> real_record.Results:
    return real_record.load(RESULTS)


# A29: what the committed results say


def test_a29_the_table_is_drawn_from_the_committed_json(results: real_record.Results) -> None:
    document = (ROOT / "docs" / "real-projects.md").read_text()
    assert real_record.inserted(document, real_record.table(results)) == document, "run: python bench/real_reviews.py table"


def test_a29_at_least_five_projects_of_different_layouts(results: real_record.Results) -> None:
    assert len({p.name for p in results.projects}) >= 5
    assert {p.runner for p in results.projects} == {"pytest", "unittest"}
    assert len({(p.sources, p.tests) for p in results.projects}) >= 3


def test_a29_counts_on_both_sides_equal_the_direct_run(results: real_record.Results) -> None:
    differing = [p.name for p in results.projects if not (p.on_base and p.on_base.equal and p.on_head and p.on_head.equal)]
    assert differing == []


def test_a29_twenty_killed_mutants_each_are_reported_with_the_right_tests(results: real_record.Results) -> None:
    for project in results.projects:
        assert len({m.number for m in project.mutants}) == len(project.mutants) >= 20, project.name
        assert [m for m in project.mutants if not m.right] == [], project.name
        assert any(m.way == "review" for m in project.mutants), project.name
        drawn = project.drawn
        assert drawn.tried == drawn.survived + drawn.unfinished + len(project.mutants), project.name


def test_a29_an_unchanged_head_has_no_newly_failing_test(results: real_record.Results) -> None:
    for project in results.projects:
        assert project.unchanged and project.unchanged.newly_failing == () and project.unchanged.tests > 0, project.name
        assert project.unchanged.report_verified and project.upgrade and project.upgrade.report_verified, project.name


def test_a29_the_committed_json_names_no_machine() -> None:
    text = RESULTS.read_text()
    assert not any(word in text for word in ("/tmp/", "/root/", "/home/", "/workspace/", "/simple"))


# The parts: a bench that always agrees would prove nothing


def test_a29_a_mutant_differs_in_one_place_inside_a_function() -> None:
    found = real_mutants.of_file("m.py", SOURCE)
    assert {m.operator for m in found} == {
        "comparison", "and/or", "not dropped", "arithmetic", "number", "condition negated", "returns None",
    }  # fmt: skip
    for mutant in found:
        after = mutant.apply(SOURCE)
        assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(SOURCE)) and mutant.line > 5
        assert after[: mutant.start] == SOURCE[: mutant.start] and after.endswith(SOURCE[mutant.end :])
        assert SOURCE[mutant.start : mutant.end].decode() == mutant.before
    assert not any(m.line == 6 for m in found), "f-strings are left alone"
    assert b"    total = (value) - (high)" in next(m for m in found if m.operator == "arithmetic" and m.line == 9).apply(SOURCE)


def test_a29_mutants_are_drawn_by_the_seed_alone_one_for_a_line() -> None:
    files = {"b.py": SOURCE, "a.py": SOURCE}
    drawn = real_mutants.drawn(files, "x")
    assert drawn == real_mutants.drawn(dict(reversed(files.items())), "x") != real_mutants.drawn(files, "y")
    assert len({(m.path, m.line) for m in drawn}) == len(drawn)


def unittest_run(tmp_path: Path, body: str) -> real_direct.Direct:
    (tmp_path / "test_it.py").write_text(f"import unittest\n{body}")
    argv = [sys.executable, "-m", "unittest", "discover"]
    return real_direct.read_unittest(subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False).stderr)


def test_a29_unittests_words_are_read_as_tests(tmp_path: Path) -> None:
    body = (
        "class T(unittest.TestCase):\n"
        "    def test_good(self): pass\n"
        "    def test_bad(self):\n        'A docstring.'\n        self.fail('ERROR: not (a.test)')\n"
        "    def test_subs(self):\n        for i in range(3):\n            with self.subTest(i=i): self.assertEqual(i, 9)\n"
        "    def test_raises(self): 1 / 0\n"
        "    @unittest.skip('later')\n    def test_later(self): pass\n"
        "    @unittest.expectedFailure\n    def test_known(self): self.fail()\n"
        "    @unittest.expectedFailure\n    def test_works(self): pass\n"
        "class U(unittest.TestCase):\n    @classmethod\n    def setUpClass(cls): 1 / 0\n    def test_never(self): pass\n"
    )
    read = unittest_run(tmp_path, body)
    assert read.finished and (read.passed, read.skipped) == (1, 2)
    assert read.failed == {"test_it.T::test_bad", "test_it.T::test_subs", "test_it.T::test_works"}
    assert read.errors == {"test_it.T::test_raises", "test_it.U::setUpClass"}


def test_a29_a_module_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    assert unittest_run(tmp_path, "1 / 0\n") == real_direct.Direct(True, 0, 0, frozenset(), frozenset({"test_it"}))
    assert not real_direct.read_unittest("Segmentation fault").finished


def test_a29_pytests_results_are_read_as_tests(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_good(): pass\ndef test_bad(): assert 0\n@pytest.mark.skip\ndef test_later(): pass\n"
        "@pytest.fixture\ndef broken(): 1 / 0\ndef test_fixture(broken): pass\n@pytest.mark.xfail\ndef test_known(): assert 0\n"
    )
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=r.xml", "test_it.py"]
    subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False)
    read = real_direct.read_junit((tmp_path / "r.xml").read_bytes())
    assert (read.passed, read.skipped, read.failed, read.errors) == (1, 2, {"test_it::test_bad"}, {"test_it::test_fixture"})


def test_a29_a_run_that_broke_off_is_no_finished_run(tmp_path: Path) -> None:
    """A mutant of pluggy breaks pytest itself, which then tells of an internal error instead of its tests."""
    (tmp_path / "conftest.py").write_text("def pytest_runtest_protocol(item): 1 / 0\n")
    (tmp_path / "test_it.py").write_text("def test_good(): pass\n")
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=r.xml", "test_it.py"]
    subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False)
    assert not real_direct.read_junit((tmp_path / "r.xml").read_bytes()).finished


def test_a29_a_release_is_unpacked_without_what_leads_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on Python 3.11.2 (Debian 12), whose tarfile has no filters."""
    archive = tmp_path / "r.tar"
    with tarfile.open(archive, "w") as tar:
        for name, kind in (("p-1", tarfile.DIRTYPE), ("p-1/a.py", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755
            tar.addfile(info)
    assert (real_releases.unpack(archive, tmp_path / "one") / "a.py").is_file()
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    with tarfile.open(archive, "a") as tar:
        tar.addfile(tarfile.TarInfo("../evil"))
        link = tarfile.TarInfo("p-1/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    top = real_releases.unpack(archive, tmp_path / "two")
    assert sorted(p.name for p in top.iterdir()) == ["a.py"] and not (tmp_path / "evil").exists()


def test_a29_what_differs_is_seen() -> None:
    """The verdicts themselves: a missed test, a test too many, another count."""
    one = real_record.Judged(0, "a.py", 1, "number", "1", "2", 1, 1, "t", "review")
    assert one.right
    for wrong in ({"missed": ("t",)}, {"unexpected": ("u",)}, {"killed_by": 0}):
        assert not msgspec.structs.replace(one, **wrong).right
    counts = real_record.Counts(3, 1)
    assert real_record.Compared(counts, counts, True).equal
    assert not real_record.Compared(counts, counts, False).equal
    assert not real_record.Compared(counts, real_record.Counts(4), True).equal
    assert not real_record.Compared(real_record.Counts(), real_record.Counts(), True).equal
