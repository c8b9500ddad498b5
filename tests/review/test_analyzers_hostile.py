"""A30: analyzers and the files and outputs that an attacker writes. Nothing raises, nothing is followed out, what was left out is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from analyzers_lab import Bench, answer, text_change
from hypothesis import given
from hypothesis import strategies as st

from quarterdeck.workflows.review.analyzers import ANALYZERS, Analyzer, collect
from quarterdeck.workflows.review.model import Change, FileChange, RawRun, Settings

ALL = list(ANALYZERS)
OWN = ("secrets", "complexity", "unsafe", "risky", "deployment")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def whole(path: str) -> FileChange:
    return FileChange(path, "added", truncated=True)


def test_huge_files_are_said_to_be_unchecked(bench: Bench) -> None:
    bench.put(bench.head, "big.py", b"x = 1\n" * 400_000)
    bench.files.append(whole("big.py"))
    assert bench.review("secrets", "complexity", "unsafe") == []
    assert {(n.what, n.why) for n in bench.not_checked} == {
        (f"{name}: big.py", "it is longer than 2048 KiB") for name in ("secrets", "complexity", "unsafe")
    }


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "(" * 5000,
        "x = " + "(" * 150 + ")" * 150,
        "x = " + "-" * 90_000 + "1",
        "x = " + "+".join("1" * 9000),
        "x = a" + ".b" * 9000,
        "\0" * 99,
    ],
)
def test_deep_nesting_is_a_note_and_the_next_file_is_still_read(bench: Bench, code: str) -> None:
    bench.put(bench.head, "deep.py", code)
    bench.files.append(whole("deep.py"))
    bench.change("next.py", None, "def f(x):\n    return eval(x)\n")
    found = bench.review("unsafe", "complexity")
    assert [(f.path, f.rule) for f in found] == [("next.py", "unsafe/eval")]


@pytest.mark.parametrize(
    "text", ["[" * 20_000, "a: " + "{b: " * 5000, "- " * 5000, "&a [*a]", "? [a]\n: b\n", "<<: *x", "a: !!python/object:x {}"]
)
def test_hostile_yaml(bench: Bench, text: str) -> None:
    bench.change("compose.yaml", None, text + "\n")
    bench.change(".github/workflows/a.yml", None, text + "\n")
    found = bench.review("risky", "deployment")
    assert all(f.severity == "high" for f in found)
    assert found or bench.not_checked


def test_links_pipes_and_folders_are_not_followed(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("eval(input())\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.py").write_text("eval(input())\n")
    (bench.head / "link.py").symlink_to(outside)
    (bench.head / "out").symlink_to(tmp_path / "folder")
    (bench.head / "loop.py").symlink_to("loop.py")
    os.mkfifo(bench.head / "pipe.py")
    (bench.head / "dir.py").mkdir()
    names = ("link.py", "out/a.py", "loop.py", "pipe.py", "dir.py", "missing.py", "../outside.py", str(outside))
    bench.files += [whole(name) for name in names]
    assert bench.review(*OWN) == []
    assert {n.what for n in bench.not_checked if n.what.startswith("unsafe")} == {f"unsafe: {name}" for name in names}


def test_hostile_names_and_bytes(bench: Bench) -> None:
    names = {
        "-rf.py": b"-rf.py",
        "a b;$(x)'\".py": b"a b;$(x)'\".py",
        "new\nline.py": b"new\nline.py",
        "b\\xff.py": b"b\xff.py",
        "ü.py": "ü.py".encode(),
    }
    for shown, raw in names.items():
        (bench.head / os.fsdecode(raw)).write_bytes(b"def f(a=[]):\n    eval(a)\n")
        bench.files.append(text_change(shown, None, "def f(a=[]):\n    eval(a)\n"))
    found = bench.review("unsafe", "ruff", "bandit")
    for rule in ("unsafe/eval", "ruff/B006", "bandit/B307"):
        paths = {f.path for f in found if f.rule == rule}
        assert paths == set(names) - (set() if "unsafe" in rule else {"b\\xff.py"}), rule
    assert {n.what for n in bench.not_checked} == {"ruff: b\\xff.py", "bandit: b\\xff.py"}


def test_files_that_are_no_utf8_are_read_all_the_same(bench: Bench) -> None:
    bench.put(bench.head, "latin.py", "# -*- coding: latin-1 -*-\nname = 'é'\neval(name)\n".encode("latin-1"))
    bench.files.append(whole("latin.py"))
    assert [f.line for f in bench.review("unsafe")] == [3]


def test_many_results_are_cut_and_that_is_said(bench: Bench) -> None:
    bench.change("a.py", None, "eval(x)\n" * 2500)
    assert len(bench.review("unsafe")) == 2000
    assert "500 of 2500 results were left out" in bench.not_checked[0].why


def test_long_lines_take_no_time(bench: Bench) -> None:
    lines = [
        "password = '" + "a" * 100_000,
        "eyJ" + "a-" * 100_000,
        "sk-" + "a" * 200_000,
        "token" * 40_000,
        "http://" + "a:" * 90_000,
        "curl " * 50_000,
    ]
    bench.change("a.sh", None, "\n".join(lines) + "\n")
    bench.change("Dockerfile", None, "FROM a:1\nRUN " + "curl " * 50_000 + "\n")
    bench.change(".github/workflows/a.yml", None, "on: push\njobs: {a: {runs-on: x, steps: [{run: '" + "${{ " * 40_000 + "'}]}}\n")
    bench.review(*OWN)
    assert not [n for n in bench.not_checked if "did not finish" in n.why]


FILES = (
    text_change("a.py", "x = 1\n", "x = 2\neval(x)\n"),
    whole("b.py"),
    FileChange("c.py", "deleted"),
    FileChange("d", "added", symlink=True),
)
CHANGE = Change("demo", "base", "head", (), FILES)
text = st.text(max_size=200)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
KEYS = (
    "hits notes path line rule severity message evidence whole results errors filename line_number code test_id issue_text issue_severity"
)
words = st.sampled_from([*KEYS.split(), "issue_confidence", "location", "row", "reason", "a.py", "high", "HIGH", "unsafe/eval"])
anything = st.recursive(
    scalars | words, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | text, inner, max_size=9), max_leaves=20
)
hit = st.fixed_dictionaries(
    {
        "path": st.sampled_from(["a.py", "b.py", "c.py", "../x", "nope"]) | text,
        "line": st.integers(),
        "rule": text,
        "severity": st.sampled_from(["low", "medium", "high", "worst"]),
        "message": text,
        "evidence": text,
        "whole": st.booleans(),
    }
)
outputs = text | anything.map(json.dumps) | st.lists(hit, max_size=4).map(lambda hits: answer(*hits)) | st.just("[" * 100_000)
states = st.sampled_from(["exited", "exited", "exited", "timeout", "oom", "lost", "signaled", ""])
runs = st.builds(
    RawRun,
    name=st.sampled_from(["ruff-head", "ruff-base", "bandit-head", "bandit-base", "unsafe", "x-2"]),
    argv=st.just(()),
    state=states,
    exit_code=st.sampled_from([0, 0, 0, 1, 2, None, -9]),
    stdout=outputs,
    stderr=text,
    output=st.just("") | outputs,
    truncated=st.booleans(),
)


@pytest.mark.parametrize("analyzer", ALL, ids=lambda a: a.name)
@given(given_runs=st.lists(runs, max_size=3))
def test_no_parser_raises_and_what_cannot_be_read_is_not_checked(analyzer: Analyzer, given_runs: list[RawRun]) -> None:
    found, missing = analyzer.parse(given_runs, CHANGE, Settings())
    bad = [r for r in given_runs if r.state != "exited" or r.truncated or r.exit_code not in (0, 1)]
    assert len(missing) >= len(bad)
    assert all(f.path in ("a.py", "b.py", "c.py", "d") for f in found)
    assert all(f.severity in ("low", "medium", "high") for f in collect(found))


@given(lines=st.lists(hit, max_size=5))
def test_what_comes_out_of_the_sandbox_must_belong_to_the_change(lines: list[dict[str, object]]) -> None:
    run = RawRun("unsafe", (), "exited", 0, answer(*lines), "")
    unsafe = next(a for a in ANALYZERS if a.name == "unsafe")
    for finding in unsafe.parse([run], CHANGE, Settings())[0]:
        assert finding.path == "b.py" or finding.line in (1, 2) or any(h["whole"] for h in lines)


@pytest.mark.parametrize("analyzer", ALL, ids=lambda a: a.name)
@pytest.mark.parametrize("state", ["timeout", "oom", "killed", "lost"])
def test_a_command_that_did_not_finish_is_not_checked(analyzer: Analyzer, state: str) -> None:
    found, missing = analyzer.parse([RawRun(f"{analyzer.name}-head", (), state, None, "", "")], CHANGE, Settings())
    assert found == [] and any(state in n.why for n in missing)
