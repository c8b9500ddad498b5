"""The repository's own linter and formatter, from the base, on the changed lines, with the real ruff (A8)."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from repos import Tree, build

from quarterdeck.protocol.environment import Toolbox
from quarterdeck.workflows.review import conventions
from quarterdeck.workflows.review.analyzers import trees
from quarterdeck.workflows.review.conventions_style import detect
from quarterdeck.workflows.review.intake import read_change
from quarterdeck.workflows.review.model import Finding, NotChecked, RawRun, Settings
from quarterdeck.workflows.review.repository import open_repository

TOOLBOX = Toolbox(python=sys.executable, bin=str(Path(sys.executable).parent), modules=("ruff",))
Judged = tuple[list[Finding], list[NotChecked]]


@pytest.fixture
def review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reviewer:
    monkeypatch.setattr(trees, "HEAD", str(tmp_path / "head"))
    monkeypatch.setattr(trees, "BASE", str(tmp_path / "base"))
    return Reviewer(tmp_path)


class Reviewer:
    """Builds a repository, unpacks both trees, and runs the plans with the real tool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, base: Tree, head: Tree, settings: Settings = Settings(), toolbox: Toolbox = TOOLBOX) -> Judged:  # noqa: B008
        with open_repository(build(self.folder, base, head, checkout=False)) as repo:
            span = repo.range()
            change = read_change(repo, span)
            facts = conventions.collect(repo, span, change)
            for side, sha in (("base", span.base_sha), ("head", span.head_sha)):
                repo.tree_tar(sha, self.folder / f"{side}.tar")
                with tarfile.open(self.folder / f"{side}.tar") as tar:
                    tar.extractall(self.folder / side)  # our own tar; 3.11.2 has no filter
        plans, missing = conventions.plan(facts, change, toolbox, settings)
        runs = []
        for plan in plans:
            done = subprocess.run(plan.argv, cwd=plan.cwd, capture_output=True, text=True, timeout=60, check=False)
            runs.append(RawRun(plan.name, plan.argv, "exited", done.returncode, done.stdout, done.stderr))
        findings, more = conventions.judge(facts, change, runs, settings)
        again = conventions.judge(facts, change, runs, settings)
        assert again == (findings, more), "law 8: derived again from the same artifacts, the same answer"
        return findings, missing + more


def rules(judged: Judged) -> list[tuple[str, str, int]]:
    return [(f.rule, f.path, f.line) for f in judged[0]]


RUFF = '[tool.ruff]\nline-length = 30\n[tool.ruff.lint]\nselect = ["E501", "B006"]\nper-file-ignores = {"gen/*" = ["E501"]}\n'
LONG = "value = 'a long line of more than thirty'\n"


def test_a8_only_changed_lines_count_by_the_bases_own_rules(review: Reviewer) -> None:
    judged = review(
        {"pyproject.toml": RUFF, "a.py": "x = 1\n" + LONG},
        {
            "a.py": "x = 1\n" + LONG + "y = 2\n" + LONG.replace("v", "w") + LONG.replace("v", "u"),
            "gen/b.py": LONG,
            "c.py": "def f(a=[]): pass\n",
        },
    )
    assert rules(judged) == [("conv/lint/E501", "a.py", 4), ("conv/lint/B006", "c.py", 1)]
    first = judged[0][0]
    assert first.evidence.startswith("walue") and "1 more" in first.message and "pyproject.toml" in first.message
    assert (first.severity, first.artifact) == ("low", "raw/conventions-lint-head.json")


def test_a8_the_heads_configuration_is_not_obeyed(review: Reviewer) -> None:
    head = {"pyproject.toml": "[tool.ruff]\nline-length = 300\n", "pkg/ruff.toml": "line-length = 300\n", "pkg/a.py": LONG}
    assert rules(review({"pyproject.toml": RUFF}, head)) == [("conv/lint/E501", "pkg/a.py", 1)]


def test_a8_the_nearest_configuration_of_the_base_counts(review: Reviewer) -> None:
    judged = review({"pyproject.toml": RUFF, "pkg/ruff.toml": "line-length = 300\n"}, {"pkg/a.py": LONG, "a.py": LONG})
    assert rules(judged) == [("conv/lint/E501", "a.py", 1)]


@pytest.mark.parametrize("path", [".flake8", "setup.cfg", "tox.ini"])
def test_a8_flake8_is_stood_in_for_and_that_is_said(review: Reviewer, path: str) -> None:
    config = "[flake8]\nmax-line-length = 30\nextend-ignore = E203, W503, F401\nper-file-ignores =\n    gen/*: E501\nexclude = skip\n"
    head = {"a.py": "import os\n" + LONG, "gen/b.py": LONG, "skip/c.py": LONG, "d.py": "print(undefined)\n"}
    findings, missing = review({path: config}, head)
    assert rules((findings, missing)) == [("conv/lint/E501", "a.py", 2), ("conv/lint/F821", "d.py", 1)]
    assert "flake8" in missing[0].why and "checked by ruff" in findings[0].message


