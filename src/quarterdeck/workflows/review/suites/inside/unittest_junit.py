"""Inside: `unittest discover` that writes JUnit XML as it goes, so that a run which is cut off leaves its finished tests.

Argument: JSON with `junit` (file to write), `start`, `top`, `only` (ids or null), `coverage` (data file or empty),
`include` and `sources` (what coverage looks at; one of them is empty).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
import unittest
from collections.abc import Iterator
from typing import Any, TextIO
from xml.sax.saxutils import escape, quoteattr

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FIXTURES = ("setUpClass", "tearDownClass", "setUpModule", "tearDownModule")
_RANK = {"skipped": 0, "failure": 1, "error": 2}


def clean(value: str) -> str:
    return _ILLEGAL.sub(lambda m: f"#x{ord(m.group()):02X}", value)


def junit_id(test: Any) -> tuple[str, str]:
    """(classname, name) of a test; a module that could not be imported is named after itself, as pytest does."""
    test_id = test.id()
    failed = "unittest.loader._FailedTest."
    if test_id.startswith(failed):
        return "", test_id[len(failed) :]
    fixture = re.match(r"(\w+) \((.+)\)$", test_id)
    if fixture and fixture.group(1) in _FIXTURES:
        return fixture.group(2), fixture.group(1)
    classname, _, name = test_id.rpartition(".")
    return classname, name


class JUnitResult(unittest.TextTestResult):
    """Writes each test when it ends. Several problems of one test (subtests, tearDown) become one case."""

    junit: TextIO
    begun = 0.0
    worst: tuple[str, str, str] | None = None

    def startTest(self, test: Any) -> None:
        self.begun, self.worst = time.perf_counter(), None
        super().startTest(test)

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        self._write(test, time.perf_counter() - self.begun)

    def _note(self, tag: str, test: Any, message: str, detail: str = "") -> None:
        if self.worst is None or _RANK[tag] > _RANK[self.worst[0]]:
            self.worst = (tag, message, detail)
        if not isinstance(test, unittest.TestCase):
            # setUpClass and friends: unittest calls neither startTest nor stopTest for these.
            self._write(test, 0.0)

    def _problem(self, tag: str, test: Any, err: Any) -> None:
        text = "".join(traceback.format_exception(*err))[-20_000:]
        self._note(tag, test, f"{err[0].__name__}: {err[1]}"[:1000], text)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._problem("error", test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._problem("failure", test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._problem("failure" if issubclass(err[0], test.failureException) else "error", test, err)

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._note("skipped", test, str(reason))

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self._note("skipped", test, "expected failure")

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._note("failure", test, "unexpected success")

    def _write(self, test: Any, seconds: float) -> None:
        classname, name = junit_id(test)
        head = f"<testcase classname={quoteattr(clean(classname))} name={quoteattr(clean(name))} time={quoteattr(f'{seconds:.6f}')}"
        if self.worst is None:
            self.junit.write(head + "/>\n")
        else:
            tag, message, detail = self.worst
            self.junit.write(f"{head}><{tag} message={quoteattr(clean(message))}>{escape(clean(detail))}</{tag}></testcase>\n")
        self.junit.flush()
        self.worst = None


def flatten(suite: unittest.TestSuite) -> Iterator[Any]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def load(start: str, top: str, wanted: list[str] | None) -> unittest.TestSuite:
    """All tests, or those with the wanted ids. A failed class fixture is repeated by running its whole class."""
    suite = unittest.defaultTestLoader.discover(start, top_level_dir=top)
    if wanted is None:
        return suite
    only = set(wanted)
    classes = {i.rpartition("::")[0] for i in only if i.rpartition("::")[2] in _FIXTURES}
    return unittest.TestSuite(t for t in flatten(suite) if "::".join(filter(None, junit_id(t))) in only or junit_id(t)[0] in classes)


def run(config: dict[str, Any]) -> bool:
    with open(config["junit"], "w", encoding="utf-8", errors="backslashreplace") as stream:  # noqa: PTH123
        stream.write('<?xml version="1.0" encoding="utf-8"?>\n<testsuites><testsuite name="unittest">\n')
        JUnitResult.junit = stream
        suite = load(config["start"], config["top"], config["only"])
        runner: Any = unittest.TextTestRunner
        result = runner(resultclass=JUnitResult, verbosity=2).run(suite)
        stream.write("</testsuite></testsuites>\n")
    return bool(result.wasSuccessful())


def main(config: dict[str, Any]) -> int:
    sys.argv = ["python -m unittest", "discover"]
    if os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    if not config["coverage"]:
        return 0 if run(config) else 1
    import coverage

    measure = coverage.Coverage(
        data_file=config["coverage"], source=config["sources"] or None, include=config["include"] or None, config_file=False
    )
    measure.start()
    try:
        return 0 if run(config) else 1
    finally:
        measure.stop()
        measure.save()


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
