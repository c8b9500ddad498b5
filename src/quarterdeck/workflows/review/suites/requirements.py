"""What a project needs, from its static metadata (A7). Nothing is run; only names and version specifiers pass."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from .config import Table, ini, lines, strings, table, toml
from .setup_py import read_setup_py
from .tree import TreeReader, as_tree, text

MAX_LINE = 1_000
MAX_REQUIREMENTS = 400
"""Of one kind; more are refused and said, so a hostile file cannot make the download endless."""

TEST_NAMES = ("test", "tests", "testing", "unittest", "unit-tests", "pytest", "test-deps", "tests-deps")
DEV_NAMES = ("dev", "develop", "development", "devel", "all-dev", "dev-dependencies")
_TEST_FILES = re.compile(r"(^|/)(requirements|reqs)?[-_./]?(tests?|testing|pytest)([-_.]?(requirements|reqs))?\.txt$")
_TEST_FOLDER = re.compile(r"(^|/)tests?/requirements[^/]*\.txt$")
_DEV_FILES = re.compile(r"(^|/)(requirements|reqs)?[-_./]?(dev|develop|development)([-_.]?(requirements|reqs))?\.txt$")
_VERSION = re.compile(r"[A-Za-z0-9.*+!_-]+")
_PLUGINS = {
    "--cov": "pytest-cov",
    "-n": "pytest-xdist",
    "--numprocesses": "pytest-xdist",
    "--dist": "pytest-xdist",
    "--timeout": "pytest-timeout",
}


def canonical(name: str) -> str:
    return canonicalize_name(name)


class Requirements(msgspec.Struct, frozen=True):
    """PEP 508 strings as re-serialised by `packaging`, without URLs. `project` is the canonical name or empty."""

    project: str = ""
    installable: bool = False
    """There is build metadata: a `[project]`, a build system, a setup.cfg with metadata, or a setup.py."""
    runtime: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    python_requires: str = ""
    refused: tuple[str, ...] = ()
    """What was asked for and is not passed on, with the reason, one sentence each."""
    notes: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.runtime, *self.test, *self.build)))


def read_requirement(line: str) -> Requirement | str:
    """The requirement, or the reason why it is refused."""
    if len(line) > MAX_LINE:
        return "it is too long"
    if line.startswith("-"):
        return "options are never taken from the repository"
    if "://" in line or line.startswith((".", "/", "~", "file:")) or "\\" in line:
        return "only names with version specifiers are fetched, never a path or an address"
    try:
        requirement = Requirement(line)
    except (InvalidRequirement, ValueError, RecursionError):
        return "it is not a requirement"
    if requirement.url:
        return "only names with version specifiers are fetched, never a path or an address"
    # `name===../x.whl` is a legal specifier that pip would read as a local file.
    if not all(_VERSION.fullmatch(s.version) for s in requirement.specifier):
        return "its version is not a version"
    return requirement


class _Collector:
    """Gathers requirements of the four kinds and everything that was turned away."""

    def __init__(self) -> None:
        self.project = ""
        self.kinds: dict[str, dict[str, None]] = {"runtime": {}, "test": {}, "build": {}}
        self.refused: dict[str, None] = {}
        self.notes: dict[str, None] = {}

    def add(self, kind: str, requirements: Iterable[str], source: str) -> None:
        for line in requirements:
            read = read_requirement(line.strip())
            if isinstance(read, str):
                self.refused[f"{source}: {line.strip()[:120]!r} was not fetched: {read}."] = None
            elif canonical(read.name) == self.project:
                continue  # the project itself is built from the checkout, never fetched
            elif len(self.kinds[kind]) >= MAX_REQUIREMENTS:
                self.refused[f"{source}: more than {MAX_REQUIREMENTS} {kind} requirements; the rest was left out."] = None
            else:
                self.kinds[kind][str(read)] = None


def _extras(named: Mapping[str, tuple[str, ...]], wanted: Iterable[str], project: str) -> Iterator[str]:
    """The requirements of extras, with `project[other-extra]` and cycles resolved."""
    todo = list(wanted)
    done: set[str] = set()
    while todo:
        name = todo.pop(0)
        if name in done or len(done) > 100:
            continue
        done.add(name)
        for line in named.get(name, ()):
            read = read_requirement(line)
            if isinstance(read, Requirement) and project and canonical(read.name) == project:
                todo.extend(canonical(e) for e in sorted(read.extras))
            else:
                yield line


def _preferred(names: Iterable[str]) -> tuple[str, ...]:
    """The groups that hold what tests need: those named after tests, else those for development, which hold more."""
    known = [canonical(n) for n in names]
    tests = tuple(n for n in known if n in TEST_NAMES)
    return tests or tuple(n for n in known if n in DEV_NAMES)


def _named(value: Table) -> dict[str, tuple[str, ...]]:
    return {canonical(k): strings(v) for k, v in value.items()}


def _groups(pyproject: Table) -> dict[str, tuple[str, ...]]:
    """`[dependency-groups]` (PEP 735) with `include-group` resolved; a cycle ends where it repeats."""
    raw = {canonical(k): v for k, v in table(pyproject, "dependency-groups").items()}

    def expand(name: str, seen: set[str]) -> list[str]:
        # `seen` is shared by all branches: every group counts once, so cycles end and no tangle grows exponentially.
        seen.add(name)
        value = raw.get(name)
        found: list[str] = []
        for item in value if isinstance(value, list) else ():
            if isinstance(item, str):
                found.append(item)
            elif isinstance(item, dict) and isinstance(item.get("include-group"), str):
                other = canonical(item["include-group"])
                if other not in seen and len(seen) < 100:
                    found.extend(expand(other, seen))
        return found

    return {name: tuple(expand(name, set())) for name in raw if name in TEST_NAMES + DEV_NAMES}


def _poetry(value: Table) -> list[str]:
    """Poetry's dependency table as PEP 508, best effort: `^` and `~` become ranges, tables keep their version."""
    found = []
    for name, spec in value.items():
        if name == "python":
            continue
        if isinstance(spec, list):
            spec = spec[0] if spec else "*"
        if isinstance(spec, dict) and (extra := set(spec) & {"git", "path", "url", "file"}):
            found.append(f"{name} @ {sorted(extra)[0]}://poetry")
            continue
        if isinstance(spec, dict) and spec.get("optional"):
            continue
        version = str(spec.get("version", "*")) if isinstance(spec, dict) else str(spec)
        found.append(name + _caret(version))
    return found


