"""A7: requirements come from static metadata; only names and version specifiers pass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from quarterdeck.workflows.review.suites import Requirements, Wanted, requirements, wanted
from quarterdeck.workflows.review.suites.requirements import MAX_REQUIREMENTS, read_requirement
from quarterdeck.workflows.review.suites.setup_py import read_setup_py


def of(files: Mapping[str, str]) -> Requirements:
    return requirements({k: v.encode() for k, v in files.items()})


def test_pyproject_with_extras_that_name_each_other() -> None:
    found = of(
        {
            "pyproject.toml": """
[build-system]
requires = ["hatchling", "hatch-vcs"]
[project]
name = "My_Lib"
requires-python = ">=3.9"
dependencies = ["a>=1", 'b; python_version < "3"']
[project.optional-dependencies]
docs = ["sphinx"]
cov = ["c"]
tests = ["my-lib[cov]", "d", "my.lib[tests]"]
dev = ["my-lib[tests]", "pre-commit"]
[dependency-groups]
test = [{include-group = "core"}, "e", {include-group = "test"}, "my-lib"]
core = ["f"]
"""
        }
    )
    assert found.project == "my-lib" and found.installable and found.python_requires == ">=3.9"
    assert found.runtime == ("a>=1", 'b; python_version < "3"')
    assert set(found.test) <= {"c", "d", "e", "f"} and {"c", "d", "e"} <= set(found.test)
    assert found.build == ("hatchling", "hatch-vcs") and found.refused == ()
    assert wanted(found, "pytest") == Wanted(("coverage", "pytest", "a>=1", *found.test), ("pip", "hatchling", "hatch-vcs", "editables"))


def test_included_groups_are_expanded() -> None:
    found = of(
        {"pyproject.toml": '[dependency-groups]\ntests = [{include-group = "core"}, "e"]\ncore = ["f", {include-group = "tests"}]\n'}
    )
    assert found.test == ("f", "e")


def test_poetry_ranges() -> None:
    found = of(
        {
            "pyproject.toml": """
[tool.poetry]
name = "p"
[tool.poetry.dependencies]
python = "^3.8"
a = "^1.2.3"
b = "~2.1"
c = "*"
d = {version = "^0.3", extras = ["x"]}
e = {git = "https://example.invalid/e.git"}
f = "1.0"
[tool.poetry.group.test.dependencies]
g = ">=1"
"""
        }
    )
    assert [str(Requirement(r)) for r in found.runtime] == ["a<2,>=1.2.3", "b<2.2,>=2.1", "c", "d<0.4,>=0.3", "f==1.0"]
    assert found.test == ("g>=1",) and len(found.refused) == 1


SETUP_CFG = """[metadata]
name = x
[options]
install_requires =
  a
  # c
  b>=1
[options.extras_require]
test =
  c
