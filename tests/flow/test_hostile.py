"""A31, law 5: a head that means harm, through the whole review: the review ends with a correct report, and the host stays whole."""

# A test may block its own loop.
# ruff: noqa: ASYNC221, ASYNC240
from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from process_kit import Home, environment, nothing_left, processes, start
from review_kit import Reviewed, build, run_review

SETTINGS = '[review]\ntests = "sh suite.sh"\ntest_timeout_s = {timeout}\n'


def repository(tmp_path: Path, harm: str, *, seconds: int = 3) -> Path:
    """The head's suite does harm; the base's passes. No Python, so that nothing is installed."""
    base = {"quarterdeck.toml": SETTINGS.format(timeout=seconds), "suite.sh": "exit 0\n"}
    return build(tmp_path, base, {"suite.sh": harm})


async def reviewed(tmp_path: Path, home: Path, harm: str, *, seconds: int = 3) -> Reviewed:
    done = await run_review(home, repository(tmp_path, harm, seconds=seconds))
    assert (done.row.state, done.problems) == ("completed", [])
    with Home(home) as opened:
        await opened.audited()
    await nothing_left(home)
    return done


def head_run(done: Reviewed) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((done.folder / "artifacts" / "raw" / "tests-head-run.json").read_bytes())
    return told


def assert_failed(done: Reviewed) -> None:
    """The harm is a failing test of the head, not of the base, and the review says so by its exit code."""
    assert done.result["exit_code"] == 1
    assert len(done.report["tests"]["newly_failing"]) == 1


async def test_a31_a_suite_that_hangs(tmp_path: Path, home: Path) -> None:
    done = await reviewed(tmp_path, home, "trap '' TERM INT HUP\nwhile :; do sleep 1000; done\n", seconds=1)
    assert head_run(done)["state"] == "timeout"
    assert_failed(done)
    assert "longer than it may" in json.dumps(done.report["not_checked"])


async def test_a31_a_suite_that_forks_without_end(tmp_path: Path, home: Path) -> None:
    before = len(list(Path("/proc").glob("[0-9]*")))
    done = await reviewed(tmp_path, home, "b() { b | b & }; b; while :; do sleep 0.2; done\n", seconds=2)
    assert head_run(done)["state"] in ("timeout", "exited", "signaled", "oom")
    assert_failed(done)
    assert len(list(Path("/proc").glob("[0-9]*"))) < before + 150


async def test_a31_a_suite_that_leaves_daemons(tmp_path: Path, home: Path) -> None:
    """Sessions of their own, orphans twice over: all are gone when the run is."""
    mark = f"8{uuid.uuid4().int % 10**12}"
    harm = f"for i in 1 2 3; do setsid sh -c '(sleep {mark} & ) & exec sleep {mark}' > /dev/null 2>&1 & done; sleep 0.3; exit 0\n"
    done = await reviewed(tmp_path, home, harm)
    assert head_run(done)["state"] == "exited"
    assert done.result["exit_code"] == 0
    assert processes(mark) == []


@pytest.mark.slow
async def test_a31_a_suite_that_eats_memory(tmp_path: Path, home: Path) -> None:
    done = await reviewed(tmp_path, home, "tail /dev/zero\n", seconds=60)
    assert head_run(done)["state"] in ("oom", "exited", "signaled")
    assert_failed(done)


@pytest.mark.slow
async def test_a31_a_suite_that_prints_a_gigabyte(tmp_path: Path, home: Path) -> None:
    """What is kept has head and tail; neither this process nor HOME grows with what was printed."""
    process = start(home, repository(tmp_path, "echo BEGIN; head -c 1000000000 /dev/zero | tr '\\0' x; echo; echo END\n", seconds=60))
    out, err = process.communicate(timeout=120)
    told = json.loads(out.splitlines()[-1])
    print(f"1 GB of output: peak {told['peak_kb'] / 1024:.0f} MB")
    assert (told.get("state"), told["peak_kb"] < 150_000) == ("completed", True), (told, err)
    run = json.loads((home / "runs" / told["run"] / "report" / "artifacts" / "raw" / "tests-head-run.json").read_bytes())
    assert run["state"] == "exited" and run["truncated"]
    assert run["stdout"].startswith("BEGIN") and run["stdout"].rstrip().endswith("END")
    size = sum(p.stat().st_size for p in home.rglob("*") if p.is_file() and not p.is_symlink() and "cache" not in p.parts)
    assert size < 50 << 20
    await nothing_left(home)


# --- a conftest.py that reads ------------------------------------------------------------------------------------------------

ATTACK = Path(__file__).with_name("attack_conftest.py")
EMPTY = '{"files": [], "port": 0, "driver": 0}'


class Listener:
    """TCP on the host's loopback and an abstract socket; counts who comes."""

    def __init__(self) -> None:
        self.came = 0
        self.sockets = [socket.create_server(("127.0.0.1", 0))]
        self.port = int(self.sockets[0].getsockname()[1])
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0canary-{self.port}")
        abstract.listen()
        self.sockets.append(abstract)
        for one in self.sockets:
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        while True:
            try:
                one.accept()[0].close()
            except OSError:
                return
            self.came += 1

    def close(self) -> None:
        for one in self.sockets:
            one.shutdown(socket.SHUT_RDWR)
            one.close()


async def test_a31_law_5_a_conftest_that_reads_homes_environment_processes_network_and_the_database(tmp_path: Path, home: Path) -> None:
    """All of it is blocked, by pytest's own start, on the path that every review takes; what it wanted is nowhere in HOME."""
    secret = f"CANARY-{uuid.uuid4().hex}"
    places = [tmp_path / "canary", Path("~").expanduser() / f".quarterdeck-canary-{secret[7:15]}"]
    for place in places:
        place.write_text(secret)
    listener = Listener()
    wanted = [*map(str, places), str(home / "quarterdeck.db"), str(home / "quarterdeck.db-wal"), "/etc/shadow"]
    config = {"files": wanted, "port": listener.port, "driver": os.getpid()}
    attack = ATTACK.read_text().replace(EMPTY, json.dumps(config), 1)
    assert str(listener.port) in attack
    tests = {"tests/test_one.py": "def test_one():\n    assert True\n", "tests/conftest.py": ""}
    repo = build(tmp_path, {**tests, "one.txt": "1\n"}, {"tests/conftest.py": attack})
    try:
        process = start(home, repo, environment(home, QUARTERDECK_CANARY=secret, CANARY=secret))
        out, err = process.communicate(timeout=120)
        told = json.loads(out.splitlines()[-1])
        assert told.get("state") == "completed", (told, err)
        report = home / "runs" / told["run"] / "report"
        run = json.loads((report / "artifacts" / "raw" / "tests-head-run.json").read_bytes())
        line = next(line for line in run["stdout"].splitlines() if line.startswith("ATTEMPTS "))
        got = json.loads(line.removeprefix("ATTEMPTS "))
        assert len(got) > 35
        assert {name: value for name, value in got.items() if not value.startswith("blocked")} == {}
        assert listener.came == 0
        assert [place.read_text() for place in places] == [secret] * len(places)
        found = subprocess.run(["grep", "-rlaF", secret, str(home)], capture_output=True, check=False)
        assert found.stdout == b""
        with Home(home) as opened:
            await opened.audited()
        await nothing_left(home)
    finally:
        listener.close()
        for place in places:
            place.unlink(missing_ok=True)
