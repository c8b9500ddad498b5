"""`@workflow`: a name, a version and a source digest for an async function."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, overload

from quarterdeck.protocol.errors import BadInput


class Workflow:
    """A durable function `async def f(ctx, input)`. `role` is its Cedar role."""

    def __init__(self, function: Callable[..., Awaitable[Any]], name: str, version: str, role: str, model: str) -> None:
        if not inspect.iscoroutinefunction(function):
            raise BadInput(f"The workflow {name} must be an `async def`.", hint="Write `async def f(ctx, input): ...`.")
        self.function, self.name, self.version, self.role, self.model = function, name, version, role, model
        self.takes_input = len(inspect.signature(function).parameters) > 1
        self.__doc__ = function.__doc__

    @property
    def source(self) -> str:
        """SHA-256 of its source text: kept with each run for explanation."""
        try:
            text = inspect.getsource(self.function)
        except OSError:
            text = self.function.__code__.co_code.hex()
        return hashlib.sha256(text.encode()).hexdigest()

    def start(self, context: Any, value: Any) -> Any:
        """Return the coroutine."""
        return self.function(context, value) if self.takes_input else self.function(context)


@overload
def workflow(function: Callable[..., Awaitable[Any]], /) -> Workflow: ...
@overload
def workflow(
    *, name: str = "", version: str = "1", role: str = "workflow", model: str = ""
) -> Callable[[Callable[..., Awaitable[Any]]], Workflow]: ...
def workflow(
    function: Callable[..., Awaitable[Any]] | None = None, /, *, name: str = "", version: str = "1", role: str = "workflow", model: str = ""
) -> Workflow | Callable[[Callable[..., Awaitable[Any]]], Workflow]:
    """Make an async function a durable workflow. `model` is what `ctx.agent` uses when it is given none."""

    def make(inner: Callable[..., Awaitable[Any]]) -> Workflow:
        return Workflow(inner, name or inner.__name__.replace("_", "-"), version, role, model)

    return make(function) if function is not None else make
