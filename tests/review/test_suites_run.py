"""A6, A31: small real projects, run by their plans on this host (the sandbox has its own tests)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from suites_kit import CORE, Bench, changed

from quarterdeck.workflows.review.model import Settings
from quarterdeck.workflows.review.suites import COMMAND_ID, INCOMPLETE_ID, SideRuns, Wheelhouse, compare, fetch, next_plan

GOOD = "def test_a():\n    assert True\n\ndef test_b():\n    assert True\n"


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Wheelhouse:
    return fetch(CORE, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def venv(house: Wheelhouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One environment with pytest and coverage, borrowed by every test but the full one."""
    assert not house.missing, house.missing
    target = tmp_path_factory.mktemp("shared") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", target], check=True)
    pip = [target / "bin/python", f"{house.path}/{house.pip}/pip", "install", "-q", "--no-index", f"--find-links={house.path}"]
    subprocess.run([*pip, "pytest", "coverage"], check=True, env={"PATH": "/usr/bin:/bin"})
    return target


@pytest.fixture
def bench(tmp_path: Path, house: Wheelhouse, venv: Path) -> Bench:
    return Bench(tmp_path, house, venv)


def test_a_src_layout_is_installed_offline_and_its_coverage_known(bench: Bench) -> None:
    """A6, A7: environment, wheels, editable build, run, coverage of the changed lines: the whole chain, nothing shortened."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "sample-project"\nversion = "1.0"\n[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
        "src/sample/__init__.py": "def f(x):\n    if x:\n        return 1\n    return 2\n",
        "tests/test_f.py": "import sample\nfrom importlib.metadata import version\n\n"
        "def test_f():\n    assert sample.f(1) == 1\n\ndef test_version():\n    assert version('sample-project') == '1.0'\n",
    }
    side = bench.side("head", files, full=True, changed=("src/sample/__init__.py",))
    names = [r.name for r in side.runs]
    assert names == [f"tests-head-{s}" for s in ("copy", "venv", "needs", "project", "run", "coverage")], [
        r.stderr[-500:] for r in side.runs
    ]
    assert all(r.ok for r in side.runs) and side.not_checked == ()
    change = changed({"src/sample/__init__.py": {2: "    if x:", 3: "        return 1", 4: "    return 2"}})
    report = compare(SideRuns(side.suite), side, change)
    assert [c.id for c in report.head] == ["tests.test_f::test_f", "tests.test_f::test_version"]
    assert (report.changed_lines, report.covered_lines, report.uncovered) == (3, 2, {"src/sample/__init__.py": (4,)})
    assert not (bench.root / "head" / "src/sample_project.egg-info").exists(), "the tree itself must stay as it was"


def test_a_suite_that_breaks_under_coverage_is_run_without_it(bench: Bench) -> None:
    code = "import os, sys\n\ndef f():\n    return 1\n"
    trap = "import mod, os, sys\n\ndef test_f():\n    if sys.gettrace():\n        os._exit(0)\n    assert mod.f() == 1\n"
    side = bench.side("head", {"mod.py": code, "test_m.py": trap}, changed=("mod.py", "test_m.py"))
    assert [r.name for r in side.runs][-2:] == ["tests-head-run", "tests-head-run-bare"]
    report = compare(SideRuns(side.suite), side, changed({"mod.py": {4: "    return 1"}}))
    assert [c.outcome for c in report.head] == ["passed"] and report.newly_failing == () and report.changed_lines == 0
    assert any("without it" in n.why for n in report.not_checked)


def test_newly_failing_passing_still_failing_and_removed(bench: Bench) -> None:
    tests = "import mod\ndef test_a():\n    assert mod.A == 1\ndef test_b():\n    assert mod.A == 2\n"
    tests += "def test_c():\n    assert 0\ndef test_d():\n    pass\n"
    base = {"mod.py": "A = 1\n", "test_m.py": tests}
    report = bench.compare(base, {"mod.py": "A = 2\n", "test_m.py": tests.replace("def test_d", "def test_e")})
    assert report.newly_failing == ("test_m::test_a",)
    assert report.newly_passing == ("test_m::test_b",)
    assert report.still_failing == ("test_m::test_c",)
    assert report.removed == ("test_m::test_d",)
    assert report.flaky == () and report.runner == "pytest"


def test_an_unchanged_head_has_nothing_newly_failing(bench: Bench) -> None:
    """A29 in small."""
    report = bench.compare({"test_m.py": GOOD}, {"test_m.py": GOOD})
    assert (report.newly_failing, report.still_failing, report.removed, report.flaky) == ((), (), (), ())
    assert [c.outcome for c in report.head] == ["passed", "passed"]


def test_a_new_test_that_fails_is_newly_failing(bench: Bench) -> None:
    report = bench.compare({"test_m.py": GOOD}, {"test_m.py": GOOD, "test_n.py": "def test_new():\n    assert 0\n"})
    assert report.newly_failing == ("test_n::test_new",)


def test_flaky_is_told_from_failing(bench: Bench) -> None:
    flaky = "import pathlib\ndef test_f():\n    p = pathlib.Path('seen')\n    was = p.exists()\n    p.touch()\n    assert was\n"
    report = bench.compare({"test_m.py": GOOD}, {"test_m.py": GOOD, "test_f.py": flaky})
    assert report.flaky == ("test_f::test_f",) and report.newly_failing == ()


ODD = """import pytest
@pytest.mark.parametrize("x", ["a b", "a::b", "[", "]", "<&>\\"'", "\\n", "\\x00", "ü", "a/b.py", "-k", ""])
def test_p(x):
    assert FLAG
class Base:
    def test_inherited(self):
        assert FLAG
class TestA(Base):
    class TestInner(Base):
        pass
"""


def test_odd_ids_are_one_to_one_with_pytest_and_are_all_run_again(bench: Bench) -> None:
    """A29: parametrised ids with odd characters, nested and inherited tests; the re-run finds each by its id."""
    report = bench.compare({"test_o.py": "FLAG = True\n" + ODD}, {"test_o.py": "FLAG = False\n" + ODD})
    listed = subprocess.run(
        [bench.venv / "bin/python", "-m", "pytest", "--collect-only", "-q", bench.root / "base"], capture_output=True, text=True, check=True
    )
    count = sum("::" in line for line in listed.stdout.splitlines())
    assert len(report.base) == len(report.head) == count == 13
    assert set(report.newly_failing) == {c.id for c in report.base} and len(report.newly_failing) == 13
    marked = "import pathlib\nFLAG = pathlib.Path('seen').exists()\ndef test_zz():\n    pathlib.Path('seen').touch()\n" + ODD
    (bench.root / "two").mkdir()
    flaky = Bench(bench.root / "two", bench.house, bench.venv).compare({"test_o.py": "FLAG = True\n" + ODD}, {"test_o.py": marked})
    assert len(flaky.flaky) == 13 and flaky.newly_failing == ()


def test_an_import_error_is_the_error_of_its_file_and_the_rest_still_runs(bench: Bench) -> None:
    base = {"test_m.py": GOOD, "test_n.py": GOOD}
    report = bench.compare(base, {**base, "test_n.py": "import not_there_at_all\n" + GOOD})
    assert report.newly_failing == ("test_n",)
    assert report.removed == (), "tests hidden by an import error are not removed tests"
    assert sum(c.outcome == "passed" for c in report.head) == 2


def test_a_conftest_that_breaks_counts_as_a_suite_that_did_not_complete(bench: Bench) -> None:
    report = bench.compare({"test_m.py": GOOD}, {"test_m.py": GOOD, "conftest.py": "raise RuntimeError('no')\n"})
    assert report.newly_failing == (INCOMPLETE_ID,)
    assert any("did not complete" in n.why for n in report.not_checked)
    assert report.removed == ()


def test_a_hanging_test_is_ended_and_named(bench: Bench) -> None:
    """A31."""
    bench.timeout_s = 4.0
    head = {"test_m.py": GOOD + "def test_hangs():\n    import time\n    time.sleep(600)\n"}
    report = bench.compare({"test_m.py": GOOD}, head)
    assert report.newly_failing == (INCOMPLETE_ID,)
    said = [n.why for n in report.not_checked if "longer than it may" in n.why]
    assert said and "test_hangs" in said[0]


@pytest.mark.parametrize("death", ["import os; os._exit(0)", "import os; os.kill(os.getpid(), 9)", "import pytest; pytest.exit('bye', 0)"])
def test_a_suite_that_ends_itself_early_is_not_taken_for_passing(bench: Bench, death: str) -> None:
    """A31: exit status 0 without results is no result."""
    report = bench.compare({"test_m.py": GOOD}, {"test_m.py": GOOD + f"def test_x():\n    {death}\n"})
    assert INCOMPLETE_ID in report.newly_failing


def test_a_test_that_prints_a_lot_is_read(bench: Bench) -> None:
    """A31."""
    loud = "def test_loud():\n    for _ in range(200):\n        print('x' * 10_000)\n    assert 0\n"
    report = bench.compare({"test_m.py": GOOD}, {"test_m.py": GOOD + loud})
    assert report.newly_failing == ("test_m::test_loud",)
    assert len(msgspec.json.encode(report)) < 50_000


def test_addopts_of_a_missing_plugin_are_left_out_and_said(bench: Bench) -> None:
    files = {"test_m.py": GOOD, "pytest.ini": "[pytest]\naddopts = --no-such-option\n"}
    report = bench.compare(files, files)
    assert [c.outcome for c in report.head] == ["passed", "passed"] and report.newly_failing == ()
    assert any(n.what == "pytest options" and "--no-such-option" in n.why for n in report.not_checked)


def test_the_suite_runs_on_past_maxfail(bench: Bench) -> None:
    files = {"test_m.py": "def test_z():\n    assert 0\n" + GOOD, "pytest.ini": "[pytest]\naddopts = -x -q\n"}
    assert len(bench.compare(files, files).head) == 3


UNIT = """import unittest
class TestU(unittest.TestCase):
    def test_a(self):
        self.assertEqual(VALUE, 1)
    def test_sub(self):
        for i in range(3):
            with self.subTest(i=i):
                self.assertLess(i, LIMIT)
    @unittest.skip("not now")
    def test_s(self): pass
    @unittest.expectedFailure
    def test_x(self): self.fail()
"""


def test_unittest_only(bench: Bench) -> None:
    base = {"tests/__init__.py": "", "tests/test_u.py": "VALUE, LIMIT = 1, 3\n" + UNIT}
    head = {"tests/__init__.py": "", "tests/test_u.py": "VALUE, LIMIT = 2, 1\n" + UNIT}
    report = bench.compare(base, head)
    assert report.runner == "unittest"
    assert {c.id.removeprefix("tests.test_u.TestU::"): c.outcome for c in report.base} == {
        "test_a": "passed",
        "test_sub": "passed",
        "test_s": "skipped",
        "test_x": "skipped",
    }
    assert set(report.newly_failing) == {"tests.test_u.TestU::test_a", "tests.test_u.TestU::test_sub"}


def test_unittest_fixture_and_import_failures(bench: Bench) -> None:
    base = {
        "test_u.py": "VALUE, LIMIT = 1, 3\n" + UNIT,
        "test_v.py": "import unittest\nclass V(unittest.TestCase):\n    def test_v(self): pass\n",
    }
    broken = UNIT.replace("    def test_a", "    @classmethod\n    def setUpClass(cls): raise OSError('no')\n    def test_a")
    report = bench.compare(base, {"test_u.py": "VALUE, LIMIT = 1, 3\n" + broken, "test_v.py": "import nothing_here\n" + base["test_v.py"]})
    assert set(report.newly_failing) == {"test_u.TestU::setUpClass", "test_v"}
    assert report.removed == ()


def test_unittest_cut_off_keeps_its_finished_tests(bench: Bench) -> None:
    """A31: partial XML."""
    bench.timeout_s = 3.0
    slow = "import unittest, time\nclass T(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): time.sleep(600)\n"
    report = bench.compare({"test_t.py": slow.replace("600", "0")}, {"test_t.py": slow})
    assert [c.id for c in report.head] == ["test_t.T::test_a"]
    assert report.newly_failing == (INCOMPLETE_ID,) and report.removed == ()


def test_make_test_counts_as_one(bench: Bench) -> None:
    base = {"Makefile": "test:\n\t@true\n"}
    report = bench.compare(base, {"Makefile": "test:\n\t@echo broken >&2; false\n"})
    assert report.runner == "make" and report.newly_failing == (COMMAND_ID,)
    assert "single tests" in {n.what for n in report.not_checked}


def test_a_command_that_starts_pytest_reports_its_tests(bench: Bench) -> None:
    bench.settings = Settings(tests="python -m pytest -q")
    report = bench.compare({"test_m.py": GOOD}, {"test_m.py": GOOD.replace("True", "False", 1)})
    assert set(report.newly_failing) == {"test_m::test_a", COMMAND_ID}


def test_no_tests_is_said(bench: Bench) -> None:
    """A30."""
    report = bench.compare({"a.py": ""}, {"a.py": "x = 1\n"})
    assert report.runner == "none" and report.newly_failing == ()
    assert any("No test suite was found" in n.why for n in report.not_checked)


def test_a_head_that_drops_its_whole_suite_does_not_pass_silently(bench: Bench) -> None:
    report = bench.compare({"test_m.py": GOOD}, {"m.py": ""})
    assert report.newly_failing == (INCOMPLETE_ID,)


def test_a_broken_base_is_no_licence_and_no_verdict(bench: Bench) -> None:
    report = bench.compare({"test_m.py": GOOD, "conftest.py": "raise OSError\n"}, {"test_m.py": GOOD})
    assert report.newly_failing == () and any(n.what == "tests of the base" for n in report.not_checked)


def test_randomness_is_pinned(bench: Bench) -> None:
    check = "import os\ndef test_p():\n    assert os.environ['PYTHONHASHSEED'] == '0' and os.environ['TZ'] == 'UTC'\n"
    assert [c.outcome for c in bench.compare({"test_m.py": check}, {"test_m.py": check}).head] == ["passed"]


def test_plans_do_not_depend_on_the_order_of_runs(bench: Bench) -> None:
    """A2: a workflow replays; the same runs must name the same next command."""
    side = bench.side("head", {"test_m.py": GOOD})
    job = bench.job("head")
    for count in range(len(side.runs)):
        plan = next_plan(job, side.runs[:count])
        assert plan is not None and plan.name == side.runs[count].name and plan == next_plan(job, side.runs[:count][::-1])
    assert next_plan(job, side.runs) is None
