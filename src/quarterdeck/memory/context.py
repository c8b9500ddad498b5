"""What a model is shown: a pure function of an agent run's records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from quarterdeck.protocol.models import Item
from quarterdeck.protocol.records import Record

OUTPUT_CHARS = 16_000
MASKED = "[output left out to save room; run the tool again if you need it]"


class Context(msgspec.Struct, frozen=True):
    """The items of the next call. `masked` old tool outputs were replaced by a note; `too_big` if even that is not enough."""

    items: tuple[Item, ...]
    masked: int = 0
    too_big: bool = False


def user(text: str) -> Item:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def clip(text: str, limit: int = OUTPUT_CHARS) -> str:
    """Keep the beginning and the end, and say how much lies between."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def build_context(records: Sequence[Record], max_bytes: int) -> Context:
    """Build the items from the log: the task, then each model output followed by the outputs of its calls.

    `max_bytes` bounds the UTF-8 size; the oldest tool outputs are masked first. Calls and outputs always stay paired,
    and the beginning stays the same from call to call until something must be masked.
    """
    requested = {r.seq: r.body for r in records if r.kind == "action.requested"}
    items: list[Item] = [user(r.body["input"]["task"]) for r in records if r.kind == "run.submitted"]
    outputs: list[int] = []
    pending: dict[str, Item] = {}
    for record in records:
        if record.kind == "run.note" and record.body.get("to_model"):
            items.append(user(record.body["to_model"]))
        if record.kind == "call.refused":
            call = record.body["call_id"]
            pending[call] = {"type": "function_call_output", "call_id": call, "output": record.body["error"]}
        if record.kind != "action.completed":
            continue
        asked = requested[record.body["action"]]["request"]
        if asked["kind"] == "model.call":
            _flush(items, pending, outputs)
            result = record.body.get("result") or {}
            for item in result.get("items", ()):
                items.append(item)
                if item.get("type") == "function_call":
                    pending[item["call_id"]] = {}
        elif call := asked.get("call_id"):
            pending[call] = {"type": "function_call_output", "call_id": call, "output": clip(shown(record.body))}
    _flush(items, pending, outputs)
    return _fit(items, outputs, max_bytes)


def _flush(items: list[Item], pending: dict[str, Item], outputs: list[int]) -> None:
    """Put the outputs in the order of their calls, whatever order they ended in."""
    for item in pending.values():
        if item:
            outputs.append(len(items))
            items.append(item)
    pending.clear()


def _fit(items: list[Item], outputs: Sequence[int], max_bytes: int) -> Context:
    def size(item: Item) -> int:
        return len(json.dumps(item, ensure_ascii=False).encode("utf-8", "replace"))

    total, masked = sum(map(size, items)), 0
    for index in outputs[:-1]:
        if total <= max_bytes:
            break
        smaller = {**items[index], "output": MASKED}
        total += size(smaller) - size(items[index])
        items[index] = smaller
        masked += 1
    return Context(tuple(items), masked, total > max_bytes)


def shown(body: dict[str, Any]) -> str:
    """An action's outcome in the words that its caller, a model, is shown."""
    error, result = body.get("error"), body.get("result")
    if body["state"] != "done":
        error = error or {}
        hint = f" {error['hint']}" if error.get("hint") else ""
        return f"{body['state']}: {error.get('message', '')}.{hint}"
    if isinstance(result, dict) and "stdout" in result:
        return _command(result)
    if isinstance(result, dict) and "text" in result:
        return str(result["text"])
    if isinstance(result, dict) and "value" in result:
        value = result["value"]
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "done" if not result else json.dumps(result, ensure_ascii=False)


def _command(result: dict[str, Any]) -> str:
    from quarterdeck.protocol.environment import CommandResult

    ran = msgspec.convert(result, CommandResult)
    how = f"exit code {ran.exit_code}" if ran.state == "exited" else ran.state
    parts = [how, ran.stdout.text.rstrip()]
    if ran.stderr.total:
        parts.append("stderr:\n" + ran.stderr.text.rstrip())
    return "\n".join(p for p in parts if p)
