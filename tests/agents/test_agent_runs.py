"""Agent runs against a real HTTP server that speaks the protocol (A5, A18, A19, A20, A22; laws 3, 4 and 7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from quarterdeck import Agent, Runtime, tool, workflow
from quarterdeck.config import Config, load_config
from quarterdeck.protocol.errors import ActionFailed, ConfigError
from quarterdeck.testing import Call, ScriptedModel, call, calls, fail, text


@tool(effect="read_only")
def weather(city: str, days: int = 1) -> dict[str, Any]:
    """The weather of a city."""
    return {"city": city, "days": days, "sky": "clear"}


@contextmanager
def scripted(
    home: Path, script: Any, protocol: str = "chat", *, price: bool = True, extra: str = ""
) -> Iterator[tuple[Config, ScriptedModel]]:
    """A HOME whose provider `fake` is a scripted server."""
    with ScriptedModel(script) as server:
        home.mkdir(parents=True, exist_ok=True)
        prices = '[prices."fake/m"]\ninput = 1.0\noutput = 2.0\n' if price else ""
        table = f'[providers.fake]\nprotocol = "{protocol}"\nbase_url = "{server.base_url}"\n'
        (home / "quarterdeck.toml").write_text(f"{extra}\n{table}{prices}")
        yield load_config(home), server


def agent(**options: Any) -> Agent:
    return Agent(name="helper", instructions="Be brief.", model="fake/m", tools=[weather], **options)


@pytest.mark.parametrize("protocol", ["chat", "responses"])
def test_an_agent_calls_a_tool_and_answers(tmp_path: Path, protocol: str) -> None:
    script = [call("weather", city="Lisbon", days=2), text("It is clear in Lisbon.")]
    with scripted(tmp_path, script, protocol) as (config, server):
        result = Runtime(config=config).run(agent(), "How is Lisbon?")
    assert result["text"] == "It is clear in Lisbon."
    assert result["steps"] == 2
    second = json.dumps(server.requests[1].body)
    assert "clear" in second
    assert "Be brief." in json.dumps(server.requests[0].body)


def test_parallel_calls_are_answered_in_the_order_of_the_calls(tmp_path: Path) -> None:
    script = [calls(Call("weather", {"city": "A"}), Call("weather", {"city": "B"})), text("done")]
    with scripted(tmp_path, script) as (config, server):
        Runtime(config=config).run(agent(), "both")
    outputs = [m["content"] for m in server.requests[1].body["messages"] if m["role"] == "tool"]
    assert ['"A"' in outputs[0], '"B"' in outputs[1]] == [True, True]


def test_law_10_a_call_that_fits_no_tool_is_told_so_and_the_agent_goes_on(tmp_path: Path) -> None:
    """What is not known is refused in words, only where a model uses it, and the run goes on."""
    script = [call("nonsense", x=1), call("weather", town="Lisbon"), text("I give up.")]
    with scripted(tmp_path, script) as (config, server):
        result = Runtime(config=config).run(agent(), "hm")
    assert result["text"] == "I give up."
    told = [m["content"] for m in server.requests[2].body["messages"] if m["role"] == "tool"]
    assert "There is no tool 'nonsense'" in told[0]
    assert "town" in told[1]


def test_law_7_the_run_stops_before_the_budget_is_crossed(tmp_path: Path) -> None:
    """Each call may cost up to max_output_tokens x 2 USD per million; the cap leaves room for some, then the run says so."""
    script = [call("weather", city=f"C{i}") for i in range(50)]
    with scripted(tmp_path, script) as (config, server):
        runtime = Runtime(config=config)

        async def main() -> Any:
            run, _ = await runtime.start(agent(max_output_tokens=1000), "go on", budget_usd=0.02)
            await runtime.drive(run)
            account = await runtime.store.account(f"run:{run}")
            return await runtime.result(run), account

        result, account = runtime._sync(main())
    assert result["finish"] == "budget"
    assert 1 <= len(server.requests) < 50
    assert account.settled <= 20_000
    assert account.reserved == 0
    assert account.settled > 0


def test_an_unknown_model_is_never_free(tmp_path: Path) -> None:
    with scripted(tmp_path, [text("hi")], price=False) as (config, server), pytest.raises((ConfigError, ActionFailed), match="price"):
        Runtime(config=config).run(agent(), "hello")
    assert server.requests == []


def test_a_call_that_was_refused_costs_nothing(tmp_path: Path) -> None:
    """A status is an answer without a bill; only a broken stream is settled at its worst case."""
    with scripted(tmp_path, [fail(400, "no such thing"), fail(400, "no such thing")]) as (config, _server):
        runtime = Runtime(config=config)

        async def main() -> Any:
            run, _ = await runtime.start(agent(), "hello")
            await runtime.drive(run)
            return await runtime.store.account(f"run:{run}"), (await runtime.store.run(run)).state

        account, state = runtime._sync(main())
    assert (account.settled, account.reserved, state) == (0, 0, "failed")


def test_a_model_without_its_key_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        runtime.run(agent(), "hello", model="openai/gpt-5")
    assert not (tmp_path / "environments").exists()


def test_law_6_a_key_is_nowhere_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key goes to the provider and nowhere else: not into database, WAL, blobs, environments or logs, not even when it fails."""
    key = "sk-" + "quarterdeck" * 3
    monkeypatch.setenv("FAKE_KEY", key)
    script = [call("weather", city="Lisbon"), fail(400, f"your key {key} is odd"), fail(400, f"your key {key} is odd")]
    with ScriptedModel(script, api_key=key) as server:
        table = f'[providers.fake]\nprotocol = "chat"\nbase_url = "{server.base_url}"\napi_key_env = "FAKE_KEY"\n'
        (tmp_path / "quarterdeck.toml").write_text(f'{table}[prices."fake/m"]\ninput = 1.0\noutput = 2.0\n')
        with pytest.raises(ActionFailed) as caught:
            Runtime(tmp_path).run(agent(), "hello")
        assert len(server.requests) >= 2
    assert key not in str(caught.value)
    assert [p for p in tmp_path.rglob("*") if p.is_file() and key.encode() in p.read_bytes()] == []


