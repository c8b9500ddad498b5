"""Chat Completions as its many servers speak it: bodies out, chunks in (A18)."""

from __future__ import annotations

from typing import Any

import pytest
from model_kit import TOOL, ask, collect, completed, items_of, models_at

from quarterdeck.models import PRESETS, ProviderConfig, profile_for
from quarterdeck.models.chat import chat_body, messages_from, other_limit
from quarterdeck.models.chat_stream import ChatFold, chat_usage
from quarterdeck.models.profiles import Profile
from quarterdeck.protocol.errors import ModelError
from quarterdeck.protocol.models import ItemDone, ModelEvent, TextDelta, Usage
from quarterdeck.testing import ScriptedModel, fail, text

UNSAID = Usage(1, 0, 1, 0, reported=False)


def fold(*deltas: dict[str, Any], finish: str | None = "stop", **chunk: Any) -> list[ModelEvent]:
    made = ChatFold(UNSAID)
    events = [e for delta in deltas for e in made.feed({"choices": [{"index": 0, "delta": delta}]})]
    events += made.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **chunk})
    assert made.complete == bool(finish)
    return events + list(made.end())


def called(*pieces: dict[str, Any]) -> list[tuple[str, str, str]]:
    items = items_of(fold(*({"tool_calls": [piece]} for piece in pieces)))
    return [(item["call_id"], item["name"], item["arguments"]) for item in items]


def function(name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    return {"function": {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not None}}


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (  # OpenAI: id and name once, then by index, interleaved
            [
                {"index": 0, "id": "a"} | function("f", ""),
                {"index": 1, "id": "b"} | function("g", ""),
                {"index": 0} | function(None, '{"x"'),
                {"index": 1} | function(None, "{"),
                {"index": 0} | function(None, ":1}"),
                {"index": 1} | function(None, "}"),
            ],
            [("a", "f", '{"x":1}'), ("b", "g", "{}")],
        ),
        (  # Ollama, Gemini: whole calls, all with index 0 or none
            [{"index": 0, "id": "a"} | function("f", "{}"), {"index": 0, "id": "b"} | function("g", '{"y":2}')],
            [("a", "f", "{}"), ("b", "g", '{"y":2}')],
        ),
        ([{"id": "a"} | function("f", "{}"), {"id": "b"} | function("g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        (  # vLLM: the id on every piece
            [{"index": 0, "id": "a"} | function("f", '{"x"'), {"index": 0, "id": "a"} | function("f", ":1}")],
            [("a", "f", '{"x":1}')],
        ),
        ([{"index": 0, "id": "a"} | function(None, "{"), {"index": 0} | function("f", "}")], [("a", "f", "{}")]),
        ([{"index": 0, "id": "a"} | function("f", {"x": "ä"})], [("a", "f", '{"x": "ä"}')]),
        ([{"index": 0, "id": "a"} | function("f")], [("a", "f", "{}")]),
    ],
)
def test_calls_however_a_server_numbers_them(pieces: list[dict[str, Any]], expected: list[tuple[str, str, str]]) -> None:
    assert called(*pieces) == expected


def test_a_call_without_an_id_gets_one() -> None:
    ((call_id, name, arguments), (other, _, _)) = called({"index": 0} | function("f", "{}"), {"index": 1} | function("g", "{}"))
    assert call_id.startswith("call_") and (name, arguments) == ("f", "{}") and other != call_id


def test_finish_says_tool_calls_even_if_the_server_says_stop() -> None:
    assert completed(fold({"tool_calls": [{"index": 0, "id": "a"} | function("f", "{}")]})).finish == "tool_calls"
    assert completed(fold({"content": "x"}, finish="eos")).finish == "stop"
    assert completed(fold({"content": "x"}, finish="max_tokens")).finish == "length"


def test_content_as_parts_and_refusals() -> None:
    events = fold({"content": [{"type": "text", "text": "a"}]}, {"content": "b"}, {"refusal": "No."})
    assert [e.text for e in events if isinstance(e, TextDelta)] == ["a", "b", "No."]
    (message,) = items_of(events)
    assert [part.get("text") or part["refusal"] for part in message["content"]] == ["ab", "No."]


def test_reasoning_under_both_names_and_openrouters_details_go_back_whole() -> None:
    details = [
        {"type": "reasoning.text", "index": 0, "text": "Let ", "signature": None},
        {"type": "reasoning.text", "index": 0, "text": "me.", "signature": "sig"},
        {"type": "reasoning.encrypted", "index": 1, "data": "AAA", "id": "r1"},
    ]
    events = fold(*({"reasoning": d.get("text"), "reasoning_details": [d]} for d in details), {"content": "ok"})
    thought = items_of(events)[0]
    assert thought["content"][0]["text"] == "Let me."
    whole = [{"type": "reasoning.text", "index": 0, "text": "Let me.", "signature": "sig"}, details[2]]
    assert thought["reasoning_details"] == whole
    assistant = {"type": "message", "role": "assistant", "content": "ok"}
    openrouter = profile_for(PRESETS["openrouter"], "anthropic/claude-sonnet-4.5")
    assert messages_from("", (thought, assistant), openrouter) == [{"role": "assistant", "content": "ok", "reasoning_details": whole}]
    assert messages_from("", (thought, assistant), profile_for(PRESETS["vllm"], "x"))[0]["reasoning_content"] == "Let me."
    openai = profile_for(ProviderConfig("openai", "chat", "https://api.openai.com/v1"), "gpt-4.1")
    assert messages_from("", (thought, assistant), openai) == [{"role": "assistant", "content": "ok"}]


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(10, 0, 5, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Usage(10, 4, 5, 0)),
        (  # reasoning inside the completion, as OpenAI counts
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "completion_tokens_details": {"reasoning_tokens": 3}},
            Usage(10, 0, 5, 3),
        ),
        (  # reasoning beside the completion, as xAI counts
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 18, "completion_tokens_details": {"reasoning_tokens": 3}},
            Usage(10, 0, 8, 3),
        ),
        ({"prompt_tokens": -1, "completion_tokens": 5}, None),
        ({"prompt_tokens": "10", "completion_tokens": 5}, None),
        ("none", None),
    ],
)
def test_usage_however_a_provider_counts(reported: Any, expected: Usage | None) -> None:
    assert chat_usage(reported) == expected


