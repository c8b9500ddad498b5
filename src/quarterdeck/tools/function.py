"""Typed functions as tools: `@tool` makes the JSON schema from the annotations."""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Callable, Iterable
from typing import Any, overload

import msgspec

from quarterdeck.protocol.actions import ActionKey, ActionRequest, EffectClass, Outcome, Permit, Probe
from quarterdeck.protocol.errors import BadInput
from quarterdeck.protocol.ports import ActionContext, Permits


class FunctionTool:
    """A Python function that agents may call. `effect` says what may follow a crash inside it."""

    def __init__(self, function: Callable[..., Any], name: str, effect: EffectClass, probe: Callable[..., Any] | None) -> None:
        self.function, self.name, self.effect, self.probe_with = function, name, effect, probe
        self.description = inspect.getdoc(function) or name
        if effect == "probe" and probe is None:
            raise BadInput(f"The tool {name} says effect='probe' but gives no probe.", hint="@tool(effect='probe', probe=fn)")
        hints = typing.get_type_hints(function)
        fields: list[Any] = []
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise BadInput(
                    f"The tool {name} has the parameter {parameter.name!r} of a kind that no schema can tell.", hint="Name each parameter."
                )
            kind = hints.get(parameter.name)
            if kind is None:
                raise BadInput(f"The parameter {parameter.name!r} of the tool {name} has no type.", hint="Annotate it, e.g. `city: str`.")
            default = () if parameter.default is parameter.empty else (parameter.default,)
            fields.append((parameter.name, kind, *default))
        self.arguments = msgspec.defstruct(f"{name}_arguments", fields, forbid_unknown_fields=True, kw_only=True)

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        schema = msgspec.json.schema(self.arguments)
        reference = schema.pop("$ref").rpartition("/")[2]
        definitions = schema.pop("$defs")
        own: dict[str, Any] = definitions.pop(reference)
        own.pop("title", None)
        own["additionalProperties"] = False
        if definitions:
            own["$defs"] = definitions
        return own

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    async def call(self, arguments: dict[str, Any]) -> Any:
        """Validate, call (sync functions in a thread), and return JSON data. BadInput for wrong arguments."""
        try:
            checked = msgspec.convert(arguments, self.arguments)
        except msgspec.ValidationError as error:
            raise BadInput(f"{self.name}: {error}", hint="Call it again with arguments that fit its schema.") from error
        values = {name: getattr(checked, name) for name in checked.__struct_fields__}
        if inspect.iscoroutinefunction(self.function):
            value = await self.function(**values)
        else:
            value = await asyncio.to_thread(self.function, **values)
        return msgspec.to_builtins(value)


@overload
def tool(function: Callable[..., Any], /) -> FunctionTool: ...
@overload
def tool(
    *, name: str = "", effect: EffectClass = "never", probe: Callable[..., Any] | None = None
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, name: str = "", effect: EffectClass = "never", probe: Callable[..., Any] | None = None
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a typed function a tool. `probe(**arguments)` answers after a crash: the result, or None for "cannot know"."""

    def make(inner: Callable[..., Any]) -> FunctionTool:
        return FunctionTool(inner, name or inner.__name__, effect, probe)

    return make(function) if function is not None else make


class FunctionTools:
    """The executor of `tool.call` on registered functions."""

    def __init__(self, permits: Permits, tools: Iterable[FunctionTool] = ()) -> None:
        self._permits = permits
        self.tools = {t.name: t for t in tools}

    def add(self, tools: Iterable[FunctionTool]) -> None:
        """Register more; BadInput when two different functions have one name."""
        for one in tools:
            if self.tools.setdefault(one.name, one) is not one:
                raise BadInput(f"Two tools are named {one.name}.", hint="Give one of them another name: @tool(name=...).")

    def _find(self, request: ActionRequest) -> FunctionTool:
        found = self.tools.get(request.resource.id)
        if found is None:
            raise BadInput(f"There is no tool {request.resource.id}.", hint=f"There are: {', '.join(sorted(self.tools)) or 'none'}.")
        return found

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        found = self._find(request)
        await self._permits.consume(permit, "tool.call")
        return Outcome("done", {"value": await found.call(request.args)})

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        found = self._find(request)
        if found.probe_with is None:
            return Probe("unknown")
        value = found.probe_with(**request.args)
        if inspect.isawaitable(value):
            value = await value
        # A probe of a user's function cannot fence: it may say done, never not-done (law 3).
        return Probe("unknown") if value is None else Probe("done", Outcome("done", {"value": msgspec.to_builtins(value)}))
