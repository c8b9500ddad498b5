"""The entrance: one object that calls models of any provider, behind a permit."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from ..protocol.actions import Permit
from ..protocol.models import ModelEvent, ModelRequest, Price, Usage
from ..protocol.ports import ModelPort, Permits
from .chat import chat_body, other_limit
from .chat_stream import ChatFold
from .faults import cut, malformed, missing_key, reported, unusable_key
from .pricing import PriceBook, input_bound
from .profiles import Profile, profile_for
from .providers import ProviderConfig, split_model
from .responses import Broken, ResponsesFold, responses_body
from .transport import Body, Line, Timeouts, new_client

if TYPE_CHECKING:
    import httpx2


_SHAPE_ERRORS = (KeyError, TypeError, AttributeError, ValueError)
"""What the folds raise when an event is not what the protocol says."""


class _Open(NamedTuple):
    loop: asyncio.AbstractEventLoop
    client: httpx2.AsyncClient


class Models:
    """Calls the models of `providers` (see `providers_from`); the ModelPort of the runtime.

    `prices` are the operator's (see `prices_from`). `environ` is where keys are looked up, at each call. `sleep` waits between tries.
    Connections are kept per provider and event loop; `aclose` ends them.
    """

    def __init__(
        self,
        providers: Mapping[str, ProviderConfig],
        permits: Permits,
        prices: Mapping[str, Price] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.providers = dict(providers)
        self._permits = permits
        self._book = PriceBook(self.providers, prices or {})
        self._environ = os.environ if environ is None else environ
        self._sleep = sleep
        self._timeouts = timeouts or Timeouts()
        self._open: dict[str, _Open] = {}

    async def stream(self, permit: Permit, request: ModelRequest) -> AsyncGenerator[ModelEvent]:
        """Consume the permit, call the model, and yield its events; the last is Completed.

        Raises ModelError (its `retryable` says whether a new attempt may help), ConfigError for an unknown provider, BadInput for an
        item that the provider's wire cannot carry, and what `Permits.consume` raises. Items of a failed call count as never said.
        """
        await self._permits.consume(permit, "model.call")
        provider, name = split_model(request.model, self.providers)
        key = self._environ.get(provider.api_key_env, "").strip() if provider.api_key_env else ""
        if provider.api_key_env and not key:
            raise missing_key(provider)
        if not (key.isascii() and key.isprintable()):
            raise unusable_key(provider)
        profile = profile_for(provider, name)
        unsaid = Usage(input=input_bound(request, provider, name), output=request.max_output_tokens, reported=False)
        fold: ChatFold | ResponsesFold
        if provider.protocol == "chat":
            body, fold = Body("/chat/completions", chat_body(request, name, profile, provider.name), other_limit), ChatFold(unsaid)
        else:
            body, fold = Body("/responses", responses_body(request, name, profile)), ResponsesFold(unsaid)
        line = Line(provider, key, self._client(provider), self._timeouts, self._sleep)
        async with aclosing(_folded(line, body, fold, provider)) as events:
            async for event in events:
                yield event

    def profile(self, model: str) -> Profile:
        """Return what `model` can be asked for. Raises ConfigError."""
        return profile_for(*split_model(model, self.providers))

    def price(self, model: str) -> Price:
        """Return the base price of `model`. Raises ConfigError, with the exact setting to add, for a model without a price."""
        return self._book.price(model)

    def estimate(self, request: ModelRequest) -> int:
        """Return an upper bound of the call's price in micro-USD; a provider may still bill beyond it, see law 7."""
        return self._book.estimate(request)

    def cost(self, model: str, usage: Usage) -> int:
        """Return the price of a call in micro-USD, rounded up."""
        return self._book.cost(model, usage)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        loop = asyncio.get_running_loop()
        for name, (owner, client) in list(self._open.items()):
            if owner is loop:
                del self._open[name]
                await client.aclose()

    def _client(self, provider: ProviderConfig) -> httpx2.AsyncClient:
        loop, held = asyncio.get_running_loop(), self._open.get(provider.name)
        if held is None or held.loop is not loop:
            held = self._open[provider.name] = _Open(loop, new_client(provider, self._timeouts))
        return held.client


if TYPE_CHECKING:

    def _is_a_port(models: Models) -> ModelPort:
        return models


async def _folded(line: Line, body: Body, fold: ChatFold | ResponsesFold, provider: ProviderConfig) -> AsyncGenerator[ModelEvent]:
    """Yield the events that `fold` makes of the provider's answer. A stream without its end is an error, never a short answer."""
    async with aclosing(line.events(body)) as chunks:
        async for chunk in chunks:
            if isinstance(fold, ChatFold) and chunk.get("error"):
                raise reported(provider, chunk, line.redact)
            try:
                for event in fold.feed(chunk):
                    yield event
            except Broken as broken:
                raise reported(provider, broken.data, line.redact) from None
            except _SHAPE_ERRORS as error:
                raise malformed(provider, f"an event lacks its shape ({type(error).__name__}: {error})", line.redact) from None
            line.done = isinstance(fold, ResponsesFold) and fold.complete  # chat sends its usage after its finish
    if not fold.complete:
        raise cut(provider, "it ended without a last event", line.redact)
    try:
        last = list(fold.end())
    except _SHAPE_ERRORS as error:
        raise malformed(provider, f"its last event lacks its shape ({type(error).__name__}: {error})", line.redact) from None
    for event in last:
        yield event
