"""Inside: run pytest on the tests with the given JUnit ids only. Arguments: a JSON list of ids, then pytest's own.

Tests are picked by the id that pytest's JUnit writer gives them, not by node id on the command line: ids with odd
characters, inherited tests and thousands of tests work alike.
"""

import json
import re
import sys

import pytest

_ILLEGAL = re.compile("[^\t\n\r\u0020-\u007e\u0080-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"#x{code:02X}" if code <= 0xFF else f"#x{code:04X}"


def junit_id(nodeid: str) -> str:
    """The `classname::name` that pytest writes into JUnit XML for a node id."""
    path, bracket, params = nodeid.partition("[")
    names = path.split("::")
    names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
    names[-1] += bracket + params
    return ".".join(names[:-1]) + "::" + _ILLEGAL.sub(_escape, names[-1])


class Only:
    def __init__(self, ids: frozenset[str]) -> None:
        self.ids = ids

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            test_id = junit_id(item.nodeid)
            (kept if test_id in self.ids or test_id[:2000] in self.ids else dropped).append(item)
        if dropped:
            config.hook.pytest_deselected(items=dropped)
        items[:] = kept


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    sys.exit(pytest.main(sys.argv[2:], plugins=[] if wanted is None else [Only(frozenset(wanted))]))
