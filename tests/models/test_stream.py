"""Good streams on both wires (A18), behind the permit (law 4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from model_kit import KEY, SAY, TOOL, WIRES, FakePermits, ask, collect, completed, items_of, models_at, permit

from quarterdeck.protocol.errors import BadInput, ConfigError, PermitRefused
from quarterdeck.protocol.models import ArgumentsDelta, ReasoningDelta, TextDelta, Usage
from quarterdeck.testing import Call, Reply, ScriptedModel, call, calls, text, tool_outputs

UNICODE = "Grüße, 日本語, 🙂🏴‍☠️ und \u2028 Zeilen\r\nenden"


@pytest.mark.parametrize("wire", WIRES)
async def test_law_4_the_permit_is_consumed_before_the_first_byte_and_only_once(wire: str) -> None:
    with ScriptedModel([text("one"), text("two")]) as server:
        permits = FakePermits(lambda: seen.append(len(server.requests)))
        seen: list[int] = []
        models = models_at(server.base_url, wire, permits=permits)
        await collect(models, ask(), 1)
        assert seen == [0] and len(server.requests) == 1
        with pytest.raises(PermitRefused):
            await collect(models, ask(), 1)
        with pytest.raises(PermitRefused):
            [event async for event in models.stream(permit(2, "tool.call"), ask())]
        assert len(server.requests) == 1


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("split", [0, 1, 3])
async def test_text_in_any_script_split_anywhere(wire: str, split: int) -> None:
    with ScriptedModel([text(UNICODE, split=split, piece=5, usage=Usage(100, 40, 20, 0))]) as server:
        events = await collect(models_at(server.base_url, wire), ask(instructions="Be brief."))
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == UNICODE
    (message,) = items_of(events)
    assert message["content"][0]["text"] == UNICODE and message["role"] == "assistant" and message["id"]
    assert completed(events).usage == Usage(100, 40, 20, 0) and completed(events).finish == "stop"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("wire", WIRES)
async def test_parallel_calls_with_text_and_reasoning(wire: str) -> None:
    turn = calls(Call("look", {"at": "ä"}, "call_a"), Call("look", {"at": "b" * 40}, "call_b"), text="I look.", reasoning="Hmm, where?")
    with ScriptedModel([turn]) as server:
        events = await collect(models_at(server.base_url, wire), ask(tools=(TOOL,)))
    assert [item["type"] for item in items_of(events)] == ["reasoning", "message", "function_call", "function_call"]
    made = [item for item in items_of(events) if item["type"] == "function_call"]
    assert [(c["call_id"], c["name"], json.loads(c["arguments"])) for c in made] == [
        ("call_a", "look", {"at": "ä"}),
        ("call_b", "look", {"at": "b" * 40}),
    ]
    for c in made:  # what was shown live is what was kept
        deltas = [e for e in events if isinstance(e, ArgumentsDelta) and e.call_id == c["call_id"]]
        assert "".join(e.text for e in deltas) == c["arguments"] and {e.name for e in deltas} == {"look"}
    assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == "Hmm, where?"
    assert completed(events).finish == "tool_calls" and completed(events).usage.reported


@pytest.mark.parametrize("wire", WIRES)
async def test_an_agents_second_turn_is_accepted_and_carries_everything(wire: str) -> None:
    """The scripted server refuses a history in which a call and its output do not fit."""

    def script(body: dict[str, Any]) -> Reply:
        seen = tool_outputs(body)
        return text("It says: " + ", ".join(seen)) if seen else calls(Call("look", {"at": "1"}), Call("look", {"at": "2"}), text="Both.")

    with ScriptedModel(script) as server:
        models = models_at(server.base_url, wire)
        first = items_of(await collect(models, ask(tools=(TOOL,)), 1))
        outputs = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": f"œ{n}"}
            for n, item in enumerate(i for i in first if i["type"] == "function_call")
        ]
        late = {"type": "message", "role": "user", "content": "hurry"}
        events = await collect(models, ask(*SAY, *first, outputs[0], late, outputs[1], tools=(TOOL,)), 2)
        assert server.errors == []
        sent = server.requests[1].body
        assert "hurry" in [message.get("content") for message in sent.get("messages") or sent["input"]]
    assert items_of(events)[0]["content"][0]["text"] == "It says: œ0, œ1"


async def test_items_are_replayed_verbatim_to_responses_and_nothing_is_lost() -> None:
    turn = Reply(reasoning="secret thoughts", text="Hm.", calls=(Call("look", {"at": "x"}),))
    with ScriptedModel([turn, text("done")]) as server:
        models = models_at(server.base_url, "responses", config={"name": "openai"})
        models.providers["openai"] = models.providers["fake"]
        request = ask(model="openai/gpt-5.2", tools=(TOOL,), reasoning={"effort": "low"}, temperature=0.3)
        made = items_of(await collect(models, request, 1))
        assert made[0]["encrypted_content"], "asked for with include, as store is false"
        odd = {"type": "message", "role": "assistant", "phase": "commentary", "content": [], "x_future": {"kept": [1, None]}}
        output = {"type": "function_call_output", "call_id": made[2]["call_id"], "output": [{"type": "input_text", "text": "✓"}]}
        history = (*SAY, *made, output, odd)
        await collect(models, ask(*history, model="openai/gpt-5.2", tools=(TOOL,)), 2)
        sent = server.requests[1].body
        assert sent["input"] == list(history)
        first = server.requests[0].body
        assert first["store"] is False and first["include"] == ["reasoning.encrypted_content"] and first["reasoning"] == {"effort": "low"}
        assert "temperature" not in first, "the gpt-5 family refuses it"
        assert first["max_output_tokens"] == 500 and first["tools"] == [TOOL]


async def test_reasoning_text_goes_back_to_chat_servers_that_give_it() -> None:
    with ScriptedModel([Reply(reasoning="Aha.", calls=(Call("look", {"at": "x"}, "c1"),)), text("ok")]) as server:
        models = models_at(server.base_url)
        made = items_of(await collect(models, ask(tools=(TOOL,)), 1))
        await collect(models, ask(*SAY, *made, {"type": "function_call_output", "call_id": "c1", "output": "y"}, tools=(TOOL,)), 2)
        assistant = server.requests[1].body["messages"][1]
    assert assistant["reasoning_content"] == "Aha." and assistant["tool_calls"][0]["id"] == "c1" and assistant["content"] is None


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_a_short_answer_says_why_and_is_still_charged(wire: str, finish: str) -> None:
    with ScriptedModel([text("half of", finish=finish, usage=Usage(5, 0, 500, 0))]) as server:
        events = await collect(models_at(server.base_url, wire), ask())
    assert completed(events).finish == finish and completed(events).usage.output == 500
    assert items_of(events)[-1]["status"] == "incomplete"


@pytest.mark.parametrize("wire", WIRES)
async def test_law_7_unreported_usage_counts_as_the_upper_bound(wire: str) -> None:
    with ScriptedModel([text("hi", report_usage=False)]) as server:
        models = models_at(server.base_url, wire)
        last = completed(await collect(models, ask()))
    assert not last.usage.reported and last.usage.output == 500
    assert models.cost("fake/m", last.usage) == models.estimate(ask())


@pytest.mark.parametrize("wire", WIRES)
async def test_hanging_up_early_ends_the_providers_stream_and_the_next_call_works(wire: str) -> None:
    with ScriptedModel([text("word " * 200, delay=0.01), text("second")]) as server:
        models = models_at(server.base_url, wire)
        stream = models.stream(permit(1), ask())
        assert await anext(stream)
        await stream.aclose()
        assert items_of(await collect(models, ask(), 2))[0]["content"][0]["text"] == "second"


async def test_what_a_wire_cannot_carry_is_refused_before_it_is_sent() -> None:
    with ScriptedModel([]) as server:
        models = models_at(server.base_url)
        for number, request in enumerate(
            [
                ask({"type": "compaction", "encrypted_content": "x"}),
                ask(tools=({"type": "web_search"},)),
                ask(model="fake"),
                ask(model="fkae/m"),
            ]
        ):
            with pytest.raises((BadInput, ConfigError)) as refused:
                await collect(models, request, number)
            assert refused.value.hint
        assert server.requests == []


@pytest.mark.parametrize("wire", WIRES)
async def test_half_characters_in_tool_output_do_not_break_the_call(wire: str) -> None:
    """File names that are not UTF-8 (A30) reach the model as question marks."""
    with ScriptedModel([text("ok")]) as server:
        await collect(models_at(server.base_url, wire), ask({"type": "message", "role": "user", "content": "caf\udce9 ü"}))
        assert "caf? ü" in json.dumps(server.requests[0].body, ensure_ascii=False)


async def test_one_object_serves_several_event_loops() -> None:
    import asyncio

    with ScriptedModel([call("look"), call("look")]) as server:
        models = models_at(server.base_url)
        for number in (1, 2):
            await asyncio.to_thread(lambda n=number: asyncio.run(collect(models, ask(tools=(TOOL,)), n)))


@pytest.mark.parametrize("wire", WIRES)
async def test_calls_one_after_the_other_share_a_connection(wire: str) -> None:
    with ScriptedModel([text("one"), text("two"), text("three")]) as server:
        models = models_at(server.base_url, wire)
        for number in range(3):
            assert completed([event async for event in models.stream(permit(number), ask())])
        await models.aclose()
        assert len(server.requests) == 3 and server.connections == 1
