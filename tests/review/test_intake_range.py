"""Which commits are reviewed: refs, defaults, events, odd clones (A1, A30)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from repos import ENV, build, build_commits, git, sha

from quarterdeck.protocol.errors import BadInput
from quarterdeck.workflows.review.intake import read_change
from quarterdeck.workflows.review.repository import open_repository

BASE, HEAD = {"a.txt": "one\n"}, {"a.txt": "two\n"}


def refuse(repo: Path, *args: object, **kwargs: object) -> BadInput:
    with open_repository(repo) as opened, pytest.raises(BadInput) as error:
        opened.range(*args, **kwargs)  # type: ignore[arg-type]
    assert error.value.hint
    return error.value


def test_a1_defaults_are_head_against_its_merge_base_with_the_default_branch(tmp_path: Path) -> None:
    repo = build_commits(tmp_path, [("m1", BASE)], [("f1", HEAD)])
    merge_base = sha(repo, "main")
    git(repo, "checkout", "-q", "main")
    git(repo, "commit", "-q", "--allow-empty", "-m", "main moved on")
    git(repo, "checkout", "-q", "feature")
    with open_repository(repo) as opened:
        span = opened.range()
        assert (span.base_sha, span.head_sha, span.label) == (merge_base, sha(repo, "feature"), "main...HEAD")
        assert span.base_tip == sha(repo, "main") != merge_base


def test_a1_the_remotes_default_branch_counts_first(tmp_path: Path) -> None:
    origin = build(tmp_path, BASE, HEAD, name="origin")
    git(origin, "branch", "-m", "main", "stable")
    git(origin, "symbolic-ref", "HEAD", "refs/heads/stable")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(origin), str(clone)], env=ENV, check=True)
    git(clone, "checkout", "-q", "feature")
    with open_repository(clone) as opened:
        assert opened.default_branch() == "origin/stable"
        assert opened.range().base_sha == sha(clone, "origin/stable")


def test_a1_subfolders_worktrees_and_detached_heads_work(tmp_path: Path) -> None:
    repo = build(tmp_path, {"d/a.txt": "one\n"}, {"d/a.txt": "two\n"})
    git(repo, "checkout", "-q", "--detach", "feature")
    git(repo, "worktree", "add", "-q", str(tmp_path / "linked"), "feature")
    for where in (repo / "d", repo / ".git", tmp_path / "linked"):
        with open_repository(where) as opened:
            assert opened.range().head_sha == sha(repo, "feature")


def test_a26_a_bare_repository_inside_a_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = build(tmp_path, BASE, HEAD, bare=True)
    for name, value in (("GIT_DIR", "/nonexistent"), ("GIT_OBJECT_DIRECTORY", "/nonexistent"), ("GIT_CONFIG_COUNT", "broken")):
        monkeypatch.setenv(name, value)
    with open_repository(repo) as opened:
        span = opened.range(head="feature")
        assert opened.default_branch() == "main"
        assert [f.path for f in read_change(opened, span).files] == ["a.txt"]


def test_a30_a_repository_of_another_user_can_be_read(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give the files to somebody else")
    repo = build(tmp_path, BASE, HEAD)
    for path in [repo, *repo.rglob("*")]:
        os.lchown(path, 12345, 12345)
    with open_repository(repo) as opened:
        assert len(read_change(opened, opened.range()).files) == 1


def test_a30_not_a_repository(tmp_path: Path) -> None:
    for where in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BadInput, match="not a") as error:
            open_repository(where)
        assert "--repo" in error.value.hint


def test_a30_a_repository_without_commits(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], env=ENV, check=True)
    assert "no commits" in refuse(tmp_path / "empty").message


def test_a30_unknown_refs_name_their_neighbours(tmp_path: Path) -> None:
    repo = build(tmp_path, BASE, HEAD)
    error = refuse(repo, head="featrue")
    assert "featrue" in error.message and "feature" in error.hint and error.param == "head"
    assert refuse(repo, base="--output=/tmp/x").param == "base"
    assert refuse(repo, base="main:a.txt").param == "base"
    assert refuse(repo, base="x\0y").param == "base"


def test_a30_equal_refs_and_contained_heads(tmp_path: Path) -> None:
    repo = build(tmp_path, BASE, HEAD)
    assert "same commit" in refuse(repo, "main", "main").message
    assert "already contained" in refuse(repo, "feature", "main").message
    git(repo, "checkout", "-q", "main")
    assert "same commit" in refuse(repo).message


def test_a30_shallow_clones_say_what_to_fetch(tmp_path: Path) -> None:
    repo = build_commits(tmp_path, [("m1", BASE), ("m2", {"b": "b"})], [("f1", HEAD), ("f2", {"c": "c"})])
    git(repo, "checkout", "-q", "main")
    git(repo, "commit", "-q", "--allow-empty", "-m", "m3")
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", "--no-single-branch", f"file://{repo}", str(shallow)], env=ENV, check=True)
    error = refuse(shallow, "origin/main", "origin/feature")
    assert "shallow" in error.message and "--unshallow" in error.hint
    subprocess.run(["git", "-C", str(shallow), "fetch", "-q", "--depth", "10"], env=ENV, check=True)
    with open_repository(shallow) as opened:
        assert {f.path for f in read_change(opened, opened.range("origin/main", "origin/feature")).files} == {"a.txt", "c"}


def test_a30_unrelated_histories(tmp_path: Path) -> None:
    repo = build(tmp_path, BASE, HEAD)
    git(repo, "checkout", "-q", "--orphan", "island")
    git(repo, "commit", "-q", "-m", "island")
    assert "no common history" in refuse(repo, "main", "island").message


def test_a30_a_partial_clone_is_not_completed_behind_the_users_back(tmp_path: Path) -> None:
    repo = build(tmp_path, BASE, HEAD)
    git(repo, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    subprocess.run(["git", "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{repo}", str(partial)], env=ENV, check=True)
    with open_repository(partial) as opened, pytest.raises(BadInput):
        read_change(opened, opened.range("origin/main", "origin/feature"))


def event(path: Path, base: str, head: str, **more: object) -> Path:
    path.write_text(
        json.dumps({"pull_request": {"base": {"ref": "main", "sha": base}, "head": {"ref": "feature", "sha": head}}, "number": 7, **more})
    )
    return path


def test_a1_an_event_gives_refs_only(tmp_path: Path) -> None:
    repo = build(tmp_path, BASE, HEAD)
    payload = event(tmp_path / "event.json", sha(repo, "main"), sha(repo, "feature"), repository={"clone_url": "https://evil.invalid/"})
    git(repo, "checkout", "-q", "main")
    with open_repository(repo) as opened:
        span = opened.range(event=payload)
        assert (span.base_sha, span.head_sha) == (sha(repo, "main"), sha(repo, "feature"))
        assert span.label == "#7 feature into main"


def test_a1_an_event_whose_commits_are_missing_names_the_fetch(tmp_path: Path) -> None:
    repo = build(tmp_path, BASE, HEAD)
    error = refuse(repo, event=event(tmp_path / "e.json", sha(repo, "main"), "a" * 40))
    assert "nothing is fetched" in error.message and error.hint.endswith("fetch origin pull/7/head")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"pull_request": 3}', "\0", "[" * 100_000], ids=["empty", "list", "object", "number", "nul", "deep"]
)
def test_a30_events_that_are_none(tmp_path: Path, content: str) -> None:
    repo = build(tmp_path, BASE, HEAD)
    (tmp_path / "e.json").write_text(content)
    assert "payload" in refuse(repo, event=tmp_path / "e.json").message


def test_a30_event_ids_must_be_ids(tmp_path: Path) -> None:
    repo = build(tmp_path, BASE, HEAD)
    assert "not a commit id" in refuse(repo, event=event(tmp_path / "e.json", "main", "--upload-pack=x")).message
    assert "cannot be read" in refuse(repo, event=tmp_path / "absent.json").message
