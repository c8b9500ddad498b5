"""The demo's repositories are what they say they are: same seed, same commits; the faults are there and nothing else is. (A27)"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from random import Random

import pytest

from quarterdeck.demo import catalogue, faults
from quarterdeck.demo.repository import base
from quarterdeck.protocol.errors import BadInput

SEEDS = range(32)
RUFF = str(Path(sys.executable).parent / "ruff")


def git(repo: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(repo), *arguments], check=True, capture_output=True, text=True).stdout


def run_pytest(tree: Path) -> tuple[set[str], set[str], str]:
    """Run a tree's own suite for real: (all test ids, failing ids, output)."""
    junit = tree / "junit.xml"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:xdist", "-p", "no:hypothesispytest", f"--junit-xml={junit}"]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHONPATH"))}
    done = subprocess.run([sys.executable, "-B", "-m", "pytest", *options], cwd=tree, env=env, capture_output=True, text=True, check=False)
    cases = list(ET.parse(junit).getroot().iter("testcase"))
    junit.unlink()
    ids = {f"{case.get('classname')}::{case.get('name')}" for case in cases}
    bad = {
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }
    return ids, bad, done.stdout


@pytest.fixture(scope="module")
def pull_requests(tmp_path_factory: pytest.TempPathFactory) -> dict[int, catalogue.Seeded]:
    folder = tmp_path_factory.mktemp("seeds")
    return {seed: catalogue.build(folder / str(seed), seed) for seed in SEEDS}


@pytest.fixture(scope="module")
def harbor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base alone."""
    return base(tmp_path_factory.mktemp("base") / "harbor").path


@pytest.fixture(scope="module")
def base_run(harbor: Path) -> tuple[set[str], set[str], str]:
    return run_pytest(harbor)


def test_a_seed_gives_the_same_commits_and_another_seed_others(pull_requests: dict[int, catalogue.Seeded], tmp_path: Path) -> None:
    os.environ["GIT_AUTHOR_NAME"], before = "Somebody else", os.environ["GIT_AUTHOR_NAME"]
    try:
        again = catalogue.build(tmp_path / "again", 3)
    finally:
        os.environ["GIT_AUTHOR_NAME"] = before
    first = pull_requests[3]
    assert (again.base, again.head, again.faults, again.tests_failing) == (first.base, first.head, first.faults, first.tests_failing)
    assert len({request.head for request in pull_requests.values()}) == len(SEEDS)
    assert len({request.base for request in pull_requests.values()}) == 1


def test_the_base_is_healthy(harbor: Path, base_run: tuple[set[str], set[str], str]) -> None:
    """Its own suite, linter and formatter have nothing to say, so whatever a review of the head finds came with the head."""
    ids, failing, output = base_run
    assert 20 <= len(ids) <= 40 and not failing, output
    for arguments in (["check", "--no-cache", "."], ["format", "--no-cache", "--check", "."]):
        done = subprocess.run([RUFF, *arguments], cwd=harbor, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    subjects = git(harbor, "log", "--format=%s").splitlines()
    assert len(subjects) >= 6
    assert all(re.fullmatch(r"(feat|fix|docs|ci|chore|test|refactor|perf): [a-z].{5,60}", subject) for subject in subjects)


def test_every_seed_has_at_least_four_kinds_and_every_way_is_drawn(pull_requests: dict[int, catalogue.Seeded]) -> None:
    drawn = set()
    for request in pull_requests.values():
        assert len({fault.kind for fault in request.faults}) == len(request.faults) >= catalogue.FEWEST
        drawn |= {(fault.kind, fault.path, fault.description) for fault in request.faults}
    every = {(fault.kind, fault.path, fault.description) for fault in faults.catalogue().fault}
    assert drawn == every, every - drawn
    assert {kind: len(faults.of_kind(kind)) for kind in faults.KINDS if len(faults.of_kind(kind)) < 3} == {}


def test_a_fault_is_on_its_line_and_the_line_is_in_the_change(pull_requests: dict[int, catalogue.Seeded]) -> None:
    for request in pull_requests.values():
        changed = git(request.repo, "diff", "--name-only", request.base, request.head).split()
        for fault in request.faults:
            assert fault.path in changed or fault.path == "CHANGELOG.md"
            if fault.line:
                diff = git(request.repo, "diff", "-U0", request.base, request.head, "--", fault.path)
                starts = [(int(a), int(b or 1)) for a, b in re.findall(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", diff, re.M)]
                assert any(start - 1 <= fault.line <= start + count for start, count in starts), fault


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_exactly_the_promised_tests_fail_in_the_head(
    pull_requests: dict[int, catalogue.Seeded], base_run: tuple[set[str], set[str], str], seed: int
) -> None:
    request = pull_requests[seed]
    ids, failing, output = run_pytest(request.repo)
    assert failing == set(request.tests_failing), output
    assert base_run[0] <= ids, "no test of the base was taken away"


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_exactly_the_promised_tests_fail_for_every_seed(pull_requests: dict[int, catalogue.Seeded], seed: int) -> None:
    _, failing, output = run_pytest(pull_requests[seed].repo)
    assert failing == set(pull_requests[seed].tests_failing), output


def test_only_the_planted_style_fault_breaks_the_projects_rules(pull_requests: dict[int, catalogue.Seeded]) -> None:
    """The other faults and all decoys are clean by harbor's own configuration: what they bring must not blur the figures."""
    for seed, request in pull_requests.items():
        done = subprocess.run(
            [RUFF, "check", "--no-cache", "--output-format", "concise", "."], cwd=request.repo, capture_output=True, text=True, check=False
        )
        found = set(re.findall(r"^(\S+?):(\d+):", done.stdout, re.M))
        planted = {(fault.path, str(fault.line)) for fault in request.faults if fault.kind == "style"}
        assert found == planted, f"seed {seed}: {done.stdout}"
        formatted = subprocess.run(
            [RUFF, "format", "--no-cache", "--check", "."], cwd=request.repo, capture_output=True, text=True, check=False
        )
        assert formatted.returncode == 0, f"seed {seed}: {formatted.stdout}"


