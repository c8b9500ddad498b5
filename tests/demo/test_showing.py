"""The demo is played whole and scene by scene, as a person does it, and its figures are held against the log and the report (A27, A28)."""

from __future__ import annotations

import faulthandler
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from quarterdeck import Runtime
from quarterdeck.demo.scenes import SCENES, agent, attack, main, play, review, show, tamper
from quarterdeck.protocol.errors import BadInput
from quarterdeck.store.sqlite import copy_database
from quarterdeck.testing import Reply, ScriptedModel

SCENE_LINES = 6


def demo_command(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One of our commands as a person starts it."""
    argv = [str(Path(sys.executable).parent / "quarterdeck"), *words, "--home", str(home)]
    return subprocess.run(argv, env=os.environ, capture_output=True, text=True, timeout=400, check=False)


def demo(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return demo_command(home, "demo", *words)


def blocks(out: str) -> dict[str, list[str]]:
    """The printed scenes by name."""
    parts = [part.splitlines() for part in out.split("\n\n")]
    return {part[0].partition(":")[0]: part for part in parts if part and part[0].partition(":")[0] in SCENES}


def check_scene(name: str, lines: Sequence[str]) -> None:
    """At most six lines, the last of which is the command that plays it again; and what this scene must have shown."""
    text = "\n".join(lines)
    assert len(lines) <= SCENE_LINES, text
    assert f"demo --scene {name} --seed " in lines[-1], text
    must = {
        "attack": ["read a file outside: blocked", "connect to the host: blocked", "canary.txt: untouched", "was reached 0 times"],
        "agent": ["SCRIPTED, no LLM", "1 failed", "changed src/harbor/", " -> "],
        "kill": ["SIGKILL", "finished steps re-run: 0", "unrepeatable command: done, collected from the shim", "begun 1 time"],
        "ask": ["exit code 3", "tickets sent: 0", "run completed, tickets sent: 1"],
        "tamper": ["whole:", " became ", "exit code 1: run_"],
    }
    for words in must[name]:
        assert words in text, f"{words!r} is missing in: {text}"


def number(pattern: str, out: str) -> tuple[int, ...]:
    found = re.search(pattern, out)
    assert found, f"{pattern} in: {out}"
    return tuple(int(group) for group in found.groups())


async def in_the_log(home: Path) -> dict[str, int]:
    """Decisions of every run of this HOME, counted anew."""
    counts = {"allow": 0, "deny": 0, "ask": 0}
    async with Runtime(home) as runtime:
        for run in await runtime.store.runs(limit=10_000):
            for record in await runtime.store.records(run.id):
                if record.kind == "action.requested":
                    counts[record.body["decision"]["effect"]] += 1
    return counts


async def test_a27_a28_the_whole_demo(tmp_path: Path) -> None:
    """From a fresh HOME: the review, the five scenes, and figures that the report and the log bear out."""
    done = demo(tmp_path, "--seed", "5")
    out = done.stdout
    assert done.returncode == 0, out + done.stderr
    assert out.splitlines()[0].startswith("Quarterdeck's demo, seed 5")
    assert "\x1b" not in out
    scenes = blocks(out)
    assert list(scenes) == list(SCENES)
    for name, lines in scenes.items():
        check_scene(name, lines)

    reports = re.findall(r"report: (\S+)/report\.html", out)
    assert len(set(reports)) == 1
    report = json.loads((Path(reports[0]) / "report.json").read_text("utf-8"))
    seeded, found, false = number(r"findings: seeded (\d+), found (\d+), false (\d+)", out)
    table = out.partition("reported as")[2].partition("\n  report:")[0].strip().splitlines()
    assert [line for line in table if line.startswith("  not checked")] == [
        f"  not checked, for the reasons in the report: {', '.join(dict.fromkeys(one['what'] for one in report['not_checked']))}"
    ] * bool(report["not_checked"])
    table = [line for line in table if not line.startswith("  not checked")]
    assert seeded == len([line for line in table if not line.startswith("  false")])
    assert (seeded, found, false) == (7, 7, 0)  # this seed plants a fault of every kind
    named = " ".join(table)
    assert all(finding["rule"] in named for finding in report["findings"])
    assert all(test["id"] in named for test in report["tests"]["newly_failing"])

    steps = {step["name"]: step["seconds"] for step in report["run"]["steps"] if step["state"] == "done"}
    printed = dict(re.findall(r"(\w+) (\d+\.\d)[,;]", re.search(r"^seconds: .*$", out, re.M)[0]))  # type: ignore[index]
    assert {name: pytest.approx(seconds, abs=0.06) for name, seconds in steps.items()} == {n: float(printed[n]) for n in steps}
    allow, deny, ask = number(r"decisions: allow (\d+), deny (\d+), ask (\d+)", out)
    assert {"allow": allow, "deny": deny, "ask": ask} == await in_the_log(tmp_path)
    assert allow > 60
    assert ask == 1
    own, inside = number(r"peak memory: this process (\d+) MB, the largest command in the sandbox (\d+) MB", out)
    assert min(own, inside) >= 10
    assert "cost: 0.0000 USD" in out
    following = out.partition("next:\n")[2].splitlines()
    assert len(following) == 3


@pytest.mark.parametrize("name", ["kill", "ask", "tamper", *(pytest.param(n, marks=pytest.mark.slow) for n in ("attack", "agent"))])
def test_a27_each_scene_alone(tmp_path: Path, name: str) -> None:
    done = demo(tmp_path, "--scene", name, "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    check_scene(name, blocks(done.stdout)[name])
    assert list(blocks(done.stdout)) == [name]


def test_a27_the_printed_command_plays_the_scene_again(tmp_path: Path) -> None:
    first = demo(tmp_path, "--scene", "tamper").stdout
    command = first.rpartition("again: ")[2].strip()
    again = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=200, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert [re.sub(r"[0-9a-f]{32}|byte \d+", "", line) for line in again.stdout.splitlines()] == [
        re.sub(r"[0-9a-f]{32}|byte \d+", "", line) for line in first.splitlines()
    ]


def test_a28_the_first_line_comes_at_once(tmp_path: Path) -> None:
    """Within 2 s; the best of three, since other tests share the machine."""
    argv = [str(Path(sys.executable).parent / "quarterdeck"), "demo", "--home", str(tmp_path)]
    took = []
    for _ in range(3):
        began = time.monotonic()
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            took.append(time.monotonic() - began)
            process.kill()
        assert line.startswith("Quarterdeck's demo")
    assert min(took) < 2


def test_a_scene_that_fails_is_named_and_the_exit_code_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(show.Show, "argv", lambda self, *words: (sys.executable, "-c", "raise SystemExit('no such thing')"))
    assert main(tmp_path, 1, "", "ask") == 1
    out = capsys.readouterr().out
    assert "FAILED: A run that waits must end its process with 3" in out
    assert "no such thing" in out
    assert out.rstrip().endswith("failed: ask")


def test_an_attack_that_gets_through_fails_the_scene() -> None:
    blocked = [("read a file outside", "blocked (X)")]
    attack._check(blocked, True, 0)
    for printed, whole, reached in (
        ([], True, 0),
        ([("read a file outside", "got through")], True, 0),
        (blocked, False, 0),
        (blocked, True, 1),
    ):
        with pytest.raises(show.SceneFailed):
            attack._check(printed, whole, reached)


async def test_a27_exactly_one_byte_of_the_copy_is_changed(tmp_path: Path) -> None:
    """Of two runs that ended alike, only the named one no longer verifies."""
    copy = tmp_path / "copied.db"
    async with Runtime(tmp_path) as runtime:
        runs = []
        for _ in range(2):
            run, _created = await runtime.start(tamper.verdict)
            await runtime.drive(run)
            runs.append(run)
        rows = await runtime.store.audit_rows(runs[1])
    copy_database(tmp_path / "quarterdeck.db", copy)
    before = copy.read_bytes()
    change = tamper._tamper(copy, runs[1], rows)
    after = copy.read_bytes()
    assert [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new] == [change.offset]
    verified = [demo_command(tmp_path, "audit", "verify", run, "--database", str(copy)) for run in runs]
    assert [done.returncode for done in verified] == [0, 1]
    assert f"leaf {change.seq}" in verified[1].stdout


def test_a_scene_with_a_bug_of_its_own_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(one: show.Show) -> list[str]:
        raise OSError("disk on fire")

    async def fine(one: show.Show) -> list[str]:
        return ["all is well"]

    async def long(one: show.Show) -> list[str]:
        return ["line"] * SCENE_LINES

    monkeypatch.setattr(attack, "play", broken)
    monkeypatch.setattr(agent, "play", fine)
    monkeypatch.setattr(tamper, "play", long)
    monkeypatch.setattr(play, "SCENES", ("attack", "agent", "tamper"))
    monkeypatch.setattr(review, "play", broken)
    assert main(tmp_path, 1, "") == 1
    out = capsys.readouterr().out
    assert out.count("FAILED: OSError: disk on fire") == 2
    assert "all is well" in out
    assert "lines, and 6 are allowed" in out
    assert out.rstrip().endswith("failed: review, attack, tamper")


def test_an_unknown_scene_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no scene 'juggling'"):
        main(tmp_path, 1, "", "juggling")


def test_old_showings_go_and_recent_ones_stay(tmp_path: Path) -> None:
    folders = [show.open_show(tmp_path, seed, "").folder for seed in range(6)]
    left = sorted(path.name for path in (tmp_path / "shows").iterdir())
    assert len(left) == show.KEPT + 1
    assert folders[-1].name in left


@pytest.mark.slow
def test_a28_a_real_model_is_named_in_the_banner(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DEMO_MODEL's provider comes from the user's own quarterdeck.toml; one that only talks is shown as having repaired nothing."""

    def talker(body: dict[str, Any]) -> Reply:
        return Reply(text="I would rather not.")

    with ScriptedModel(talker) as server:
        own_home.mkdir(parents=True)
        (own_home / "quarterdeck.toml").write_text(f'[providers.mine]\nprotocol = "chat"\nbase_url = "{server.base_url}"\nlocal = true\n')
        assert main(tmp_path, 1, "mine/m", "agent") == 0
    out = capsys.readouterr().out
    assert "agent: mine/m, a real model, repairs a failing test" in out
    assert "changed nothing" in out
    assert "run by the workflow and not by the agent: 1 failed" in out
    assert server.requests
    assert agent.title(show.Show(tmp_path, tmp_path, 1)).startswith("SCRIPTED, no LLM")


@pytest.mark.slow
async def test_a28_precision_and_recall_over_twenty_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty whole reviews. Nothing is missed and nothing is made up."""
    faulthandler.cancel_dump_traceback_later()  # pytest's own alarm: this test rightly takes minutes
    monkeypatch.setattr(show.Show, "say", lambda self, text="": None)
    seeded = found = true = false = 0
    wrong: list[str] = []
    for seed in range(20):
        judged = (await review.play(show.open_show(tmp_path, seed, ""))).score
        seeded, found = seeded + judged.seeded, found + judged.found
        true, false = true + judged.true, false + len(judged.false)
        wrong += [f"seed {seed} missed {fault}" for fault, hits in judged.matches if not hits]
        wrong += [f"seed {seed} false {one}" for one in judged.false]
    print(f"20 seeds: seeded {seeded}, found {found}, false {false}; precision {true / (true + false):.3f}, recall {found / seeded:.3f}")
    assert not wrong, "\n".join(wrong)
    assert seeded >= 80
