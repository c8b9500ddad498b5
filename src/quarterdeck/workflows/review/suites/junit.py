"""JUnit XML in and out. What is read was written by the reviewed code: never trusted, never complete for sure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from ..model import TestCase

MAX_BYTES = 64 << 20
MAX_CASES = 200_000
MAX_ID = 2_000
MAX_MESSAGE = 4_000
MAX_DEPTH = 64

Outcome = Literal["passed", "failed", "error", "skipped"]
_OUTCOMES: dict[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}
_RANK: dict[Outcome, int] = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnitError(ValueError):
    """The XML cannot be used. `cases` are the tests that were complete before the fault."""

    def __init__(self, message: str, cases: Sequence[TestCase] = ()) -> None:
        super().__init__(message)
        self.cases = list(cases)


class _Reader:
    """Collects `<testcase>` elements as a stream, so a file that was cut off still yields its complete ones."""

    def __init__(self) -> None:
        self.cases: list[TestCase] = []
        self.root = ""
        self._ids: set[str] = set()
        self._next: dict[str, int] = {}
        self._depth = 0
        self._case: dict[str, str] | None = None
        self._outcome: Outcome = "passed"
        self._message = ""
        self._text: list[str] | None = None
        self._room = 0

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise JUnitError("the XML nests too deeply", self.cases)
        if self._depth == 1:
            self.root = tag
            if tag not in ("testsuites", "testsuite"):
                raise JUnitError(f"the XML is not JUnit: its root is <{tag[:40]}>")
        elif tag == "testcase" and self._case is None:
            self._case, self._outcome, self._message = attrs, "passed", ""
        elif self._case is not None and tag in _OUTCOMES:
            outcome = _OUTCOMES[tag]
            if _RANK[outcome] > _RANK[self._outcome]:
                self._outcome, self._message = outcome, attrs.get("message", "")[:MAX_MESSAGE]
                self._text, self._room = [], MAX_MESSAGE

    def text(self, data: str) -> None:
        if self._text is not None and self._room > 0:
            self._text.append(data[: self._room])
            self._room -= len(data)

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag in _OUTCOMES and self._text is not None:
            detail = "".join(self._text).strip()
            if detail and detail != self._message:
                self._message = f"{self._message}\n{detail}".strip()[:MAX_MESSAGE]
            self._text = None
        elif tag == "testcase" and self._case is not None:
            self._add(self._case)
            self._case = None

    def _add(self, attrs: dict[str, str]) -> None:
        if len(self.cases) >= MAX_CASES:
            raise JUnitError(f"the XML holds more than {MAX_CASES} tests", self.cases)
        classname, name = attrs.get("classname", ""), attrs.get("name", "")
        base = (f"{classname}::{name}" if classname else name)[:MAX_ID] or "unnamed"
        self.cases.append(TestCase(self._unique(base), self._outcome, _seconds(attrs.get("time", "")), self._message))

    def _unique(self, base: str) -> str:
        count = self._next.get(base, 1)
        test_id = base if count == 1 else f"{base}#{count}"
        while test_id in self._ids:
            count += 1
            test_id = f"{base}#{count}"
        self._next[base] = count + 1
        self._ids.add(test_id)
        return test_id


def _seconds(value: str) -> float:
    try:
        seconds = float(value[:40].replace(",", ""))
    except ValueError:
        return 0.0
    return seconds if 0.0 <= seconds < 1e9 else 0.0


def parse(xml: bytes) -> list[TestCase]:
    """The tests of a JUnit file, in its order; a repeated id gets `#2`, `#3`, ...

    Raises JUnitError (a ValueError) for anything that is not a complete, harmless JUnit file. A document type
    declaration is refused at once, which rules out entity bombs and external entities.
    """
    reader = _Reader()
    if len(xml) > MAX_BYTES:
        raise JUnitError(f"the XML is larger than {MAX_BYTES >> 20} MB")
    if not xml.strip():
        raise JUnitError("the XML is empty")

    def refuse(*_: object) -> None:
        raise JUnitError("the XML declares a document type, which is refused", reader.cases)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(xml, True)
    except JUnitError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        # LookupError: an encoding that Python does not know.
        raise JUnitError(f"the XML is malformed: {error}", reader.cases) from None
    return reader.cases


def clean(value: str) -> str:
    """`value` with every character that XML cannot carry written as `#xNN`, as pytest does."""
    return _ILLEGAL.sub(lambda m: f"#x{ord(m.group()):02X}", value)


def _element(case: TestCase) -> Iterable[str]:
    classname, separator, name = case.id.partition("::")
    if not separator:
        classname, name = "", case.id
    head = f"  <testcase classname={quoteattr(clean(classname))} name={quoteattr(clean(name))} time={quoteattr(f'{case.seconds:.6f}')}"
    tag = {"failed": "failure", "error": "error", "skipped": "skipped", "passed": ""}[case.outcome]
    if not tag:
        yield head + "/>"
        return
    first, _, rest = clean(case.message).partition("\n")
    yield f"{head}><{tag} message={quoteattr(first)}>{escape(rest)}</{tag}></testcase>"


def write(cases: Sequence[TestCase], name: str = "head") -> bytes:
    """A JUnit file of `cases`; `parse` of it gives the same ids and outcomes. Seconds keep six digits."""
    count = {o: sum(c.outcome == o for c in cases) for o in _RANK}
    seconds = sum(c.seconds for c in cases)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        "<testsuites>",
        f' <testsuite name={quoteattr(clean(name))} tests="{len(cases)}" failures="{count["failed"]}" errors="{count["error"]}"'
        f' skipped="{count["skipped"]}" time="{seconds:.6f}">',
        *(line for case in cases for line in _element(case)),
        " </testsuite>",
        "</testsuites>",
    ]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")