def _caret(version: str) -> str:
    version = version.strip()
    if version in ("", "*"):
        return ""
    match = re.fullmatch(r"([\^~])\s*(\d+(?:\.\d+)*)", version)
    if not match:
        return version if version[0] in "<>=!~" else f"=={version}"
    parts = [int(p) for p in match.group(2).split(".")[:6]]
    significant = next((i + 1 for i, p in enumerate(parts) if p), len(parts))
    keep = min(len(parts), 2) if match.group(1) == "~" else significant
    upper = [*parts[: keep - 1], parts[keep - 1] + 1]
    return f">={match.group(2)},<{'.'.join(map(str, upper))}"


def _pyproject(into: _Collector, tree: TreeReader, data: Table) -> None:
    project = table(data, "project")
    poetry = table(data, "tool", "poetry")
    into.add("build", strings(table(data, "build-system").get("requires")), "pyproject.toml [build-system]")
    into.add("runtime", strings(project.get("dependencies")), "pyproject.toml [project]")
    into.add("runtime", _poetry(table(poetry, "dependencies")), "pyproject.toml [tool.poetry]")
    extras = _named(table(project, "optional-dependencies"))
    into.add("test", _extras(extras, _preferred(extras), into.project), "pyproject.toml [project.optional-dependencies]")
    groups = _groups(data)
    chosen = _preferred(groups)
    for name in chosen:
        # A group may name the project's own extra: `mylib[test]`.
        own = [r for r in map(read_requirement, groups[name]) if isinstance(r, Requirement) and canonical(r.name) == into.project]
        wanted = [canonical(e) for r in own for e in sorted(r.extras)]
        into.add("test", _extras(extras, wanted, into.project), "pyproject.toml [project.optional-dependencies]")
        into.add("test", groups[name], f"pyproject.toml [dependency-groups] {name}")
    poetry_groups = {canonical(k): table(v, "dependencies") for k, v in table(poetry, "group").items()}
    for name in _preferred(poetry_groups):
        into.add("test", _poetry(poetry_groups[name]), f"pyproject.toml [tool.poetry.group.{name}]")
    into.add("test", _poetry(table(poetry, "dev-dependencies")), "pyproject.toml [tool.poetry.dev-dependencies]")
    pdm = _named(table(data, "tool", "pdm", "dev-dependencies"))
    for name in _preferred(pdm):
        into.add("test", pdm[name], f"pyproject.toml [tool.pdm.dev-dependencies] {name}")
    for env in ("default", "test", "hatch-test", "tests", "testing"):
        settings = table(data, "tool", "hatch", "envs", env)
        for key in ("dependencies", "extra-dependencies"):
            into.add("test", strings(settings.get(key)), f"pyproject.toml [tool.hatch.envs.{env}]")
    for name in strings(table(data, "tool", "setuptools", "dynamic", "dependencies").get("file")):
        _text_file(into, tree, "runtime", name)


def _setup_cfg(into: _Collector, tree: TreeReader) -> None:
    cfg = ini(tree, "setup.cfg")
    options = cfg.get("options", {})
    for key, kind in (("install_requires", "runtime"), ("tests_require", "test"), ("setup_requires", "build")):
        value = options.get(key, "")
        if value.startswith("file:"):
            for name in value.removeprefix("file:").split(","):
                _text_file(into, tree, kind, name.strip())
        else:
            into.add(kind, lines(value), f"setup.cfg {key}")
    extras = {canonical(k): lines(v) for k, v in cfg.get("options.extras_require", {}).items()}
    into.add("test", _extras(extras, _preferred(extras), into.project), "setup.cfg [options.extras_require]")


