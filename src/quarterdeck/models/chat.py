"""Chat Completions, the way out: Responses items become messages. Pure; `chat_stream` is the way back."""

from __future__ import annotations

import json
from typing import Any

from ..protocol.errors import BadInput
from ..protocol.models import Item, ModelRequest
from .profiles import Profile

Message = dict[str, Any]


def chat_body(request: ModelRequest, name: str, profile: Profile, provider: str) -> dict[str, Any]:
    """Return the body of `POST /chat/completions`. Raises BadInput for items and tools that this wire cannot carry."""
    body: dict[str, Any] = {
        "model": name,
        "messages": messages_from(request.instructions, request.input, profile),
        "stream": True,
        "stream_options": {"include_usage": True},
        profile.limit_field: request.max_output_tokens,
    }
    if request.tools:
        body |= _tools(request)
    if request.text_format and request.text_format.get("type") != "text":
        body["response_format"] = _response_format(request.text_format)
    if request.temperature is not None and profile.temperature:
        body["temperature"] = request.temperature
    if request.reasoning and profile.reasoning:
        if provider == "openrouter":
            body["reasoning"] = request.reasoning
        elif request.reasoning.get("effort"):
            body["reasoning_effort"] = request.reasoning["effort"]
    return body


def other_limit(data: dict[str, Any], message: str) -> dict[str, Any] | None:
    """Return the body with the output cap under its other name, if a 400 complains of the one that was used. The cap itself stays."""
    for used, other in (("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")):
        if used in data and f"'{other}'" in message.replace('"', "'").replace("`", "'").replace("\\", ""):
            return {key: value for key, value in data.items() if key != used} | {other: data[used]}
    return None


def messages_from(instructions: str, items: tuple[Item, ...], profile: Profile) -> list[Message]:
    """Return the messages for Responses items. Text, calls and reasoning of one answer become one assistant message.

    This wire wants every call's output right behind the call: what a person said in between comes after the outputs.
    """
    fold = _Messages(profile)
    if instructions:
        fold.add({"role": "system", "content": instructions})
    for item in items:
        fold.take(item)
    return fold.end()


class _Messages:
    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._out: list[Message] = []
        self._held: list[Message] = []
        self._open: list[str] = []  # call ids that wait for an output
        self._assistant: Message | None = None  # the answer being put together
        self._thought: Item | None = None

    def add(self, message: Message) -> None:
        self._assistant = None
        self._thought = None  # reasoning without an answer behind it has no place here
        (self._held if self._open else self._out).append(message)

    def take(self, item: Item) -> None:
        kind = item.get("type", "message")
        if kind == "message":
            if item.get("role") == "assistant":
                self._answer()["content"] = (self._answer().get("content") or "") + _plain(item.get("content"))
            else:
                role = "user" if item.get("role", "user") == "user" else "system"
                self.add({"role": role, "content": _content(item.get("content"))})
        elif kind == "reasoning":
            self._assistant = None
            self._thought = item
        elif kind == "function_call":
            call = {"name": item.get("name", ""), "arguments": item.get("arguments") or "{}"}
            self._answer().setdefault("tool_calls", []).append({"id": item["call_id"], "type": "function", "function": call})
            self._open.append(item["call_id"])
        elif kind == "function_call_output":
            self._output(item)
        else:
            raise BadInput(
                f"A Chat Completions provider cannot be shown an item of type {kind!r}.",
                hint='Use a provider with protocol = "responses".',
                param="input",
            )

    def _output(self, item: Item) -> None:
        self._assistant = None
        call_id = item.get("call_id")
        if call_id in self._open:
            self._open.remove(call_id)
        self._out.append({"role": "tool", "tool_call_id": call_id, "content": _plain(item.get("output"))})
        if not self._open:
            self._out += self._held
            self._held = []

    def _answer(self) -> Message:
        if self._assistant is None:
            self._assistant = {"role": "assistant", "content": None}
            if self._thought is not None:
                self._assistant |= _replayed(self._thought, self._profile)
                self._thought = None
            (self._held if self._open else self._out).append(self._assistant)
        return self._assistant

    def end(self) -> list[Message]:
        return self._out + self._held


def _replayed(thought: Item, profile: Profile) -> Message:
    if profile.reasoning_field == "reasoning" and thought.get("reasoning_details"):
        return {"reasoning_details": thought["reasoning_details"]}
    text = "".join(part.get("text", "") for part in thought.get("content") or [])
    return {profile.reasoning_field: text} if text and profile.reasoning_field else {}


def _plain(content: Any) -> str:
    """Return content or a tool's output as text; parts that are not text are kept as JSON, so that nothing is lost in silence."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return "" if content is None else json.dumps(content, ensure_ascii=False)
    return "".join(
        str(part["text"]) if "text" in part else str(part.get("refusal") or json.dumps(part, ensure_ascii=False)) for part in content
    )


def _content(content: Any) -> str | list[dict[str, Any]]:
    if not isinstance(content, list) or all("text" in part for part in content):
        return _plain(content)
    return [_part(part) for part in content]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    if part.get("type") == "input_image" and part.get("image_url"):
        image = {"url": part["image_url"]} | ({"detail": part["detail"]} if part.get("detail") else {})
        return {"type": "image_url", "image_url": image}
    if part.get("type") == "input_file":
        return {"type": "file", "file": {key: part[key] for key in ("file_id", "file_data", "filename") if part.get(key)}}
    if part.get("type") == "input_audio":
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    raise BadInput(f"A Chat Completions provider cannot be shown {part.get('type')!r} content.", hint="Give it as text.", param="input")


def _tools(request: ModelRequest) -> dict[str, Any]:
    tools, choice = list(request.tools), request.tool_choice
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = {tool.get("name") for tool in choice.get("tools", [])}
        tools, choice = [tool for tool in tools if tool.get("name") in allowed], choice.get("mode", "auto")
    elif isinstance(choice, dict):
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    return {"tools": [_tool(tool) for tool in tools], "tool_choice": choice} if tools else {}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type", "function") != "function":
        raise BadInput(
            f"A Chat Completions provider has no tool of type {tool['type']!r}.", hint="Give it as a function tool.", param="tools"
        )
    function = {key: tool[key] for key in ("name", "description", "parameters", "strict") if tool.get(key) is not None}
    return {"type": "function", "function": function}


def _response_format(text_format: dict[str, Any]) -> dict[str, Any]:
    if text_format.get("type") != "json_schema":
        return text_format
    return {"type": "json_schema", "json_schema": {key: value for key, value in text_format.items() if key != "type"}}
