"""Prices and bounds (A20): never free by accident, never above the reservation (law 7)."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_kit import TOOL, FakePermits, ask, models_at

from quarterdeck.models import PRESETS, Models, prices_from, providers_from
from quarterdeck.protocol.errors import ConfigError
from quarterdeck.protocol.models import ModelRequest, Price, Usage


def book(prices: dict[str, Price] | None = None) -> Models:
    return Models(PRESETS, FakePermits(), prices)


def test_local_models_cost_an_explicit_zero() -> None:
    for name in ("ollama/qwen3:8b", "vllm/Qwen/Qwen3-8B", "llamacpp/any"):
        assert book().price(name) == Price(0, 0, 0, "local")
        assert book().estimate(ask(model=name)) == 0 == book().cost(name, Usage(10**6, 0, 10**6, 0))


def test_known_prices_come_from_genai_prices_with_their_source() -> None:
    price = book().price("openai/gpt-4o")
    assert price == Price(2_500_000, 1_250_000, 10_000_000, price.source) and price.source.startswith("genai-prices ")
    assert book().price("openrouter/openai/gpt-4o-mini").output > 0


def test_cached_tokens_are_priced_apart_and_everything_rounds_up() -> None:
    mine = book({"openai/x": Price(2_500_000, 250_000, 10_000_000, "test")})
    assert mine.cost("openai/x", Usage(1000, 400, 100, 50)) == 1500 + 100 + 1000
    assert mine.cost("openai/x", Usage(1, 1, 0, 0)) == 1
    assert mine.cost("openai/x", Usage(0, 0, 0, 0)) == 0
    assert mine.cost("openai/x", Usage(10, 99, 0, 0)) == 3, "more cached than sent is nonsense, and no discount"


def test_long_calls_pay_the_tariff_of_their_tier() -> None:
    base = book().price("openrouter/anthropic/claude-sonnet-4.5")
    short, long = (book().cost("openrouter/anthropic/claude-sonnet-4.5", Usage(n, 0, 0, 0)) for n in (200_000, 200_001))
    assert short == base.input // 5 and long > 1.9 * short


def test_the_operators_price_counts_first_also_for_a_local_model() -> None:
    given = {"openai/gpt-4o": Price(1, 1, 1, "mine"), "vllm/m": Price(7, 7, 7, "mine")}
    assert book(given).price("openai/gpt-4o").source == "mine" and book(given).price("vllm/m").input == 7


@pytest.mark.parametrize("name", ["openai/gpt-nobody-knows", "openrouter/meta-llama/llama-3.3-70b-instruct:free", "mine/whatever"])
def test_an_unknown_model_is_never_free_and_the_error_shows_the_setting(name: str) -> None:
    providers = providers_from({"mine": {"protocol": "chat", "base_url": "https://llm.example.org/v1"}})
    models = Models(providers, FakePermits())
    for ask_price in (lambda: models.price(name), lambda: models.estimate(ask(model=name)), lambda: models.cost(name, Usage(1))):
        with pytest.raises(ConfigError) as unknown:
            ask_price()
        assert f'[prices."{name}"]\ninput = 1.25' in unknown.value.hint
    import tomllib

    table = tomllib.loads(unknown.value.hint.partition("\n")[2])["prices"]
    assert prices_from(table)[name].output == 10_000_000, "the setting that it shows works as it stands"


def test_a_moved_preset_keeps_its_prices_and_a_known_address_has_its_own() -> None:
    providers = providers_from(
        {"openai": {"base_url": "https://proxy.example.org/v1"}, "g": {"protocol": "chat", "base_url": "https://api.groq.com/openai/v1"}}
    )
    models = Models(providers, FakePermits())
    assert models.price("openai/gpt-4o").input == 2_500_000
    assert "groq" in models.price("g/llama-3.3-70b-versatile").source


def test_prices_from_the_file() -> None:
    table = {"a/b": {"input": 0.15, "output": 0.6}, "a/c": {"input": 1, "cached": 0.0000001, "output": 0}}
    assert prices_from(table) == {
        "a/b": Price(150_000, 150_000, 600_000, "quarterdeck.toml"),
        "a/c": Price(1_000_000, 1, 0, "quarterdeck.toml"),
    }


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"a/b": 3}, 'quarterdeck.toml: prices."a/b" is not a table'),
        ({"a/b": {"input": 1}}, 'prices."a/b".output is missing'),
        ({"a/b": {"input": -1, "output": 1}}, 'prices."a/b".input is -1'),
        ({"a/b": {"input": True, "output": 1}}, 'prices."a/b".input is True'),
        ({"a/b": {"input": "1", "output": 1}}, "prices.\"a/b\".input is '1'"),
        ({"a/b": {"input": float("nan"), "output": 1}}, 'prices."a/b".input is nan'),
        ({"a/b": {"input": 1, "outptu": 1}}, "Did you mean 'output'?"),
    ],
)
def test_broken_prices_are_named(table: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as broken:
        prices_from(table)
    assert words in broken.value.message and broken.value.hint


_TEXT = st.text(max_size=200)


@given(_TEXT, st.lists(_TEXT, max_size=4), st.integers(0, 5), st.booleans())
def test_law_7_the_estimate_bounds_every_tokenisation_by_bytes(instructions: str, texts: list[str], tools: int, cached: bool) -> None:
    """A token covers at least one byte: a call in which every byte is a token, and every output token is used, fits."""
    models = models_at("http://unused")
    items = tuple({"type": "message", "role": "user", "content": text} for text in texts)
    request = ask(*items, instructions=instructions, tools=(TOOL,) * tools)
    spoken = sum(len(text.encode("utf-8", "replace")) for text in (instructions, *(texts or ["hello"]))) + tools * len(str(TOOL))
    used = Usage(input=spoken, cached=spoken if cached else 0, output=request.max_output_tokens)
    assert models.cost("fake/m", used) <= models.estimate(request)


def test_the_estimate_takes_the_dearest_reachable_tier_and_the_price_of_cache_writes() -> None:
    name = "openrouter/anthropic/claude-sonnet-4.5"
    request = ask({"role": "user", "content": "x" * 250_000}, model=name)
    assert book().estimate(request) >= 250_000 * 2 * book().price(name).input * 1.25 / 1e6
    assert book().estimate(request) >= book().cost(name, Usage(250_000, 0, 500, 0))


@pytest.mark.parametrize(
    "longer",
    [
        ask(instructions="ü" * 5000),
        ask({"type": "message", "role": "user", "content": "\u2028" * 3334}),
        ask({"type": "function_call_output", "call_id": "c", "output": "\x00" * 10_000}),
        ask(tools=(TOOL | {"description": "x" * 10_000},)),
        ask(text_format={"type": "json_schema", "schema": {"description": "x" * 10_000}}),
    ],
)
def test_every_part_of_a_request_raises_its_bound_by_its_bytes(longer: ModelRequest) -> None:
    models = models_at("http://unused")
    assert models.estimate(longer) - models.estimate(ask()) >= 10_000 - len(str(ask().input))


def test_pictures_and_files_given_by_address_are_bounded_too() -> None:
    models = models_at("http://unused")
    picture = ask({"role": "user", "content": [{"type": "input_image", "image_url": "https://x/y.png"}]})
    document = ask({"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]})
    assert models.estimate(picture) - models.estimate(ask()) > 49_000
    assert models.estimate(document) - models.estimate(ask()) > 127_000


def test_importing_the_room_is_cheap() -> None:
    """`quarterdeck --help` must run in 0.25 s: neither the HTTP client nor the price data is imported before it is needed."""
    code = "import sys, quarterdeck.models; print([m for m in ('httpx2', 'genai_prices', 'pydantic', 'openai') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
