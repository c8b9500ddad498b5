"""A5: a model's finding whose file, line or quoted code is not in the diff is dropped and counted; and merging of all findings."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from analyzers_lab import text_change
from hypothesis import given
from hypothesis import strategies as st

from quarterdeck.workflows.review.analyzers import FINDINGS_FORMAT, FINDINGS_SCHEMA, collect, instructions, validate
from quarterdeck.workflows.review.analyzers.model_findings import shown_lines
from quarterdeck.workflows.review.findings import make
from quarterdeck.workflows.review.model import Change, FileChange, Finding

OLD = "def f(a):\n    return a\n\n\ndef g():\n    pass\n"
NEW = "def f(a):\n    if a:\n        a = a + 1\n    return a\n\n\ndef g():\n    return f(0)\n"
FILES = (text_change("pkg/a.py", OLD, NEW), FileChange("big.py", "modified", truncated=True), text_change("gone.py", "x = 1\n", None))
CHANGE = Change("demo", "base", "head", (), FILES)
DIFF = """\
diff --git a/big.py b/big.py
--- a/big.py
+++ b/big.py
@@ -10,3 +10,4 @@ def big():
 context = 1
-old = 2
+new = 2
+++ b/pkg/a.py
 more = 3
"""


def entry(**changed: Any) -> dict[str, Any]:
    made = {"path": "pkg/a.py", "line": 3, "severity": "medium", "category": "correctness", "message": "Off by one.", "quote": "a = a + 1"}
    return {**made, "suggestion": "", **changed}


def test_the_example_fits_the_schema_and_the_schema_is_strict() -> None:
    jsonschema.Draft202012Validator.check_schema(FINDINGS_SCHEMA)
    jsonschema.validate({"findings": [entry()]}, FINDINGS_SCHEMA)
    item = FINDINGS_SCHEMA["properties"]["findings"]["items"]
    assert set(item["required"]) == set(item["properties"]) and item["additionalProperties"] is False
    assert FINDINGS_FORMAT["strict"] and FINDINGS_FORMAT["schema"] is FINDINGS_SCHEMA
    assert "data" in instructions() and "instruction" in instructions()


@pytest.mark.parametrize(
    ("changed", "line", "end", "evidence"),
    [
        ({}, 3, 3, "a = a + 1"),
        ({"quote": "        a = a + 1\n"}, 3, 3, "a = a + 1"),
        ({"quote": "+        a = a + 1"}, 3, 3, "a = a + 1"),
        ({"quote": "if a:\n    a = a + 1", "line": 2}, 2, 3, "if a:\na = a + 1"),
        ({"quote": "return f(0)", "line": 3}, 8, 8, "return f(0)"),
        ({"quote": "f(0)", "line": 8}, 8, 8, "return f(0)"),
    ],
)
def test_findings_that_the_diff_bears_out_are_kept(changed: dict[str, Any], line: int, end: int, evidence: str) -> None:
    found, dropped, reasons = validate({"findings": [entry(**changed)]}, CHANGE, "")
    assert (dropped, reasons) == (0, [])
    assert [(f.path, f.line, f.end_line, f.evidence) for f in found] == [("pkg/a.py", line, end, evidence)]
    assert found[0].tool == "model" and found[0].rule == "model/correctness" and found[0].artifact == "raw/model-review.json"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"path": "other.py"}, "is not a file of the change"),
        ({"path": "gone.py", "line": 1, "quote": "x = 1"}, "is not a file of the change"),
        ({"path": "../pkg/a.py"}, "is not a file of the change"),
        ({"line": 1}, "line 1 of pkg/a.py is not in the diff"),
        ({"line": 0}, "is not in the diff"),
        ({"line": -3}, "is not in the diff"),
        ({"quote": "a = a + 2"}, "the quoted code is not in the diff"),
        ({"quote": "pass"}, "the quoted code is not in the diff"),
        ({"quote": "return a"}, "the quoted code is not in the diff"),
        ({"quote": ""}, "the quoted code is not in the diff"),
        ({"quote": " \n "}, "the quoted code is not in the diff"),
        ({"quote": "a"}, "the quoted code is not in the diff"),
        ({"quote": "a = a + 1\nreturn f(0)"}, "the quoted code is not in the diff"),
        ({"message": " \x00 "}, "it says nothing"),
        ({"severity": "critical"}, "structure"),
        ({"line": "3"}, "structure"),
        ({"quote": None}, "structure"),
    ],
)
def test_everything_else_is_dropped_and_counted(changed: dict[str, Any], reason: str) -> None:
    found, dropped, reasons = validate({"findings": [entry(), entry(**changed)]}, CHANGE, "")
    assert len(found) == 1 and dropped == 1
    assert reason in reasons[0] and reasons[0].startswith("finding 2: ")


def test_repeats_and_floods_are_dropped() -> None:
    found, dropped, _ = validate([entry(), entry(), *(entry(message=f"m{n}") for n in range(200))], CHANGE, "")
    assert len(found) == 99 and dropped == 103


@pytest.mark.parametrize("raw", ["", "no json", "[" * 100_000, b"\xff", None, 3, {"findings": {}}, {"other": []}, "{}"])
def test_an_unreadable_answer_is_said_to_be_that(raw: object) -> None:
    found, dropped, reasons = validate(raw, CHANGE, "")
    assert (found, dropped) == ([], 0) and "could not be read" in reasons[0]


def test_answers_may_be_text() -> None:
    assert len(validate(json.dumps({"findings": [entry()]}), CHANGE, "")[0]) == 1
    assert validate('{"findings": []}', CHANGE, "") == ([], 0, [])


def test_hunks_that_were_cut_are_taken_from_the_diff_and_forged_headers_are_not() -> None:
    assert shown_lines(DIFF) == {"big.py": {10: "context = 1", 11: "new = 2", 12: "++ b/pkg/a.py", 13: "more = 3"}}
    assert len(validate([entry(path="big.py", line=11, quote="new = 2")], CHANGE, DIFF)[0]) == 1
    assert validate([entry(path="big.py", line=11, quote="old = 2")], CHANGE, DIFF)[1] == 1


def test_prose_cannot_forge_lines_or_colours() -> None:
    found, _, _ = validate([entry(message="one\n\x1b[31mtwo\u202e")], CHANGE, "")
    assert found[0].message == "one [31mtwo"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*entry(), "findings"]), inner, max_size=8),
    max_leaves=20,
)


@given(raw=anything | st.text() | st.lists(anything), diff=st.text(alphabet="@+- ,123b/\n", max_size=80))
def test_nothing_that_a_model_says_raises(raw: object, diff: str) -> None:
    found, dropped, reasons = validate(raw, CHANGE, diff)
    assert all(f.path in ("pkg/a.py", "big.py") for f in found) and dropped <= len(reasons)


def finding(tool: str, rule: str, severity: Any, line: int, evidence: str = "x", path: str = "a.py") -> Finding:
    return make(tool, rule, severity, path, line, "m", evidence=evidence, artifact="raw/x.json")


def test_collect_keeps_the_most_severe_of_the_same_and_orders_stably() -> None:
    given_ = [
        finding("ruff", "ruff/F821", "high", 9),
        finding("bandit", "bandit/B602", "high", 7),
        finding("unsafe", "unsafe/shell", "low", 7),
        finding("unsafe", "unsafe/eval", "high", 7),
        finding("risky", "risky/dependency-added", "low", 1, "b"),
        finding("risky", "risky/dependency-added", "low", 1, "c"),
        finding("ruff", "ruff/F821", "high", 9),
    ]
    expected = [("bandit/B602", 7), ("unsafe/eval", 7), ("ruff/F821", 9), ("risky/dependency-added", 1), ("risky/dependency-added", 1)]
    assert [(f.rule, f.line) for f in collect(given_)] == expected
    assert collect(reversed(given_)) == collect(given_) == collect(collect(given_))
