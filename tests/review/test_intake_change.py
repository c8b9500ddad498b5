"""What a change is said to be: files, lines, commits, hostile content (A3, A30)."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repos import Executable, Link, Submodule, Tree, build, build_commits, git, sha

from quarterdeck.protocol.errors import BadInput, StoreError
from quarterdeck.workflows.review import intake, paths
from quarterdeck.workflows.review.model import Change
from quarterdeck.workflows.review.repository import open_repository
from quarterdeck.workflows.review.trees import MTIME


def change_of(repo: Path) -> Change:
    with open_repository(repo) as opened:
        return intake.read_change(opened, opened.range())


def change(tmp_path: Path, base: Tree, head: Tree) -> Change:
    return change_of(build(tmp_path, base, head, checkout=False))


def test_a3_files_hunks_and_commits(tmp_path: Path) -> None:
    body = "".join(f"line {i}\n" for i in range(20))
    repo = build_commits(
        tmp_path,
        [("start", {"keep.py": "a\nb\nc\nd\n", "old.py": body, "gone.py": "x\n", "run": "#!/bin/sh\n"})],
        [("One\n\nWith a body.", {"keep.py": "a\nB1\nB2\nc\n", "old.py": None, "new.py": body}), ("Two", {"gone.py": None, "fresh": "f"})],
    )
    found = change_of(repo)
    assert [(f.path, f.status, f.old_path, f.added, f.deleted) for f in found.files] == [
        ("fresh", "added", "", 1, 0),
        ("gone.py", "deleted", "", 0, 1),
        ("keep.py", "modified", "", 2, 2),
        ("new.py", "renamed", "old.py", 0, 0),
    ]
    keep = found.file("keep.py")
    assert keep is not None and keep.head_lines() == {2: "B1", 3: "B2"}
    assert [h.removed for h in keep.hunks] == [("b",), ("d",)]
    assert [(c.subject, c.body, c.author) for c in found.commits] == [("Two", "", "Ada"), ("One", "With a body.", "Ada")]
    assert (found.added, found.deleted, found.repository) == (3, 3, "project")


def test_a3_lines_that_look_like_headers_are_lines(tmp_path: Path) -> None:
    nasty = "++ b/other\n-- a/other\n@@ -1 +1 @@\ndiff --git a/x b/x\n\\ No newline at end of file\n"
    found = change(tmp_path, {"f": "-- a/x\nz"}, {"f": nasty, "g": "no newline"})
    assert [(f.path, f.added, f.deleted) for f in found.files] == [("f", 5, 2), ("g", 1, 0)]
    assert list(found.files[0].head_lines().values()) == nasty.splitlines()


def test_a3_a_file_that_becomes_a_link(tmp_path: Path) -> None:
    (file,) = change(tmp_path, {"f": "a\nb\n"}, {"f": Link(b"target")}).files
    assert (file.status, file.symlink, file.deleted, file.added) == ("type-changed", True, 2, 1)


def test_a3_the_patch_is_what_git_apply_takes(tmp_path: Path) -> None:
    repo = build(tmp_path, {"a b": "1\n2\n3"}, {"a b": "1\n2\nthree", 'q"uote\n': "x\n"})
    with open_repository(repo) as opened:
        patch = intake.diff_patch(opened, opened.range())
    git(repo, "checkout", "-q", "main")
    git(repo, "apply", stdin=patch)
    git(repo, "add", "-A")
    assert git(repo, "write-tree").decode().strip() == sha(repo, "feature^{tree}")


def test_a30_an_empty_diff_is_refused(tmp_path: Path) -> None:
    repo = build_commits(tmp_path, [("m", {"a": "1"})], [("there", {"a": "2"}), ("and back", {"a": "1"})])
    with open_repository(repo) as opened, pytest.raises(BadInput, match="nothing to review") as error:
        intake.read_change(opened, opened.range())
    assert error.value.hint


def test_a30_100_000_changed_lines_are_counted_exactly(tmp_path: Path) -> None:
    files: dict[str, str] = {f"pkg/m{i}.py": "".join(f"x{j} = {j}\n" for j in range(1000)) for i in range(60)}
    files["one_big.txt"] = "".join(f"{j}\n" for j in range(40_000))
    found = change(tmp_path, {"a": "1\n"}, {**files, "a": "2\n"})
    assert (found.added, found.deleted, len(found.files)) == (100_001, 1, 62)
    kept = sum(len(f.head_lines()) for f in found.files)
    assert 0 < kept <= 50_000 and found.risk == "high"
    assert all(f.truncated == (not f.hunks) for f in found.files)
    assert "counted but not kept" in found.notes[0]


def test_a30_one_endless_line_is_not_kept(tmp_path: Path) -> None:
    (file,) = change(tmp_path, {"a": "x"}, {"a": "y" * (3 << 20)}).files
    assert file.truncated and not file.hunks and (file.added, file.deleted) == (1, 1)


def test_a30_binary_files_and_submodules(tmp_path: Path) -> None:
    found = change(tmp_path, {"b": b"\0\1", "s": Submodule(b"1" * 40)}, {"b": b"\0\2", "s": Submodule(b"2" * 40), "x": Executable(b"#!\n")})
    by_path = {f.path: f for f in found.files}
    assert by_path["b"].binary and by_path["s"].submodule and not by_path["x"].binary
    assert any("Binary" in n for n in found.notes) and any("Submodules" in n for n in found.notes)


HOSTILE: tuple[bytes, ...] = (
    b"-rf",
    b"--output=x",
    b"new\nline.py",
    b"tab\there",
    b' spa ce "quoted" ',
    b"n\xff\xfe.py",
    b"\\xff literal",
    b"...",
    b"..hidden/..x",
    b"\xe2\x80\xaertl",
    b"a -> b",
    b"b/c d/e",
    b":(top)magic",
    b"$(touch pwned)",
)


def test_a30_hostile_names_survive_the_whole_way(tmp_path: Path) -> None:
    repo = build(tmp_path, {"a": "1\n"}, {name: b"x = 1\n" for name in HOSTILE})
    found = change_of(repo)
    assert {paths.to_bytes(f.path) for f in found.files} == set(HOSTILE)
    assert all(f.head_lines() == {1: "x = 1"} for f in found.files)
    with open_repository(repo) as opened:
        opened.tree_tar(sha(repo, "feature"), tmp_path / "head.tar")
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "xf", str(tmp_path / "head.tar"), "-C", str(tmp_path / "out")], check=True)
    assert all((tmp_path / "out" / os.fsdecode(name)).read_bytes() == b"x = 1\n" for name in HOSTILE)


@given(st.binary(min_size=1, max_size=40))
def test_a30_every_name_comes_back_from_its_text(name: bytes) -> None:
    text = paths.to_text(name)
    assert paths.to_bytes(text) == name
    text.encode("utf-8")


def test_a30_trees_that_no_honest_git_makes(tmp_path: Path) -> None:
    """`../evil`, `.git/hooks` and a folder behind a link are left out of the copy."""
    repo = build(tmp_path, {"a": "1\n"}, {"b": "2\n"})
    blob = git(repo, "rev-parse", "main:a").decode().strip()
    link = git(repo, "hash-object", "-w", "--stdin", stdin=b"/etc").decode().strip()

    def tree(*rows: bytes) -> bytes:
        return git(repo, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=b"".join(rows)).strip()

    def row(mode: bytes, name: bytes, oid: str | bytes) -> bytes:
        return mode + b" " + name + b"\0" + bytes.fromhex(oid.decode() if isinstance(oid, bytes) else oid)

    evil = tree(row(b"100644", b"evil", blob))
    forged = tree(
        row(b"40000", b"..", evil),
        row(b"40000", b".GIT", evil),
        row(b"100644", b"good", blob),
        row(b"120000", b"x", link),
        row(b"40000", b"x", evil),
    )
    commit = git(repo, "commit-tree", forged.decode(), "-p", "main", "-m", "forged").decode().strip()
    with open_repository(repo) as opened:
        notes = opened.tree_tar(commit, tmp_path / "t.tar")
    with tarfile.open(tmp_path / "t.tar") as tar:
        assert [(m.name, m.issym()) for m in tar] == [("good", False), ("x", True)]
    assert "../evil" in notes[0] and "x/evil" in notes[0]


def test_a30_links_out_of_the_tree_stay_links_and_are_named(tmp_path: Path) -> None:
    repo = build(
        tmp_path, {"a": "1\n"}, {"d/in": Link(b"../a"), "d/out": Link(b"../../etc/passwd"), "abs": Link(b"/etc/passwd")}, checkout=False
    )
    found = change_of(repo)
    note = next(n for n in found.notes if "lead out" in n)
    assert "d/out" in note and "abs" in note and "d/in" not in note
    with open_repository(repo) as opened:
        opened.tree_tar(sha(repo, "feature"), tmp_path / "t.tar")
        assert opened.read(sha(repo, "feature"), "abs") is None
    with tarfile.open(tmp_path / "t.tar") as tar:
        assert {m.name: m.linkname for m in tar if m.issym()} == {"d/in": "../a", "d/out": "../../etc/passwd", "abs": "/etc/passwd"}


def test_a3_the_copy_is_exact_and_deterministic(tmp_path: Path) -> None:
    """`export-ignore`, `export-subst`, `eol` and `ident` attributes change nothing."""
    attributes = "secret.py export-ignore\nv.txt export-subst\n*.txt text eol=crlf ident\n"
    files: dict[str, str | bytes] = {
        ".gitattributes": attributes,
        "secret.py": "s\n",
        "v.txt": "$Format:%H$ $Id$\n",
        "e": b"",
        "big": b"\0" * 3_000_000,
    }
    repo = build(
        tmp_path,
        {"a": "1\n"},
        {**files, "run": Executable(b"#!/bin/sh\n"), "sub": Submodule(b"3" * 40), "p" * 120 + "/" + "q" * 120: "long"},
    )
    with open_repository(repo) as opened:
        notes = opened.tree_tar(sha(repo, "feature"), tmp_path / "1.tar")
        opened.tree_tar(sha(repo, "feature"), tmp_path / "2.tar")
    data = (tmp_path / "1.tar").read_bytes()
    assert data == (tmp_path / "2.tar").read_bytes() and "sub" in notes[0]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        contents = {m.name: (tar.extractfile(m) or io.BytesIO()).read() for m in tar if m.isfile()}
        assert tar.getmember("run").mode == 0o755 and tar.getmember("sub").isdir()
        assert all((m.mtime, m.uid, m.gid, m.uname) == (MTIME, 0, 0, "") for m in tar)
    assert contents["v.txt"] == b"$Format:%H$ $Id$\n" and contents["secret.py"] == b"s\n" and len(contents["big"]) == 3_000_000


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Pago_Pago", "Etc/GMT+12"])
def test_a6_the_copys_dates_fit_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """A build backend that zips files with their dates (flit) refused every copy that was dated 1970."""
    repo = build(tmp_path, {"a": "1\n"}, {"a": "2\n"})
    with open_repository(repo) as opened:
        opened.tree_tar(sha(repo, "feature"), tmp_path / "t.tar")
    with tarfile.open(tmp_path / "t.tar") as tar:
        tar.extract("a", tmp_path / "out")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert zipfile.ZipInfo.from_file(tmp_path / "out" / "a").date_time[0] == 1980
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a30_nothing_of_the_repository_is_executed_or_obeyed(tmp_path: Path) -> None:
    """Hostile configuration, hooks and attributes: no program runs, no change is hidden (law 5's neighbour on the host)."""
    repo = build(tmp_path, {"a.py": "x = 1\n"}, {"a.py": "x = 2\n", ".gitattributes": "*.py -diff filter=evil diff=evil\n"})
    canary = tmp_path / "canary"
    program = tmp_path / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {canary}\necho evil\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.clean", "filter.evil.smudge"):
        git(repo, "config", key, str(program))
    for key in ("core.pager", "core.sshCommand", "core.askPass", "gpg.program", "core.alternateRefsCommand", "log.showSignature"):
        git(repo, "config", key, "true" if key == "log.showSignature" else str(program))
    git(repo, "config", "core.hooksPath", str(tmp_path))
    git(repo, "config", "diff.orderFile", "/etc/passwd")
    for alias in ("rev-parse", "diff-tree", "log"):
        git(repo, "config", f"alias.{alias}", f"!{program}")
    replacement = git(repo, "commit-tree", "main^{tree}", "-p", "main", "-m", "harmless").decode().strip()
    (repo / ".git/info/attributes").write_text("*.py binary\n")
    git(repo, "-c", "core.fsmonitor=false", "replace", sha(repo, "feature"), replacement)
    found = change_of(repo)
    file = found.file("a.py")
    assert file is not None and file.head_lines() == {1: "x = 2"} and found.commits[0].subject == "Change things"
    with open_repository(repo) as opened:
        intake.diff_patch(opened, opened.range())
        opened.tree_tar(opened.range().head_sha, tmp_path / "t.tar")
    assert not canary.exists()
    git(repo, "--no-replace-objects", "diff", "main", "feature", check=False)
    assert canary.exists(), "the trap is armed: ordinary git falls into it"


def test_a30_lazy_fetch_of_a_promisor_never_runs_its_transport(tmp_path: Path) -> None:
    repo = build(tmp_path, {"a": "1\n"}, {"a": "2\n"})
    canary = tmp_path / "canary"
    for key, value in (
        ("extensions.partialClone", "origin"),
        ("core.repositoryFormatVersion", "1"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", f"ext::sh -c touch% {canary}"),
        ("protocol.ext.allow", "always"),
    ):
        git(repo, "config", key, value)
    blob = git(repo, "rev-parse", "feature:a").decode().strip()
    (repo / ".git/objects" / blob[:2] / blob[2:]).unlink(missing_ok=True)
    with open_repository(repo) as opened:
        for call in (
            lambda: intake.read_change(opened, opened.range()),
            lambda: opened.range(head=blob),
            lambda: opened.range(base="f" * 40),
        ):
            try:
                call()
            except BadInput as error:
                assert error.hint
    assert not canary.exists()


def test_a30_messages_are_text_whatever_they_hold(tmp_path: Path) -> None:
    repo = build(tmp_path, {"a": "1\n"}, {"a": "2\n"})
    raw = git(repo, "cat-file", "commit", "feature").replace(b"Change things", b"bad \xff\x1b[31m subject\n\n" + b"b" * 50_000)
    commit = git(repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).decode().strip()
    git(repo, "branch", "-f", "other", commit)
    with open_repository(repo) as opened:
        (found,) = intake.read_change(opened, opened.range(head="other")).commits
    assert found.subject.startswith("bad \ufffd") and len(found.body) == 20_000


def test_a30_a_full_disk_leaves_no_half_copy(tmp_path: Path) -> None:
    repo = build(tmp_path, {"a": "1\n"}, {"big": b"x" * 3_000_000}, checkout=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_repository(repo) as opened:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            with pytest.raises(StoreError) as error:
                opened.tree_tar(sha(repo, "feature"), tmp_path / "t.tar")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.hint and not list(tmp_path.glob("t.tar*"))


def test_a30_two_reviews_of_the_same_refs_at_once(tmp_path: Path) -> None:
    repo = build(tmp_path, {"a.py": "x = 1\n"}, {"a.py": "def f(): pass\n"}, checkout=False)
    with ThreadPoolExecutor(4) as pool:
        changes = list(pool.map(change_of, [repo] * 4))
    assert all(found == changes[0] for found in changes)


def test_a3_repositories_with_sha256(tmp_path: Path) -> None:
    repo = tmp_path / "p"
    subprocess.run(["git", "init", "-q", "-b", "main", "--object-format=sha256", str(repo)], check=True)
    for branch, content in (("main", "1\n"), ("feature", "2\n")):
        git(repo, "checkout", "-q", "-B", branch)
        (repo / "a").write_text(content)
        git(repo, "add", "a")
        git(repo, "commit", "-q", "-m", branch)
    found = change_of(repo)
    assert len(found.head) == 64 and found.files[0].head_lines() == {1: "2"}
