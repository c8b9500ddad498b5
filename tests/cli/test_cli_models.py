"""`quarterdeck agent` and `models`, with the scripted server: a real HTTP server that answers as a model would. (A18, A20, A22)"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cli_kit import Cli

from quarterdeck.testing import ScriptedModel, call, fail, text

SHOP = "def price(net):\n    return net * 3\n"


@pytest.fixture
def repo(cli: Cli) -> Path:
    folder = cli.folder / "shop"
    folder.mkdir()
    (folder / "shop.py").write_text(SHOP)
    (folder / ".gitattributes").write_text("* text=auto eol=crlf\n")
    for words in (["init", "-qb", "main"], ["add", "-A"], ["commit", "-qm", "Sell things"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    return folder


def serve(cli: Cli, server: ScriptedModel, *, local: bool = True) -> None:
    """Name the server as the provider `scripted`."""
    cli.home.mkdir(exist_ok=True)
    price = "" if local else '[prices."scripted/m"]\ninput = 1\ncached = 1\noutput = 1\n'
    (cli.home / "quarterdeck.toml").write_text(
        f'[providers.scripted]\nprotocol = "chat"\nbase_url = "{server.base_url}"\nlocal = {str(local).lower()}\n{price}'
    )


def test_a22_an_agent_hands_back_a_patch_and_touches_nothing(cli: Cli, repo: Path) -> None:
    script = [
        call("shell", command="python3 -c \"from shop import price; print(price(2))\"; sed -i 's/\\* 3/* 2/' shop.py; echo new > new.txt"),
        text("The factor was wrong."),
    ]  # fmt: skip
    with ScriptedModel(script) as server:
        serve(cli, server)
        ran = cli.run("agent", "mend the price", "--repo", repo, "--model", "scripted/m", "--json")
    result = ran.document["result"]
    assert (result["text"], result["finish"], sorted(result["files"])) == ("The factor was wrong.", "done", ["new.txt", "shop.py"])
    assert (repo / "shop.py").read_text() == SHOP
    subprocess.run(["git", "apply", "--check", result["patch"]], cwd=repo, check=True)
    subprocess.run(["git", "apply", result["patch"]], cwd=repo, check=True)
    assert (repo / "shop.py").read_text() == SHOP.replace("3", "2")
    trace = cli.quick("trace", ran.document["run"]).out
    assert "sed -i" in trace
    assert "tokens in" in trace
    assert not list((cli.home / "environments").glob("env_*"))


def test_a22_an_agent_that_is_cut_short_exits_1_with_what_it_has(cli: Cli, repo: Path) -> None:
    with ScriptedModel([call("shell", command="echo x > x.txt"), text("half of it")]) as server:
        serve(cli, server)
        ran = cli.run("agent", "do much", "--repo", repo, "--model", "scripted/m", "--max-steps", "1", code=1)
    assert "cut short: limit" in ran.out
    assert "changes.patch" in ran.out


def test_a20_a_budget_that_is_too_small_stops_the_agent_before_the_call(cli: Cli, repo: Path) -> None:
    with ScriptedModel([text("never said")]) as server:
        serve(cli, server, local=False)
        ran = cli.run("agent", "do it", "--repo", repo, "--model", "scripted/m", "--budget", "0.000001", code=1)
        assert not server.requests
    assert "cut short: budget" in ran.out


def test_a22_an_agent_needs_a_model_and_a_repository(cli: Cli, repo: Path) -> None:
    assert "An agent needs a model" in cli.quick("agent", "x", "--repo", repo, code=2).err
    assert "not a git repository" in cli.quick("agent", "x", "--repo", cli.folder, "--model", "ollama/x", code=2).err


def test_a18_models_check_says_what_works(cli: Cli) -> None:
    with ScriptedModel([call("report_word", word="lighthouse")]) as server:
        serve(cli, server)
        found = cli.quick("models", "check", "scripted/m", "--json").document
    assert found["ok"]
    assert {c["name"] for c in found["checks"]} >= {"price", "answers", "tool call"}
    assert cli.quick("runs", "--all").out.count("system") == 1


def test_a18_models_check_says_what_does_not(cli: Cli) -> None:
    with ScriptedModel([fail(401)]) as server:
        serve(cli, server)
        ran = cli.quick("models", "check", "scripted/m", code=1)
    assert "✗ answers" in ran.out
    assert "Did you mean 'scripted'?" in cli.quick("models", "check", "scriptd/m", code=2).err


def test_a18_models_list_never_shows_a_key(cli: Cli) -> None:
    ran = cli.quick("models", "list", env={"OPENAI_API_KEY": "sk-very-secret"})
    assert "$OPENAI_API_KEY is set" in ran.out
    assert "very-secret" not in ran.out + ran.err + cli.quick("doctor", env={"OPENAI_API_KEY": "sk-very-secret"}, code=None).out


def test_law_7_a_model_that_is_not_priced_is_refused_before_anything_begins(cli: Cli, repo: Path) -> None:
    with ScriptedModel([text("never said")]) as server:
        serve(cli, server)
        toml = cli.home / "quarterdeck.toml"
        toml.write_text(toml.read_text().replace("local = true", "local = false"))
        assert "price" in cli.quick("agent", "x", "--repo", repo, "--model", "scripted/m", code=2).err
        assert not server.requests


def test_a17_an_agents_risky_write_waits_for_a_person_and_goes_on_in_the_process_that_answers(cli: Cli, repo: Path) -> None:
    """A file that decides what CI runs: the child run asks, the whole tree waits, the answer resumes it."""
    script = [call("write_file", path=".github/workflows/ci.yml", content="on: push\n"), text("written")]
    with ScriptedModel(script) as server:
        serve(cli, server)
        asked = cli.quick("agent", "add ci", "--repo", repo, "--model", "scripted/m", "--json", code=3).document
        [question] = asked["waiting"]
        assert question["run"] != asked["run"]
        assert question["question"]["policies"] == ["file.ci-config"]
        assert not cli.calls()
        done = cli.run("approvals", "approve", question["approval"], "--json").document
    assert done["result"]["files"] == [".github/workflows/ci.yml"]
    assert done["decisions"]["ask"] == 1


def test_a17_a_no_is_read_by_the_agent(cli: Cli, repo: Path) -> None:
    script = [call("write_file", path=".github/workflows/ci.yml", content="on: push\n"), text("I may not, so I stop.")]
    with ScriptedModel(script) as server:
        serve(cli, server)
        asked = cli.quick("agent", "add ci", "--repo", repo, "--model", "scripted/m", "--json", code=3).document
        done = cli.quick("approvals", "deny", asked["waiting"][0]["approval"], "--reason", "not by an agent").out
    assert "I may not, so I stop." in done
    assert "No file was changed." in done
