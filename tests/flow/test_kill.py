"""A15, laws 2 and 3: a review whose process is killed or stopped at any moment ends as if nothing had happened."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from process_kit import Home, again, attempts, command, ended, environment, nothing_left, outcomes, said, start
from review_kit import build

# A command of one second that writes down each time it is begun; nothing of Python, so that there is nothing to install.
SUITE = 'w=/workspace/scratch/witness.$(basename "$PWD")\necho begun >> $w\nsleep 1\ncat $w\n'
BASE = {"quarterdeck.toml": '[review]\ntests = "sh suite.sh"\n', "suite.sh": SUITE, "README": "one\n"}
HEAD = {"README": "two\n"}
TESTS = "tests/base/tests-base-run", "tests/head/tests-head-run"


async def _whole(home: Path, again_begun: dict[str, int]) -> None:
    """One run, completed; no action was begun more than once but those named; the chain is whole and nothing is left."""
    with Home(home) as opened:
        run = await opened.run()
        records = await opened.store.records(run)
        assert (await opened.store.run(run)).state == "completed"
        assert {n: c for n, c in attempts(records).items() if c > 1} == again_begun
        stages = [r.body["name"] for r in records if r.kind == "stage.completed" and "/" not in r.body["name"]]
        assert stages == ["intake", "review", "tests", "conventions", "summary", "documentation", "report"]
        for name in TESTS:
            assert said(records, name) == ["begun\n"]
        await opened.audited()
    assert command(home, "report", "verify", str(home / "runs" / run / "report"))["ok"]
    await nothing_left(home)


async def test_a15_killed_while_dependencies_are_fetched_on_the_host(tmp_path: Path, home: Path, wheels: Path) -> None:
    """The step was begun and is idempotent: it is begun again; what ended before is not; its pip dies with the process."""
    repo = build(tmp_path, BASE, HEAD)
    (home / "cache" / "wheels").unlink()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        first = start(home, repo, environment(home, PIP_INDEX_URL=address, PIP_FIND_LINKS="", PIP_CONFIG_FILE=os.devnull, no_proxy="*"))
        silent.settimeout(30)
        asked, _ = await asyncio.to_thread(silent.accept)
        first.kill()
        ended(first, -9)
        asked.close()
    await nothing_left(home)
    told = await asyncio.to_thread(again, home, repo)
    assert (told["created"], told["exit_code"]) == (False, 0)
    await _whole(home, {"intake/fetch dependencies": 2})
    assert not list((home / "cache" / "wheels").glob("part-*"))


async def test_a15_killed_while_the_sandbox_runs_the_tests(tmp_path: Path, home: Path) -> None:
    """Both commands go on without their process, and the next one collects them."""
    repo = build(tmp_path, BASE, HEAD)
    first = start(home, repo)
    with Home(home) as opened:
        for name in TESTS:
            await opened.begun(name)
        first.kill()
        ended(first, -9)
        run = await opened.run()
        told = await asyncio.to_thread(command, home, "resume", run)
        assert told["exit_code"] == 0
        records = await opened.store.records(run)
        for name in TESTS:
            assert [o.get("collected") for o in outcomes(records, name)] == [True]
    await _whole(home, {})


KILLS = {
    "action.requested intake/read git": 2,
    "action.completed intake/fetch dependencies": 1,
    "action.started intake/environment": 1,
    "action.completed intake/make scratch": 1,
    "artifact diff.patch": 1,
    "stage.completed review": 1,
    "stage.completed conventions": 1,
    "action.requested documentation/write documentation": 2,
    "artifact out/report.md": 1,
    "action.requested report/publish report": 2,
}
"""Where a process is killed, one after the other -> how often the action of that record was begun in the end."""


async def test_a15_killed_ten_times_from_intake_to_report(tmp_path: Path, home: Path) -> None:
    """Each process gets a little further; no finished step is run again, and the report is there once."""
    repo = build(tmp_path, BASE, HEAD)
    for at in KILLS:
        if not at.startswith("action.started"):
            await asyncio.to_thread(ended, start(home, repo, at=at), -9)
    assert (await asyncio.to_thread(again, home, repo))["exit_code"] == 0
    await _whole(home, {at.split(" ", 1)[1]: n for at, n in KILLS.items() if n > 1})