def test_no_secret_stands_in_our_source() -> None:
    """The keys are put together when a repository is built; a scanner that reads our checkout or our wheel finds none."""
    shapes = {kind: faults.token(Random(kind)) for kind in range(60)}
    prefixes = {value[:4] for value in shapes.values()}
    assert len(prefixes) == 6
    folder = Path(faults.__file__).parent
    for path in (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
        text = path.read_text("utf-8")
        assert not re.search(rf"(?:{'|'.join(map(re.escape, prefixes))})[A-Za-z0-9_-]{{12,}}", text), path
        assert "BEGIN PRIVATE " + "KEY" not in text


def test_the_planted_keys_are_in_the_head_and_differ_by_seed(pull_requests: dict[int, catalogue.Seeded]) -> None:
    lines = []
    for request in pull_requests.values():
        lines += [
            git(request.repo, "show", f"{request.head}:{fault.path}").splitlines()[fault.line - 1 : fault.line + 2]
            for fault in request.faults
            if fault.kind == "leaked-key"
        ]
    assert len(lines) > 10
    assert len({"".join(block) for block in lines}) == len(lines)


def test_a_finding_matches_its_fault_by_rule_and_place() -> None:
    fault = catalogue.SeededFault("unsafe-call", "src/a.py", 10, faults.RULES["unsafe-call"], "eval")
    assert fault.found_by("unsafe/eval", "src/a.py", 11)
    assert not fault.found_by("unsafe/eval", "src/a.py", 20)
    assert not fault.found_by("unsafe/eval", "src/b.py", 10)
    assert not fault.found_by("api/object-removed", "src/a.py", 10)
    changelog = catalogue.SeededFault("missing-docs", "CHANGELOG.md", 0, faults.RULES["missing-docs"], "no entry")
    assert changelog.found_by("conv/changelog", "src/a.py", 1)
    assert not changelog.found_by("conv/missing-docstring", "CHANGELOG.md", 1)


@pytest.mark.parametrize("seed", range(7))
def test_a_broken_repository_has_one_bug(tmp_path: Path, seed: int) -> None:
    broken = catalogue.build_broken(tmp_path / "harbor", seed)
    _, failing, output = run_pytest(broken.repo)
    assert failing == {broken.test}, output
    text = (broken.repo / broken.path).read_text()
    assert text.count(broken.wrong) == 1
    assert broken.wrong.strip().splitlines()[-1] in text.splitlines()[broken.line - 1]


def test_putting_the_right_text_back_repairs_it(tmp_path: Path) -> None:
    broken = catalogue.build_broken(tmp_path / "harbor", 0)
    file = broken.repo / broken.path
    file.write_text(file.read_text().replace(broken.wrong, broken.right))
    assert not run_pytest(broken.repo)[1]


def test_at_least_five_bugs_can_be_planted() -> None:
    assert len({fault.failing for fault in faults.of_kind("failing-test")}) >= 5


def test_the_attack_is_real_when_nothing_stands_in_its_way(tmp_path: Path) -> None:
    """Outside a sandbox it gets through: so a canary that stays whole inside proves something."""
    canary = tmp_path / "canary"
    canary.write_text("whole")
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[str] = []
        thread = threading.Thread(target=lambda: accepted.append(server.accept()[1][0]), daemon=True)
        thread.start()
        attack = catalogue.build_attack(tmp_path / "harbor", canary, server.getsockname()[1])
        _, failing, output = run_pytest(attack.repo)
        thread.join(10)
    assert not failing
    assert accepted == ["127.0.0.1"]
    assert canary.read_text() == "changed"
    for what in ("read a file outside", "change a file outside", "connect to the host"):
        assert f"ATTACK {what}: got through" in output


def test_what_is_there_is_not_built_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(BadInput, match="not an empty folder"):
        catalogue.build(tmp_path, 1)
    assert (tmp_path / "mine").read_text() == "precious"
