"""`quarterdeck models check`: one streamed tool call, and what it shows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import msgspec

from ..protocol.actions import Permit
from ..protocol.errors import QuarterdeckError
from ..protocol.models import ArgumentsDelta, Completed, ItemDone, ModelRequest, Price, ReasoningDelta, TextDelta
from .client import Models

_WORD = "lighthouse"
_TOOL = {
    "type": "function",
    "name": "report_word",
    "description": "Report the word that you were given.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"], "additionalProperties": False},
    "strict": True,
}
_OUTPUT_TOKENS = 2048  # a reasoning model thinks before it calls


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at: `ok`, and in words what was seen or what to do."""

    name: str
    ok: bool
    words: str


class CheckReport(msgspec.Struct, frozen=True):
    """What one call showed. Times are seconds (None: it did not come that far); money is micro-USD."""

    model: str
    ok: bool
    checks: tuple[Check, ...]
    first_event_s: float | None = None
    total_s: float | None = None
    price: Price | None = None
    cost_microusd: int | None = None


def check_request(model: str) -> ModelRequest:
    """Return the request that `check` makes; its caller reserves the money for it."""
    return ModelRequest(
        model=model,
        instructions="You test a connection. Call the tool once and say nothing else.",
        input=({"type": "message", "role": "user", "content": f"Call report_word with the word {_WORD!r}."},),
        tools=(_TOOL,),
        max_output_tokens=_OUTPUT_TOKENS,
    )


async def check(models: Models, name: str, permit_factory: Callable[[ModelRequest], Permit]) -> CheckReport:
    """Ask the model `name` for one tool call and say what works. Nothing is raised for a model that fails: the report says it."""
    checks: list[Check] = []
    try:
        price = models.price(name)
    except QuarterdeckError as error:
        return CheckReport(name, False, (_failed("price", error),))
    checks.append(Check("price", True, _price_words(price)))
    request, deltas, calls = check_request(name), 0, []
    first: float | None = None
    last: Completed | None = None
    start = time.perf_counter()
    try:
        async for event in models.stream(permit_factory(request), request):
            first = time.perf_counter() - start if first is None else first
            deltas += isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta)
            if isinstance(event, ItemDone) and event.item.get("type") == "function_call":
                calls.append(event.item)
            last = event if isinstance(event, Completed) else last
    except QuarterdeckError as error:
        return CheckReport(name, False, (*checks, _failed("answers", error)), first, time.perf_counter() - start, price)
    total = time.perf_counter() - start
    checks.append(Check("answers", True, f"as {last.model}" if last and last.model else "yes"))
    checks.append(
        Check(
            "streams", deltas > 0, f"{deltas} pieces" if deltas else "the answer came in one piece: progress will not show while it is made"
        )
    )
    checks.append(_tool_check(calls, last))
    cost = None
    if last is not None:
        cost = models.cost(name, last.usage)
        checks.append(_usage_check(last))
    return CheckReport(name, all(c.ok for c in checks), tuple(checks), first, total, price, cost)


def _failed(name: str, error: QuarterdeckError) -> Check:
    return Check(name, False, f"{error.message} {error.hint}".strip())


def _price_words(price: Price) -> str:
    if price.input == price.output == price.cached == 0:
        return f"0 ({price.source})"
    return f"{price.input / 1e6:g} USD in, {price.cached / 1e6:g} cached, {price.output / 1e6:g} out per million tokens ({price.source})"


def _tool_check(calls: list[dict[str, object]], last: Completed | None) -> Check:
    if not calls:
        why = "the answer was cut at its length" if last and last.finish == "length" else "the model answered without calling the tool"
        return Check("tool call", False, f"{why}: agents need a model (and a server setting) that calls tools")
    try:
        arguments = json.loads(str(calls[0].get("arguments")))
    except ValueError:
        return Check("tool call", False, "the call's arguments are not JSON")
    if calls[0].get("name") != _TOOL["name"] or not isinstance(arguments, dict) or arguments.get("word") != _WORD:
        return Check("tool call", False, "the call names another tool or other arguments than it was told to")
    return Check("tool call", True, "yes, with the right arguments")


def _usage_check(last: Completed) -> Check:
    if not last.usage.reported:
        return Check("usage", False, "the provider reports no token counts: every call is charged at its upper bound")
    return Check("usage", True, f"{last.usage.input} tokens in, {last.usage.output} out")
