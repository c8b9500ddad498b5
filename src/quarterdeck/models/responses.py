"""The Responses wire, near pass-through: items go and come as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..protocol.ids import new_id
from ..protocol.models import ArgumentsDelta, Completed, ItemDone, ModelEvent, ModelRequest, ReasoningDelta, TextDelta, Usage
from .profiles import Profile

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
        self._final: dict[str, Any] | None = None

    @property
    def complete(self) -> bool:
        """Whether a terminal event came. A stream that ends before is cut."""
        return self._final is not None

    def feed(self, event: dict[str, Any]) -> Iterator[ModelEvent]:
        """Take one event and yield what can be shown of it. Raises Broken, or KeyError, TypeError, AttributeError if it is malformed."""
        kind = event.get("type", "")
        if kind in _TEXT:
            yield TextDelta(event["delta"])
        elif kind in _REASONING:
            yield ReasoningDelta(event["delta"])
        elif kind == "response.function_call_arguments.delta":
            call_id, name = self._calls.get(event.get("output_index"), ("", ""))
            yield ArgumentsDelta(call_id, name, event["delta"])
        elif kind == "response.output_item.added":
            item = event["item"]
            if item.get("type") == "function_call":
                item.setdefault("call_id", new_id("call"))
                self._calls[event.get("output_index")] = (item["call_id"], item.get("name", ""))
        elif kind == "response.output_item.done":
            self._done.add(event.get("output_index", len(self._done)))
            yield ItemDone(event["item"])
        elif kind in ("response.completed", "response.incomplete"):
            self._final = event["response"]
            for index, item in enumerate(event["response"].get("output") or ()):
                if index not in self._done:  # some servers give items only here
                    yield ItemDone(item)
        elif kind in ("error", "response.failed", "response.cancelled") or (not kind and event.get("error")):
            raise Broken(event.get("response") or event)

    def end(self) -> Iterator[ModelEvent]:
        """Yield Completed."""
        final = self._final or {}
        called = bool(self._calls) or any(item.get("type") == "function_call" for item in final.get("output") or ())
        finish = "tool_calls" if called else "stop"
        if final.get("status") == "incomplete":
            finish = _FINISH.get(str((final.get("incomplete_details") or {}).get("reason")), "length")
        usage = responses_usage(final.get("usage")) or self._fallback
        yield Completed(usage, finish, final.get("id") or "", final.get("model") or "")


def responses_usage(data: Any) -> Usage | None:
    """Return the usage of a response object, or None when it is absent or broken."""
    if not isinstance(data, dict) or not all(
        isinstance(data.get(field), int) and data[field] >= 0 for field in ("input_tokens", "output_tokens")
    ):
        return None
    cached = (data.get("input_tokens_details") or {}).get("cached_tokens") or 0
    reasoning = (data.get("output_tokens_details") or {}).get("reasoning_tokens") or 0
    return Usage(input=data["input_tokens"], cached=cached, output=data["output_tokens"], reasoning=reasoning)
