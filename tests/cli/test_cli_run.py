"""`quarterdeck run`: everybody's own workflow, driven from a terminal. (A12, A17, A22, A23)"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_kit import Cli

from quarterdeck.testing import ScriptedModel, text

DOCUMENT = {
    "schema", "run", "name", "kind", "state", "created", "exit_code", "result", "error", "waiting", "waits_for", "resume", "cost_usd",
    "tokens", "decisions", "commands", "seconds",
}  # fmt: skip


def test_a22_a_workflow_runs_and_its_result_is_on_stdout(cli: Cli) -> None:
    ran = cli.run("run", "flows.py:hello", "--input", '"you"')
    assert ran.out == "hello you\n"
    assert "quarterdeck trace run_" in ran.err


def test_a22_input_from_a_file_and_a_name_with_an_underscore(cli: Cli) -> None:
    (cli.folder / "in.json").write_text('"file"')
    assert cli.quick("run", "flows.py:hello", "--input", "@in.json", "--quiet").out == "hello file\n"
    assert cli.quick("run", cli.folder / "flows.py:hello", "--quiet").err == ""


def test_a23_progress_is_a_line_per_stage_on_stderr_and_nothing_is_coloured_in_a_pipe(cli: Cli) -> None:
    ran = cli.run("run", "flows.py:stages", env={"TERM": "xterm-256color", "NO_COLOR": ""})
    assert [line.split()[1] for line in ran.err.splitlines() if line.startswith("✓")] == ["first", "second"]
    assert json.loads(ran.out) == {"words": ["one", "two"]}
    assert "\x1b" not in ran.out + ran.err


def test_a23_json_is_one_stable_document(cli: Cli) -> None:
    document = cli.run("run", "flows.py:stages", "--json").document
    assert document.keys() == DOCUMENT
    assert document["schema"] == "quarterdeck.run/1"
    assert (document["state"], document["exit_code"], document["created"]) == ("completed", 0, True)
    assert document["decisions"] == {"allow": 2, "deny": 0, "ask": 0}
    failed = cli.quick("run", "flows.py:failing", "--json", code=2).document
    assert failed.keys() == DOCUMENT
    assert failed["error"] == {"type": "ActionFailed", "message": "no luck", "hint": ""}


def test_a12_a_failing_workflow_exits_2_and_says_why(cli: Cli) -> None:
    ran = cli.quick("run", "flows.py:failing", code=2)
    assert "no luck" in ran.err
    assert "quarterdeck trace run_" in ran.err
    assert ran.out == ""
    assert "no luck" in cli.quick("show", cli.runs()[0]["id"]).out


def test_a12_a17_a_question_exits_3_and_an_answer_from_another_process_resumes(cli: Cli) -> None:
    waits = cli.run("run", "flows.py:asking", code=3)
    assert "May it go on?" in waits.out
    command = next(line.removeprefix("approve: ") for line in waits.out.splitlines() if line.startswith("approve: "))
    assert command.startswith("quarterdeck approvals approve appr_")
    # The same command again finds the same run, and still waits.
    again = cli.run("run", "flows.py:asking", "--json", code=3).document
    assert again["created"] is False
    assert again["waiting"][0]["approve"] == command
    assert "amount: 3" in cli.quick("approvals", "list").out
    shown = cli.quick("approvals", "show", command.split()[-1][-10:]).out
    assert command in shown
    assert command in cli.quick("show", again["run"]).out
    answered = cli.run(*command.split()[1:], "--reason", "looked at it")
    assert answered.out == "approve: looked at it\n"
    assert cli.calls() == ["before"]
    assert cli.quick("approvals", "list").err == "Nothing waits for an answer.\n"
    assert "already used" in cli.run(*command.split()[1:], code=2).err or "already approved" in cli.run(*command.split()[1:], code=2).err


def test_a17_a_no_reaches_the_run(cli: Cli) -> None:
    asked = cli.run("run", "flows.py:asking", "--json", code=3).document["waiting"][0]
    ran = cli.run("approvals", "deny", asked["approval"], "--reason", "not today", "--json").document
    assert (ran["state"], ran["result"]) == ("completed", "deny: not today")


def test_a17_an_answer_without_resuming_leaves_the_run_to_somebody_else(cli: Cli) -> None:
    asked = cli.quick("run", "flows.py:asking", "--json", code=3).document
    assert "quarterdeck resume" in cli.quick("approvals", "approve", asked["waiting"][0]["approval"], "--no-resume").err
    assert cli.quick("resume", asked["run"][-8:], "--quiet").out == "approve: \n"


def test_a23_what_is_misspelt_is_named_with_what_was_meant(cli: Cli) -> None:
    assert "Did you mean flows.py:hello?" in cli.quick("run", "flows.py:helo", code=2).err
    assert "flows.py?" in cli.quick("run", "flow.py:hello", code=2).err
    assert "more than one workflow" in cli.quick("run", "flows.py", code=2).err
    assert "is not JSON" in cli.quick("run", "flows.py:hello", "--input", "you", code=2).err
    (cli.folder / "broken.py").write_text("import nothing_of_this_name\n")
    assert "broken.py:1 cannot be imported" in cli.quick("run", "broken.py", code=2).err


def test_a22_the_model_of_a_run_is_checked_before_it_begins(cli: Cli) -> None:
    assert "Did you mean 'openai'?" in cli.quick("run", "flows.py:hello", "--model", "opnai/x", code=2).err
    assert cli.quick("run", "flows.py:hello", "--model", "nobody", "--json", code=2).document["error"]["type"] == "ConfigError"
    assert "There are no runs" in cli.quick("runs", code=None).err or not cli.runs()


def test_a30_a_broken_policy_or_configuration_is_exit_2_and_reading_still_works(cli: Cli) -> None:
    cli.quick("run", "flows.py:hello", "--quiet")
    (cli.folder / "bad.cedar").write_text("permit (")
    said = cli.quick("run", "flows.py:hello", "--policy", "bad.cedar", code=2).err
    assert "bad.cedar" in said
    (cli.home / "quarterdeck.toml").write_text("bugdet_usd = 3\n")
    assert "budget_usd" in cli.quick("run", "flows.py:hello", code=2).err
    assert [r["state"] for r in cli.runs()] == ["completed"]
    assert "hello" in cli.quick("trace", cli.runs()[0]["id"]).out


def test_a17_a_policy_of_ones_own_is_kept_for_whoever_answers(cli: Cli) -> None:
    """An answer is bound to the policy that asked: the process that answers uses the one of the run, without being told."""
    text = cli.quick("policy", "show", "--text").out
    ask = (
        '@id("mine") @reason("steps need a yes") @obligation("approval:maintainer") forbid (principal, action == Action::"tool.call", '
        'resource in Zone::"steps") unless { context has approval && ["maintainer", "owner"].contains(context.approval.role) };'
    )
    (cli.folder / "mine.cedar").write_text(f"{text}\n{ask}\n")
    asked = cli.quick("run", "flows.py:stages", "--policy", "mine.cedar", "--json", code=3).document
    first = cli.quick("approvals", "approve", asked["waiting"][0]["approval"], "--json", code=3).document
    assert first["waiting"][0]["approval"] != asked["waiting"][0]["approval"]  # the second stage's own step
    done = cli.quick("approvals", "approve", first["waiting"][0]["approval"], "--json").document
    assert done["result"] == {"words": ["one", "two"]}
    assert done["decisions"]["ask"] == 2
    assert "by user:" in cli.quick("trace", asked["run"]).out


@pytest.mark.parametrize("moved", [True, False])
def test_a15_code_that_moved_is_named_with_file(cli: Cli, moved: bool, tmp_path: Path) -> None:
    asked = cli.quick("run", "flows.py:asking", "--json", code=3).document
    (cli.folder / "flows.py").rename(cli.folder / "other.py")
    answer = ("approvals", "approve", asked["waiting"][0]["approval"])
    if moved:
        assert "is not resumed here" in cli.quick(*answer).err
        assert cli.quick("resume", asked["run"], "--file", "other.py", "--quiet").out == "approve: \n"
    else:
        assert "There is no file" in cli.quick("resume", asked["run"], code=2).err
        assert cli.quick("cancel", asked["run"], "--reason", "gone").out.endswith("cancelled.\n")
        assert cli.runs()[0]["state"] == "cancelled"


def test_a15_changed_code_parks_the_run_and_the_old_code_goes_on(cli: Cli) -> None:
    asked = cli.quick("run", "flows.py:asking", "--json", code=3).document
    flows = cli.folder / "flows.py"
    flows.write_text(flows.read_text().replace('note, "before")\n    answer', 'note, "other")\n    answer'))
    parked = cli.quick("approvals", "approve", asked["waiting"][0]["approval"], "--json", code=2).document
    assert parked["waits_for"].startswith("nondeterministic: before")
    flows.write_text(flows.read_text().replace('note, "other")\n    answer', 'note, "before")\n    answer'))
    assert cli.quick("resume", asked["run"], "--quiet").out == "approve: \n"
    assert cli.calls() == ["before"]


def test_a_run_whose_model_is_gone_waits_for_it(cli: Cli) -> None:
    """What cannot be decided here is not failed: it is said, kept, and goes on when the configuration is mended."""
    (cli.folder / "thinking.py").write_text(
        "from quarterdeck import workflow\n\n\n@workflow\nasync def think(ctx):\n"
        "    return (await ctx.agent('say hello', model='gone/m', tools=())).text\n"
    )
    stuck = cli.quick("run", "thinking.py", "--json", code=2).document
    assert "There is no provider 'gone'" in stuck["waits_for"]
    with ScriptedModel([text("hello")]) as server:
        (cli.home / "quarterdeck.toml").write_text(f'[providers.gone]\nprotocol = "chat"\nbase_url = "{server.base_url}"\nlocal = true\n')
        assert cli.quick("resume", stuck["run"], "--quiet").out == "hello\n"


def test_a23_what_a_repository_says_cannot_steer_the_terminal(cli: Cli) -> None:
    escape = "\x1b]0;owned\x07\x1b[2J\u202e"
    ran = cli.quick("run", "flows.py:hello", "--input", json.dumps(escape), "--quiet")
    assert ran.out.startswith("hello \N{REPLACEMENT CHARACTER}")
    assert not {"\x1b", "\x07", "\u202e"} & set(ran.out + cli.quick("logs", cli.runs()[0]["id"]).out)


def test_a23_a_run_is_named_by_a_part_of_its_id_and_a_slip_is_answered_with_the_right_one(cli: Cli) -> None:
    cli.quick("run", "flows.py:hello", "--quiet")
    run = cli.runs()[0]["id"]
    assert run in cli.quick("show", run[-6:]).out
    slip = run[:-1] + ("0" if run[-1] != "0" else "1")
    assert f"Did you mean {run}?" in cli.quick("show", slip, code=2).err
