"""A1-A13, A19: a pull request goes in, an evidence-backed report comes out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from quarterdeck import Runtime
from quarterdeck.config import load_config
from quarterdeck.testing import Reply, call, text
from quarterdeck.workflows.review import prepare, review, scope_of, verify_report

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))
from review_kit import BASE, BROKEN, CALC, build, run_review, settle
from test_agent_runs import scripted

KEY = "AKIA" + "Q3EGRVXM5LTZ7WPB"  # assembled, so that no scanner takes this file for a leak


async def test_a_faulty_change_is_reported_with_evidence(tmp_path: Path, home: Path) -> None:
    repo = build(tmp_path, BASE, {"calc.py": BROKEN, "settings.py": f'"""Settings."""\n\nKEY = "{KEY}"\n'})
    done = await run_review(home, repo)
    assert done.problems == []
    assert done.result["exit_code"] == 1
    assert [t["id"] for t in done.report["tests"]["newly_failing"]] == ["tests.test_calc.Total::test_three"]
    rules = {f["rule"] for f in done.report["findings"]}
    assert any(rule.startswith("secrets/") for rule in rules)
    shown = [p for p in done.folder.iterdir() if p.is_file()] + list((done.folder / "artifacts").glob("*findings*.json"))
    assert KEY not in "".join(p.read_text("utf-8", "replace") for p in shown)  # law 6: no page quotes the secret that it reports
    stages = [r.body["name"] for r in done.records if r.kind == "stage.completed" and "/" not in r.body["name"]]
    assert stages == ["intake", "review", "tests", "conventions", "summary", "documentation", "report"]
    tickets = list((home / "outbox" / "tickets").iterdir())
    assert len(tickets) == done.report["counts"]["tickets"] > 0


async def test_a_clean_change_passes(tmp_path: Path, home: Path) -> None:
    repo = build(tmp_path, BASE, {"calc.py": CALC.replace("sum(values)", "sum(values, 0)")})
    done = await run_review(home, repo)
    assert (done.result["verdict"], done.result["exit_code"]) == ("pass", 0)
    assert done.problems == []
    assert done.report["tests"]["newly_failing"] == []


async def test_configuration_comes_from_the_base(tmp_path: Path, home: Path) -> None:
    """A3: a head that turns its own reviewer off is reviewed all the same, and what the base may not set is refused."""
    base = {**BASE, "quarterdeck.toml": '[review]\nfail_on = "low"\n[providers.x]\nbase_url = "http://evil"\n'}
    head = {"quarterdeck.toml": '[review]\nexclude = ["*"]\ntests = "true"\n', "calc.py": BROKEN}
    done = await run_review(home, build(tmp_path, base, head))
    assert done.report["verdict"]["fail_on"] == "low"
    assert [t["id"] for t in done.report["tests"]["newly_failing"]] == ["tests.test_calc.Total::test_three"]
    assert "[providers]" in json.dumps(done.report)


async def test_a_dismissed_finding_is_not_raised_again(tmp_path: Path, home: Path) -> None:
    repo = build(tmp_path, BASE, {"run.py": '"""Run."""\n\nimport subprocess\n\nsubprocess.run("ls " + input(), shell=True)\n'})
    first = await run_review(home, repo)
    assert first.result["exit_code"] == 1
    async with Runtime(home) as runtime:
        for finding in first.report["findings"]:
            await runtime.dismiss(scope_of(repo), finding["fingerprint"], {"by": runtime.actor, "reason": "known"})
        remembered = await runtime.store.recall("default", scope_of(repo), "finding")
        assert {m.key for m in remembered} >= {f["fingerprint"] for f in first.report["findings"]}
    second = await run_review(home, repo)
    assert second.result["exit_code"] == 0
    assert second.report["counts"]["dismissed"] == len(first.report["findings"])
    assert second.problems == []


async def test_a_model_reviews_with_read_only_tools_and_is_believed_only_on_evidence(tmp_path: Path, home: Path) -> None:
    """A5, A9: a finding whose file, line or quote is not in the diff is dropped and counted."""

    def script(request: dict[str, Any]) -> Reply:
        said = json.dumps(request)
        if "technical summary" in said:
            return text("The total is off by one for lists that are not empty.")
        if '"role": "tool"' not in said:
            return call("read_file", path="/workspace/head/calc.py")
        common = {"severity": "high", "title": "wrong", "message": "adds one too many", "rule": "logic", "help": ""}
        good = {**common, "path": "calc.py", "line": 6, "quote": "return sum(values) + (1 if values else 0)"}
        return text(json.dumps({"findings": [good, {**good, "path": "ghost.py"}, {**good, "quote": "not there at all"}]}))

    repo = build(tmp_path, BASE, {"calc.py": BROKEN})
    with scripted(home, script) as (_, server):
        done = await run_review(home, repo, model="fake/m")
    assert done.problems == []
    kept = json.loads((done.folder / "artifacts/model/findings.json").read_bytes())
    assert (len(kept["findings"]), kept["dropped"]) == (1, 2)
    assert "off by one" in (done.folder / "report.md").read_text()
    assert done.report["run"]["cost_microusd"] > 0
    names = {t["function"]["name"] for r in server.requests for t in r.body.get("tools", [])}
    assert names == {"read_file", "list_files", "search"}


async def test_a_model_that_fails_is_said_and_the_review_goes_on(tmp_path: Path, home: Path) -> None:
    repo = build(tmp_path, BASE, {"calc.py": BROKEN})
    with scripted(home, lambda request: text("no json at all")):
        done = await run_review(home, repo, model="fake/m")
    assert done.result["exit_code"] == 1
    assert "review by a model" in json.dumps(done.report["not_checked"])
    assert done.problems == []


async def test_a_policy_that_asks_parks_the_review_until_a_person_answers(tmp_path: Path, home: Path) -> None:
    """A17: the waiting run is a row; another process answers, and the run goes on where it was."""
    repo = build(tmp_path, BASE, {"calc.py": BROKEN})
    waiting = await run_review(home, repo, flags={"policy": "ask"})
    assert waiting.row.state == "waiting"
    for _ in range(10):
        async with Runtime(config=load_config(home, {"policy": "ask"})) as runtime:
            runtime.register(review)
            for question in await runtime.store.approvals():
                await runtime.answer(question.id, "approve", "fine")
            done = await settle(runtime, waiting.row.id)
        if done.row.state == "completed":
            break
    assert done.problems == []
    assert done.report["run"]["decisions"]["ask"] > 0
    assert len(done.completed("head/tests-head-run")) == 1


async def test_a_locked_down_policy_still_gives_a_report(tmp_path: Path, home: Path) -> None:
    done = await run_review(home, build(tmp_path, BASE, {"calc.py": BROKEN}), flags={"policy": "locked-down"})
    assert done.row.state == "completed"
    assert done.problems == []
    assert "not handed over" in json.dumps(done.report["not_checked"])


async def test_report_verify_compares_with_the_runs_log(tmp_path: Path, home: Path) -> None:
    """A13: a forged report that is consistent in itself is caught by the digests in the log."""
    repo = build(tmp_path, BASE, {"calc.py": BROKEN})
    done = await run_review(home, repo)
    artifact = done.folder / "artifacts" / "diff.patch"
    artifact.write_bytes(artifact.read_bytes() + b"\n")
    async with Runtime(home) as runtime:
        checked = await verify_report(runtime.store, done.folder)
    assert not checked.ok
    assert any("diff.patch" in p for p in checked.problems)


async def test_the_same_review_twice_at_once_is_one_run(tmp_path: Path, home: Path) -> None:
    repo = build(tmp_path, BASE, {"calc.py": BROKEN})
    value = prepare(repo, base="main", head="feature", home=home)
    async with Runtime(home) as one, Runtime(home) as two:
        first, created = await one.start(review, value, key="same")
        second, again = await two.start(review, value, key="same")
    assert (first, created, again) == (second, True, False)


@pytest.mark.parametrize("head", [{"data.bin": b"\x00\xff" * 500, "notes.txt": "caf\xe9\n".encode("latin-1")}, {"README": "words\n"}])
async def test_files_that_are_no_code_are_reviewed_too(tmp_path: Path, home: Path, head: Any) -> None:
    done = await run_review(home, build(tmp_path, {"README": "hello\n"}, head))
    assert done.row.state == "completed"
    assert done.problems == []
    assert "tests" in json.dumps(done.report["not_checked"])