def test_cumulative_usage_on_every_chunk_counts_once() -> None:
    made = ChatFold(UNSAID)
    for n in (1, 2, 3):
        list(made.feed({"choices": [{"index": 0, "delta": {"content": "x"}}], "usage": {"prompt_tokens": 7, "completion_tokens": n}}))
    list(made.feed({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
    assert completed(list(made.end())).usage == Usage(7, 0, 3, 0)


def test_other_choices_and_empty_chunks_are_passed_over() -> None:
    made = ChatFold(UNSAID)
    assert list(made.feed({"choices": [{"index": 1, "delta": {"content": "other"}}]})) == []
    assert list(made.feed({})) == [] and list(made.feed({"choices": None, "usage": None})) == []
    assert not made.complete and [e for e in made.end() if isinstance(e, ItemDone)] == []


def test_messages_keep_order_roles_and_pictures() -> None:
    items = (
        {"role": "developer", "content": "D"},
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "data:x", "detail": "low"}],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I "}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": ""},
        {
            "type": "function_call_output",
            "call_id": "1",
            "output": [{"type": "input_text", "text": "é"}, {"type": "input_image", "image_url": "u"}],
        },
        {"type": "message", "role": "assistant", "content": "done"},
    )
    assert messages_from("S", items, Profile()) == [
        {"role": "system", "content": "S"},
        {"role": "system", "content": "D"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}],
        },
        {
            "role": "assistant",
            "content": "I ",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": 'é{"type": "input_image", "image_url": "u"}'},
        {"role": "assistant", "content": "done"},
    ]


def test_body_for_the_presets() -> None:
    schema = {"type": "json_schema", "name": "finding", "schema": {"type": "object"}, "strict": True}
    request = ask(
        tools=(TOOL,), tool_choice={"type": "function", "name": "look"}, text_format=schema, temperature=0.2, reasoning={"effort": "low"}
    )
    local = chat_body(request, "qwen3", profile_for(PRESETS["ollama"], "qwen3"), "ollama")
    assert local["tools"] == [{"type": "function", "function": {k: v for k, v in TOOL.items() if k != "type"}}]
    assert local["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert local["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "finding", "schema": {"type": "object"}, "strict": True},
    }
    assert local["max_tokens"] == 500 and local["temperature"] == 0.2 and "reasoning_effort" not in local
    assert local["stream_options"] == {"include_usage": True}
    hosted = ProviderConfig("openai", "chat", "https://api.openai.com/v1")
    strict = chat_body(request, "gpt-5.2", profile_for(hosted, "gpt-5.2"), "openai")
    assert (
        strict["max_completion_tokens"] == 500 and strict["reasoning_effort"] == "low" and not {"temperature", "max_tokens"} & set(strict)
    )
    routed = chat_body(request, "openai/gpt-5.2", profile_for(PRESETS["openrouter"], "openai/gpt-5.2"), "openrouter")
    assert routed["max_tokens"] == 500 and routed["reasoning"] == {"effort": "low"}
    none = chat_body(ask(tool_choice="required", text_format={"type": "text"}), "m", Profile(), "x")
    assert not {"tools", "tool_choice", "response_format"} & set(none)


def test_allowed_tools_are_the_only_ones_sent() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]}
    body = chat_body(ask(tools=(TOOL, TOOL | {"name": "write"}), tool_choice=choice), "m", Profile(), "x")
    assert [tool["function"]["name"] for tool in body["tools"]] == ["look"] and body["tool_choice"] == "required"


async def test_law_7_a_server_that_knows_the_cap_by_its_other_name_still_gets_it() -> None:
    complaint = fail(400, "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
    with ScriptedModel([complaint, text("ok")]) as server:
        assert completed(await collect(models_at(server.base_url), ask()))
        first, second = (received.body for received in server.requests)
    assert first["max_tokens"] == second["max_completion_tokens"] == 500 and "max_tokens" not in second
    assert other_limit({"max_tokens": 1}, "max_tokens is too large: 1") is None


async def test_a_server_that_complains_of_both_names_is_not_asked_for_ever() -> None:
    complaint = fail(400, "Use 'max_completion_tokens', not 'max_tokens'.")
    with ScriptedModel(lambda body: complaint if len(server.requests) < 9 else text("asked nine times")) as server:
        with pytest.raises(ModelError, match="Use 'max_completion_tokens'"):
            await collect(models_at(server.base_url), ask())
        assert len(server.requests) == 2


def test_a_profile_is_data_and_the_operator_may_set_the_window() -> None:
    assert profile_for(PRESETS["openai"], "o4-mini").reasoning and not profile_for(PRESETS["openai"], "o4-mini").temperature
    assert profile_for(PRESETS["openai"], "gpt-4o") == Profile(limit_field="max_completion_tokens", reasoning_field="")
    assert profile_for(PRESETS["openrouter"], "somebody/new-model").context_window == 128_000
    assert profile_for(PRESETS["vllm"], "Qwen/Qwen3-8B").context_window == 32_768
    assert profile_for(ProviderConfig("mine", "chat", "http://x/v1", context_window=9000), "a").context_window == 9000
