"""Replies as the two wires carry them: whole bodies and lists of events, in the shapes that OpenAI's own client reads."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

from ..protocol.ids import new_id
from ..protocol.models import Usage
from .replies import Reply

Json = dict[str, Any]

_ECHOED: Json = {
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "tool_choice": "auto",
    "tools": [],
    "background": False,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "text": {"format": {"type": "text"}},
    "top_logprobs": 0,
    "truncation": "disabled",
}
"""What a response repeats of its request, and what it says where the request is silent."""


def usage_of(reply: Reply, body: Json) -> Usage:
    """Return the reply's usage, or one counted from the bytes, four to a token."""
    if reply.usage is not None:
        return reply.usage
    said = len(reply.text) + sum(len(c.name) + len(c.text) for c in reply.calls)
    thought = len(reply.reasoning) // 4
    return Usage(input=len(json.dumps(body)) // 4 + 1, output=said // 4 + thought + 1, reasoning=thought)


def finish_of(reply: Reply) -> str:
    """Return the finish reason: the reply's, or what follows from its calls."""
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def pieces(text: str, size: int) -> Iterator[str]:
    """Yield `text` in pieces of `size` characters."""
    for start in range(0, len(text), max(size, 1)):
        yield text[start : start + max(size, 1)]


def chat_body(reply: Reply, body: Json) -> Json:
    """Return the whole answer of `/v1/chat/completions`."""
    message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.calls:
        message["tool_calls"] = [
            {"id": c.id or new_id("call"), "type": "function", "function": {"name": c.name, "arguments": c.text}} for c in reply.calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": finish_of(reply), "logprobs": None}
    answer = {"id": new_id("chatcmpl"), "object": "chat.completion", "created": int(time.time()), "model": body.get("model", "")}
    return answer | {"choices": [choice]} | ({"usage": _chat_usage(reply, body)} if reply.report_usage else {})


def chat_events(reply: Reply, body: Json) -> list[Json | str]:
    """Return the chunks of a streamed answer, with `[DONE]` as the last. Calls come side by side, by index, as parallel calls do."""
    head = {"id": new_id("chatcmpl"), "object": "chat.completion.chunk", "created": int(time.time()), "model": body.get("model", "")}

    def chunk(delta: Json, finish: str | None = None) -> Json:
        return head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]}

    events: list[Json | str] = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"reasoning_content": piece}) for piece in pieces(reply.reasoning, reply.piece)]
    events += [chunk({"content": piece}) for piece in pieces(reply.text, reply.piece)]
    for index, c in enumerate(reply.calls):
        function = {"name": c.name, "arguments": ""}
        events.append(chunk({"tool_calls": [{"index": index, "id": c.id or new_id("call"), "type": "function", "function": function}]}))
    rows = [list(pieces(c.text, reply.piece)) for c in reply.calls]
    for turn in range(max(map(len, rows), default=0)):
        for index, row in enumerate(rows):
            if turn < len(row):
                events.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": row[turn]}}]}))
    events.append(chunk({}, finish_of(reply)))
    if reply.report_usage and (body.get("stream_options") or {}).get("include_usage"):
        events.append(head | {"choices": [], "usage": _chat_usage(reply, body)})
    return [*events, "[DONE]"]


def _chat_usage(reply: Reply, body: Json) -> Json:
    used = usage_of(reply, body)
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning, "audio_tokens": 0},
    }


def responses_items(reply: Reply, body: Json) -> list[Json]:
    """Return the output items. Reasoning is encrypted (here: base64) if the request includes it, as it must come back unchanged."""
    status = "incomplete" if finish_of(reply) in ("length", "content_filter") else "completed"
    items: list[Json] = []
    if reply.reasoning:
        items.append({"type": "reasoning", "id": new_id("rs"), "summary": [{"type": "summary_text", "text": reply.reasoning}]})
        if "reasoning.encrypted_content" in (body.get("include") or ()):
            items[0]["encrypted_content"] = base64.b64encode(reply.reasoning.encode()).decode()
    if reply.text or not (reply.calls or reply.reasoning):
        content = [{"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}]
        items.append({"type": "message", "id": new_id("msg"), "role": "assistant", "status": status, "content": content})
    for c in reply.calls:
        call_id = c.id or new_id("call")
        items.append(
            {"type": "function_call", "id": new_id("fc"), "call_id": call_id, "name": c.name, "arguments": c.text, "status": status}
        )
    return items


def responses_body(reply: Reply, body: Json) -> Json:
    """Return the whole answer of `/v1/responses`: every field that Open Responses requires."""
    return _response(reply, body, responses_items(reply, body), final=True)


def _response(reply: Reply, body: Json, output: list[Json], *, final: bool) -> Json:
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish_of(reply))
    echoed = {name: body.get(name, default) for name, default in _ECHOED.items()}
    now = int(time.time())
    used = usage_of(reply, body)
    usage = {
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": 0},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    }
    return echoed | {
        "id": new_id("resp"),
        "object": "response",
        "created_at": now,
        "completed_at": now if final and not reason else None,
        "status": ("incomplete" if reason else "completed") if final else "in_progress",
        "error": None,
        "incomplete_details": {"reason": reason} if final and reason else None,
        "model": body.get("model", ""),
        "output": output,
        "usage": usage if final and reply.report_usage else None,
    }


def responses_events(reply: Reply, body: Json) -> list[Json]:
    """Return the events of a streamed answer, numbered."""
    items = responses_items(reply, body)
    start = _response(reply, body, [], final=False)
    events: list[Json] = [{"type": "response.created", "response": start}, {"type": "response.in_progress", "response": start}]
    for index, item in enumerate(items):
        events += _item_events(item, index, reply)
    end = _response(reply, body, items, final=True) | {"id": start["id"]}
    events.append({"type": f"response.{end['status']}", "response": end})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _item_events(item: Json, index: int, reply: Reply) -> Iterator[Json]:
    place = {"item_id": item["id"], "output_index": index}
    empty = item | {"status": "in_progress"} | {key: [] for key in ("content", "summary") if key in item}
    empty.pop("encrypted_content", None)
    if item["type"] == "function_call":
        empty["arguments"] = ""
    yield {"type": "response.output_item.added", "output_index": index, "item": empty}
    if item["type"] == "function_call":
        for piece in pieces(item["arguments"], reply.piece):
            yield {"type": "response.function_call_arguments.delta", "delta": piece, **place}
        yield {"type": "response.function_call_arguments.done", "arguments": item["arguments"], "name": item["name"], **place}
    elif item["type"] == "message":
        part, at = item["content"][0], place | {"content_index": 0}
        yield {"type": "response.content_part.added", "part": part | {"text": ""}, **at}
        for piece in pieces(part["text"], reply.piece):
            yield {"type": "response.output_text.delta", "delta": piece, "logprobs": [], **at}
        yield {"type": "response.output_text.done", "text": part["text"], "logprobs": [], **at}
        yield {"type": "response.content_part.done", "part": part, **at}
    else:
        part, at = item["summary"][0], place | {"summary_index": 0}
        yield {"type": "response.reasoning_summary_part.added", "part": part | {"text": ""}, **at}
        for piece in pieces(part["text"], reply.piece):
            yield {"type": "response.reasoning_summary_text.delta", "delta": piece, **at}
        yield {"type": "response.reasoning_summary_text.done", "text": part["text"], **at}
        yield {"type": "response.reasoning_summary_part.done", "part": part, **at}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}
