"""Which test suite a repository has, and how to start it, from its files alone (A6). Nothing is run."""

from __future__ import annotations

import ast
import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from ..model import NotChecked, Settings
from .config import ini, lines, strings, table, toml
from .tree import TreeReader, as_tree, encodable, text

Runner = Literal["pytest", "unittest", "tox", "nox", "make", "npm", "command", "none"]
MAX_READ = 400
"""Test files that are read to tell pytest from unittest; the rest follows from these."""
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test|tests?)\.py$")
_PYTEST_SOURCE = re.compile(r"^\s*(import|from) pytest\b|^(async )?def test|^class Test\w*(\(\))?:", re.M)
_SKIP = re.compile(r"(^|/)(\.[^/]+|node_modules|build|dist|venv|[^/]+\.egg-info|__pycache__|site-packages)/")
_PYTEST_CALL = re.compile(r"(^|[\s/])(pytest|py\.test)(\s|$)")
_UNITTEST_CALL = re.compile(r"-m\s+unittest(\s|$)")


class Suite(msgspec.Struct, frozen=True):
    """How the tests are started. `command` is what a person would type; `why` is one sentence that names the evidence.

    `start` and `top` are unittest's start and top-level folder, relative to the root. `addopts` is pytest's own setting.
    `sources` are the folders whose code coverage looks at.
    """

    runner: Runner
    command: tuple[str, ...] = ()
    why: str = ""
    start: str = "."
    top: str = "."
    addopts: str = ""
    sources: tuple[str, ...] = (".",)
    python: bool = False
    """There is Python code, so the tests get an environment with the project and its dependencies."""
    not_checked: tuple[NotChecked, ...] = ()


def _pytest_config(tree: TreeReader) -> tuple[str, str] | None:
    """The file that pytest takes its configuration from, in pytest's own order of precedence, and its addopts."""
    paths = set(tree.list())
    for name in ("pytest.ini", ".pytest.ini"):
        if name in paths:
            return name, ini(tree, name).get("pytest", {}).get("addopts", "")
    tool = table(toml(tree, "pyproject.toml"), "tool", "pytest")
    if "ini_options" in tool or tool:
        options = table(tool, "ini_options") or tool
        return "pyproject.toml", " ".join(strings(options.get("addopts")))
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        sections = ini(tree, name)
        if section in sections:
            return name, sections[section].get("addopts", "")
    return None


def is_test(path: str) -> bool:
    """True for a file that holds tests or serves them."""
    return bool(_TEST_FILE.search(path) or path.endswith("conftest.py") or re.match(r"(.*/)?tests?/", path))


def _test_files(tree: TreeReader) -> list[str]:
    return [p for p in tree.list() if _TEST_FILE.search(p) and not _SKIP.search(p)]


def _kinds(tree: TreeReader, files: list[str]) -> tuple[str, str]:
    """One file that only pytest can run, and one that uses unittest; empty when there is none."""
    only_pytest = unit = ""
    for path in files[:MAX_READ]:
        source = text(tree, path)
        if _PYTEST_SOURCE.search(source):
            only_pytest = only_pytest or path
        elif re.search(r"\bTestCase\b", source):
            unit = unit or path
    return only_pytest, unit


def _unittest_layout(tree: TreeReader, files: list[str]) -> tuple[str, str]:
    """Where `unittest discover` must start to see the files: a package is started from its parent."""
    paths = set(tree.list())
    folders = sorted({posixpath.dirname(p) for p in files}, key=lambda f: (f.count("/"), f))
    first = folders[0] if folders else ""
    if not first:
        return ".", "."
    elsewhere = [f for f in folders if f != first and not f.startswith(f"{first}/")]
    if elsewhere and all(f"{f}/__init__.py" in paths for f in folders):
        return ".", "."
    if f"{first}/__init__.py" not in paths:
        return first, first
    top = first
    while top and f"{top}/__init__.py" in paths:
        top = posixpath.dirname(top)
    return first, top or "."


def _tox_commands(tree: TreeReader) -> list[str]:
    sections = {**ini(tree, "tox.ini")}
    sections.setdefault("testenv", ini(tree, "setup.cfg").get("tox:testenv", {}))
    commands = lines(sections.get("testenv", {}).get("commands", "").replace("\\\n", " "))
    if not commands:
        commands = _tox_toml(tree)
    return [c for c in (_tox_command(c) for c in commands) if c]


def _tox_toml(tree: TreeReader) -> tuple[str, ...]:
    for data in (toml(tree, "tox.toml"), table(toml(tree, "pyproject.toml"), "tool", "tox")):
        commands = table(data, "env_run_base").get("commands")
        if isinstance(commands, list):
            return tuple(shlex.join(strings(c)) for c in commands)
    return ()


def _tox_command(command: str) -> str:
    """A tox command as the shell would have it: factors, `-` prefix and the common substitutions resolved."""
    command = re.sub(r"^[\w,!{}.-]+:\s+", "", command)
    command = re.sub(r"^[-!]\s*", "", command)
    command = re.sub(r"\{posargs(?::([^{}]*))?\}", lambda m: m.group(1) or "", command)
    command = re.sub(r"\[\]", "", command)
    command = re.sub(r"\{(?:envpython|env_python)\}", "python", command)
    command = re.sub(r"\{(?:toxinidir|tox_root)\}", ".", command)
    return "" if re.search(r"\{\w+", command) else command.strip()