def test_a8_format_only_where_the_base_kept_to_it(review: Reviewer) -> None:
    base = {"pyproject.toml": "[tool.black]\nline-length = 40\n", "good.py": "x = 1\n", "wild.py": "x=1\n"}
    findings, _ = review(base, {"good.py": "x = 1\nw = 0\ny=2\nz = 3\nv=4\n", "wild.py": "x=1\ny=2\n", "new.py": "a = [1,\n  2]\n"})
    assert rules((findings, [])) == [("conv/format", "good.py", 3), ("conv/format", "new.py", 1)]
    assert "black" in findings[0].message and "checked by ruff" in findings[0].message and findings[0].evidence == "y=2"
    assert "2 changed lines" in findings[0].message and (findings[0].line, findings[0].end_line) == (3, 5)


def test_a8_missing_blank_lines_are_seen_too(review: Reviewer) -> None:
    base = {"pyproject.toml": "[tool.ruff.format]\n", "a.py": "x = 1\n"}
    judged = review(base, {"a.py": "x = 1\ndef f():\n    return 1\n"})
    assert rules(judged) == [("conv/format", "a.py", 2)] and "ruff format in the base's pyproject.toml" in judged[0][0].message


def test_a8_black_that_excludes_is_asked_about_known_files_only(review: Reviewer) -> None:
    base = {"pyproject.toml": "[tool.black]\nextend-exclude = 'gen'\nskip-string-normalization = true\n", "a.py": "x = 'q'\n"}
    assert rules(review(base, {"a.py": "x = 'q'\ny = 'q'\nz=1\n", "gen/new.py": "x=1\n"})) == [("conv/format", "a.py", 3)]


def test_a8_import_order_by_isorts_black_profile(review: Reviewer) -> None:
    base = {"pyproject.toml": "[tool.isort]\nprofile = 'black'\n", "a.py": "import os\nimport sys\n"}
    assert rules(review(base, {"a.py": "import os\nimport sys\nimport abc\n"})) == [("conv/imports", "a.py", 1)]


def test_a8_what_cannot_be_stood_in_for_is_said() -> None:
    _, missing = detect({".isort.cfg": b"[settings]\nforce_sort_within_sections=1\nprofile=black\n"})
    assert [m.what for m in missing] == ["import order"] and "force_sort_within_sections" in missing[0].why


def test_a8_a_repository_without_settings_is_asked_nothing(review: Reviewer) -> None:
    assert review({"a.py": "x=1\n"}, {"a.py": "x=1\nimport os\ny=2\n"}) == ([], [])


def test_a8_without_ruff_it_is_not_checked(review: Reviewer) -> None:
    findings, missing = review({"pyproject.toml": RUFF}, {"a.py": LONG}, toolbox=Toolbox(python=sys.executable))
    assert findings == [] and "quarterdeck[review]" in missing[0].why


def test_a8_a_configuration_that_ruff_refuses_is_not_checked(review: Reviewer) -> None:
    findings, missing = review({"ruff.toml": 'required-version = "==0.0.1"\n'}, {"a.py": LONG})
    assert findings == [] and missing and "status 2" in missing[0].why


def test_a8_excluded_paths_and_hostile_names(review: Reviewer) -> None:
    head = {b"n\xff.py": LONG, "new\nline.py": LONG, "-x.py": LONG, "out/a.py": LONG}
    judged = review({"pyproject.toml": RUFF}, head, settings=Settings(exclude=("out/*",)))
    assert rules(judged) == [("conv/lint/E501", "-x.py", 1)]


def test_a8_lies_from_inside_never_raise(review: Reviewer, tmp_path: Path) -> None:
    with open_repository(build(tmp_path, {"pyproject.toml": RUFF}, {"a.py": LONG}, name="p", checkout=False)) as repo:
        change = read_change(repo, repo.range())
        facts = conventions.collect(repo, repo.range(), change)
    for out in (
        "",
        "[",
        "{}",
        '[{"filename": "/etc/passwd", "message": "m", "code": "E501", "location": {"row": 1}}]',
        '[{"filename": 1}]',
        "[" * 9999,
    ):
        run = RawRun("conventions-lint-head", (), "exited", 1, out, "")
        findings, missing = conventions.judge(facts, change, [run], Settings())
        assert not findings and (missing or "passwd" in out)
    assert conventions.judge(facts, change, [RawRun("conventions-lint-head", (), "oom", None, "", "")], Settings())[1]
