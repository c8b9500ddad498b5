"""examples/: each runs as it stands, without a model and without network (A22, A26)."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from docs_kit import BIN, ROOT

EXAMPLES = ROOT / "examples"


def run(*argv: str | Path, codes: tuple[int, ...] = (0,), cwd: Path) -> str:
    """Run a program in a folder of its own; its HOME comes from the environment of the test."""
    done = subprocess.run([str(part) for part in argv], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in codes, f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_hello_is_short_and_greets(tmp_path: Path) -> None:
    assert len((EXAMPLES / "hello.py").read_text("utf-8").splitlines()) <= 15
    assert run(sys.executable, EXAMPLES / "hello.py", cwd=tmp_path) == "Hello, reader, from inside.\n"
    assert run(BIN / "quarterdeck", "run", "-q", EXAMPLES / "hello.py", cwd=tmp_path) == "Hello, you, from inside.\n"


def test_ask_waits_and_publishes_after_the_answer(tmp_path: Path, own_home: Path) -> None:
    run(BIN / "quarterdeck", "run", EXAMPLES / "ask.py", codes=(3,), cwd=tmp_path)
    [asked] = json.loads(run(BIN / "quarterdeck", "approvals", "list", "--json", cwd=tmp_path))["approvals"]
    assert asked["question"] == {"question": "Publish the notes?", "facts": {"words": 6}}
    assert not (own_home / "outbox").exists()
    answered = json.loads(run(BIN / "quarterdeck", "approvals", "approve", asked["id"], "--json", cwd=tmp_path))
    assert answered["result"]["published"] is True
    assert len(list((own_home / "outbox" / "files").iterdir())) == 1


def test_tools_lets_an_agent_use_a_function(tmp_path: Path) -> None:
    assert run(sys.executable, EXAMPLES / "tools.py", cwd=tmp_path) == "The north basin is 7.5 m deep.\n"


def test_parallel_runs_commands_side_by_side(tmp_path: Path) -> None:
    done = json.loads(run(BIN / "quarterdeck", "run", EXAMPLES / "parallel.py", "--json", cwd=tmp_path))
    assert done["result"] == {"alpha": 50, "beta": 50, "gamma": 50}
    assert done["commands"] == 6


def test_every_example_has_a_test() -> None:
    source = Path(__file__).read_text("utf-8")
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in source] == []


def test_a_backup_restores(tmp_path: Path, own_home: Path) -> None:
    """docs/operations.md: the database through SQLite's backup, the blobs as files, both into an empty HOME."""
    run(BIN / "quarterdeck", "run", "-q", EXAMPLES / "parallel.py", cwd=tmp_path)
    restored = tmp_path / "restored"
    restored.mkdir()
    with closing(sqlite3.connect(own_home / "quarterdeck.db")) as live, closing(sqlite3.connect(restored / "quarterdeck.db")) as copy:
        live.backup(copy)
    if (own_home / "blobs").exists():
        shutil.copytree(own_home / "blobs", restored / "blobs")
    verified = json.loads(run(BIN / "quarterdeck", "audit", "verify", "--home", restored, "--json", cwd=tmp_path))
    assert verified["ok"] and verified["leaves"] > 10
    [known] = json.loads(run(BIN / "quarterdeck", "runs", "--home", restored, "--json", cwd=tmp_path))["runs"]
    assert (known["name"], known["state"]) == ("parallel", "completed")
