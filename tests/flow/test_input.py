"""A30: bad input, each through the whole flow: a clear message, then a correct report or exit 2; host and log stay whole."""

# A test may block its own loop.
# ruff: noqa: ASYNC221, ASYNC240, E402
from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quarterdeck.cli.main import run_command

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "review")]
from process_kit import Home, again, attempts, command, ended, nothing_left, start
from repos import Link, Submodule, git
from review_kit import BASE, BROKEN, build, run_review

PLAIN: dict[Any, Any] = {"README": "one\n"}
"""A repository without code: quick to review."""


def refused(capsys: pytest.CaptureFixture[str], home: Path, *args: str) -> str:
    """Run the command; it must exit 2 with one message and a hint, and leave no run that goes on."""
    code = run_command(["review", *args, "--home", str(home), "--json"])
    printed = capsys.readouterr()
    assert code == 2, printed
    told = json.loads(printed.out)
    error = told["error"]
    assert "Traceback" not in printed.err + printed.out
    assert error["hint"] and error["type"] in ("BadInput", "ConfigError", "PolicyError", "ActionFailed"), error

    async def look() -> None:
        with Home(home) as opened:
            assert all(r.state == "failed" for r in await opened.store.runs() if r.kind == "workflow")
            await opened.audited()

    asyncio.run(look())
    assert not list(home.glob("environments/env*"))
    return str(error["message"])


