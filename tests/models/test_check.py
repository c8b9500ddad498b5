"""`models check`: one streamed tool call says what works (A18)."""

from __future__ import annotations

from typing import Any

import pytest
from model_kit import WIRES, FakePermits, models_at, permit

from quarterdeck.models import CheckReport, check
from quarterdeck.protocol.models import Usage
from quarterdeck.testing import Call, Reply, ScriptedModel, calls, fail, text

GOOD = calls(Call("report_word", {"word": "lighthouse"}), usage=Usage(200, 0, 20, 0))


async def run(reply: Reply, wire: str = "chat", name: str = "fake/m", **options: Any) -> CheckReport:
    with ScriptedModel([reply]) as server:
        models = models_at(server.base_url, wire, **options)
        try:
            return await check(models, name, lambda request: permit())
        finally:
            await models.aclose()


def failures(report: CheckReport) -> dict[str, str]:
    return {one.name: one.words for one in report.checks if not one.ok}


@pytest.mark.parametrize("wire", WIRES)
async def test_a_model_that_works(wire: str) -> None:
    permits = FakePermits()
    report = await run(GOOD, wire, permits=permits)
    assert report.ok and failures(report) == {} and [c.name for c in report.checks] == ["price", "answers", "streams", "tool call", "usage"]
    assert report.first_event_s is not None and report.total_s is not None and 0 < report.first_event_s <= report.total_s
    assert report.price and report.price.source == "test" and report.cost_microusd == 200 + 80
    assert len(permits.consumed) == 1


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("reply", "failed", "words"),
    [
        (text("lighthouse"), "tool call", "without calling the tool"),
        (text("ligh", finish="length"), "tool call", "cut at its length"),
        (calls(Call("report_word", {"word": "boat"})), "tool call", "other arguments"),
        (calls(Call("report_word", '{"word": ')), "tool call", "not JSON"),
        (calls(Call("report_word", {"word": "lighthouse"}), report_usage=False), "usage", "charged at its upper bound"),
        (fail(401, "Incorrect API key"), "answers", "FAKE_KEY"),
        (calls(Call("report_word", {"word": "lighthouse"}), cut_after=2), "answers", "cut"),
    ],
)
async def test_each_failure_in_clear_words(wire: str, reply: Reply, failed: str, words: str) -> None:
    report = await run(reply, wire)
    assert not report.ok and words in failures(report)[failed]


async def test_a_model_without_a_price_is_not_called() -> None:
    report = await run(GOOD, name="fake/other")
    assert not report.ok and '[prices."fake/other"]' in failures(report)["price"]
