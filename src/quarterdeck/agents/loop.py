"""The agent loop: a pure function of the log that names the next model call or the next tool calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from quarterdeck.kernel.decider import Command, Do, End, Note
from quarterdeck.kernel.log import Entry, RunLog
from quarterdeck.protocol.actions import ActionRequest, Resource
from quarterdeck.protocol.canonical import digest
from quarterdeck.protocol.errors import BadInput
from quarterdeck.protocol.models import Item, ModelRequest
from quarterdeck.protocol.records import Record

from .toolset import Toolset

REPAIRS = 1


class Built(Protocol):
    """What memory answers (`memory.Context`)."""

    @property
    def items(self) -> tuple[Item, ...]: ...

    @property
    def too_big(self) -> bool: ...


class AgentLoop:
    """The decider of runs of kind `agent`."""

    def __init__(
        self, toolset: Toolset, build_context: Callable[[Sequence[Record], int], Built], estimate: Callable[[ModelRequest], int],
        offer: Callable[[str, int, ModelRequest], None], context_bytes: int, local: bool,
    ) -> None:  # fmt: skip
        """`offer(run, turn, request)` hands the built request of a model call to its executor."""
        self._offer = offer
        self._toolset, self._build, self._estimate = toolset, build_context, estimate
        self._context_bytes, self._local = context_bytes, local

    def close(self) -> None:
        """Nothing lives between calls."""

    def advance(self, log: RunLog) -> list[Command]:
        asked = log.input
        turn, last = self._last_model(log)
        if last is None:
            return [self._model(log, asked, 0)]
        if last.outcome is None:
            return [self._again(log, last)]
        if last.outcome.state != "done":
            return [self._gave_up(log, last)]
        calls = [i for i in last.outcome.result["items"] if i.get("type") == "function_call"]
        wanted, refused = self._calls(log, turn, calls)
        if refused:
            return refused
        if wanted:
            return wanted
        text = _text(last.outcome.result["items"])
        if not calls:
            return self._answer(log, asked, turn, text)
        if turn + 1 >= asked["max_steps"]:
            return [self._end(log, "limit", text)]
        return [self._model(log, asked, turn + 1)]

    def _last_model(self, log: RunLog) -> tuple[int, Entry | None]:
        turn = 0
        while log.entry("model", turn + 1) is not None:
            turn += 1
        return turn, log.entry("model", turn)

    def _calls(self, log: RunLog, turn: int, calls: Sequence[Item]) -> tuple[list[Command], list[Command]]:
        """The tool calls of one model output that have no outcome yet; and notes for those that cannot become actions."""
        wanted: list[Command] = []
        refused: list[Command] = []
        for index, call in enumerate(calls):
            name = f"{call.get('name')} {turn}.{index}"
            entry = log.entry(name, 0)
            if entry is None:
                try:
                    wanted.append(Do(self._toolset.action(name, call)))
                except BadInput as error:
                    refused.append(_refusal(name, call, error))
            elif entry.outcome is None and entry.request is not None:
                wanted.append(Do(entry.request))
        return wanted, refused

    def _model(self, log: RunLog, asked: dict[str, Any], turn: int) -> Command:
        """Ask for model call `turn`. Its input is in the log already: the action names the records that it was built from."""
        final = turn + 1 >= asked["max_steps"]
        request, too_big = self._request(log, len(log.records), final)
        if too_big:
            return self._end(log, "context", "")
        provider = request.model.partition("/")[0]
        resource = Resource("Model", request.model, (), {"provider": provider, "local": self._local})
        args = {"model": request.model, "records": len(log.records), "final": final, "request": digest(request)}
        self._offer(log.run, turn, request)
        return Do(ActionRequest("model.call", "model", resource, args, turn, "idempotent", self._estimate(request)))

    def _again(self, log: RunLog, last: Entry) -> Command:
        """A model call without outcome: give its executor the same request again."""
        assert last.request is not None
        args = last.request.args
        self._offer(log.run, last.key[1], self._request(log, args["records"], args["final"])[0])
        return Do(last.request)

    def _request(self, log: RunLog, records: int, final: bool) -> tuple[ModelRequest, bool]:
        asked = log.input
        context = self._build(log.records[:records], self._context_bytes)
        request = ModelRequest(
            model=asked["model"], instructions=asked["instructions"], input=context.items, tools=self._toolset.definitions(),
            tool_choice="none" if final else "auto", max_output_tokens=asked["max_output_tokens"], text_format=asked.get("output"),
        )  # fmt: skip
        return request, context.too_big

    def _answer(self, log: RunLog, asked: dict[str, Any], turn: int, text: str) -> list[Command]:
        if not asked.get("output"):
            return [self._end(log, "done", text)]
        try:
            return [self._end(log, "done", text, json.loads(text))]
        except ValueError as error:
            repaired = [r.body["repair"] for r in log.records if r.kind == "run.note" and "repair" in r.body]
            if turn in repaired:
                return [self._model(log, asked, turn + 1)]
            if len(repaired) >= REPAIRS or turn + 1 >= asked["max_steps"]:
                message = f"The model's answer is not the JSON that was asked for: {error}."
                return [End("failed", error={"type": "BadAnswer", "message": message, "hint": "Try another model."})]
            words = f"Your answer is not valid JSON ({error}). Answer again with only the JSON that fits the schema."
            return [Note("run.note", {"repair": turn, "to_model": words, "text": "asked the model to repair its answer"})]

    def _gave_up(self, log: RunLog, last: Entry) -> Command:
        assert last.outcome is not None
        error = last.outcome.error or {"type": "ModelError", "message": "the model call failed", "hint": ""}
        if error.get("type") == "BudgetRefused":
            return self._end(log, "budget", "")
        return End("failed", error=error)

    def _end(self, log: RunLog, finish: str, text: str, output: Any = None) -> End:
        """The result; for a run that was cut short, with the last words that the model said."""
        models = [e for k, e in log.entries.items() if k[0] == "model" and e.outcome is not None and e.outcome.state == "done"]
        if not text:
            texts = [_text(e.outcome.result["items"]) for e in models if e.outcome is not None]
            text = next((t for t in reversed(texts) if t), "")
        result = {"text": text, "output": output, "steps": len(models), "run": log.run, "finish": finish}
        return End("completed" if finish == "done" else "incomplete", result)


def _refusal(name: str, call: Item, error: BadInput) -> Command:
    """An output for a call that cannot become an action: the model reads why."""
    return Note(
        "call.refused", {"name": name, "occurrence": 0, "call_id": call.get("call_id", ""), "error": f"{error.message} {error.hint}"}
    )


def _text(items: Sequence[Item]) -> str:
    parts = [c.get("text", "") for i in items if i.get("type") == "message" for c in i.get("content", ()) if c.get("type") == "output_text"]
    return "\n".join(p for p in parts if p)
