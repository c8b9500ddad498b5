"""The commands of one side's test run, as a pure function of what already ran.

`next_plan(job, runs)` answers the next command, or None when the side is done; the caller runs it and asks again:

    runs = []
    while (plan := next_plan(job, runs)) is not None:
        runs.append(await run(plan))

The trees of base and head stay untouched for the analyzers: tests run in a copy below `scratch`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Generator, Sequence
from typing import Literal

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..model import LOG_BYTES, NotChecked, Plan, RawRun
from .discover import Suite, is_test
from .inside import source
from .outcome import COMMAND_ID, cases_of
from .requirements import Requirements
from .wheelhouse import INSIDE, Wheelhouse

Side = Literal["base", "head"]
XML_BYTES = 32 << 20
RERUN_BYTES = 100_000
"""A longer list of failing tests does not fit an argument: then the whole suite is run again."""
Steps = Generator[Plan, RawRun, None]


class Roots(msgspec.Struct, frozen=True):
    """Where things lie inside. Tests of this module put folders of the host here."""

    workspace: str = "/workspace"
    wheels: str = INSIDE


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One side's test run, all that decides its commands. `python` is the toolbox's interpreter."""

    side: Side
    suite: Suite
    requirements: Requirements
    house: Wheelhouse | None
    python: str
    timeout_s: float = 600.0
    changed: tuple[str, ...] = ()
    """The changed files of the head; only their coverage is measured, which keeps the cost low."""
    versioned: bool = False
    """The tree carries its own version (PKG-INFO), so none need be made up for a build from git tags."""
    roots: Roots = Roots()

    def name(self, step: str) -> str:
        return f"tests-{self.side}-{step}"

    @property
    def scratch(self) -> str:
        return f"{self.roots.workspace}/scratch"

    @property
    def tree(self) -> str:
        return f"{self.scratch}/{self.side}"

    @property
    def venv(self) -> str:
        return f"{self.scratch}/venv-{self.side}"

    @property
    def interpreter(self) -> str:
        return f"{self.venv}/bin/python"

    @property
    def wheels(self) -> str:
        return f"{self.roots.wheels}/{self.house.name}" if self.house else ""

    def has(self, distribution: str) -> bool:
        return self.house is not None and any(w.startswith(f"{distribution}-") for w in self.house.wheels)


def blocked(job: Job) -> tuple[NotChecked, ...]:
    """Why this side's tests cannot be run at all; empty when they can."""
    if job.suite.not_checked:
        return job.suite.not_checked
    what = f"tests of the {job.side}"
    version = ".".join(map(str, sys.version_info[:3]))
    try:
        fits = SpecifierSet(job.requirements.python_requires).contains(version, prereleases=True)
    except InvalidSpecifier:
        fits = True
    if not fits:
        return (NotChecked(what, f"The project needs Python {job.requirements.python_requires}; this runtime has {version}."),)
    if job.suite.runner == "pytest" and not (job.house and job.house.pip and job.has("pytest")):
        reason = "pytest could not be had as a wheel: " + (" ".join(job.house.missing)[:600] if job.house else "nothing was downloaded.")
        return (NotChecked(what, reason),)
    return ()


def next_plan(job: Job, runs: Sequence[RawRun]) -> Plan | None:
    """The next command of the side, given what ran so far (in any order); None when there is nothing left to do."""
    if blocked(job):
        return None
    done = {r.name: r for r in runs}
    steps = _steps(job)
    try:
        plan = next(steps)
        while (run := done.get(plan.name)) is not None:
            plan = steps.send(run)
    except StopIteration:
        return None
    return plan


def _steps(job: Job) -> Steps:
    copy = yield _copy(job)
    if not copy.ok:
        return
    path = ""
    if job.suite.python:
        venv = yield _venv(job)
        if not venv.ok:
            return
        if job.house is not None and job.house.pip:
            needs = yield _pip(job, "needs", job.house.install)
            if not needs.ok:
                again = yield _pip(job, "needs-again", [n for n in ("coverage", "pytest") if job.has(n)])
                if not again.ok and job.suite.runner == "pytest":
                    return
        path = yield from _project(job)
    yield from _tests(job, path)


def _project(job: Job) -> Generator[Plan, RawRun, str]:
    """Install the project itself; answers the PYTHONPATH that stands in for it when it cannot be built.

    pip builds in isolation, from the wheels: the tests' own pins (an old `packaging`) must not break the build backend.
    """
    roots = ":".join(job.tree if s == "." else f"{job.tree}/{s}" for s in job.suite.sources)
    if not job.requirements.installable or job.house is None or not job.house.pip:
        return roots
    editable = yield _pip(job, "project", ("--no-deps", "--editable", job.tree))
    if editable.ok:
        return ""
    plain = yield _pip(job, "project-again", ("--no-deps", "--force-reinstall", job.tree))
    return "" if plain.ok else roots