def test_a_cut_stream_is_tried_again_with_its_own_reservation(tmp_path: Path) -> None:
    script = [text("never arrives", cut_after=1), text("whole")]
    with scripted(tmp_path, script) as (config, _server):
        runtime = Runtime(config=config)

        async def main() -> Any:
            run, _ = await runtime.start(agent(), "hello")
            await runtime.drive(run)
            return await runtime.result(run), await runtime.store.effect_states(run), await runtime.store.records(run)

        result, effects, _records = runtime._sync(main())
    assert result["text"] == "whole"
    assert sorted((n, s) for _, n, s in effects) == [(1, "failed"), (2, "done")]


def test_a_structured_answer_is_repaired_once(tmp_path: Path) -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    with scripted(tmp_path, [text("no json"), text('{"n": 3}')]) as (config, server):
        result = Runtime(config=config).run(agent(output=form), "count")
    assert result["output"] == {"n": 3}
    assert "not valid JSON" in json.dumps(server.requests[1].body)
    with (
        scripted(tmp_path / "two", [text("no json"), text("again none")]) as (config, _),
        pytest.raises(ActionFailed, match="not the JSON"),
    ):
        Runtime(config=config).run(agent(output=form), "count")


def test_the_last_step_must_answer(tmp_path: Path) -> None:
    with scripted(
        tmp_path, lambda request: call("weather", city="X") if request.get("tool_choice") != "none" else text("out of steps")
    ) as (
        config,
        server,
    ):
        result = Runtime(config=config).run(agent(max_steps=3), "loop")
    assert result["text"] == "out of steps"
    assert len(server.requests) == 3


def test_law_4_what_policy_denies_the_model_is_told_and_nothing_happens(tmp_path: Path) -> None:
    happened: list[str] = []

    @tool
    def dangerous(name: str) -> str:
        """Do it."""
        happened.append(name)
        return "did it"

    policy = tmp_path / "strict.cedar"
    policy.write_text(
        '@id("models") permit (principal, action == Action::"model.call", resource);\n'
        '@id("no.tools") @reason("no tools today") forbid (principal, action == Action::"tool.call", resource);\n'
    )
    script = [call("dangerous", name="x"), text("understood")]
    with scripted(tmp_path / "home", script, extra=f'policy = "{policy}"') as (config, server):
        result = Runtime(config=config).run(Agent(model="fake/m", tools=[dangerous]), "do it")
    assert result["text"] == "understood"
    assert happened == []
    assert "no tools today" in json.dumps(server.requests[1].body)


def test_a_workflow_uses_an_agent_as_a_child_run(tmp_path: Path) -> None:
    @workflow(name="parent")
    async def parent(ctx: Any) -> str:
        answer = await ctx.agent("say hi", model="fake/m", tools=())
        return f"it said {answer.text}"

    with scripted(tmp_path, [text("hi")]) as (config, _):
        runtime = Runtime(config=config)

        async def main() -> Any:
            run, _ = await runtime.start(parent)
            await runtime.drive(run)
            return await runtime.result(run), await runtime.store.tree(run)

        result, tree = runtime._sync(main())
    assert result == "it said hi"
    assert [r.kind for r in tree] == ["workflow", "agent"]
    assert {r.state for r in tree} == {"completed"}
