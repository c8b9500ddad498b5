"""The report as a pure function: verdict, schema, claims, determinism (A12, A13, law 8)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import report_sample as sample

from quarterdeck.protocol.canonical import sha256
from quarterdeck.protocol.errors import BadInput
from quarterdeck.workflows.review import findings as making
from quarterdeck.workflows.review.model import Change, NotChecked, Settings, TestReport
from quarterdeck.workflows.review.report import OUTPUTS, Derived, DocFact, ModelFindings, Step, build, encode
from quarterdeck.workflows.review.report.inputs import decode
from quarterdeck.workflows.review.summary import template_summary
from quarterdeck.workflows.review.tickets import ticket_intents

EMPTY: dict[str, Any] = {"environment": None, "models": (), "cost_microusd": 0, "tokens": 0, "settings_notes": ()}
SCHEMA = json.loads(files("quarterdeck.workflows.review.report").joinpath("schema.json").read_text("utf-8"))


def report(artifacts: sample.Artifacts) -> dict[str, Any]:
    doc: dict[str, Any] = json.loads(sample.built(artifacts)["report.json"])
    return doc


def resolve(document: Any, pointer: str) -> Any:
    """RFC 6901, strictly: raises when the pointer leads nowhere."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


@pytest.mark.parametrize("artifacts", [sample.rich(1), sample.rich(2), sample.empty(), sample.empty(error="Out of disk.")])
def test_report_json_obeys_its_published_schema(artifacts: sample.Artifacts) -> None:  # A12
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    outputs = sample.built(artifacts)
    assert tuple(outputs) == OUTPUTS
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(outputs["report.json"]))


def test_schema_refuses_unknown_fields_at_every_level() -> None:  # A12
    doc = report(sample.rich())
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for place in (doc, doc["verdict"], doc["counts"], doc["claims"][0], doc["findings"][0], doc["tests"], doc["run"], doc["artifacts"][0]):
        place["surprise"] = 1
        assert not validator.is_valid(doc)
        del place["surprise"]
    assert validator.is_valid(doc)


@pytest.mark.parametrize("n", [1, 2])
def test_each_claim_points_into_an_artifact_with_its_digest(n: int) -> None:  # A13, law 8
    artifacts = sample.rich(n)
    doc = report(artifacts)
    assert len({c["id"] for c in doc["claims"]}) == len(doc["claims"])
    for claim in doc["claims"]:
        body = artifacts[claim["artifact"]]
        assert claim["sha256"] == sha256(body)
        if claim["pointer"]:
            resolve(json.loads(body), claim["pointer"])
    finding = next(f for f in doc["findings"] if f["source"] == "analyzer")
    claim = next(c for c in doc["claims"] if c["id"] == finding["claim"])
    assert resolve(json.loads(artifacts[claim["artifact"]]), claim["pointer"])["fingerprint"] == finding["fingerprint"]


def test_a_pointer_into_a_left_out_field_is_shortened_not_broken() -> None:
    artifacts = sample.rich()
    artifacts["run.json"] = encode({k: v for k, v in json.loads(artifacts["run.json"]).items() if k != "limits"})
    doc = report(artifacts)
    assert next(c["pointer"] for c in doc["claims"] if c["id"] == "run.limits") == ""


def test_every_reference_to_a_claim_exists() -> None:
    doc = report(sample.rich())
    known = {c["id"] for c in doc["claims"]}

    def used(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["claim"]} if "claim" in value else set()
            return own.union(*(used(v) for v in value.values()))
        return set().union(*(used(v) for v in value)) if isinstance(value, list) else set()

    assert used(doc) and used(doc) <= known


def test_numbers_agree_with_the_artifacts() -> None:
    artifacts = sample.rich()
    doc = report(artifacts)
    counts = doc["counts"]
    assert (counts["files"], counts["added"], counts["deleted"]) == (3, 51, 11)
    assert (counts["findings"], counts["high"], counts["medium"], counts["low"]) == (5, 2, 3, 0)
    assert (counts["blocking"], counts["dismissed"], counts["from_model"], counts["conventions"]) == (2, 1, 1, 1)
    assert (counts["newly_failing"], counts["newly_passing"], counts["not_checked"], counts["tickets"]) == (1, 1, 3, 1)
    assert (doc["coverage"]["covered_lines"], doc["coverage"]["changed_lines"]) == (45, 50)
    assert {a["name"]: (a["sha256"], a["bytes"]) for a in doc["artifacts"]} == {n: (sha256(b), len(b)) for n, b in artifacts.items()}


def without_tests(artifacts: sample.Artifacts) -> sample.Artifacts:
    return {n: b for n, b in artifacts.items() if not n.startswith("tests")}


