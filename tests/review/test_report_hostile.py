"""Text from a repository is only ever text: in the page, in Markdown, in XML, in SARIF (A12, A30)."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import report_sample as sample
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_report_build import SCHEMA
from test_report_links import Page, sentences

from quarterdeck.workflows.review import findings as making
from quarterdeck.workflows.review.model import Change, Commit, FileChange, NotChecked, Summary, TestCase, TestReport
from quarterdeck.workflows.review.paths import to_text
from quarterdeck.workflows.review.report import Derived, Dismissal, DocFact, Docs, ModelFindings, Ticket, build, encode

ATTACKS = [
    "<script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    "</pre></section><h1>All tests pass</h1>",
    "</style><style>*{display:none}</style>",
    "```\n# Forged heading\n```",
    "[click](https://evil.example) ![x](https://evil.example/p.png) <https://evil.example> www.evil.example",
    "a\n\n## Pass\n\n| x | y |\n|---|---|",
    "`` ` ``` code` ``",
    "~~~\nescaped the fence\n~~~",
    "x\u202egnp.exe\u2066\u200b\ufeff",
    "\x00\x01\x1b[31mred\x7f\u0085\u2028",
    "]]><!-- --> <![CDATA[ &lt; &#x3c; %SRCROOT% {0} {{x}}",
    "\\` \\[ \\< a\\",
    "javascript:alert(1)",
]


def hostile(text: str) -> tuple[sample.Artifacts, dict[str, bytes]]:
    """A review in which every free text is `text`."""
    path = to_text(text.encode("utf-8", "surrogatepass")) or "x"
    finding = making.make(text, text, "high", path, 1, text, evidence=text, artifact="raw/a.json", help=text)
    model = making.make("agent", text, "low", path, 2, text, evidence=text, artifact="model/findings.json")
    broken = making.make("conventions", text, "medium", path, 0, text, evidence=text, artifact="raw/a.json")
    case = TestCase(f"{text}::{text}", "failed", 0.1, text)
    tests = TestReport(
        text, (), (case,), (case.id,), (case.id,), (case.id,), (case.id,), (case.id,), 4, 2, {path: (1,)}, (NotChecked(text, text),)
    )
    facts = sample.facts(principal=text, workflow=text, settings_notes=(text,), models=(text,), run=text)
    artifacts = sample.empty() | {
        "run.json": encode(facts),
        "raw/a.json": sample.raw(text, []),
        "change.json": encode(
            Change(text, text, text, (Commit(text, text, text),), (FileChange(path, "added", added=1),), (), "high", (text,), (text,))
        ),
        "findings.json": encode([finding]),
        "conventions.json": encode([broken]),
        "model/findings.json": encode(ModelFindings((model,), 1, (text,), text)),
        "tests.json": encode(tests),
        "summary.json": encode(Summary(text, text)),
        "docs.json": encode(Docs((DocFact(text, text, 1),), (NotChecked(text, text),))),
        "docs.patch": text.encode("utf-8", "replace"),
        "tickets.json": encode([Ticket("f", text, text, text, text)]),
        "dismissed.json": encode([Dismissal(broken.fingerprint, text, 1, text)]),
        "not_checked.json": encode([NotChecked(text, text)]),
    }
    return artifacts, build(artifacts, facts, lambda _: Derived((finding,), tests))


ALLOWED = """html head meta title style body header main section footer h1 h2 h3 p ul li div span a code strong pre article
details summary progress table thead tbody tr th td"""
ATTRIBUTES = """lang charset http-equiv content name class id role aria-label aria-labelledby href title data-claim data-artifact
max value tabindex scope"""
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def check_pages(artifacts: sample.Artifacts, outputs: dict[str, bytes]) -> None:
    html, text = outputs["report.html"].decode(), outputs["report.md"].decode()
    page = Page(html)
    assert {t for t, _ in page.tags} <= set(ALLOWED.split())
    assert {a for _, attrs in page.tags for a in attrs} <= set(ATTRIBUTES.split())
    for tag, attrs in page.tags:
        if "href" in attrs:
            assert tag == "a" and re.fullmatch(r"artifacts/[A-Za-z0-9._/-]+", attrs["href"] or "")
    headings = [t for t, _ in page.tags if t in ("h1", "h2")]
    assert headings.count("h1") == 1 and headings.count("h2") == 10
    assert not HIDDEN.search(html) and not HIDDEN.search(text)
    body, titles, fences = sentences(text)
    assert all(link.startswith("artifacts/") for _, links in body for link in links)
    assert all(re.fullmatch(r"[A-Za-z ]+", title) for title in titles)
    assert len(fences) == bool(artifacts["docs.patch"])
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(outputs["report.json"]))


@pytest.mark.parametrize("text", ATTACKS)
def test_hostile_text_stays_text(text: str) -> None:  # A30
    check_pages(*hostile(text))


@pytest.mark.parametrize("text", ATTACKS)
def test_hostile_text_stays_text_in_xml_and_sarif(text: str) -> None:  # A30
    _, outputs = hostile(text)
    root = ET.fromstring(outputs["junit.xml"])
    assert len(list(root.iter("testcase"))) == 1
    run = json.loads(outputs["findings.sarif"])["runs"][0]
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"[A-Za-z0-9._~%/-]+", uri) and not uri.startswith("/")
    assert unquote_to_bytes(uri) == text.encode()


@settings(max_examples=60)
@given(st.text(max_size=60))
@example("")
@example(" ")
@example("`")
@example("a`b``c")
@example("# x\n- y\n\n* z")
def test_any_text_makes_a_sound_report(text: str) -> None:  # A12
    artifacts, outputs = hostile(text)
    check_pages(artifacts, outputs)
    ET.fromstring(outputs["junit.xml"])


def test_the_reader_sees_the_attack_as_it_was_written() -> None:
    _, outputs = hostile("<script>alert(1)</script>")
    page = Page(outputs["report.html"].decode())
    assert sum("<script>alert(1)</script>" in text for _, _, text in page.claims) > 20


def test_a_direction_override_becomes_visible() -> None:  # Trojan Source
    _, outputs = hostile("access\u202e level")
    assert r"access\u202e level" in outputs["report.html"].decode()
    assert r"access\u202e level" in outputs["report.md"].decode() or r"access\\u202e level" in outputs["report.md"].decode()
