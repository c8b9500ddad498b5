"""A6, A30: which suite a repository has, from its files alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quarterdeck.workflows.review.model import Settings
from quarterdeck.workflows.review.suites import FolderTree, Suite, discover, requirements

PYTEST, UNIT = "import pytest\n", "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n"


def of(files: Mapping[str, str], settings: Settings = Settings()) -> Suite:  # noqa: B008
    return discover({k: v.encode() for k, v in files.items()}, settings)


@pytest.mark.parametrize(
    ("files", "runner", "why"),
    [
        ({"tests/test_a.py": PYTEST}, "pytest", "tests/test_a.py"),
        ({"test_a.py": "def test_x(): pass\n"}, "pytest", "test_a.py"),
        ({"pkg/tests/a_test.py": "class TestX:\n    def test_x(self): pass\n"}, "pytest", "a_test.py"),
        ({"tests/test_u.py": UNIT}, "unittest", "unittest.TestCase"),
        ({"tests/test_u.py": UNIT, "pytest.ini": "[pytest]\n"}, "pytest", "pytest.ini"),
        ({"tests/test_u.py": UNIT, "setup.cfg": "[tool:pytest]\n"}, "pytest", "setup.cfg"),
        ({"tests/test_u.py": UNIT, "tox.ini": "[testenv]\ncommands =\n  pytest {posargs:tests}\n"}, "pytest", "tox.ini runs pytest"),
        ({"tests/test_u.py": UNIT, "tox.ini": "[testenv]\ncommands = python -m unittest\n"}, "unittest", "tox.ini runs unittest"),
        ({"noxfile.py": "@nox.session\ndef tests(session):\n    session.run('pytest', '-x')\n"}, "pytest", "noxfile.py runs pytest"),
        ({"tox.ini": "[testenv]\ncommands = python check.py {posargs}\n"}, "tox", "tox.ini"),
        ({"noxfile.py": "def test(session):\n    session.run('python', 'check.py')\n"}, "nox", "noxfile.py"),
        ({"Makefile": "all:\n\ttrue\ntest: all\n\ttrue\n"}, "make", "Makefile"),
        ({"package.json": '{"scripts": {"test": "node t.js"}}'}, "npm", "package.json"),
        ({"Makefile": "test := 1\nlint:\n\ttrue\n"}, "none", "No test suite"),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, "none", "No test suite"),
        ({".tox/x/test_a.py": PYTEST, "node_modules/x/test_b.py": PYTEST}, "none", "No test suite"),
    ],
)
def test_runner_and_reason(files: dict[str, str], runner: str, why: str) -> None:
    suite = of(files)
    assert suite.runner == runner and why in suite.why
    assert bool(suite.not_checked) == (runner == "none")


def test_the_setting_of_the_base_wins() -> None:
    suite = of({"tests/test_a.py": PYTEST}, Settings(tests="make check"))
    assert suite.runner == "command" and suite.command == ("bash", "-c", "make check")


def test_npm_with_dependencies_is_not_checked_and_says_why() -> None:
    suite = of({"package.json": '{"scripts": {"test": "jest"}, "devDependencies": {"jest": "*"}}'})
    assert suite.runner == "npm" and "jest" in suite.not_checked[0].why


@pytest.mark.parametrize(
    ("paths", "start", "top"),
    [
        (["test_a.py"], ".", "."),
        (["tests/test_a.py"], "tests", "tests"),
        (["tests/__init__.py", "tests/test_a.py"], "tests", "."),
        (["src/p/__init__.py", "src/p/tests/__init__.py", "src/p/tests/test_a.py"], "src/p/tests", "src"),
        (["a/__init__.py", "a/test_a.py", "b/__init__.py", "b/test_b.py"], ".", "."),
    ],
)
def test_unittest_starts_where_the_tests_can_be_imported(paths: list[str], start: str, top: str) -> None:
    suite = of({p: UNIT if "test_" in p else "" for p in paths})
    assert (suite.runner, suite.start, suite.top) == ("unittest", start, top)


def test_addopts_and_sources_are_read() -> None:
    suite = of(
        {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = ["-q", "--cov"]\n', "tests/test_a.py": PYTEST, "src/p/__init__.py": ""}
    )
    assert suite.addopts == "-q --cov" and suite.sources == (".", "src")


def test_links_out_of_the_tree_are_never_read(tmp_path: Path) -> None:
    """A30."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "test_s.py").write_text(PYTEST)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "pytest.ini").symlink_to(secret / "test_s.py")
    (tree / "tests").symlink_to(secret)
    (tree / "big.py").write_bytes(b"#" * (2 << 20))
    reader = FolderTree(tree)
    assert list(reader.list()) == ["big.py"]
    assert [reader.read(p) for p in ("pytest.ini", "tests/test_s.py", "../secret/test_s.py", "big.py")] == [None] * 4
    assert discover(reader).runner == "none"


NAMES = ("pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", "noxfile.py", "Makefile", "package.json", "tests/test_a.py", "tox.toml")


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=300)))
def test_any_content_is_survived(files: dict[str, bytes]) -> None:
    assert msgspec.json.encode(discover(files))


def test_names_and_literals_that_are_not_unicode_never_reach_a_record(tmp_path: Path) -> None:
    """A30: hostile names; a lone surrogate cannot be written as UTF-8."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/test_\xff.py")).write_text(PYTEST)
    assert discover(FolderTree(tmp_path)).runner == "none"
    npm = {"package.json": '{"scripts": {"test": "x"}, "dependencies": {"\\ud800": "1"}}'}
    nox = {"noxfile.py": "def test(s):\n    s.run('x', '\\ud800')\n"}
    for files in (npm, nox):
        assert msgspec.json.encode(of(files))
    found = requirements({"setup.py": b"setup(name='\\ud800', install_requires=['\\udc80', 'a'], tests_require=['b'])"})
    assert msgspec.json.encode(found) and found.project == "" and found.test == ("b",)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "bomb", [b"[" * 50_000, b'{"a":' * 50_000, b"a=" + b"[" * 50_000, b"(" * 50_000, b"x=-" + b"-" * 90_000 + b"1", b"\xff\xfe\x00"]
)
def test_deep_nesting_is_survived(name: str, bomb: bytes) -> None:
    assert discover({name: bomb, "a.py": b""}).runner
