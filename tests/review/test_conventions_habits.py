"""Habits learned from the base: messages, tests, docstrings, change log (A8)."""

from __future__ import annotations

from pathlib import Path

import pytest
from repos import Tree, build_commits, git

from quarterdeck.workflows.review import conventions
from quarterdeck.workflows.review.conventions_habits import find_changelog
from quarterdeck.workflows.review.intake import read_change
from quarterdeck.workflows.review.model import Finding, Settings
from quarterdeck.workflows.review.repository import open_repository

Commits = list[tuple[str, Tree]]


def judge(tmp_path: Path, main: Commits, feature: Commits) -> list[Finding]:
    with open_repository(build_commits(tmp_path, main, feature, checkout=False)) as repo:
        change = read_change(repo, repo.range())
        facts = conventions.collect(repo, repo.range(), change)
        assert find_changelog(list(repo.tree(change.head))) == facts.habits.changelog
    return conventions.judge(facts, change, [], Settings())[0]


def rules(findings: list[Finding]) -> list[str]:
    return [f.rule for f in findings]


def history(*messages: str) -> Commits:
    return [(m, {"n.txt": str(i)}) for i, m in enumerate(messages)]


EDIT: Tree = {"n.txt": "head"}


def test_a8_messages_are_held_to_what_the_base_does(tmp_path: Path) -> None:
    base = history(*[f"Add part {i}" for i in range(18)], "lower case once", "Merge branch x", "And a full stop.")
    found = judge(
        tmp_path,
        base,
        [("fix it.", EDIT), ("Good subject", {"n.txt": "2"}), ("X" * 80, {"n.txt": "3"}), ("fixup! Good subject", {"n.txt": "4"})],
    )
    assert sorted((f.rule, f.evidence[:20]) for f in found) == [
        ("conv/commit-capital", "fix it."),
        ("conv/commit-fixup", "fixup! Good subject"),
        ("conv/commit-length", "X" * 20),
        ("conv/commit-period", "fix it."),
    ]
    assert all(f.severity == "low" and f.path == "" and f.artifact == "habits.json" for f in found)
    assert "(19 of 20)" in next(f for f in found if f.rule == "conv/commit-capital").message


def test_a8_conventional_and_signed_messages(tmp_path: Path) -> None:
    base = history(*[f"fix(core): part {i}\n\nSigned-off-by: Ada <a@b.c>" for i in range(12)])
    found = judge(tmp_path, base, [("Fix the core", EDIT), ("feat!: more\n\nSigned-off-by: Ada <a@b.c>", {"n.txt": "2"})])
    assert sorted(rules(found)) == ["conv/commit-conventional", "conv/commit-signed"]


@pytest.mark.parametrize(
    "base", [history(*[f"Part {i}" for i in range(9)]), history(*[f"{'P' if i % 2 else 'p'}art {i}" for i in range(20)])]
)
def test_a8_no_habit_no_finding(tmp_path: Path, base: Commits) -> None:
    """Nine commits prove nothing, and a half-kept rule is none."""
    assert judge(tmp_path, base, [("lower case", EDIT)]) == []


TESTED: Tree = {"src/pkg/__init__.py": "", "tests/test_pkg.py": "def test_x(): pass\n"}


def test_a8_new_public_names_that_no_test_mentions(tmp_path: Path) -> None:
    source = "def tested(): pass\ndef untested(): pass\ndef _private(): pass\nclass New:\n    def method(self): pass\n"
    found = judge(
        tmp_path,
        [("base", TESTED)],
        [("c", {"src/pkg/m.py": source, "tests/test_m.py": "from pkg.m import tested\n", "examples/e.py": "def shown(): pass\n"})],
    )
    assert [(f.rule, f.line, f.severity) for f in found] == [("conv/missing-test", 2, "medium"), ("conv/missing-test", 4, "medium")]
    assert "`untested`" in found[0].message and "`New`" in found[1].message