def _setup_py(into: _Collector, tree: TreeReader) -> str:
    found = read_setup_py(text(tree, "setup.py"))
    into.add("runtime", found.install_requires, "setup.py")
    into.add("test", found.tests_require, "setup.py")
    into.add("build", found.setup_requires, "setup.py")
    extras = {canonical(k): v for k, v in found.extras_require.items()}
    into.add("test", _extras(extras, _preferred(extras), into.project), "setup.py extras_require")
    if found.computed:
        into.notes[f"setup.py computes {', '.join(found.computed)}; it is not run, so these requirements are not known."] = None
    return found.python_requires


def _text_file(into: _Collector, tree: TreeReader, kind: str, path: str, depth: int = 0) -> None:
    """A requirements file. `-r` of another file of the tree is followed; hashes are dropped; other options are refused."""
    path = posixpath.normpath(path)
    if depth > 5 or path.startswith(("/", "..")):
        into.refused[f"{path[:120]!r} lies outside the repository or is included too deeply."] = None
        return
    wanted = []
    for raw in text(tree, path).replace("\\\n", " ").splitlines():
        line = re.split(r"\s#", f" {raw}", maxsplit=1)[0].strip()
        line = re.split(r"\s--hash\b", line, maxsplit=1)[0].strip()
        include = re.fullmatch(r"(?:-r|--requirement)[ =]?\s*(\S+)", line)
        if include:
            _text_file(into, tree, kind, posixpath.join(posixpath.dirname(path), include.group(1)), depth + 1)
        elif line:
            wanted.append(line)
    into.add(kind, wanted, path)


def _tox(into: _Collector, tree: TreeReader) -> None:
    """`deps` of [testenv]; conditional lines (`py311: x`) are taken when their factor may be ours."""
    sections = {**ini(tree, "tox.ini")}
    sections.setdefault("testenv", ini(tree, "setup.cfg").get("tox:testenv", {}))
    wanted = []
    for raw in lines(sections.get("testenv", {}).get("deps", "")):
        line = re.sub(r"^[\w,!{}.-]+:\s+", "", raw)
        include = re.fullmatch(r"-r\s*(?:\{toxinidir\}/)?(\S+)", line)
        if include:
            _text_file(into, tree, "test", include.group(1))
        elif line and "{" not in line:
            wanted.append(line)
    into.add("test", wanted, "tox.ini")


def _pytest_plugins(into: _Collector, addopts: str) -> None:
    """Options in `addopts` that only a plugin knows: without the plugin pytest refuses to start."""
    for word in addopts.split():
        for option, plugin in _PLUGINS.items():
            if word == option or word.startswith((f"{option}=", f"{option}-")) or (option == "-n" and re.fullmatch(r"-n\w+", word)):
                into.add("test", [plugin], f"pytest's addopts ({word[:40]})")


def requirements(files: Mapping[str, bytes | None] | TreeReader, addopts: str = "") -> Requirements:
    """Everything static metadata says about what the project needs. Never raises for what a file holds."""
    tree = as_tree(files)
    paths = tree.list()
    data, cfg = toml(tree, "pyproject.toml"), ini(tree, "setup.cfg")
    setup = read_setup_py(text(tree, "setup.py"))
    project = table(data, "project")
    into = _Collector()
    names = (project.get("name"), table(data, "tool", "poetry").get("name"), cfg.get("metadata", {}).get("name"), setup.name)
    into.project = canonical(next((n for n in names if isinstance(n, str) and n), ""))
    _pyproject(into, tree, data)
    _setup_cfg(into, tree)
    python = _setup_py(into, tree)
    has_test_file = any(_TEST_FILES.search(p) or _TEST_FOLDER.search(p) for p in paths)
    for path in paths:
        if path.count("/") > 2 or not path.endswith(".txt"):
            continue
        if path in ("requirements.txt", "requirements/base.txt", "requirements/main.txt"):
            _text_file(into, tree, "runtime", path)
        elif _TEST_FILES.search(path) or _TEST_FOLDER.search(path) or (_DEV_FILES.search(path) and not has_test_file):
            _text_file(into, tree, "test", path)
    _tox(into, tree)
    _pytest_plugins(into, addopts)
    buildable = bool(project.get("name")) or bool(table(data, "tool", "poetry")) or bool(table(data, "build-system"))
    requires = (project.get("requires-python"), cfg.get("options", {}).get("python_requires"), python)
    return Requirements(
        project=into.project,
        installable=buildable or "metadata" in cfg or "setup.py" in paths,
        runtime=tuple(into.kinds["runtime"]),
        test=tuple(into.kinds["test"]),
        build=tuple(into.kinds["build"]),
        python_requires=next((r for r in requires if isinstance(r, str) and r), ""),
        refused=tuple(into.refused)[:100],
        notes=tuple(into.notes),
    )
