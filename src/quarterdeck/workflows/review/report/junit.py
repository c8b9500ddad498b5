"""`junit.xml`: the tests of the head, so that any CI system can show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from ..model import TestCase, TestReport
from . import data
from .inputs import decode
from .text import xml_text


def junit(artifacts: Mapping[str, bytes]) -> bytes:
    """Return one JUnit suite for the head; its properties say how it compares with the base. No tests: no suite."""
    root = ET.Element("testsuites", name="quarterdeck review")
    if data.TESTS in artifacts:
        root.append(_suite(decode(data.TESTS, artifacts[data.TESTS], TestReport)))
    ET.indent(root, " ")
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _suite(report: TestReport) -> ET.Element:
    count = Counter(c.outcome for c in report.head)
    suite = ET.Element(
        "testsuite",
        name=xml_text(report.runner) or "tests",
        tests=str(len(report.head)),
        failures=str(count["failed"]),
        errors=str(count["error"]),
        skipped=str(count["skipped"]),
        time=f"{sum(c.seconds for c in report.head):.3f}",
    )
    properties = ET.SubElement(suite, "properties")
    for name in ("newly_failing", "newly_passing", "still_failing", "flaky", "removed"):
        ET.SubElement(properties, "property", name=f"quarterdeck.{name}", value=str(len(getattr(report, name))))
    newly, flaky = frozenset(report.newly_failing), frozenset(report.flaky)
    suite.extend(_case(case, case.id in newly, case.id in flaky) for case in report.head)
    return suite


def _case(case: TestCase, newly: bool, flaky: bool) -> ET.Element:
    group, separator, name = case.id.partition("::")
    if not separator:
        group, name = "", case.id
    element = ET.Element("testcase", classname=xml_text(group), name=xml_text(name), time=f"{case.seconds:.3f}")
    kind = {"failed": "failure", "error": "error", "skipped": "skipped"}.get(case.outcome)
    if kind:
        message = xml_text(case.message)
        child = ET.SubElement(element, kind, message=message.split("\n", 1)[0][:300])
        if kind != "skipped":
            child.set("type", "newly failing" if newly else "flaky" if flaky else case.outcome)
            child.text = message
    return element