def with_run(artifacts: sample.Artifacts, **change: object) -> sample.Artifacts:
    return artifacts | {"run.json": encode(sample.facts(**change))}


@pytest.mark.parametrize(
    ("artifacts", "state", "code"),
    [
        (sample.empty(), "pass", 0),
        (sample.rich(), "tests", 1),
        (without_tests(sample.rich()), "findings", 1),
        (sample.empty(error="The sandbox was lost."), "could-not-run", 2),
        (with_run(sample.rich(), steps=(Step("tests", 1.0, "unknown"),)), "could-not-run", 2),
        ({k: v for k, v in sample.empty().items() if k == "run.json"}, "could-not-run", 2),
        ({k: v for k, v in sample.empty().items() if k != "findings.json"}, "could-not-run", 2),
    ],
)
def test_verdict_and_exit_code(artifacts: sample.Artifacts, state: str, code: int) -> None:  # A12
    verdict = report(artifacts)["verdict"]
    assert (verdict["state"], verdict["exit_code"]) == (state, code)


@pytest.mark.parametrize(("fail_on", "code"), [("low", 1), ("medium", 1), ("high", 0)])
def test_fail_on_is_a_threshold_and_counts_every_source(fail_on: Any, code: int) -> None:  # A12
    artifacts = without_tests(with_run(sample.rich(), settings=Settings(fail_on=fail_on)))
    artifacts["raw/bandit.json"] = sample.raw("bandit", [])
    artifacts["findings.json"] = encode(sample.derive(artifacts).findings)
    del artifacts["tickets.json"]
    assert report(artifacts)["verdict"]["exit_code"] == code  # medium: the model and ruff; low: a convention too


def test_a_dismissed_finding_is_shown_and_does_not_count() -> None:  # A19
    artifacts = without_tests(sample.rich())
    high = [f for f in json.loads(artifacts["findings.json"]) if f["severity"] == "high"]
    artifacts["dismissed.json"] = encode([{"fingerprint": f["fingerprint"], "who": "user:ada", "when": 1, "reason": "ok"} for f in high])
    doc = report(artifacts)
    assert doc["verdict"]["state"] == "pass"
    assert sum(f["dismissed"] for f in doc["findings"]) == 2 == doc["counts"]["dismissed"]


def test_a_pass_never_hides_what_was_not_checked() -> None:  # A13
    outputs = sample.built(sample.empty())
    assert "tests were not run" in outputs["report.md"].decode()
    for name in ("report.md", "report.html"):
        text = outputs[name].decode()
        assert "What could not be checked" in text and "the repository has no tests" in text


def test_a_suite_that_ran_nothing_is_not_called_passed() -> None:  # A13
    nothing = TestReport("none", not_checked=(NotChecked("tests", "no suite was found"),))
    artifacts = sample.empty() | {"tests.json": encode(nothing)}
    outputs = build(artifacts, sample.facts(**EMPTY), lambda _: Derived((), nothing))
    doc = json.loads(outputs["report.json"])
    assert doc["tests"] is None and "tests were not run. Not everything could be checked." in outputs["report.md"].decode()
    told = next(c for c in doc["claims"] if c["id"] == "tests.none")
    assert (told["artifact"], told["pointer"]) == ("tests.json", "/not_checked")


def test_a_finding_in_no_file_has_a_place_and_a_raw_answer_is_no_command() -> None:
    artifacts = sample.empty() | {"raw/model-review.json": b'{"findings": []}', "habits.json": b"{}"}
    artifacts["conventions.json"] = encode([making.make("conventions", "subject", "low", "", 0, "m", evidence="e", artifact="habits.json")])
    doc = json.loads(build(artifacts, sample.facts(**EMPTY), lambda _: Derived(()))["report.json"])
    assert doc["probes"] == []
    assert any(c["text"].startswith("the commits: m") for c in doc["claims"])


def test_the_reviews_own_tickets_and_summary_fit() -> None:  # A9, A11
    artifacts = sample.rich()
    derived = sample.derive(artifacts)
    change = decode("change.json", artifacts["change.json"], Change)
    intents = ticket_intents(derived.findings, derived.tests, Settings())
    artifacts["tickets.json"] = encode(intents)
    artifacts["summary.json"] = encode(template_summary(change, derived.findings, derived.tests))
    doc = report(artifacts)
    assert [t["title"] for t in doc["tickets"]] == [i["title"] for i in intents] and len(intents) == 3
    assert doc["summary"]["source"] == "template" and len(doc["summary"]["blocks"]) > 3
    assert {b["kind"] for b in doc["summary"]["blocks"]} == {"paragraph"}
    jsonschema.Draft202012Validator(SCHEMA).validate(doc)