def _tests(job: Job, path: str) -> Steps:
    without_addopts = False
    run = yield _run(job, "run", path)
    if job.suite.runner == "pytest" and run.state == "exited" and run.exit_code == 4 and job.suite.addopts:
        without_addopts = True
        run = yield _run(job, "run-again", path, plain=True)
    if _measures(job):
        # Measuring costs up to three times the processor time: a suite that breaks off under it gets a second chance.
        if cases_of(run, job.suite).incomplete:
            run = yield _run(job, "run-bare", path, plain=without_addopts, bare=True)
        else:
            yield _coverage(job)
    failing = [c.id for c in cases_of(run, job.suite).cases if c.outcome in ("failed", "error")]
    if failing:
        yield _run(job, "rerun", path, plain=without_addopts, only=failing)


def _measures(job: Job) -> bool:
    wanted = job.side == "head" and job.suite.runner in ("pytest", "unittest") and job.has("coverage")
    return wanted and any(p.endswith(".py") and not is_test(p) for p in job.changed)


def _scope(job: Job) -> tuple[list[str], list[str]]:
    """(include, source) of coverage: the changed files, or the whole tree where their names do not fit a pattern list."""
    python = [p for p in job.changed if p.endswith(".py") and not is_test(p)]
    if len(python) > 300 or any(c in p for p in python for c in ",*?[]"):
        return [], list(job.suite.sources)
    return [f"{job.tree}/{p}" for p in python], []


def _plan(job: Job, step: str, argv: Sequence[str], *, cwd: str = "", timeout_s: float = 600, path: str = "", output: str = "") -> Plan:
    env = {
        "PATH": f"{job.venv}/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": job.venv,
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "PY_COLORS": "0",
    }
    if path:
        env["PYTHONPATH"] = path
    return Plan(job.name(step), tuple(argv), cwd or job.tree, env, timeout_s, output, XML_BYTES if output else LOG_BYTES)


def _copy(job: Job) -> Plan:
    script = 'mkdir -p "$(dirname "$2")" && cp -aT --reflink=auto -- "$1" "$2" && chmod -R u+rwX -- "$2"'
    argv = ("sh", "-c", script, "copy", f"{job.roots.workspace}/{job.side}", job.tree)
    return _plan(job, "copy", argv, cwd=job.roots.workspace, timeout_s=300)


def _venv(job: Job) -> Plan:
    """Make the side's environment, and unpack pip beside it: from its wheel it would compile itself at every start."""
    argv: tuple[str, ...] = (job.python, "-m", "venv", "--without-pip", "--clear", job.venv)
    if job.house is not None and job.house.pip:
        script = '"$1" -m venv --without-pip --clear "$2" && "$1" -m zipfile -e "$3" "$2/unpacked-pip"'
        argv = ("sh", "-c", script, "venv", job.python, job.venv, f"{job.wheels}/{job.house.pip}")
    return _plan(job, "venv", argv, cwd=job.scratch, timeout_s=120)


def _pip(job: Job, step: str, arguments: Sequence[str]) -> Plan:
    assert job.house is not None
    quiet = (
        "--no-input",
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--progress-bar=off",
        "--no-warn-script-location",
        "--no-compile",
    )
    argv = (
        job.interpreter,
        f"{job.venv}/unpacked-pip/pip",
        "install",
        "--isolated",
        "--no-index",
        f"--find-links={job.wheels}",
        *quiet,
    )
    plan = _plan(job, step, (*argv, *arguments), timeout_s=600)
    env = {**plan.env, "PIP_CONFIG_FILE": "/dev/null"}
    if not job.versioned:
        # Versions that come from git tags cannot be computed in a copy without history.
        env.update({k: "0.0.0" for k in ("SETUPTOOLS_SCM_PRETEND_VERSION", "PBR_VERSION", "PDM_BUILD_SCM_VERSION")})
    return msgspec.structs.replace(plan, env=env)


def _run(job: Job, step: str, path: str, *, plain: bool = False, bare: bool = False, only: Sequence[str] | None = None) -> Plan:
    """One run of the suite, or (`only`) of some of its tests. `plain`: without pytest's addopts; `bare`: without coverage."""
    xml = f"{job.scratch}/{job.name(step)}.xml"
    ids = None if only is None else json.dumps(list(only))
    if ids is not None and len(ids.encode()) > RERUN_BYTES:
        ids = "null"
    runner = job.suite.runner
    measured = only is None and not bare and _measures(job)
    data = f"{job.scratch}/{job.name('coverage')}.data"
    if runner == "pytest":
        arguments = _pytest_arguments(job, xml, plain)
        if ids is not None:
            argv: tuple[str, ...] = (job.interpreter, "-c", source("pytest_only"), ids, *arguments)
        elif measured:
            include, sources = _scope(job)
            scope = f"--include={','.join(include)}" if include else f"--source={','.join(sources)}"
            measure = ("-m", "coverage", "run", "--rcfile=/dev/null", f"--data-file={data}", scope)
            argv = (job.interpreter, *measure, "-m", "pytest", *arguments)
        else:
            argv = (job.interpreter, "-m", "pytest", *arguments)
    elif runner == "unittest":
        config = {
            "junit": xml,
            "start": job.suite.start,
            "top": job.suite.top,
            "only": None if ids is None else json.loads(ids),
            "coverage": data if measured else "",
            "include": _scope(job)[0],
            "sources": _scope(job)[1],
        }
        argv = (job.interpreter, "-c", source("unittest_junit"), json.dumps(config))
    else:
        argv = job.suite.command
    plan = _plan(job, step, argv, timeout_s=job.timeout_s, path=path, output=xml)
    if runner in ("pytest", "unittest"):
        return plan
    # Any pytest that the command starts writes its results where they are looked for.
    addopts = f"--junitxml={xml} -o junit_family=xunit1"
    return msgspec.structs.replace(plan, env={**plan.env, "PYTEST_ADDOPTS": addopts})