def test_a8_many_in_one_file_are_one_finding(tmp_path: Path) -> None:
    (found,) = judge(tmp_path, [("base", TESTED)], [("c", {"src/pkg/m.py": "".join(f"def f{i}(): pass\n" for i in range(12))})])
    assert found.message == "No test file mentions the new public names " + ", ".join(f"`f{i}`" for i in range(8)) + " and 4 more."


def test_a8_a_project_without_tests_is_not_asked_for_them(tmp_path: Path) -> None:
    assert judge(tmp_path, [("base", {"src/pkg/a.py": ""})], [("c", {"src/pkg/m.py": "def f(): pass\n"})]) == []


@pytest.mark.parametrize(("documented", "expected"), [(12, ["conv/missing-docstring"]), (6, [])])
def test_a8_docstrings_where_the_base_has_them(tmp_path: Path, documented: int, expected: list[str]) -> None:
    source = "".join(f"def f{i}():\n    {repr('doc') if i < documented else 'pass'}\n" for i in range(13))
    head = source + "def told():\n    'Doc.'\ndef untold(): pass\n"
    found = judge(tmp_path, [("base", {"pkg/m.py": source})], [("c", {"pkg/m.py": head})])
    assert rules(found) == expected
    assert not expected or ("`untold`" in found[0].message and "12 of 13" in found[0].message and found[0].line == 29)


LOG = "# Changelog\n\n## [Unreleased]\n\n## 1.0\n"


def test_a8_the_change_log_is_a_habit_or_has_an_open_section(tmp_path: Path) -> None:
    habit: Commits = [(f"Step {i}", {"pkg/a.py": f"x = {i}\n", "CHANGES.rst": f"{i}\n"}) for i in range(12)]
    (found,) = judge(tmp_path / "1", habit, [("Change", {"pkg/a.py": "x = 'new'\n"})])
    assert (found.rule, found.severity, found.path) == ("conv/changelog", "medium", "CHANGES.rst") and "12 of 12" in found.message
    assert judge(tmp_path / "2", habit, [("Change", {"pkg/a.py": "x = 'new'\n", "CHANGES.rst": "more\n"})]) == []
    open_section: Commits = [("base", {"CHANGELOG.md": LOG, "pkg/a.py": "def f(): pass\n"})]
    (found,) = judge(tmp_path / "3", open_section, [("c", {"pkg/a.py": "def f(a): pass\n"})])
    assert (found.rule, found.severity, found.evidence) == ("conv/changelog", "low", "f(a)")
    assert judge(tmp_path / "4", open_section, [("c", {"pkg/a.py": "def f(): return 1\n"})]) == []
    assert judge(tmp_path / "5", habit, [("Change", {"README.md": "hello\n"})]) == []


def test_a8_a_merged_pull_request_is_one_step_of_the_habit(tmp_path: Path) -> None:
    """Inside a branch the change log is touched once; the merge is what counts."""
    repo = build_commits(tmp_path, [("base", {"CHANGES.md": "0\n", "a.py": "x = 0\n"})], [("c", {"a.py": "x = 'head'\n"})])
    git(repo, "checkout", "-q", "main")
    for i in range(10):
        git(repo, "checkout", "-q", "-b", f"topic{i}")
        for name in ("a.py", "b.py", "CHANGES.md"):
            (repo / name).write_text(f"# {i}\n")
            git(repo, "add", name)
            git(repo, "commit", "-q", "-m", f"Part {i}")
        git(repo, "checkout", "-q", "main")
        git(repo, "merge", "-q", "--no-ff", "-m", f"Merge {i}", f"topic{i}")
    git(repo, "checkout", "-q", "-b", "change")
    (repo / "a.py").write_text("x = 'change'\n")
    git(repo, "commit", "-q", "-am", "Change")
    with open_repository(repo) as opened:
        change = read_change(opened, opened.range())
        habits = conventions.collect(opened, opened.range(), change).habits
    assert (habits.source_commits, habits.changelog_commits) == (11, 11)
