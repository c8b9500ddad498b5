"""What a model can be asked for, as data. What it is known not to take (temperature, reasoning effort) is left out of a request."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from .providers import ProviderConfig


class Profile(msgspec.Struct, frozen=True):
    """Capabilities of one model. `context_window` is in tokens."""

    context_window: int = 128_000
    reasoning: bool = False
    """Takes a reasoning effort, and gives encrypted reasoning items on the Responses wire."""
    temperature: bool = True
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How Chat Completions names the output cap here."""
    reasoning_field: Literal["", "reasoning_content", "reasoning"] = "reasoning_content"
    """The field of an assistant message in which this provider wants its own reasoning back; empty: nowhere."""


_HOSTED = Profile()
_LOCAL = Profile(context_window=32_768)

_BY_PROVIDER: dict[str, dict[str, object]] = {
    "openai": {"limit_field": "max_completion_tokens", "reasoning_field": ""},
    "openrouter": {"reasoning_field": "reasoning"},
}

# The first family that matches the part after the last slash; what OpenAI made after gpt-5 is taken to reason.
_FAMILIES: tuple[tuple[str, dict[str, object]], ...] = (
    (r"gpt-5.*-chat|chatgpt", {"context_window": 128_000}),
    (r"gpt-4\.1", {"context_window": 1_047_576}),
    (r"gpt-(3\.5|4)", {}),
    (r"gpt-oss", {"context_window": 131_072, "reasoning": True}),
    (r"gpt-\d|codex", {"context_window": 400_000, "reasoning": True, "temperature": False}),
    (r"o\d", {"context_window": 200_000, "reasoning": True, "temperature": False}),
    (r"claude", {"context_window": 200_000}),
    (r"gemini", {"context_window": 1_048_576}),
    (r"deepseek", {"context_window": 128_000}),
)


def profile_for(provider: ProviderConfig, name: str) -> Profile:
    """Return the profile of the model `name` of `provider`; an unknown one gets the default of its kind."""
    base = _LOCAL if provider.local else _HOSTED
    facts = dict(_BY_PROVIDER.get(provider.name, {}))
    family = name.rpartition("/")[2].lower()
    found = next((known for pattern, known in _FAMILIES if re.match(pattern, family)), {})
    facts |= found
    if provider.local:  # the server's memory decides, not what the model could do
        facts.pop("context_window", None)
    if not found.get("temperature", True) and not provider.local and provider.name != "openrouter":
        facts["limit_field"] = "max_completion_tokens"
    if provider.context_window:
        facts["context_window"] = provider.context_window
    return msgspec.convert({**msgspec.to_builtins(base), **facts}, Profile)
