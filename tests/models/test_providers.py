"""Presets and `[providers.NAME]` (A18)."""

from __future__ import annotations

from typing import Any

import pytest

from quarterdeck.models import PRESETS, ProviderConfig, providers_from
from quarterdeck.models.providers import split_model
from quarterdeck.protocol.errors import ConfigError


def test_presets_need_no_file() -> None:
    assert providers_from({}) == dict(PRESETS)
    assert split_model("openai/gpt-5.2", PRESETS) == (PRESETS["openai"], "gpt-5.2")
    assert split_model("openrouter/meta/llama/x:free", PRESETS)[1] == "meta/llama/x:free"
    assert {name for name, preset in PRESETS.items() if preset.local} == {"ollama", "vllm", "llamacpp"}
    assert not any(preset.api_key_env for preset in PRESETS.values() if preset.local)


def test_a_table_overrides_a_preset_field_by_field() -> None:
    made = providers_from({"openai": {"base_url": "https://eu.api.openai.com/v1/"}, "vllm": {"api_key_env": "VLLM_KEY"}})
    assert made["openai"] == ProviderConfig("openai", "responses", "https://eu.api.openai.com/v1", "OPENAI_API_KEY")
    assert made["vllm"] == ProviderConfig("vllm", "chat", "http://localhost:8000/v1", "VLLM_KEY", local=True)


@pytest.mark.parametrize(
    ("address", "local"),
    [("http://gpu-box:8000/v1", True), ("http://10.1.2.3/v1", True), ("http://gpu.lan/v1", True), ("https://api.together.xyz/v1", False)],
)
def test_law_7_a_preset_moved_to_a_public_address_is_not_free_by_accident(address: str, local: bool) -> None:
    assert providers_from({"vllm": {"base_url": address}})["vllm"].local is local
    assert providers_from({"vllm": {"base_url": address, "local": True}})["vllm"].local


def test_a_provider_of_ones_own() -> None:
    table = {"mine": {"protocol": "chat", "base_url": "https://llm.example.org/v1", "headers": {"X-Team": "core"}, "context_window": 65536}}
    assert providers_from(table)["mine"] == ProviderConfig(
        "mine", "chat", "https://llm.example.org/v1", headers={"X-Team": "core"}, context_window=65536
    )
    assert "core" not in repr(providers_from(table)["mine"]), "a header may hold a secret (law 6)"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"mine": "x"}, "quarterdeck.toml: providers.mine is not a table"),
        ({"mine": {"protocol": "chat"}}, "providers.mine.base_url is ''"),
        ({"mine": {"base_url": "https://x/v1"}}, "providers.mine.protocol is ''"),
        ({"openai": {"protocol": "anthropic"}}, "providers.openai.protocol is 'anthropic'"),
        ({"openai": {"base_ulr": "x"}}, "providers.openai.base_ulr is unknown. Did you mean 'base_url'?"),
        ({"openai": {"base_url": 3}}, "providers.openai.base_url is 3"),
        ({"openai": {"base_url": "localhost:80"}}, "providers.openai.base_url is 'localhost:80'"),
        ({"openai": {"base_url": "https://me:secret@x/v1"}}, "providers.openai.base_url holds a user name or password"),
        ({"openai": {"base_url": "https://x/v1?key=secret"}}, "providers.openai.base_url holds a ?"),
        ({"openai": {"local": "yes"}}, "providers.openai.local is 'yes'"),
        ({"openai": {"context_window": -1}}, "providers.openai.context_window is -1"),
        ({"openai": {"headers": {"A": "b\nc"}}}, "providers.openai.headers.A must be"),
        ({"openai": {"headers": []}}, "providers.openai.headers must be"),
        ({"a/b": {}}, "a provider's name holds no slash"),
    ],
)
def test_a_broken_table_is_named_by_file_and_key(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as broken:
        providers_from(table)
    assert words in broken.value.message and broken.value.hint and "secret" not in broken.value.message


@pytest.mark.parametrize(
    ("name", "words"), [("gpt-5", "provider/NAME"), ("opnai/x", "Did you mean 'openai'?"), ("openai/", "provider/NAME"), ("", "NAME")]
)
def test_a_model_that_cannot_be_found_is_explained(name: str, words: str) -> None:
    with pytest.raises(ConfigError) as unknown:
        split_model(name, PRESETS)
    assert words in unknown.value.message + unknown.value.hint
