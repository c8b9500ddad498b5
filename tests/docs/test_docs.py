"""README and docs/ say what is so: commands and examples run, links lead somewhere, nothing is left out (A26)."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from docs_kit import BIN, PAGES, ROOT, Block, World, answers, blocks, mentions, prose
from typer.main import get_command

from quarterdeck.cli.main import app
from quarterdeck.config import SETTINGS, load_config
from quarterdeck.demo.catalogue import build
from quarterdeck.models import prices_from, providers_from
from quarterdeck.testing import ScriptedModel
from quarterdeck.workflows.review.settings import parse_settings

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
TEST_PATH = re.compile(r"`((?:tests/)?[a-z_]+/(?:[a-z_]+\.py)?)`")

NOT_RUN = {
    r"make (demo|test|lint|test-all|bench)": "targets of the Makefile (checked to exist); CI and tests/demo run what is behind them",
    r"(python3 -m venv|\S*pip (install|uninstall)) .*": "tests/foundation/test_wheel.py installs, upgrades and uninstalls the wheel",
    r"\S+/quarterdeck/bin/quarterdeck doctor": "the same command as `quarterdeck doctor`, by the path of an installation",
    r"sudo .*": "changes the machine",
    r"\S*python bench/.*": "measures for a while; the same program is behind `make bench`",
    r"docker run .*": "there is no Docker where this was developed",
    r"rm -rf .*": "removes an installation",
}
CODES = {
    r"quarterdeck review --policy ask": (3,),  # it asks before the report is handed in
    r".*quarterdeck review.*": (1,),  # the change of the world has a finding that blocks
    r"quarterdeck run examples/ask\.py": (3,),
    r"quarterdeck resume .*": (3,),  # it waits for a person still
}
DEFAULT_CODES = (0,)


def reason_not_to_run(command: str) -> str:
    return next((reason for pattern, reason in NOT_RUN.items() if re.fullmatch(pattern, command)), "")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ScriptedModel(answers) as server:
        yield World(tmp_path, server.base_url)
        assert server.errors == []


def test_every_command_of_the_pages_runs(world: World) -> None:
    """In the order of the pages, each once; all that fail are named."""
    wrong, done = [], set[str]()
    for block in blocks("console"):
        assert block.commands, f"{block}: a console block without a command"
        for command in block.commands:
            if command in done or reason_not_to_run(command):
                continue
            done.add(command)
            env = {"QUARTERDECK_HOME": str(world.home.parent / "fresh")} if command == "quarterdeck init" else {}
            ran = world.run(world.filled(command), **env)
            if command.endswith("--policy ask"):  # else the next review of these commits would go on with this one, which waits
                world.run(world.filled("quarterdeck cancel WAITING"))
            codes = next((codes for pattern, codes in CODES.items() if re.fullmatch(pattern, command)), DEFAULT_CODES)
            if ran.returncode not in codes:
                wrong.append(f"{block}: `{command}` ended with {ran.returncode}\n{ran.stdout[-800:]}{ran.stderr[-800:]}")
    assert not wrong, "\n\n".join(wrong)
    assert len(done) > 30


def test_every_reason_not_to_run_a_command_is_needed() -> None:
    shown = [command for block in blocks("console") for command in block.commands]
    idle = [pattern for pattern in NOT_RUN if not any(re.fullmatch(pattern, command) for command in shown)]
    assert not idle


def test_make_targets_exist() -> None:
    shown = {c.split()[1] for block in blocks("console") for c in block.commands if c.startswith("make ")}
    assert shown <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_examples_run(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = compile("\n" * block.line + block.text, str(ROOT / block.page), "exec")
    exec(code, {"__name__": f"example_{block.line}"})


def test_settings_of_a_repository_are_as_shown() -> None:
    [shown] = [b for b in blocks("toml") if b.page == "docs/review.md"]
    settings, notes = parse_settings(shown.text.encode())
    assert notes == ()
    assert (settings.fail_on, settings.test_timeout_s, settings.max_complexity) == ("medium", 900, 15)


def test_providers_and_prices_are_as_shown(tmp_path: Path) -> None:
    [shown] = [b for b in blocks("toml") if b.page == "docs/models.md"]
    (tmp_path / "quarterdeck.toml").write_text(shown.text)
    tables = load_config(tmp_path).tables
    assert providers_from(tables["providers"])["mine"].local
    assert prices_from(tables["prices"])["mine/NAME"].output == 2_000_000


def test_the_table_of_providers_is_that_of_the_code() -> None:
    page = (ROOT / "docs/models.md").read_text("utf-8")
    for one in providers_from({}).values():
        key = f"`{one.api_key_env}`" if one.api_key_env else "none"
        assert f"| `{one.name}` | {one.protocol} | `{one.base_url}` | {key} | {'0' if one.local else 'list price'} |" in page


def test_the_table_of_settings_is_that_of_the_code() -> None:
    import json

    page = (ROOT / "docs/operations.md").read_text("utf-8")
    rows = re.findall(r"^\| `([a-z_.]+)` \| `(.*?)` \| `(QUARTERDECK_\w+)` \| (.*) \|$", page, re.M)
    assert rows == [(name, json.dumps(s.default), s.env, s.help) for name, s in SETTINGS.items()]


def test_the_review_settings_are_all_described() -> None:
    from quarterdeck.workflows.review.settings import _CHECKS

    page = (ROOT / "docs/review.md").read_text("utf-8")
    assert re.findall(r"^\| `([a-z_]+)` \| (?:`|[0-9a-z])", page, re.M) == list(_CHECKS)


def test_the_packaged_policies_are_all_described() -> None:
    from quarterdeck.policy import load_bundle

    page = (ROOT / "docs/policy.md").read_text("utf-8")
    section = page.split("## The default bundle")[1].split("\n## ")[0]
    named = {name for row in section.splitlines() if row.startswith("| `") for name in re.findall(r"`([a-z.-]+)`", row.split("|")[1])}
    assert named == {policy.id for policy in load_bundle().policies}


def test_the_workflow_api_is_all_described() -> None:
    from quarterdeck.workflows import Context

    page = (ROOT / "docs/writing-workflows.md").read_text("utf-8")
    public = [name for name, value in vars(Context).items() if not name.startswith("_") and callable(value)]
    assert [name for name in public if f"ctx.{name}(" not in page] == []


def test_the_github_workflow_parses() -> None:
    [shown] = blocks("yaml")
    assert "review" in yaml.safe_load(shown.text)["jobs"]
    assert "**Untested.**" in (ROOT / shown.page).read_text("utf-8")


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in LINK.findall(prose(page)):
            if target.startswith(("http://", "https://")):
                continue
            path, _, anchor = target.partition("#")
            goal = (page.parent / path).resolve() if path else page
            if not goal.exists() or (anchor and anchor not in anchors(goal)):
                broken.append(f"{page.name}: {target}")
    assert not broken


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text("utf-8")))
    assert [page.name for page in PAGES[1:] if f"docs/{page.name}" not in linked] == []


def anchors(page: Path) -> set[str]:
    """GitHub's names of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_tests_that_the_pages_name_exist() -> None:
    wrong = []
    for name in ("threat-model.md", "testing.md"):
        for path in TEST_PATH.findall((ROOT / "docs" / name).read_text("utf-8")):
            if not (ROOT / path).exists() and not (ROOT / "tests" / path).exists():
                wrong.append(f"{name}: {path}")
    assert not wrong