def _nox_calls(tree: TreeReader) -> Iterator[str]:
    """The literal leading arguments of `session.run(...)` in sessions named after tests."""
    try:
        module = ast.parse(text(tree, "noxfile.py"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for function in module.body:
        if isinstance(function, ast.FunctionDef) and "test" in function.name:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "run":
                    words = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str) and encodable(a.value)]
                    yield shlex.join(words)


def _pytest(tree: TreeReader, why: str) -> Suite:
    config = _pytest_config(tree)
    return Suite("pytest", ("python", "-m", "pytest"), why, addopts=config[1] if config else "")


def _unittest(tree: TreeReader, files: list[str], why: str) -> Suite:
    start, top = _unittest_layout(tree, files)
    command = ["python", "-m", "unittest", "discover"]
    if start != "." or top != ".":
        command += ["-s", start, "-t", top]
    return Suite("unittest", tuple(command), why, start=start, top=top)


def _managed(tree: TreeReader, files: list[str]) -> Suite | None:
    """tox and nox would install from the network; what they would run is run directly instead."""
    for tool, name, commands in (("tox", "tox.ini", _tox_commands(tree)), ("nox", "noxfile.py", list(_nox_calls(tree)))):
        if any(_PYTEST_CALL.search(c) for c in commands):
            return _pytest(tree, f"{name} runs pytest; it is run directly, because {tool} would install from the network.")
        if files and any(_UNITTEST_CALL.search(c) for c in commands):
            return _unittest(tree, files, f"{name} runs unittest; it is run directly, because {tool} would install from the network.")
    return None


def _make_target(tree: TreeReader) -> str:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        if re.search(r"^test\s*:(?!=)", text(tree, name), re.M):
            return name
    return ""


def _npm(tree: TreeReader) -> Suite | None:
    try:
        data = json.loads(text(tree, "package.json") or "null")
    except (ValueError, RecursionError):
        return None
    script = table(data, "scripts").get("test")
    if not isinstance(script, str) or not script.strip() or "no test specified" in script:
        return None
    why = "package.json has a test script."
    needed = [ascii(name)[1:-1] for key in ("dependencies", "devDependencies") for name in table(data, key)]
    if needed:
        reason = f"npm test needs {len(needed)} npm packages ({', '.join(needed[:5])}, ...), and only Python wheels are fetched."
        return Suite("npm", ("npm", "test"), why, not_checked=(NotChecked("tests", reason),))
    return Suite("npm", ("npm", "test"), why)


def _sources(tree: TreeReader) -> tuple[str, ...]:
    """The root, and each plain top-level folder that holds packages (`src`, `lib`)."""
    paths = set(tree.list())
    deep = {p.split("/")[0] for p in paths if re.fullmatch(r"[^/.]+/[^/.]+/__init__\.py", p)}
    return (".", *sorted(d for d in deep if f"{d}/__init__.py" not in paths and not d.startswith("test"))[:8])


def discover(files: Mapping[str, bytes | None] | TreeReader, settings: Settings = Settings()) -> Suite:  # noqa: B008 - frozen
    """The suite of a tree. Python's own runners win, since they answer test by test; then tox, nox, make and npm."""
    tree = as_tree(files)
    python = any(p.endswith(".py") for p in tree.list())
    return msgspec.structs.replace(_discover(tree, settings), sources=_sources(tree), python=python)


def _discover(tree: TreeReader, settings: Settings) -> Suite:
    if settings.tests.strip():
        return Suite("command", ("bash", "-c", settings.tests), "quarterdeck.toml sets [review] tests.")
    tests = _test_files(tree)
    managed = _managed(tree, tests)
    if managed is not None:
        return managed
    only_pytest, unit = _kinds(tree, tests)
    config = _pytest_config(tree)
    if only_pytest:
        return _pytest(tree, f"{only_pytest} is written for pytest" + (f" and {config[0]} configures it." if config else "."))
    if config and tests:
        return _pytest(tree, f"{config[0]} configures pytest.")
    if unit:
        return _unittest(tree, tests, f"{unit} uses unittest.TestCase and nothing asks for pytest.")
    commands = _tox_commands(tree)
    if commands:
        return Suite(
            "tox", ("bash", "-ec", "\n".join(commands)), "tox.ini's commands are run directly, because tox would install from the network."
        )
    nox = [c for c in _nox_calls(tree) if c]
    if nox:
        return Suite("nox", ("bash", "-ec", "\n".join(nox)), "noxfile.py's test commands are run directly, because nox would install.")
    if make := _make_target(tree):
        return Suite("make", ("make", "test"), f"{make} has a target named test.")
    if npm := _npm(tree):
        return npm
    reason = "No test suite was found: no pytest configuration or test files, no unittest, tox, nox, make test or npm test."
    return Suite("none", why=reason, not_checked=(NotChecked("tests", reason),))
