"""What an agent may call: schemas for the model, and from a call to the action that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from quarterdeck.protocol.actions import ActionRequest, EffectClass, Resource
from quarterdeck.protocol.environment import Command
from quarterdeck.protocol.errors import BadInput


class Function(Protocol):
    """A registered function (`tools.FunctionTool`)."""

    name: str
    description: str
    effect: EffectClass

    @property
    def parameters(self) -> dict[str, Any]: ...


def _schema(properties: Mapping[str, Mapping[str, Any]], required: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required), "additionalProperties": False}


_PATH = {"type": "string", "description": "Absolute, or relative to /workspace."}
BUILT_IN: dict[str, tuple[str, dict[str, Any]]] = {
    "shell": (
        "Run a bash command in the sandbox (no network). The working directory is /workspace.",
        _schema({"command": {"type": "string"}, "timeout_s": {"type": "number", "description": "Seconds, default 120."}}, ["command"]),
    ),
    "read_file": ("Read a text file.", _schema({"path": _PATH}, ["path"])),
    "write_file": (
        "Write a whole text file, making its folders.",
        _schema({"path": _PATH, "content": {"type": "string"}}, ["path", "content"]),
    ),
    "list_files": ("List the files below a folder, with their paths relative to it.", _schema({"path": _PATH}, [])),
    "search": (
        "Search file contents for an extended regular expression (grep -E). Answers path:line:text.",
        _schema({"pattern": {"type": "string"}, "path": _PATH}, ["pattern"]),
    ),
}


def absolute(path: str) -> str:
    return path if path.startswith("/") else f"/workspace/{path}".rstrip("/")


class Toolset:
    """The tools of one agent run."""

    def __init__(
        self, names: Sequence[str], functions: Mapping[str, Function], environment: str, zones: Callable[[str], tuple[str, ...]]
    ) -> None:
        self._environment, self._zones = environment, zones
        self._functions = {n: functions[n] for n in names if n in functions}
        self._built_in = [n for n in names if n in BUILT_IN]
        unknown = [n for n in names if n not in BUILT_IN and n not in functions]
        if unknown:
            raise BadInput(f"There is no tool {unknown[0]!r}.", hint=f"There are: {', '.join([*BUILT_IN, *functions])}.")

    def definitions(self) -> tuple[dict[str, Any], ...]:
        """Responses function tools, in a stable order."""
        rows = [(n, *BUILT_IN[n]) for n in self._built_in] + [(f.name, f.description, f.parameters) for f in self._functions.values()]
        return tuple({"type": "function", "name": n, "description": d, "parameters": p, "strict": False} for n, d, p in rows)

    def action(self, name: str, call: Mapping[str, Any]) -> ActionRequest:
        """The action that a model's function call asks for. BadInput for an unknown tool or arguments that do not fit."""
        tool, call_id = str(call.get("name", "")), str(call.get("call_id", ""))
        try:
            arguments = msgspec.json.decode(call.get("arguments") or "{}", type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise BadInput(f"The arguments of {tool} are not a JSON object: {error}.", hint="Call it again with valid JSON.") from error
        if tool in self._functions:
            function = self._functions[tool]
            attrs = {"readOnly": function.effect == "read_only", "name": tool, "effect": function.effect}
            resource = Resource("Tool", tool, ("registered",), attrs)
            return ActionRequest("tool.call", name, resource, arguments, effect=function.effect, call_id=call_id)
        if tool not in self._built_in:
            raise BadInput(f"There is no tool {tool!r}.", hint=f"There are: {', '.join([*self._built_in, *self._functions])}.")
        missing = [k for k in BUILT_IN[tool][1]["required"] if not isinstance(arguments.get(k), str)]
        if missing:
            raise BadInput(f"{tool} needs {missing[0]!r} as text.", hint="Call it again with all required arguments.")
        return self._built(tool, name, call_id, arguments)

    def _built(self, tool: str, name: str, call_id: str, arguments: Mapping[str, Any]) -> ActionRequest:
        path = absolute(str(arguments.get("path") or "/workspace"))
        place = Resource("Path", path, self._zones(path), {"path": path})
        match tool:
            case "shell":
                timeout = arguments.get("timeout_s", 120)
                seconds = float(timeout) if isinstance(timeout, (int, float)) else 120.0
                command = Command(shell=str(arguments["command"]), timeout_s=min(max(seconds, 1.0), 3600.0), output_bytes=64 << 10)
                sandbox = Resource("Sandbox", self._environment)
                return ActionRequest("shell.exec", name, sandbox, msgspec.to_builtins(command), call_id=call_id)
            case "write_file":
                content = {"path": path, "text": str(arguments["content"])}
                return ActionRequest("file.write", name, place, content, effect="idempotent", call_id=call_id)
            case "read_file":
                asked: dict[str, Any] = {"path": path, "max_bytes": 4 << 20, "text": True}
            case "list_files":
                asked = {"path": path, "list": True}
            case _:
                asked = {"path": path, "search": str(arguments["pattern"])}
        return ActionRequest("file.read", name, place, asked, effect="read_only", call_id=call_id)
