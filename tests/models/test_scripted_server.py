"""The scripted server is faithful: OpenAI's own client reads it on both wires (A18)."""

from __future__ import annotations

import subprocess
import sys

import openai
import pytest

from quarterdeck.protocol.models import Usage
from quarterdeck.testing import Call, Reply, ScriptedModel, call, calls, fail, text, tool_outputs, user_text

TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}, "strict": False}]
CHAT_TOOLS = [{"type": "function", "function": {"name": "look", "parameters": TOOLS[0]["parameters"]}}]
TWO = calls(
    Call("look", {"at": "ä/日本"}, "call_a"),
    Call("look", {"at": "b"}, "call_b"),
    text="I look. 🙂",
    reasoning="Think…",
    usage=Usage(11, 3, 7, 2),
)


def client(server: ScriptedModel, key: str = "k") -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0)


def test_sdk_reads_a_whole_chat_answer() -> None:
    with ScriptedModel([TWO]) as server:
        answer = client(server).chat.completions.create(model="m", messages=[{"role": "user", "content": "go"}], tools=CHAT_TOOLS)
    message = answer.choices[0].message
    assert message.content == "I look. 🙂" and answer.choices[0].finish_reason == "tool_calls"
    assert [(c.id, c.function.arguments) for c in message.tool_calls or []] == [("call_a", '{"at": "ä/日本"}'), ("call_b", '{"at": "b"}')]
    assert answer.usage and (answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (11, 3)


def test_sdk_accumulates_a_streamed_chat_answer_with_parallel_calls() -> None:
    with (
        ScriptedModel([TWO]) as server,
        client(server).chat.completions.stream(
            model="m", messages=[{"role": "user", "content": "go"}], tools=CHAT_TOOLS, stream_options={"include_usage": True}
        ) as stream,
    ):
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"content.delta", "tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds
    assert [c.function.arguments for c in final.choices[0].message.tool_calls or []] == ['{"at": "ä/日本"}', '{"at": "b"}']
    assert final.choices[0].message.content == "I look. 🙂"
    assert final.usage and final.usage.completion_tokens == 7


def test_sdk_reads_a_whole_response() -> None:
    with ScriptedModel([TWO]) as server:
        answer = client(server).responses.create(model="m", input="go", tools=TOOLS, include=["reasoning.encrypted_content"])
    assert [item.type for item in answer.output] == ["reasoning", "message", "function_call", "function_call"]
    assert answer.output[0].encrypted_content and answer.output_text == "I look. 🙂"
    assert answer.usage and answer.usage.output_tokens_details.reasoning_tokens == 2


def test_sdk_accumulates_a_streamed_response() -> None:
    with ScriptedModel([TWO]) as server, client(server).responses.stream(model="m", input="go", tools=TOOLS) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == sorted({event.sequence_number for event in events})
    assert events[-1].type == "response.completed" and final.output_text == "I look. 🙂"
    assert [item.arguments for item in final.output if item.type == "function_call"] == ['{"at": "ä/日本"}', '{"at": "b"}']


@pytest.mark.parametrize("wire", ["chat", "responses"])
def test_sdk_raises_its_own_errors_for_scripted_refusals(wire: str) -> None:
    def go(server: ScriptedModel, key: str = "k") -> object:
        if wire == "chat":
            return client(server, key).chat.completions.create(model="m", messages=[{"role": "user", "content": "go"}])
        return client(server, key).responses.create(model="m", input="go")

    with ScriptedModel([fail(429, "slow down", retry_after=2), fail(500)], api_key="right") as server:
        with pytest.raises(openai.AuthenticationError):
            go(server)
        with pytest.raises(openai.RateLimitError) as refused:
            go(server, "right")
        assert refused.value.response.headers["retry-after"] == "2"
        with pytest.raises(openai.InternalServerError):
            go(server, "right")
        with pytest.raises(openai.BadRequestError, match="one more"):
            go(server, "right")
        assert server.errors == ["the script has only 2 turns, and this is one more"]


def test_sdk_sees_a_cut_stream() -> None:
    with (
        ScriptedModel([text("a long answer that will not end", cut_after=3)]) as server,
        pytest.raises(openai.APIConnectionError),
    ):
        for _ in client(server).chat.completions.create(model="m", messages=[{"role": "user", "content": "go"}], stream=True):
            pass


def test_a_function_as_script_reads_real_tool_outputs_on_both_wires() -> None:
    def script(body: dict) -> Reply:
        seen = tool_outputs(body)
        return text(f"{user_text(body)}: {seen[-1]}") if seen else call("look", at="here")

    with ScriptedModel(script, models=["m", "n"]) as server:
        sdk = client(server)
        first = sdk.responses.create(model="m", input="what is there", tools=TOOLS)
        made = first.output[0]
        history = [
            {"role": "user", "content": "what is there"},
            made.model_dump(exclude_unset=True),
            {"type": "function_call_output", "call_id": made.call_id, "output": "a whale"},
        ]
        assert sdk.responses.create(model="m", input=history, tools=TOOLS).output_text == "what is there: a whale"
        asked = sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "chat"}], tools=CHAT_TOOLS).choices[0].message
        answer = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "a gull"}
        messages = [{"role": "user", "content": "chat"}, asked.model_dump(exclude_unset=True), answer]
        assert sdk.chat.completions.create(model="m", messages=messages).choices[0].message.content == "chat: a gull"
        assert [model.id for model in sdk.models.list()] == ["m", "n"]
        assert len(server.requests) == 4 and server.errors == []


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": ""}]}, "chat/completions", "must be a response"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}, {"role": "user", "content": "?"}]},
            "chat/completions",
            "must be followed",
        ),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": ""}]}, "responses", "No tool call found"),
        ({"input": [{"type": "function_call", "call_id": "x", "name": "f", "arguments": "{}"}]}, "responses", "No tool output found"),
    ],
)
def test_it_refuses_what_the_real_endpoints_refuse(body: dict, path: str, reason: str) -> None:
    with ScriptedModel([text("never")]) as server, pytest.raises(openai.BadRequestError, match=reason):
        client(server).post(f"/{path}", body=body | {"model": "m"}, cast_to=object)


def test_importing_the_test_kit_needs_no_third_party_client() -> None:
    code = "import sys, quarterdeck.testing; print([m for m in ('httpx2', 'openai', 'pytest', 'genai_prices') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_received_request_hides_its_key_in_repr() -> None:
    with ScriptedModel([text("x")]) as server:
        client(server, "sk-hidden-key").responses.create(model="m", input="go")
        assert server.requests[0].headers["authorization"] == "Bearer sk-hidden-key"
        assert "sk-hidden-key" not in repr(server.requests)
