"""The Responses wire, near pass-through: items go and come as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..protocol.models import ArgumentsDelta, Completed, ItemDone, ModelEvent, ModelRequest, ReasoningDelta, TextDelta, Usage
from .profiles import Profile
from .shape import count, mapping, text

_REASONING = frozenset({"response.reasoning_summary_text.delta", "response.reasoning_text.delta", "response.reasoning.delta"})
_TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})
_FINISH = {"max_output_tokens": "length", "max_tokens": "length", "content_filter": "content_filter"}


def responses_body(request: ModelRequest, name: str, profile: Profile) -> dict[str, Any]:
    """Return the body of `POST /responses`. Nothing is stored there; reasoning comes back encrypted and is replayed as it came."""
    body: dict[str, Any] = {
        "model": name,
        "input": list(request.input),
        "stream": True,
        "store": False,
        "max_output_tokens": request.max_output_tokens,
    }
    if request.instructions:
        body["instructions"] = request.instructions
    if request.tools:
        body |= {"tools": list(request.tools), "tool_choice": request.tool_choice}
    if request.text_format:
        body["text"] = {"format": request.text_format}
    if request.temperature is not None and profile.temperature:
        body["temperature"] = request.temperature
    if profile.reasoning:
        body["include"] = ["reasoning.encrypted_content"]  # asking a model without reasoning for it is a 400
        if request.reasoning:
            body["reasoning"] = request.reasoning
    return body


class Broken(Exception):
    """The provider reported an error inside the stream; `data` is its event."""

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__("broken")
        self.data = data


class ResponsesFold:
    """Takes events with `feed`; `end` gives Completed. Items are passed on as soon as they are done, unchanged."""

    def __init__(self, fallback: Usage) -> None:
        self._fallback = fallback
        self._calls: dict[Any, tuple[str, str]] = {}
        self._done: set[Any] = set()
        self._called = False
        self._final: dict[str, Any] | None = None

    @property
    def complete(self) -> bool:
        """Whether a terminal event came. A stream that ends before is cut."""
        return self._final is not None

    def feed(self, event: dict[str, Any]) -> Iterator[ModelEvent]:
        """Take one event and yield what can be shown of it. Raises Broken, or KeyError, TypeError, AttributeError if it is malformed."""
        kind = event.get("type", "")
        if kind in _TEXT:
            yield TextDelta(text(event["delta"]))
        elif kind in _REASONING:
            yield ReasoningDelta(text(event["delta"]))
        elif kind == "response.function_call_arguments.delta":
            call_id, name = self._calls.get(event.get("output_index"), ("", ""))
            yield ArgumentsDelta(call_id, name, text(event["delta"]))
        elif kind == "response.output_item.added":
            item = mapping(event["item"])
            if item.get("type") == "function_call":
                self._calls[event.get("output_index")] = (text(item["call_id"]), text(item["name"]))
        elif kind == "response.output_item.done":
            self._done.add(event.get("output_index", len(self._done)))
            yield self._item(event["item"])
        elif kind in ("response.completed", "response.incomplete"):
            final = mapping(event["response"])
            for index, item in enumerate(final.get("output") or ()):
                if index not in self._done:  # some servers give items only here
                    yield self._item(item)
            self._final = final
        elif kind in ("error", "response.failed", "response.cancelled") or (not kind and event.get("error")):
            raise Broken(mapping(event.get("response") or event))

    def _item(self, item: Any) -> ItemDone:
        if mapping(item).get("type") == "function_call":
            self._called = True
            for field in ("call_id", "name", "arguments"):
                text(item[field])
        return ItemDone(item)

    def end(self) -> Iterator[ModelEvent]:
        """Yield Completed."""
        final = self._final or {}
        finish = "tool_calls" if self._called else "stop"
        if final.get("status") == "incomplete":
            finish = _FINISH.get(str(mapping(final.get("incomplete_details") or {}).get("reason")), "length")
        usage = responses_usage(final.get("usage")) or self._fallback
        yield Completed(usage, finish, str(final.get("id") or ""), str(final.get("model") or ""))


def responses_usage(data: Any) -> Usage | None:
    """Return the usage of a response object, or None when it is absent or broken."""
    asked, answered = count(data, "input_tokens"), count(data, "output_tokens")
    if asked is None or answered is None:
        return None
    cached = count(data.get("input_tokens_details"), "cached_tokens") or 0
    reasoning = count(data.get("output_tokens_details"), "reasoning_tokens") or 0
    return Usage(input=asked, cached=cached, output=answered, reasoning=reasoning)