def test_folders_that_the_pages_name_exist() -> None:
    """Paths in the vocabulary and in README's stack are those of the source."""
    page = (ROOT / "docs/vocabulary.md").read_text("utf-8")
    paths = {
        path
        for row in re.findall(r"^\|.*\|(.*)\|$", page, re.M)
        for path in re.findall(r"`([a-z_/.]+(?:\.py|/|\.cedar|\.cedarschema))`", row)
    }
    stack = re.findall(r"`([a-z_/]+/)`", (ROOT / "README.md").read_text("utf-8").split("## The stack")[1].split("\n## ")[0])
    paths |= {path for path in stack if path != "src/quarterdeck/"}
    assert len(paths) > 30
    assert [path for path in sorted(paths) if not (ROOT / "src/quarterdeck" / path).exists()] == []


def test_the_picture_is_small() -> None:
    assert (ROOT / "docs/report.png").stat().st_size <= 300_000


# --- every command line that is mentioned exists, and every command is mentioned


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        if hasattr(inner, "commands"):
            yield from leaves(inner, (*path, name))
        elif not inner.hidden:
            yield (*path, name), inner


def test_every_command_is_documented() -> None:
    shown = "\n".join(page.read_text("utf-8") for page in PAGES)
    missing = [" ".join(path) for path, _ in leaves(get_command(app)) if f"quarterdeck {' '.join(path)}" not in shown]
    missing = [name for name in missing if f"`{name} " not in shown and f"`{name}`" not in shown]
    assert not missing


def test_every_mentioned_command_and_option_exists() -> None:
    known = dict(leaves(get_command(app)))
    groups = {path[:1] for path in known if len(path) == 2}
    wrong = []
    for page, command in mentions():
        if any(char in command for char in "|…") or "..." in command:
            command = re.split(r"\.\.\.|…|\|", command)[0]
        words = shlex.split(re.split(r" [>&<]|\d?>>?", command)[0])[1:]
        names = [word for word in words if not word.startswith("-")]
        if not names:
            continue
        path = tuple(names[:2]) if (names[0],) in groups else tuple(names[:1])
        if path not in known:
            if path not in groups:
                wrong.append(f"{page}: `{command}`: no such command")
            continue
        options = {name for option in known[path].params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
        wrong += [
            f"{page}: `{command}`: no option {word}" for word in words if word.startswith("--") and word.partition("=")[0] not in options
        ]
    assert not wrong


@pytest.mark.slow
def test_the_readmes_way_on_the_demos_repository(tmp_path: Path, own_home: Path) -> None:
    """With a Python suite, whose environments take their time: review, verify, trace, audit."""
    seeded = build(tmp_path / "harbor", 7)

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run([BIN / "quarterdeck", *words], cwd=seeded.repo, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout + done.stderr

    code, said = run("review")
    assert code == 1, said
    assert "1 newly failing test and 4 findings at or above high" in said
    [report] = (own_home / "runs").glob("*/report")
    assert run("report", "verify", str(report))[0] == 0
    assert "tests" in run("trace", report.parent.name)[1]
    assert run("audit", "verify")[0] == 0