def test_a30_not_a_repository(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain").mkdir()
    assert "not a git repository" in refused(capsys, home, "--repo", str(tmp_path / "plain"))
    assert "not a folder" in refused(capsys, home, "--repo", str(tmp_path / "absent"))
    (tmp_path / "plain" / ".git").write_text("gitdir: ../../nowhere\n")
    assert "not a git repository" in refused(capsys, home, "--repo", str(tmp_path / "plain"))


def test_a30_unknown_and_equal_refs(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = str(build(tmp_path, PLAIN, {"README": "two\n"}))
    assert "no commit named 'nowhere'" in refused(capsys, home, "--repo", repo, "--base", "nowhere")
    assert "no commit named '--output=x'" in refused(capsys, home, "--repo", repo, "--head=--output=x")
    assert "the same commit" in refused(capsys, home, "--repo", repo, "--base", "main", "--head", "main")
    assert "already contained" in refused(capsys, home, "--repo", repo, "--base", "feature", "--head", "main")
    assert not Path("x").exists()


def test_a30_an_empty_diff(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = build(tmp_path, PLAIN, {})
    assert "base and head hold the same files" in refused(capsys, home, "--repo", str(repo), "--base", "main")


def test_a30_a_broken_policy(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = str(build(tmp_path, PLAIN, {"README": "two\n"}))
    broken = tmp_path / "broken.cedar"
    for text in ("permit (principal, action", "permit (principal, action, resource) when { resource.nothing };", "\x00"):
        broken.write_text(text)
        assert str(broken) in refused(capsys, home, "--repo", repo, "--base", "main", "--policy", str(broken))
    assert "absent.cedar" in refused(capsys, home, "--repo", repo, "--base", "main", "--policy", str(tmp_path / "absent.cedar"))


def test_a30_a_broken_configuration(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = str(build(tmp_path, PLAIN, {"README": "two\n"}))
    (home / "quarterdeck.toml").write_text("lease_s = 'long'\n")
    assert "lease_s must be a float" in refused(capsys, home, "--repo", repo, "--base", "main")


# --- odd changes get a correct report ----------------------------------------------------------------------------------------


async def _reviewed(tmp_path: Path, home: Path, head: dict[Any, Any]) -> dict[str, Any]:
    """Review a change of a repository without code. The report holds against its evidence, and the log is whole."""
    done = await run_review(home, build(tmp_path, PLAIN, head))
    assert (done.row.state, done.problems) == ("completed", [])
    with Home(home) as opened:
        await opened.audited()
    await nothing_left(home)
    change = json.loads((done.folder / "artifacts" / "change.json").read_bytes())
    return {"files": {f["path"]: f for f in change["files"]}, "notes": " ".join(change["notes"]), "done": done}


async def test_a30_binary_files(tmp_path: Path, home: Path) -> None:
    told = await _reviewed(tmp_path, home, {"data.bin": bytes(range(256)) * 500, "picture.py": b"\x89PNG\0\0"})
    assert {f["binary"] for f in told["files"].values()} == {True}


async def test_a30_text_that_is_not_utf8(tmp_path: Path, home: Path) -> None:
    head = {"notes.txt": "caf\xe9\n".encode("latin-1"), "bad.py": b"x = '\xff'\n", "utf16.txt": "hi\n".encode("utf-16")}
    told = await _reviewed(tmp_path, home, head)
    assert set(told["files"]) == set(head)


async def test_a30_submodules(tmp_path: Path, home: Path) -> None:
    modules = '[submodule "lib"]\n\tpath = lib\n\turl = ext::sh -c touch% /tmp/quarterdeck-pwned\n'
    told = await _reviewed(tmp_path, home, {"lib": Submodule(b"1" * 40), ".gitmodules": modules})
    assert told["files"]["lib"]["submodule"] and "Submodules are empty folders" in told["notes"]
    assert not Path("/tmp/quarterdeck-pwned").exists()


async def test_a30_hostile_names(tmp_path: Path, home: Path) -> None:
    names = [
        b"new\nline.py", b"$(touch x).py", b"`touch x`.sh", b"-rf", b"--output=x", b"a b  c.py", b"'q\"uote.py", b"\xff\xfe.py",
        b"tab\t.md", b"<script>alert(1)</script>.py", b"%s%n.py", b"ba\\ck.py", "\u202ertl.py".encode(), b"n" * 250,
        b"d/" * 100 + b"deep.py", b"; touch x;.py",
    ]  # fmt: skip
    told = await _reviewed(tmp_path, home, dict.fromkeys(names, b"x = 1\n"))
    assert len(told["files"]) == len(names)
    pages = "".join((told["done"].folder / n).read_text() for n in ("report.md", "report.html"))
    assert "<script>alert(1)" not in pages.replace("`<script>alert(1)</script>.py`", "")
    assert not [p for p in (Path("x"), tmp_path / "x", tmp_path / "project" / "x", home / "x") if p.exists()]


async def test_a30_symlinks_out_of_the_tree(tmp_path: Path, home: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("CANARY-OUTSIDE")
    links = {
        "out.py": Link(os.fsencode(canary)),
        "up.md": Link(b"../../../../etc/shadow"),
        "loop": Link(b"loop"),
        "d": Link(b"/"),
        "e": Link(b"d"),
    }
    told = await _reviewed(tmp_path, home, {**links, "conftest.py": Link(os.fsencode(canary)), "Dockerfile": Link(b"/dev/zero")})
    assert all(told["files"][name]["symlink"] for name in links)
    assert "lead out of the tree" in told["notes"]
    assert canary.read_text() == "CANARY-OUTSIDE"
    assert subprocess.run(["grep", "-rl", "CANARY-OUTSIDE", str(home)], capture_output=True, check=False).stdout == b""


async def test_a30_no_tests(tmp_path: Path, home: Path) -> None:
    told = await _reviewed(tmp_path, home, {"lib.sh": "echo hello\n"})
    report = told["done"].report
    assert "tests" in {n["what"].split(" ")[0] for n in report["not_checked"]}
    assert told["done"].result["exit_code"] == 0


# --- two at once, and no room ------------------------------------------------------------------------------------------------


async def test_a30_a_second_review_of_the_same_refs_at_once_is_the_same_run(tmp_path: Path, home: Path) -> None:
    repo = build(tmp_path, PLAIN, {"README": "two\n"})
    both = [start(home, repo) for _ in range(2)]
    told = await asyncio.gather(*(asyncio.to_thread(ended, process) for process in both))
    assert sorted(t["created"] for t in told) == [False, True]
    assert {(t["run"], t["state"]) for t in told} == {(told[0]["run"], "completed")}
    with Home(home) as opened:
        assert set(attempts(await opened.store.records(await opened.run())).values()) == {1}
        await opened.audited()
    await nothing_left(home)


@pytest.fixture
def small_disk(tmp_path: Path, wheels: Path) -> Iterator[Path]:
    """A HOME on a disk of 24 MB of its own; only root can make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=True)
    (disk / "home" / "cache").mkdir(parents=True)
    (disk / "home" / "cache" / "wheels").symlink_to(wheels)
    try:
        yield disk / "home"
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a small disk")
@pytest.mark.parametrize("left_kb", [4, 500, 1200, 1600])
async def test_a30_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(tmp_path: Path, small_disk: Path, left_kb: int) -> None:
    repo = build(tmp_path, PLAIN, {"README": "two\n", "big.txt": "word " * 20_000})
    with Home(small_disk) as opened:
        room = os.statvfs(small_disk)
        (small_disk / "ballast").write_bytes(b"x" * (room.f_bavail * room.f_frsize - left_kb * 1024))
        told = await asyncio.to_thread(ended, start(small_disk, repo))
        assert told.get("error") == "DiskFull" and "full" in told["message"] and "Free space" in told["hint"], told
        assert [r.state for r in await opened.store.runs() if r.state == "failed"] == []
        await opened.audited()
        (small_disk / "ballast").unlink()
        again_told = await asyncio.to_thread(again, small_disk, repo)
        assert again_told["exit_code"] == 0
        run = await opened.run()
        await opened.audited()
    assert command(small_disk, "report", "verify", str(small_disk / "runs" / run / "report"))["ok"]
    assert not list(small_disk.glob("environments/env*"))


async def test_a30_files_that_may_not_grow_are_said_and_the_run_goes_on_when_they_may(tmp_path: Path, home: Path) -> None:
    """The same for everybody: RLIMIT_FSIZE stands for a disk without room."""
    repo = build(tmp_path, PLAIN, {"README": "two\n"})
    told = await asyncio.to_thread(ended, start(home, repo, limit=250_000))
    assert told.get("error") in ("StoreError", "DiskFull"), told
    assert told["hint"] and str(home) in told["message"]
    assert (await asyncio.to_thread(again, home, repo))["exit_code"] == 0
    with Home(home) as opened:
        assert [r.state for r in await opened.store.runs() if r.kind == "workflow"] == ["completed"]
        await opened.audited()
    await nothing_left(home)


# --- a large change ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a30_a_hundred_thousand_changed_lines(tmp_path: Path, home: Path) -> None:
    """In bounded time and memory: minutes, and less than 1 GB."""
    lines = "".join(f"def f{i}(a: int) -> int:\n    return a + {i}\n" for i in range(2_500))
    head = {f"pkg/m{i}.py": lines for i in range(16)} | {"data.csv": "".join(f"{i},{i}\n" for i in range(20_000)), "calc.py": BROKEN}
    repo = build(tmp_path, BASE, head)
    assert int(git(repo, "diff", "--numstat", "main", "feature").split()[0]) > 0
    began = asyncio.get_running_loop().time()
    told = await asyncio.to_thread(ended, start(home, repo), 0)
    seconds = asyncio.get_running_loop().time() - began
    print(f"100,000 lines: {seconds:.1f} s, peak {told['peak_kb'] / 1024:.0f} MB, its children {told['children_kb'] / 1024:.0f} MB")
    assert told["state"] == "completed"
    report = json.loads((home / "runs" / told["run"] / "report" / "report.json").read_bytes())
    assert report["counts"]["added"] >= 100_000
    assert [t["id"] for t in report["tests"]["newly_failing"]] == ["tests.test_calc.Total::test_three"]
    assert command(home, "report", "verify", str(home / "runs" / told["run"] / "report"))["ok"]
    assert max(told["peak_kb"], told["children_kb"]) < 1 << 20 and seconds < 300