doc = s
"""
SETUP_PY = """from setuptools import setup
T = ['d']
setup(
    tests_require=T + ['e'],
    extras_require={'testing': ('f',), 'x': ['y']},
    install_requires=open('r').read(),
)
"""


def test_setup_cfg_setup_py_tox_and_requirements_files() -> None:
    found = of(
        {
            "setup.cfg": SETUP_CFG,
            "setup.py": SETUP_PY,
            "tox.ini": "[testenv]\ndeps =\n  g\n  py311: h\n  -rreqs/more.txt\n  {env:EXTRA}\n",
            "reqs/more.txt": "i==1 \\\n  --hash=sha256:00 \\\n  --hash=sha256:11\nj  # why\n",
            "requirements-dev.txt": "not-wanted-as-there-are-test-requirements\n",
            "requirements/test.txt": "-r base.txt\nk\n",
            "requirements/base.txt": "l\n",
            "tests/requirements.txt": "m\n",
        }
    )
    assert found.runtime == ("a", "b>=1", "l")
    assert set(found.test) == {"c", "d", "e", "f", "g", "h", "i==1", "j", "k", "l", "m"}
    assert any("install_requires" in n for n in found.notes)


def test_setup_py_is_parsed_and_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    code = f"import pathlib\npathlib.Path({str(trap)!r}).touch()\nfrom setuptools import setup\n"
    code += "setup(name='n', install_requires=['a'] + [x for x in 'bc'])\n"
    found = of({"setup.py": code})
    assert not trap.exists() and found.project == "n" and found.runtime == ()
    assert any("install_requires" in n for n in found.notes)


REFUSED = [
    "name @ https://example.invalid/x.whl",
    "name @ file:///etc/passwd",
    "git+https://example.invalid/x.git#egg=x",
    "-e .",
    "--index-url https://example.invalid/simple",
    "--extra-index-url=https://example.invalid",
    "--find-links /tmp",
    "-f /tmp",
    "./local",
    "../x.whl",
    "/abs/x.whl",
    "~/x",
    "C:\\x",
    "x===/../../../tmp/evil.whl",
    "x===evil.whl/../../y",
    "x" * 5000,
    "not a requirement",
    "x; python_version",
    "${HOME}",
]


@pytest.mark.parametrize("line", REFUSED)
def test_paths_addresses_and_options_are_refused_and_reported(line: str) -> None:
    """A7: pip never gets a path or URL from the head."""
    assert isinstance(read_requirement(line), str)
    found = of({"requirements.txt": line + "\nfine\n"})
    assert found.runtime == ("fine",) and len(found.refused) == 1


def test_included_files_stay_inside_the_tree() -> None:
    found = of({"requirements.txt": "-r ../outside.txt\n-r /etc/hosts\n-r requirements.txt\nfine\n"})
    assert found.runtime == ("fine",) and any("outside" in r for r in found.refused)


def test_an_endless_list_is_cut_and_said() -> None:
    found = of({"requirements.txt": "".join(f"p{i}\n" for i in range(5000))})
    assert len(found.runtime) == MAX_REQUIREMENTS and any("more than" in r for r in found.refused)


def test_cycles_of_extras_and_groups_end() -> None:
    toml = '[project]\nname="m"\n[project.optional-dependencies]\ntest=["m[dev]"]\ndev=["m[test]","x"]\n'
    tangle = ", ".join(f'{{include-group="g{i}"}}' for i in range(12))
    groups = "[dependency-groups]\n" + "".join(f"g{i} = [{tangle}]\n" for i in range(12))
    assert of({"pyproject.toml": toml + groups + 'test = [{include-group="g0"}, "y"]\n'}).test == ("x", "y")


def test_plugins_that_addopts_need() -> None:
    assert requirements({}, "-q --cov=x -n auto --timeout=3").test == ("pytest-cov", "pytest-xdist", "pytest-timeout")


@given(st.text(max_size=200))
def test_every_accepted_line_is_a_plain_requirement(line: str) -> None:
    read = read_requirement(line)
    if not isinstance(read, str):
        assert read.url is None and not set("/\\:@$ ") & set(str(read.specifier)) and not str(read).startswith("-")


@given(
    st.dictionaries(
        st.sampled_from(["pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "requirements.txt", "requirements-test.txt"]),
        st.binary(max_size=300),
    )
)
def test_any_metadata_is_survived(files: dict[str, bytes]) -> None:
    found = requirements(files)
    assert msgspec.json.encode(found)
    for line in found.all:
        assert Requirement(line).url is None


KEYS = st.sampled_from(
    ["name", "dependencies", "optional-dependencies", "test", "requires", "include-group", "python", "version", "file", "git"]
)
VALUES = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.text(max_size=8), st.sampled_from(["a", "b>1", "^1", "~", "x @ http://y"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(c if c.isprintable() and c not in '"\\' and ord(c) < 0xD800 else "?" for c in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    assert isinstance(value, dict)
    return "{" + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + "}"


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "project",
                "dependency-groups",
                "build-system",
                "tool.poetry",
                "tool.pdm.dev-dependencies",
                "tool.hatch.envs.test",
                "tool.pytest",
            ]
        ),
        VALUES,
        max_size=3,
    )
)
def test_metadata_of_wrong_types_is_survived(tables: dict[str, object]) -> None:
    requirements({"pyproject.toml": "".join(f"{k} = {_toml(v)}\n" for k, v in tables.items()).encode()}, "-n")


@given(st.text(alphabet="setup(=[],'\"ab){}:+ \n*", max_size=120))
def test_any_setup_py_is_survived(source: str) -> None:
    read_setup_py("setup(" + source)
    read_setup_py(source)
