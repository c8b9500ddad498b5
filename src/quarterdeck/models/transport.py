"""One HTTP call to a provider: opened with back-off, read as a stream of JSON events. httpx2 is imported when the first call is made."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from ..protocol.errors import ModelError
from .faults import Redactor, cut, malformed, refused, unreachable
from .providers import ProviderConfig
from .sse import SSEEvent, SSEParser

if TYPE_CHECKING:
    import ssl

    import httpx2

TRIES = 4
LONGEST_WAIT = 60.0
"""Seconds. A provider that asks for more is not waited for; the error says how long it wants."""
_FIRST_WAIT = 0.5
_ERROR_BYTES = 64 * 1024
_DRAIN = 0.25


class Timeouts(NamedTuple):
    """Seconds: to connect; to write the request; between two events of the stream (the first included; comments do not count)."""

    connect: float = 10.0
    write: float = 60.0
    idle: float = 300.0


class Body(NamedTuple):
    """What is posted. `retry_with` may answer a 400 with another body (once), from the provider's message."""

    path: str
    data: dict[str, Any]
    retry_with: Callable[[dict[str, Any], str], dict[str, Any] | None] = lambda data, message: None


class Line:
    """A line to one provider, for one call."""

    def __init__(
        self,
        config: ProviderConfig,
        key: str,
        client: httpx2.AsyncClient,
        timeouts: Timeouts,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._config, self._key, self._client, self._timeouts, self._sleep = config, key, client, timeouts, sleep
        self.redact = Redactor([key, *config.headers.values()])
        self.done = False
        """Set by the reader when the last event that counts has come; what follows is not waited for."""

    async def events(self, body: Body) -> AsyncGenerator[dict[str, Any]]:
        """Post `body` and yield the JSON objects of the answer's stream, up to `[DONE]` or its end. Raises ModelError.

        Retries (429, 5xx, no connection) happen here and only before the first byte of a good answer: later ones could bill twice
        under one reservation, so they are left to the caller, who makes a new attempt.
        """
        response = await self._open(body)
        try:
            async with aclosing(response.aiter_bytes()) as pieces, aclosing(self._read(pieces)) as events:
                async for event in events:
                    if event.data == "[DONE]":
                        break
                    if event.data.strip():  # some servers send empty events to keep the connection alive
                        yield self._decode(event.data)
                    if self.done:
                        break
                await _drain(pieces)
        finally:
            await response.aclose()

    async def _open(self, body: Body) -> httpx2.Response:
        data, swapped, attempt = body.data, False, 1
        while True:
            outcome = await self._post(body.path, data)
            if not isinstance(outcome, _Refusal):
                return outcome
            if outcome.error.status == 400 and not swapped and (other := body.retry_with(data, outcome.words)) is not None:
                data, swapped = other, True
                continue
            wait = max(backoff(attempt), outcome.retry_after)
            if not outcome.error.retryable or attempt == TRIES:
                raise _after(outcome.error, attempt)
            if outcome.retry_after > LONGEST_WAIT:
                raise ModelError(
                    outcome.error.message,
                    hint=f"It asks to wait {outcome.retry_after:.0f} s; try again then.",
                    status=outcome.error.status,
                    retryable=True,
                )
            await self._sleep(wait)
            attempt += 1

    async def _post(self, path: str, data: dict[str, Any]) -> httpx2.Response | _Refusal:
        import httpx2

        request = self._client.build_request("POST", self._config.base_url + path, content=encode(data), headers=self._headers())
        try:
            async with asyncio.timeout(self._timeouts.connect + self._timeouts.write + self._timeouts.idle):
                response = await self._client.send(request, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            return _Refusal(unreachable(self._config, str(error) or type(error).__name__, self.redact), "", 0.0)
        except (httpx2.TimeoutException, TimeoutError):
            raise cut(self._config, "no answer began in time", self.redact) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise cut(self._config, str(error) or type(error).__name__, self.redact) from None
        if response.status_code == 200:
            kind = response.headers.get("content-type", "text/event-stream").partition(";")[0].strip().lower()
            if kind == "text/event-stream":
                return response
            said = (await self._error_body(response)).decode("utf-8", "replace")
            raise malformed(self._config, f"a stream was asked for, {kind} came: {said}", self.redact)
        content = await self._error_body(response)
        refusal = refused(self._config, str(data.get("model", "")), response.status_code, content, self.redact)
        return _Refusal(refusal, content.decode("utf-8", "replace"), retry_after(response.headers))

    async def _error_body(self, response: httpx2.Response) -> bytes:
        import httpx2

        content = b""
        try:
            async with asyncio.timeout(self._timeouts.connect):
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > _ERROR_BYTES:
                        break
        except (httpx2.HTTPError, TimeoutError):
            pass  # what came of it still explains more than nothing
        finally:
            await response.aclose()
        return content[:_ERROR_BYTES]

    async def _read(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[SSEEvent]:
        import httpx2

        parser, clock = SSEParser(), asyncio.get_running_loop().time
        deadline = clock() + self._timeouts.idle
        while True:
            try:
                piece = await anext(pieces, None)
                if piece is None:
                    return
                events = parser.feed(piece)
            except httpx2.TimeoutException:
                raise cut(self._config, f"no event for {self._timeouts.idle:g} s", self.redact) from None
            except (httpx2.HTTPError, httpx2.StreamError) as error:
                raise cut(self._config, str(error) or type(error).__name__, self.redact) from None
            except ValueError as error:
                raise malformed(self._config, str(error), self.redact) from None
            for event in events:
                yield event
            if events:
                deadline = clock() + self._timeouts.idle
            elif clock() > deadline:  # it sends, but only comments: silence is noticed by the client's read timeout
                raise cut(self._config, f"no event for {self._timeouts.idle:g} s", self.redact)

    def _decode(self, data: str) -> dict[str, Any]:
        try:
            value = msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise malformed(self._config, f"an event is not JSON: {data[:120]}", self.redact) from None
        if not isinstance(value, dict):
            raise malformed(self._config, f"an event is not an object: {data[:120]}", self.redact)
        return value

    def _headers(self) -> dict[str, str]:
        headers = {"accept": "text/event-stream", "content-type": "application/json", "user-agent": "quarterdeck"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        return headers | {name.lower(): value for name, value in self._config.headers.items()}


class _Refusal(NamedTuple):
    error: ModelError
    words: str
    retry_after: float


def new_client(config: ProviderConfig, timeouts: Timeouts) -> httpx2.AsyncClient:
    """Return a client for one provider in the running loop. Proxy variables count, except on the way to this machine itself."""
    import ssl

    import httpx2

    address = urlsplit(config.base_url)
    loopback = (address.hostname or "") in ("localhost", "127.0.0.1", "::1")
    timeout = httpx2.Timeout(connect=timeouts.connect, write=timeouts.write, read=timeouts.idle, pool=timeouts.connect)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
    # Loading the authorities takes 50 ms of CPU. Plain http needs none; an empty context would refuse TLS rather than not verify it.
    trust: ssl.SSLContext | bool = True
    if address.scheme == "http":
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    elif loopback:
        trust = ssl.create_default_context()  # trust_env would switch SSL_CERT_FILE off together with the proxies
    return httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=not loopback, verify=trust)


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    """Read the end of the body, which is there already as a rule: only then can the connection serve the next call."""
    import httpx2

    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(_DRAIN):
            async for _ in pieces:
                pass


def encode(data: dict[str, Any]) -> bytes:
    """Return `data` as JSON. Half characters (surrogates, from file names that are not UTF-8) become question marks."""
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        return json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")


def backoff(attempt: int) -> float:
    """Return how long to wait after the failed try number `attempt`, in seconds: doubling, with jitter against herds."""
    return float(min(_FIRST_WAIT * 2.0 ** (attempt - 1), 8.0) * random.uniform(0.75, 1.25))


def retry_after(headers: httpx2.Headers) -> float:
    """Return the seconds that `Retry-After` (seconds or a date) or `retry-after-ms` asks for; 0 without or with a broken one."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * scale
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        if 0.0 <= seconds < float("inf"):
            return seconds
    return 0.0


def _after(error: ModelError, tries: int) -> ModelError:
    if tries == 1:
        return error
    return ModelError(f"{error.message} Tried {tries} times.", hint=error.hint, status=error.status, retryable=error.retryable)
