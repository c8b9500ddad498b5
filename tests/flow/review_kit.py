"""Whole reviews over small real repositories: unittest only, so that nothing has to be fetched but pip and coverage."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quarterdeck import Runtime
from quarterdeck.config import load_config
from quarterdeck.protocol.records import Record, Run
from quarterdeck.workflows.review import prepare, review, verify_report

sys.path.insert(0, str(Path(__file__).parents[1] / "review"))
from repos import build

CALC = '"""Sums."""\n\n\ndef total(values: list[int]) -> int:\n    """Add them up."""\n    return sum(values)\n'
TESTS = (
    "import unittest\n\nfrom calc import total\n\n\nclass Total(unittest.TestCase):\n"
    "    def test_three(self):\n        self.assertEqual(total([1, 2]), 3)\n"
    "\n    def test_none(self):\n        self.assertEqual(total([]), 0)\n"
)
BASE: dict[Any, Any] = {"calc.py": CALC, "tests/__init__.py": "", "tests/test_calc.py": TESTS}
BROKEN = CALC.replace("sum(values)", "sum(values) + (1 if values else 0)")


class Reviewed:
    """A review that has come to rest."""

    def __init__(self, row: Run, records: list[Record], result: dict[str, Any], folder: Path, problems: list[str]) -> None:
        self.row, self.records, self.result, self.folder, self.problems = row, records, result, folder, problems

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_bytes())
        return found

    def completed(self, name: str) -> list[Record]:
        """The outcomes of the actions of that name."""
        asked = {r.seq for r in self.records if r.kind == "action.requested" and r.body["name"].endswith(name)}
        return [r for r in self.records if r.kind == "action.completed" and r.body["action"] in asked]


async def run_review(home: Path, repo: Path, *, flags: Mapping[str, Any] | None = None, **options: Any) -> Reviewed:
    """Review `feature` against `main`, to the end or to a question, and verify the report."""
    async with Runtime(config=load_config(home, flags)) as runtime:
        model = options.pop("model", "")
        value = prepare(repo, home=home, model=model, **{"base": "main", "head": "feature", **options})
        run, _ = await runtime.start(review, value, key=json.dumps(value), model=model, labels=("untrusted:pr",))
        return await settle(runtime, run)


async def settle(runtime: Runtime, run: str) -> Reviewed:
    row = await runtime.drive(run)
    records = await runtime.store.records(run)
    assert row.state != "failed", records[-1].body
    if row.state != "completed":
        return Reviewed(row, records, {}, Path(), [])
    result = await runtime.result(run)
    checked = await verify_report(runtime.store, Path(result["report"]))
    return Reviewed(row, records, result, Path(result["report"]), checked.problems)


__all__ = ["BASE", "BROKEN", "CALC", "TESTS", "Reviewed", "build", "run_review", "settle"]