# law 8: nothing is claimed that no artifact shows ------------------------------------------------------------------


def lying(**change: Any) -> Any:
    return lambda artifacts: Derived(**({f: getattr(sample.derive(artifacts), f) for f in Derived.__struct_fields__} | change))


@pytest.mark.parametrize(
    ("derive", "artifact"),
    [
        (lying(findings=()), "findings.json"),
        (lying(tests=None), "tests.json"),
        (lying(conventions=()), "conventions.json"),
        (lying(model_findings=()), "model/findings.json"),
        (lying(not_checked=(NotChecked("licences", "tool absent"),)), "not_checked.json"),
    ],
)
def test_a_recorded_result_that_does_not_follow_is_refused(derive: Any, artifact: str) -> None:  # law 8
    with pytest.raises(BadInput) as refused:
        build(sample.rich(), sample.facts(), derive)
    assert refused.value.param == artifact


def test_a_finding_without_its_evidence_is_refused() -> None:  # law 8
    artifacts = sample.rich()
    model = json.loads(artifacts["model/findings.json"])
    model["findings"][0]["artifact"] = "raw/dreamt.json"
    with pytest.raises(BadInput, match=r"raw/dreamt.json is named as evidence"):
        sample.built(artifacts | {"model/findings.json": encode(model)})


def test_a_model_finding_outside_the_change_is_refused() -> None:  # A5, law 8
    artifacts = sample.rich()
    model = json.loads(artifacts["model/findings.json"])
    model["findings"][0]["path"] = "src/elsewhere.py"
    with pytest.raises(BadInput, match="does not touch"):
        sample.built(artifacts | {"model/findings.json": encode(model)})


def test_other_facts_than_the_recorded_are_refused() -> None:  # law 8
    with pytest.raises(BadInput, match=r"run.json holds other facts"):
        build(sample.rich(), sample.facts(cost_microusd=0), sample.derive)


@pytest.mark.parametrize("name", ["../x.json", "/etc/x", "raw/../../x", "a//b", ".hidden", "a b", "raw/x\n.json", ""])
def test_unsafe_artifact_names_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="plain relative path"):
        sample.built(sample.rich() | {name: b"{}"})


@pytest.mark.parametrize("bad", [b"", b"{", b"[" * 200_000, b'{"run": 1}', b"\xff\xfe", b'"\\ud800"'])
def test_an_unreadable_artifact_is_named(bad: bytes) -> None:
    for name in ("run.json", "findings.json", "change.json"):
        with pytest.raises(BadInput) as refused:
            build(sample.empty() | {name: bad}, sample.facts(), sample.derive)
        assert refused.value.param == name


def test_doc_facts_may_be_sentences_or_places() -> None:
    artifacts = sample.empty() | {"docs.json": encode({"facts": ["One.", DocFact("Two.", "a.md", 3)], "not_checked": []})}
    assert [(f["text"], f["path"]) for f in report(artifacts)["docs"]["facts"]] == [("One.", ""), ("Two.", "a.md")]


# determinism -------------------------------------------------------------------------------------------------------

_PRINT = (
    "import hashlib, report_sample as s\n"
    "for a in (s.rich(1), s.rich(2), s.empty()):\n"
    "    print(*(hashlib.sha256(b).hexdigest() for b in s.built(dict(reversed(a.items()))).values()))\n"
)


def test_equal_artifacts_give_equal_bytes_in_every_process() -> None:  # A13
    here = "\n".join(
        " ".join(hashlib.sha256(b).hexdigest() for b in sample.built(a).values()) for a in (sample.rich(1), sample.rich(2), sample.empty())
    )
    for seed, zone in (("0", "UTC"), ("4711", "Asia/Tokyo")):
        env = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": str(Path(__file__).parent)}
        done = subprocess.run([sys.executable, "-c", _PRINT], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == here


def test_many_findings_are_all_in_json_and_counted_on_the_pages() -> None:
    artifacts = sample.empty()
    items = [sample.item(f"R{n}", "low", "README.md", n, f"message {n}", f"line {n}") for n in range(1, 451)]
    artifacts["raw/many.json"] = sample.raw("many", items)
    artifacts["findings.json"] = encode(sample.derive(artifacts).findings)
    outputs = sample.built(artifacts)
    assert len(json.loads(outputs["report.json"])["findings"]) == 450
    for page in ("report.md", "report.html"):
        assert "250 further entries" in outputs[page].decode()
        assert len(outputs[page]) < 300_000


def test_model_without_findings_says_so() -> None:
    artifacts = sample.empty() | {"model/findings.json": encode(ModelFindings(model="ollama/tiny"))}
    assert "ollama/tiny adds no finding." in sample.built(artifacts)["report.md"].decode()
