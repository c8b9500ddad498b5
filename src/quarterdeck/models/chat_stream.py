"""Chat Completions, the way back: chunks become Responses items. A pure fold, tolerant of what servers do differently."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..protocol.ids import new_id
from ..protocol.models import ArgumentsDelta, Completed, Item, ItemDone, ModelEvent, ReasoningDelta, TextDelta, Usage
from .shape import count, mapping, text

_FINISH = {"function_call": "tool_calls", "max_tokens": "length", "max_output_tokens": "length"}
_KNOWN_FINISH = frozenset({"stop", "length", "tool_calls", "content_filter"})


class _Call:
    def __init__(self, call_id: str, given: bool) -> None:
        self.call_id, self.given, self.name = call_id, given, ""
        self.arguments: list[str] = []
        self.announced = 0  # pieces of the arguments already passed on; they wait for the name


class ChatFold:
    """Takes chunks with `feed`; after the last one `end` gives the items and Completed, or nothing came to an end (`complete`)."""

    def __init__(self, fallback: Usage) -> None:
        self._fallback = fallback
        """What is taken as used when the provider does not say: an upper bound."""
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._thought: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._usage: Usage | None = None
        self._finish = ""
        self._id = self._model = ""

    @property
    def complete(self) -> bool:
        """Whether the provider said that it had finished. A stream that ends before is cut."""
        return bool(self._finish)

    def feed(self, chunk: dict[str, Any]) -> Iterator[ModelEvent]:
        """Take one chunk and yield what can be shown of it. Raises ValueError, TypeError, KeyError or AttributeError if it is malformed."""
        self._id = str(chunk.get("id") or self._id)
        self._model = str(chunk.get("model") or self._model)
        self._usage = chat_usage(chunk.get("usage")) or self._usage
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            yield from self._delta(mapping(choice.get("delta") or choice.get("message") or {}))
            if choice.get("finish_reason"):
                self._finish = str(choice["finish_reason"])

    def _delta(self, delta: dict[str, Any]) -> Iterator[ModelEvent]:
        thought = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        if thought:
            self._thought.append(thought)
            yield ReasoningDelta(thought)
        for detail in delta.get("reasoning_details") or ():
            self._detail(detail)
        for field, kept in (("content", self._text), ("refusal", self._refusal)):
            if said := _text(delta.get(field)):
                kept.append(said)
                yield TextDelta(said)
        for piece in delta.get("tool_calls") or ():
            yield from self._call(piece)

    def _detail(self, detail: dict[str, Any]) -> None:
        """OpenRouter: pieces of one kind and index are one detail; it wants them back whole and unchanged."""
        last = self._details[-1] if self._details else {}
        if (
            detail.get("type") == last.get("type")
            and detail.get("index") == last.get("index")
            and detail.get("id") in (None, last.get("id"))
        ):
            for key, value in detail.items():
                grows = key in ("text", "summary", "data") and isinstance(value, str) and isinstance(last.get(key), str)
                last[key] = last[key] + value if grows else (value if value is not None else last.get(key))
        else:
            self._details.append(dict(detail))

    def _call(self, piece: dict[str, Any]) -> Iterator[ModelEvent]:
        """Find the call that `piece` goes on with. Some servers give index 0 to every call, or none: a new id is a new call."""
        index, given = piece.get("index"), text(piece.get("id") or "")
        call = self._by_index.get(index) if index is not None else (self._calls[-1] if self._calls and not given else None)
        if call is None or (given and call.given and call.call_id != given):
            call = _Call(given or new_id("call"), bool(given))
            self._calls.append(call)
            if index is not None:
                self._by_index[index] = call
        function = piece.get("function") or {}
        call.name = call.name or text(function.get("name") or "")
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        if arguments:
            call.arguments.append(arguments)
        if call.name:
            for fragment in call.arguments[call.announced :]:
                yield ArgumentsDelta(call.call_id, call.name, fragment)
            call.announced = len(call.arguments)

    def end(self) -> Iterator[ModelEvent]:
        """Yield the items in their order (reasoning, message, calls) and Completed."""
        finish = _FINISH.get(self._finish, self._finish)
        if finish not in _KNOWN_FINISH or (finish == "stop" and self._calls):
            finish = "tool_calls" if self._calls else "stop"
        items = list(self._items())
        for item in items:
            item["status"] = "completed"
        if items and finish in ("length", "content_filter"):
            items[-1]["status"] = "incomplete"
        yield from map(ItemDone, items)
        yield Completed(self._usage or self._fallback, finish, self._id, self._model)

    def _items(self) -> Iterator[Item]:
        if self._thought or self._details:
            thought: Item = {"type": "reasoning", "id": new_id("rs"), "summary": []}
            if self._thought:
                thought["content"] = [{"type": "reasoning_text", "text": "".join(self._thought)}]
            if self._details:
                thought["reasoning_details"] = self._details
            yield thought
        parts: list[dict[str, Any]] = []
        if self._text:
            parts.append({"type": "output_text", "text": "".join(self._text), "annotations": []})
        if self._refusal:
            parts.append({"type": "refusal", "refusal": "".join(self._refusal)})
        if parts:
            yield {"type": "message", "id": new_id("msg"), "role": "assistant", "content": parts}
        for call in self._calls:
            arguments = "".join(call.arguments) or "{}"
            yield {"type": "function_call", "id": new_id("fc"), "call_id": call.call_id, "name": call.name, "arguments": arguments}


def chat_usage(data: Any) -> Usage | None:
    """Return the usage that a chunk reports, or None. Providers that count reasoning apart (total = all three) get it added to output."""
    if not isinstance(data, dict):
        return None
    asked, answered = count(data, "prompt_tokens"), count(data, "completion_tokens")
    if asked is None or answered is None:
        return None
    reasoning = count(data.get("completion_tokens_details"), "reasoning_tokens") or 0
    cached = count(data.get("prompt_tokens_details"), "cached_tokens")
    if cached is None:
        cached = count(data, "prompt_cache_hit_tokens") or 0
    if reasoning and data.get("total_tokens") == asked + answered + reasoning:
        answered += reasoning
    return Usage(input=asked, cached=cached, output=answered, reasoning=reasoning)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(text(part.get("text", "")) for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""
