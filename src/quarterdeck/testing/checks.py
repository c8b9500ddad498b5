"""Requests as the real endpoints judge them, and what a script wants to read of them, alike for both wires."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def tool_outputs(body: Json) -> list[str]:
    """Return the outputs of all tool calls so far, oldest first, as text."""
    if "messages" in body:
        return [_text(message.get("content")) for message in body["messages"] if message.get("role") == "tool"]
    return [_text(item.get("output")) for item in _items(body) if item.get("type") == "function_call_output"]


def user_text(body: Json) -> str:
    """Return what the user said, all messages joined by line breaks."""
    messages = body.get("messages") or _items(body)
    return "\n".join(_text(message.get("content")) for message in messages if message.get("role") == "user")


def objection(path: str, body: Json) -> str:
    """Return why the real endpoint would refuse this request, or nothing."""
    if not isinstance(body.get("model"), str) or not body["model"]:
        return "you must provide a model parameter"
    if path.endswith("/chat/completions"):
        if not isinstance(body.get("messages"), list) or not body["messages"]:
            return "'messages' must be a list that is not empty"
        return _chat_objection(body["messages"])
    if not body.get("input"):
        return "Missing required parameter: 'input'."
    return _responses_objection(_items(body))


def _chat_objection(messages: list[Json]) -> str:
    waiting: list[str] = []
    for number, message in enumerate(messages):
        role = message.get("role")
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                return f"messages[{number}]: a message with role 'tool' must be a response to a preceding message with 'tool_calls'"
            waiting.remove(message["tool_call_id"])
        elif waiting:
            break
        elif role not in ("system", "developer", "user", "assistant"):
            return f"messages[{number}].role: {role!r} is not one of 'system', 'developer', 'user', 'assistant', 'tool'"
        else:
            waiting = [one["id"] for one in message.get("tool_calls") or ()]
    if waiting:
        return f"an assistant message with 'tool_calls' must be followed by tool messages; no answer to: {', '.join(waiting)}"
    return ""


def _responses_objection(items: list[Json]) -> str:
    waiting: list[Any] = []
    for item in items:
        if item.get("type") == "function_call":
            waiting.append(item.get("call_id"))
        elif item.get("type") == "function_call_output":
            if item.get("call_id") not in waiting:
                return f"No tool call found for function call output with call_id {item.get('call_id')}."
            waiting.remove(item["call_id"])
    return f"No tool output found for function call {waiting[0]}." if waiting else ""


def _items(body: Json) -> list[Json]:
    given = body.get("input")
    return given if isinstance(given, list) else [{"role": "user", "content": given}]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
