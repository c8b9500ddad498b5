"""`quarterdeck review` and what belongs to it: findings, report, audit, gc; on one small repository. (A1, A12, A13, A19, A21)"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from cli_kit import FLOWS, Cli

SHOP = '''def price(net: int) -> int:
    """The price."""
    return net * 2
'''
TEST = """import unittest
from shop import price


class Shop(unittest.TestCase):
    def test_price(self):
        self.assertEqual(price(2), 4)
"""
DEARER = '''import subprocess


def price(net: int) -> int:
    """The price."""
    subprocess.call("echo " + str(net), shell=True)
    return net * 3
'''
STAGES = ["intake", "review", "tests", "conventions", "summary", "documentation", "report"]


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, dict[str, object]]:
    """A command line whose HOME holds one review of a change that breaks a test."""
    folder = tmp_path_factory.mktemp("reviewed")
    (folder / "shop").mkdir()
    (folder / "flows.py").write_text(FLOWS)
    git(folder / "shop", "init", "-qb", "main")
    commit(folder / "shop", {"shop.py": SHOP, "test_shop.py": TEST}, "Sell things")
    git(folder / "shop", "checkout", "-qb", "feature")
    commit(folder / "shop", {"shop.py": DEARER}, "Raise the price")
    cli = Cli(folder, folder / "home")
    return cli, cli.run("review", "--repo", "shop", "--json", code=1).document


def test_a1_a12_a_review_exits_1_and_names_its_report(reviewed: tuple[Cli, dict[str, object]]) -> None:
    cli, document = reviewed
    result = document["result"]
    assert isinstance(result, dict)
    assert (result["verdict"], document["exit_code"]) == ("tests", 1)
    assert result["counts"]["newly_failing"] == 1
    assert Path(result["report"]) == cli.home / "runs" / str(document["run"]) / "report"
    assert (Path(result["report"]) / "report.html").is_file()


def test_a1_the_repository_of_the_folder_is_the_default_and_a_pass_exits_0(reviewed: tuple[Cli, dict[str, object]], tmp_path: Path) -> None:
    repo = tmp_path / "calm"
    repo.mkdir()
    git(repo, "init", "-qb", "main")
    commit(repo, {"notes.txt": "one\n"}, "Begin the notes")
    git(repo, "checkout", "-qb", "feature")
    commit(repo, {"notes.txt": "one\ntwo\n"}, "Add a second note")
    ran = Cli(repo, tmp_path / "home").run("review", "--out", tmp_path / "out", "--no-color")
    assert ran.out.startswith("pass: ")
    assert f"report: {tmp_path / 'out'}" in ran.out
    assert [line.split()[1] for line in ran.err.splitlines() if line.startswith("✓")] == STAGES


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--base", "mian"], "Did you mean main?"), (["--repo", "nowhere"], "is not a folder"), (["--repo", "."], "not a git repository"),
        (["--head", "main"], "nothing to review"), (["--event", "missing.json"], "missing.json"),
    ],
)  # fmt: skip
def test_a30_what_cannot_be_reviewed_exits_2(reviewed: tuple[Cli, dict[str, object]], words: list[str], meant: str) -> None:
    cli, _ = reviewed
    repo = [] if "--repo" in words else ["--repo", "shop"]
    said = cli.quick("review", *repo, *words, code=2)
    assert meant in said.err
    assert "hint: " in said.err
    assert said.out == ""


def test_a13_report_verify_holds_and_catches_one_changed_byte(reviewed: tuple[Cli, dict[str, object]], tmp_path: Path) -> None:
    cli, document = reviewed
    result = document["result"]
    assert isinstance(result, dict)
    assert "holds" in cli.quick("report", "verify", result["report"]).out
    copy = tmp_path / "copy"
    shutil.copytree(result["report"], copy)
    tests = copy / "artifacts" / "tests.json"
    tests.write_bytes(tests.read_bytes().replace(b"1", b"2", 1))
    wrong = cli.quick("report", "verify", copy, "--json", code=1).document
    assert any("tests.json" in problem for problem in wrong["problems"])
    assert "holds no report" in cli.quick("report", "verify", tmp_path, code=2).err


def test_a19_a_finding_is_listed_dismissed_and_not_raised_again(reviewed: tuple[Cli, dict[str, object]]) -> None:
    cli, document = reviewed
    found = cli.quick("findings", "list", "--repo", "shop", "--json").document["findings"]
    one = next(f for f in found if f["path"] == "shop.py" and f["severity"] == "high")
    assert "Did you mean" in cli.quick("findings", "dismiss", "x" + one["fingerprint"][1:], "--repo", "shop", code=2).err
    cli.quick("findings", "dismiss", one["fingerprint"][:10], "--repo", "shop", "--reason", "a demo")
    assert f"(dismissed) {one['message'][:20]}" in cli.quick("findings", "list", "--repo", "shop").out
    again = cli.run("review", "--repo", "shop", "--json", code=1).document
    assert again["run"] != document["run"]
    assert again["result"]["counts"]["blocking"] == document["result"]["counts"]["blocking"] - 1  # type: ignore[index]
    assert "operator" in cli.quick("runs", "--all").out


def test_a21_trace_logs_and_show_agree(reviewed: tuple[Cli, dict[str, object]]) -> None:
    cli, document = reviewed
    run = str(document["run"])
    trace = cli.quick("trace", run, "--json").document
    assert [c["name"] for c in trace["span"]["children"]] == STAGES
    assert trace["totals"]["commands"] == document["commands"]
    assert trace["totals"]["decisions"] == document["decisions"]
    lines = [json.loads(line) for line in cli.quick("logs", run, "--json", "--after", "3").out.splitlines()]
    assert [line["seq"] for line in lines] == list(range(4, 4 + len(lines)))
    shown = cli.quick("show", run[-8:], "--json").document
    assert {a["artifact"] for a in shown["artifacts"]} >= {"change.json", "tests.json", "out/report.html"}
    assert shown["labels"] == ["untrusted:pr"]
    assert "exit 1" in cli.quick("trace", run).out


def test_a21_audit_verify_names_the_leaf_of_one_changed_byte(reviewed: tuple[Cli, dict[str, object]], tmp_path: Path) -> None:
    cli, document = reviewed
    run = str(document["run"])
    assert cli.quick("audit", "verify", "--json").document["ok"]
    cli.quick("logs", run)  # the database is at rest now; its write-ahead log was folded in when the last process closed it
    copy = tmp_path / "copy.db"
    data = (cli.home / "quarterdeck.db").read_bytes()
    place = data.index(b'"name":"tests","occurrence":0,"result"')
    copy.write_bytes(data[:place] + data[place:].replace(b'"tests"', b'"tasts"', 1))
    assert cli.quick("audit", "verify", "--database", copy, run, "--json", code=1).document["runs"] == 1
    wrong = cli.quick("audit", "verify", "--database", copy, code=1)
    assert f"{run}, leaf " in wrong.out
    assert "body was changed" in wrong.out
    whole = tmp_path / "whole.db"
    whole.write_bytes(data)
    assert "whole: " in cli.quick("audit", "verify", "--database", whole).out
    assert "not a database" in cli.quick("audit", "verify", "--database", cli.folder / "flows.py", code=2).err


def test_a23_gc_removes_what_nothing_needs_and_nothing_else(reviewed: tuple[Cli, dict[str, object]]) -> None:
    cli, document = reviewed
    run = str(document["run"])
    orphan = cli.home / "blobs" / "sha256" / "ab" / ("ab" * 32)
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"nobody's")
    young = orphan.with_name("ab" + "cd" * 31)
    young.write_bytes(b"of a run that is about to name it")
    os.utime(orphan, (time.time() - 7200,) * 2)
    lost = cli.home / "environments" / "env_of_nobody"
    lost.mkdir(parents=True)
    before = sorted((cli.home / "blobs").rglob("*"))
    said = cli.quick("gc", "--dry-run").out
    assert "would be removed" in said
    assert sorted((cli.home / "blobs").rglob("*")) == before
    removed = cli.quick("gc", "--json").document
    assert "gc removed" in cli.quick("logs", cli.quick("runs", "--all", "--json").document["runs"][0]["id"]).out
    assert {Path(i["path"]) for i in removed["removed"] if i["kind"] == "blob"} == {orphan}
    assert not lost.exists()
    assert young.exists()
    assert not (cli.home / "runs" / run / "scratch").exists()
    assert (cli.home / "runs" / run / "report").is_dir()
    assert cli.quick("audit", "verify", "--json").document["ok"]
    assert "holds" in cli.quick("report", "verify", cli.home / "runs" / run / "report").out
    assert "scratch" not in cli.quick("gc", "--older-than", "0").out
    assert not (cli.home / "runs" / run).exists()
    assert cli.quick("show", run, "--json").document["state"] == "completed"


def test_a23_gc_leaves_what_an_unfinished_run_needs(cli: Cli) -> None:
    asked = cli.run("run", "flows.py:asking", "--json", code=3).document
    environment = cli.home / "environments" / f"env_{asked['run'].removeprefix('run_')}"
    environment.mkdir(parents=True)
    folder = cli.home / "runs" / asked["run"] / "scratch"
    folder.mkdir(parents=True)
    cli.quick("gc", "--older-than", "0")
    assert environment.is_dir()
    assert folder.is_dir()
