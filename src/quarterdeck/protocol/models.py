"""Model calls as data: requests, stream events, usage. Items are plain Responses objects (dicts); nothing of them is lost."""

from __future__ import annotations

from typing import Any

import msgspec

Item = dict[str, Any]
"""A Responses item, kept as the plain data that came."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one call, as the provider counted them. `input` includes `cached`; `output` includes `reasoning`."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    reported: bool = True
    """False: the provider said nothing, and the numbers are upper bounds."""


class ModelRequest(msgspec.Struct, frozen=True):
    """One call. `model` is `provider/name`; `tools` are Responses function tools; `text_format` is a Responses `text.format`."""

    model: str
    instructions: str = ""
    input: tuple[Item, ...] = ()
    tools: tuple[dict[str, Any], ...] = ()
    tool_choice: Any = "auto"
    max_output_tokens: int = 4096
    text_format: dict[str, Any] | None = None
    temperature: float | None = None
    reasoning: dict[str, Any] | None = None


class TextDelta(msgspec.Struct, frozen=True, tag="text.delta"):
    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, tag="reasoning.delta"):
    text: str


class ArgumentsDelta(msgspec.Struct, frozen=True, tag="arguments.delta"):
    call_id: str
    name: str
    text: str


class ItemDone(msgspec.Struct, frozen=True, tag="item.done"):
    """An output item is complete: message, reasoning, function_call."""

    item: Item


class Completed(msgspec.Struct, frozen=True, tag="completed"):
    """The last event of a good stream. `finish` is `stop`, `length`, `tool_calls` or `content_filter`."""

    usage: Usage
    finish: str
    response_id: str = ""
    model: str = ""


ModelEvent = TextDelta | ReasoningDelta | ArgumentsDelta | ItemDone | Completed


class Price(msgspec.Struct, frozen=True):
    """Micro-USD per million tokens, and where it comes from. A local model has an explicit 0."""

    input: int
    cached: int
    output: int
    source: str
