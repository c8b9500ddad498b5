"""Crashes, Ctrl-C, and two processes at once. (A15, A21, A23)"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import time

from cli_kit import COMMAND, Cli, until


def begin(cli: Cli, seconds: int) -> tuple[subprocess.Popen[str], str]:
    """Start `commanding` and wait until its command was let through. Returns the process and the run."""
    process = cli.start("run", "flows.py:commanding", "--input", str(seconds))
    wanted = until(lambda: [r for r in cli.records() if r.kind == "action.requested" and r.body["name"] == "long"])
    return process, wanted[0].run


def test_a15_after_kill_9_the_same_command_collects_what_the_command_did(cli: Cli) -> None:
    process, run = begin(cli, 3)
    assert cli.end(process, signal.SIGKILL).code == -signal.SIGKILL
    assert "interrupted" in cli.quick("runs").out
    done = cli.run("run", "flows.py:commanding", "--input", "3", "--json").document
    assert (done["run"], done["created"], done["result"]) == (run, False, ["begun", "ended"])
    assert cli.calls() == ["before"]  # finished steps are not run again
    assert "collected after a crash" in cli.quick("trace", run).out


def test_a23_ctrl_c_stops_cleanly_and_says_how_to_resume(cli: Cli) -> None:
    process, run = begin(cli, 3)
    stopped = cli.end(process, signal.SIGINT)
    assert stopped.code == 130
    resume = next(line for line in stopped.err.splitlines() if line.startswith("resume: ")).removeprefix("resume: ")
    assert resume == f"quarterdeck resume {run}"
    assert "Traceback" not in stopped.err
    done = cli.run(*resume.split()[1:])
    assert json.loads(done.out) == ["begun", "ended"]
    assert "✓ before" in done.err
    assert cli.calls() == ["before"]


def test_a21_a_second_process_follows_and_ends_with_the_same_result(cli: Cli) -> None:
    """Also: `logs --follow` from another terminal sees the end as it happens."""
    process, run = begin(cli, 5)
    reader = cli.start("logs", run, "--follow")
    second = cli.run("run", "flows.py:commanding", "--input", "5")
    assert "drives this run already" in second.err
    first = cli.end(process)
    assert (first.code, first.out) == (0, second.out)
    log = cli.end(reader)
    assert log.code == 0
    kinds = [line.split()[2] for line in log.out.splitlines()]
    assert (kinds[0], kinds[-1]) == ("run.submitted", "run.completed")
    assert len(cli.runs()) == 1
    assert sum(r.kind == "action.requested" and r.body["name"] == "long" for r in cli.records(run)) == 1


def test_a23_cancel_from_another_process_ends_the_command(cli: Cli) -> None:
    process, run = begin(cli, 60)
    said = cli.run("cancel", run, "--reason", "changed my mind")
    assert "asked to stop" in said.out or "cancelled" in said.out
    ended = cli.end(process)
    assert ended.code == 2
    assert "cancelled" in ended.err
    assert "already ended" in cli.quick("cancel", run, code=2).err
    assert not list((cli.home / "environments").glob("env_*"))


def test_a15_a_second_follower_takes_over_when_the_first_dies(cli: Cli) -> None:
    process, run = begin(cli, 5)
    second = cli.start("run", "flows.py:commanding", "--input", "5", "--json")
    assert second.stderr is not None
    until(lambda: "following" in second.stderr.readline())  # type: ignore[union-attr]
    process.kill()
    process.communicate()
    done = cli.end(second)
    assert done.code == 0, done.err
    assert done.document["result"] == ["begun", "ended"]
    assert done.document["run"] == run
    assert cli.calls() == ["before"]


def test_law_9_a_run_that_waits_for_time_is_left_by_ctrl_c_and_cancelled_by_nobodys_process(cli: Cli) -> None:
    process = cli.start("run", "flows.py:napping")
    until(lambda: any(r.kind == "run.waiting" for r in cli.records()))
    assert cli.end(process, signal.SIGTERM).code == 143
    [row] = cli.runs()
    assert cli.run("cancel", row["id"], "--json").document["state"] == "cancelled"


def test_a23_ctrl_c_does_not_wait_for_a_long_step_and_its_outcome_is_unknown(cli: Cli) -> None:
    """Law 3: local code that was cut off is never begun again, and nobody says that it did not happen."""
    process = cli.start("run", "flows.py:thinking", "--json")
    until(lambda: "thinking" in cli.calls())
    begun = time.monotonic()
    stopped = cli.end(process, signal.SIGINT)
    assert time.monotonic() - begun < 30
    assert (stopped.code, stopped.document["exit_code"], stopped.document["state"]) == (130, 130, "running")
    assert stopped.document["resume"] == f"quarterdeck resume {stopped.document['run']}"
    ended = cli.run("run", "flows.py:thinking", "--json", code=2).document
    assert ended["error"]["type"] == "OutcomeUnknown"
    assert cli.calls() == ["thinking"]
    assert "1 outcome unknown" in cli.quick("trace", ended["run"]).out


def on_a_terminal(cli: Cli, *words: str, **env: str) -> tuple[int, str]:
    """Run a command on a terminal of its own; returns its exit code and what a person saw."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(COMMAND), *words], cwd=cli.folder, stdin=theirs, stdout=theirs, stderr=theirs, env={**cli.env, "TERM": "xterm-256color", **env}
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other side is closed
        while data := os.read(ours, 65536):
            seen += data
    os.close(ours)
    return process.wait(timeout=60), seen.decode()


def test_a23_a_terminal_shows_the_running_command_live(cli: Cli) -> None:
    code, seen = on_a_terminal(cli, "run", "flows.py:commanding", "--input", "1", NO_COLOR="")
    assert code == 0
    assert "echo begun; sleep 1; echo ended" in seen
    assert "Ctrl-C stops" in seen
    assert "\x1b[32m" in seen


def test_a23_no_color_is_heeded_on_a_terminal(cli: Cli) -> None:
    for env, words in (({"NO_COLOR": "1"}, ()), ({"NO_COLOR": ""}, ("--no-color",))):
        code, seen = on_a_terminal(cli, "run", "flows.py:stages", *words, **env)
        assert code == 0
        assert "✓ first" in seen
        assert "\x1b" not in seen


def test_a_reader_that_goes_away_does_not_fail_the_run(cli: Cli) -> None:
    process = cli.start("run", "flows.py:commanding", "--input", "1")
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert cli.runs()[0]["state"] == "completed"
