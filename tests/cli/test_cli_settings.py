"""doctor, init, config show, policy show: what a person asks before anything runs. (A16, A23)"""

from __future__ import annotations

import tomllib

from cli_kit import Cli

from quarterdeck.cli.commands.settings import template
from quarterdeck.config import SETTINGS


def test_a16_doctor_says_mode_limits_and_every_fix(cli: Cli) -> None:
    found = cli.quick("doctor", "--json", code=None).document
    checks = {c["what"]: c for c in found["checks"]}
    assert {"python", "sandbox", "git", "pip", "analyzers", "home", "policy", "models"} <= checks.keys()
    assert found["ok"] == all(c["state"] != "bad" for c in found["checks"])
    if checks["sandbox"]["state"] == "ok":
        assert {f"limit {name}" for name in ("memory", "pids", "cpu", "disk", "time", "files")} <= checks.keys()
    assert all(c["fix"] for c in found["checks"] if c["state"] == "bad")


def test_a16_doctor_exits_2_and_names_the_package_when_a_tool_is_missing(cli: Cli) -> None:
    (cli.folder / "bin").mkdir()
    ran = cli.quick("doctor", env={"PATH": str(cli.folder / "bin")}, code=2)
    assert "fix: sudo apt-get install git" in ran.out
    assert "not ready: " in ran.out


def test_a16_doctor_reports_a_home_that_cannot_be_written(cli: Cli) -> None:
    cli.home.write_text("a file")
    ran = cli.quick("doctor", code=2)
    assert "cannot be written" in ran.out
    assert "--home" in ran.out


def test_a23_init_writes_every_setting_commented_and_never_overwrites(cli: Cli) -> None:
    path = cli.home / "quarterdeck.toml"
    assert str(path) in cli.quick("init").out
    assert tomllib.loads(path.read_text()) == {}
    path.write_text("budget_usd = 3.5\n")
    assert "exists already" in cli.quick("init", code=2).err
    assert path.read_text() == "budget_usd = 3.5\n"


def test_a23_the_template_is_valid_when_its_comments_are_taken_away() -> None:
    lines = [
        line.removeprefix("# ") for line in template().splitlines() if line.startswith("# ") and ("=" in line or line.startswith("# ["))
    ]
    settings = tomllib.loads("\n".join(line for line in lines if "$" not in line))
    named = {k for k in settings if k in SETTINGS} | {f"sandbox.{k}" for k in settings["sandbox"]}
    assert named == SETTINGS.keys()
    assert settings["providers"]["mine"]["protocol"] == "chat"


def test_a23_config_show_names_where_each_value_comes_from(cli: Cli) -> None:
    cli.home.mkdir()
    (cli.home / "quarterdeck.toml").write_text("budget_usd = 3.5\n[sandbox]\npids = 99\n")
    found = {s["name"]: s for s in cli.quick("config", "show", "--json", env={"QUARTERDECK_MODEL": "ollama/x"}).document["settings"]}
    assert found["budget_usd"]["value"] == 3.5
    assert found["budget_usd"]["origin"] == f"file ({cli.home / 'quarterdeck.toml'})"
    assert found["sandbox.pids"]["value"] == 99
    assert found["model"]["origin"] == "environment (QUARTERDECK_MODEL)"
    assert found["lease_s"]["origin"] == "default"


def test_home_before_or_after_the_command_and_named_in_what_it_prints(cli: Cli) -> None:
    other = cli.folder / "other home"
    asked = cli.run("--home", other, "run", "flows.py:asking", code=3)
    assert f"--home '{other}'" in asked.out
    assert cli.quick("runs", "--home", other, "--json").document["runs"][0]["state"] == "waiting"
    assert not (cli.home / "quarterdeck.db").exists()
    assert other.stat().st_mode & 0o077 == 0  # nobody else's business


def test_reading_creates_nothing(cli: Cli) -> None:
    for words in (["runs"], ["audit", "verify"], ["approvals", "list"], ["show", "x"], ["gc"]):
        assert "There are no runs" in cli.quick(*words, code=2).err
    assert not cli.home.exists()


def test_policy_show_names_every_policy(cli: Cli) -> None:
    found = cli.quick("policy", "show", "--json").document
    assert "shell.risky" in {p["id"] for p in found["policies"]}
    (cli.folder / "own.cedar").write_text('@id("all") @reason("everything") permit (principal, action, resource);')
    assert "own" in cli.quick("policy", "show", "--policy", "own.cedar").out