def _pytest_arguments(job: Job, xml: str, plain: bool) -> tuple[str, ...]:
    addopts = "" if plain else job.suite.addopts
    words = addopts.split()
    arguments = [f"--junitxml={xml}", "-o", "junit_family=xunit1", "--color=no", "-v", "--continue-on-collection-errors", "--maxfail=0"]
    # A test that hangs is named by the stack that faulthandler prints shortly before the time is up.
    arguments += ["-o", f"faulthandler_timeout={max(1, int(job.timeout_s * 0.9))}"]
    if "no:cacheprovider" not in addopts:
        arguments += ["-o", f"cache_dir={job.scratch}/pytest-cache-{job.side}"]
    if any(w.startswith(("-n", "--numprocesses", "--dist")) for w in words):
        arguments.append("-n0")
    if any(w.startswith("--cov") for w in words):
        arguments.append("--no-cov")
    if plain:
        arguments += ["-o", "addopts="]
    return tuple(arguments)


def _coverage(job: Job) -> Plan:
    out = f"{job.scratch}/{job.name('coverage')}.json"
    data = f"{job.scratch}/{job.name('coverage')}.data"
    argv = [job.interpreter, "-m", "coverage", "json", "--rcfile=/dev/null", "--ignore-errors", f"--data-file={data}", "-o", out]
    return _plan(job, "coverage", argv, timeout_s=120, output=out)


def problems(job: Job, runs: Sequence[RawRun]) -> tuple[NotChecked, ...]:
    """What the preparation of this side could not do, one entry each; the tests' own outcome is `compare`'s matter."""
    found = list(blocked(job))
    if found:
        return tuple(found)
    done = {r.name.removeprefix(f"tests-{job.side}-"): r for r in runs if r.name.startswith(f"tests-{job.side}-")}
    what = f"tests of the {job.side}"
    words = {
        "copy": "The checkout could not be copied for the tests",
        "venv": "No Python environment could be made for the tests",
        "needs-again": "Not even the test runner could be installed",
    }
    found += [NotChecked(what, f"{text}: {_last(done[step])}") for step, text in words.items() if step in done and not done[step].ok]
    if job.suite.python and job.house is not None:
        found += job.house.not_checked
    found += [NotChecked("a dependency of the tests", r) for r in (*job.requirements.refused, *job.requirements.notes)]
    if "needs" in done and not done["needs"].ok:
        found.append(NotChecked("dependencies of the tests", f"They could not be installed together: {_last(done['needs'])}"))
    if "project-again" in done and not done["project-again"].ok:
        reason = (
            f"The project could not be built without network, so its source folders were put on PYTHONPATH: {_last(done['project-again'])}"
        )
        found.append(NotChecked(f"the {job.side}'s build", reason))
    if "run-bare" in done:
        reason = "The tests did not complete while coverage was measured, so they ran once more without it."
        found.append(NotChecked("coverage of the changed lines", reason))
    if "run-again" in done:
        reason = f"pytest refused the project's addopts ({job.suite.addopts[:200]}), so the tests ran without them."
        found.append(NotChecked("pytest options", reason))
    if job.suite.runner not in ("pytest", "unittest") and not _has_xml(done.get("run")):
        reason = f"{' '.join(job.suite.command)[:200]!r} wrote no JUnit XML, so the whole command counts as one test ({COMMAND_ID})."
        found.append(NotChecked("single tests", reason))
    if job.side == "head" and job.suite.runner in ("pytest", "unittest") and job.changed and not job.has("coverage"):
        found.append(NotChecked("coverage of the changed lines", "coverage could not be had as a wheel."))
    return tuple(found)


def _has_xml(run: RawRun | None) -> bool:
    return run is not None and bool(run.output.strip())


def _last(run: RawRun) -> str:
    """The last telling line of a command that failed."""
    lines = [line.strip() for line in (run.stdout + "\n" + run.stderr).splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"(ERROR: |[\w.]+(Error|Exception): )", line)]
    errors = [line for line in lines if "error" in line.lower()]
    tail = (raised or errors or lines or [""])[-1][:300]
    state = f"exit {run.exit_code}" if run.state == "exited" else run.state
    return f"{tail} ({state})." if tail else f"the command ended with {state}."
