"""What the command line says of itself, and of a wrong command line. (A23, A32)"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_kit import Cli
from typer.main import get_command

from quarterdeck.cli.main import app, run_command


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group, as it is typed."""
    command = command or get_command(app)
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_a23_every_help_has_an_example(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example" in shown
    assert " ".join(("quarterdeck", *path)) in shown.partition("Example")[2] or not path


def test_a1_a22_the_promised_commands_and_options_exist() -> None:
    known = {" ".join(p) for p in commands()}
    wanted = "review run agent resume cancel runs show trace logs doctor init gc version demo"
    assert set(wanted.split()) <= known
    assert {"approvals list", "approvals show", "approvals approve", "approvals deny", "findings list", "findings dismiss"} <= known
    assert {"report verify", "audit verify", "models check", "models list", "policy show", "config show"} <= known
    review = {o for p in get_command(app).commands["review"].params for o in p.opts}  # type: ignore[attr-defined]
    assert {"--repo", "--base", "--head", "--model", "--out", "--policy", "--budget", "--fail-on", "--event", "--json", "--quiet"} <= review


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["reveiw"], "review"), (["approvals", "aprove"], "approve"), (["review", "--bse", "main"], "--base"),
        (["review", "--fail-on", "hihg"], "'high'"), (["runs", "--state", "waitin"], "'waiting'"),
    ],
)  # fmt: skip
def test_a23_did_you_mean(words: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(words) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert "Did you mean" in said.err
    assert meant in said.err.partition("Did you mean")[2]
    assert not said.out


def test_a23_a_wrong_command_line_is_a_document_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["review", "--fail-on", "hihg", "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["hint"] == "Did you mean 'high'?"
    assert not said.err


def test_a_group_alone_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["approvals"]) == 2
    assert "deny" in capsys.readouterr().out


def test_a_defect_is_one_line_and_a_file(own_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("out of cheese")

    monkeypatch.setattr("quarterdeck.config.load_config", broken)
    assert run_command(["config", "show"]) == 2
    said = capsys.readouterr().err
    assert "Unexpected RuntimeError: out of cheese" in said
    assert "Traceback" not in said
    [file] = (own_home / "crash").iterdir()
    assert str(file) in said
    assert "out of cheese" in file.read_text()


def test_a23_shell_completion_knows_the_commands(cli: Cli) -> None:
    found = cli.run(env={"_QUARTERDECK_COMPLETE": "complete_bash", "COMP_WORDS": "quarterdeck rev", "COMP_CWORD": "1"}, code=None)
    assert "review" in found.out
    for shell in ("bash", "zsh", "fish"):
        assert "_QUARTERDECK_COMPLETE" in cli.run("completion", shell).out


def test_version_names_the_package(cli: Cli) -> None:
    from quarterdeck import __version__

    assert __version__ in cli.run("version").out
    assert cli.run("version", "--json").document["version"] == __version__
