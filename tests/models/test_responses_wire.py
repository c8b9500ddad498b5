"""Responses as its servers speak it: bodies out, events in (A18)."""

from __future__ import annotations

from typing import Any

import pytest
from model_kit import TOOL, ask, completed, items_of

from quarterdeck.models import PRESETS, profile_for
from quarterdeck.models.profiles import Profile
from quarterdeck.models.responses import Broken, ResponsesFold, responses_body, responses_usage
from quarterdeck.protocol.models import ArgumentsDelta, ModelEvent, ReasoningDelta, TextDelta, Usage

CALL = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}", "x_extra": [1]}
MESSAGE = {"type": "message", "id": "m", "role": "assistant", "content": [], "phase": "final_answer"}


def fold(*events: dict[str, Any], **response: Any) -> list[ModelEvent]:
    made = ResponsesFold(Usage(reported=False))
    out = [e for event in events for e in made.feed(event)]
    out += made.feed({"type": "response.completed", "response": {"id": "r", "model": "m", "status": "completed"} | response})
    assert made.complete
    return out + list(made.end())


def test_items_that_come_only_with_the_end_are_not_lost_and_none_comes_twice() -> None:
    assert items_of(fold(output=[MESSAGE, CALL])) == [MESSAGE, CALL]
    done = {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE}
    events = fold(done, output=[MESSAGE, CALL])
    assert items_of(events) == [MESSAGE, CALL] and completed(events).finish == "tool_calls"
    assert items_of(fold(done, output=[])) == [MESSAGE]


def test_deltas_of_every_kind_and_events_that_nobody_knows() -> None:
    events = fold(
        {"type": "response.output_item.added", "output_index": 3, "item": CALL | {"arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "{}"},
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.refusal.delta", "delta": "b"},
        {"type": "response.reasoning_summary_text.delta", "delta": "c"},
        {"type": "response.reasoning_text.delta", "delta": "d"},
        {"type": "response.reasoning.delta", "delta": "e"},
        {"type": "acme:progress", "percent": 3},
        {"type": "keepalive"},
    )
    assert events[:-1] == [ArgumentsDelta("c", "f", "{}"), *map(TextDelta, "ab"), *map(ReasoningDelta, "cde")]
    assert not completed(events).usage.reported and completed(events).response_id == "r"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "flat"},
        {"type": "error", "error": {"code": "server_error", "message": "nested"}},
        {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "in the response"}}},
        {"error": {"message": "without a type"}},
    ],
)
def test_errors_flat_and_nested(event: dict[str, Any]) -> None:
    with pytest.raises(Broken) as broken:
        list(ResponsesFold(Usage()).feed(event))
    assert "message" in str(broken.value.data)


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("steered", "length")]
)
def test_an_incomplete_response_says_why(reason: str, finish: str) -> None:
    assert completed(fold(status="incomplete", incomplete_details={"reason": reason}, output=[CALL])).finish == finish


def test_usage() -> None:
    details = {"input_tokens_details": {"cached_tokens": 4}, "output_tokens_details": {"reasoning_tokens": 2}}
    assert responses_usage({"input_tokens": 10, "output_tokens": 5} | details) == Usage(10, 4, 5, 2)
    assert responses_usage({"input_tokens": 10, "output_tokens": 5, "input_tokens_details": None}) == Usage(10, 0, 5, 0)
    assert responses_usage({"input_tokens": 10}) is None and responses_usage(None) is None


def test_encrypted_reasoning_is_asked_for_only_where_it_exists() -> None:
    request = ask(tools=(TOOL,), temperature=0.5, reasoning={"effort": "high"}, text_format={"type": "json_object"}, instructions="S")
    thinking = responses_body(request, "gpt-5.2", profile_for(PRESETS["openai"], "gpt-5.2"))
    plain = responses_body(request, "gpt-4o", profile_for(PRESETS["openai"], "gpt-4o"))
    assert thinking["include"] == ["reasoning.encrypted_content"] and thinking["reasoning"] == {"effort": "high"}
    assert "temperature" not in thinking and plain["temperature"] == 0.5 and not {"include", "reasoning"} & set(plain)
    assert plain["text"] == {"format": {"type": "json_object"}} and plain["instructions"] == "S" and plain["tool_choice"] == "auto"
    assert not {"tools", "tool_choice", "text", "instructions"} & set(responses_body(ask(), "m", Profile()))
