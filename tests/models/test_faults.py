"""Every way a provider can fail, in clear words (A18); never a key in them (law 6)."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import ssl
import subprocess
import traceback
from email.utils import formatdate
from pathlib import Path
from time import time

import pytest
from model_kit import KEY, WIRES, Naps, ask, collect, completed, items_of, models_at, permit

from quarterdeck.models import Timeouts
from quarterdeck.models.faults import Redactor, provider_words
from quarterdeck.models.transport import LONGEST_WAIT, TRIES, backoff, retry_after
from quarterdeck.protocol.errors import ModelError
from quarterdeck.testing import Reply, ScriptedModel, fail, text

LONG = "a long answer " * 10


async def failing(server: ScriptedModel, wire: str, naps: Naps | None = None, **options: object) -> ModelError:
    with pytest.raises(ModelError) as failed:
        await collect(models_at(server.base_url, wire, naps=naps, **options), ask())
    assert failed.value.hint, "every error says what to do next"
    return failed.value


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("reply", "words", "hint"),
    [
        (fail(401, "Incorrect API key provided."), "did not accept the key", "FAKE_KEY"),
        (fail(403, "Your project has no access."), "forbids the use of 'm'", "access"),
        (fail(403, "Invalid API key."), "did not accept the key", "FAKE_KEY"),
        (fail(402, "No credits."), "wants to be paid first", "credit"),
        (fail(404, "The model does not exist."), "knows no model 'm'", "base_url"),
        (fail(400, "Bad schema at $.x"), "It says: Bad schema at $.x", "sentence"),
        (fail(400, "too long", code="context_length_exceeded"), "too long for 'm'", "Shorten"),
        (fail(400, "stopped", code="content_filter"), "its content filter stopped it", "contains"),
        (fail(429, "You exceeded your quota", code="insufficient_quota"), "wants to be paid first", "credit"),
        (fail(307), "redirect", "base_url"),
    ],
)
async def test_refusals_that_no_retry_helps(wire: str, reply: Reply, words: str, hint: str) -> None:
    with ScriptedModel([reply, text("never")]) as server:
        naps = Naps()
        error = await failing(server, wire, naps)
        assert words in error.message and hint in error.hint
        assert error.status == reply.status and not error.retryable
        assert naps.taken == [] and len(server.requests) == 1


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_back_off_and_then_success(wire: str, status: int) -> None:
    with ScriptedModel([fail(status, retry_after=7), fail(status), text("there")]) as server:
        naps = Naps()
        events = await collect(models_at(server.base_url, wire, naps=naps), ask())
    assert items_of(events)[0]["content"][0]["text"] == "there"
    assert naps.taken[0] == 7, "Retry-After counts"
    assert 0.75 <= naps.taken[1] <= 1.25, "then doubling with jitter"


@pytest.mark.parametrize("wire", WIRES)
async def test_back_off_gives_up_and_says_so(wire: str) -> None:
    with ScriptedModel(lambda body: fail(503, "overloaded")) as server:
        naps = Naps()
        error = await failing(server, wire, naps)
        assert error.retryable and error.status == 503 and f"Tried {TRIES} times" in error.message and "overloaded" in error.message
        assert len(server.requests) == TRIES and len(naps.taken) == TRIES - 1


async def test_a_provider_that_wants_an_hour_is_not_waited_for() -> None:
    with ScriptedModel([fail(429, retry_after=3600), text("never")]) as server:
        naps = Naps()
        error = await failing(server, "chat", naps)
        assert naps.taken == [] and error.retryable and "3600 s" in error.hint


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("after", [0, 1, 3, 6])
async def test_a_cut_stream_is_an_error_and_is_not_retried_here(wire: str, after: int) -> None:
    with ScriptedModel([text(LONG, cut_after=after), text("never")]) as server:
        error = await failing(server, wire)
        assert "the stream was cut" in error.message and error.retryable
        assert len(server.requests) == 1, "a second try could be billed under the same reservation"


@pytest.mark.parametrize("wire", WIRES)
async def test_no_item_of_a_chat_stream_that_was_cut_counts_as_said(wire: str) -> None:
    with ScriptedModel([text(LONG, cut_after=8)]) as server:
        models = models_at(server.base_url, wire)
        seen = []
        with pytest.raises(ModelError):
            async for event in models.stream(permit(), ask()):
                seen.append(event)
        await models.aclose()
        assert seen and items_of(seen) == []


@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_that_stalls_is_cut_after_the_idle_time(wire: str) -> None:
    with ScriptedModel([text(LONG, stall_after=3)]) as server:
        error = await failing(server, wire, timeouts=Timeouts(connect=5, write=5, idle=0.3))
        assert "no event for 0.3 s" in error.message and error.retryable


async def test_a_slow_stream_is_not_an_idle_one() -> None:
    with ScriptedModel([text(LONG, delay=0.1, piece=8)]) as server:
        events = await collect(models_at(server.base_url, timeouts=Timeouts(connect=5, write=5, idle=1.5)), ask())
        assert completed(events).finish == "stop"  # 22 events of 0.1 s: longer in all than the idle time


@pytest.mark.parametrize("wire", WIRES)
async def test_broken_json_in_the_stream(wire: str) -> None:
    with ScriptedModel([text(LONG, malformed_after=2)]) as server:
        error = await failing(server, wire)
        assert "cannot be read" in error.message and "not JSON" in error.message and "protocol" in error.hint


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("code", "retryable"), [("server_error", True), ("content_filter", False), ("invalid_prompt", False)])
async def test_an_error_event_inside_the_stream(wire: str, code: str, retryable: bool) -> None:
    with ScriptedModel([text(LONG, error_after=4, message="It broke.", code=code)]) as server:
        error = await failing(server, wire)
        assert "It broke." in error.message and code in error.message and error.retryable is retryable


async def test_a_missing_key_names_its_variable_and_nothing_is_sent() -> None:
    with ScriptedModel([text("never")]) as server:
        error = await failing(server, "chat", environ={})
        assert "FAKE_KEY" in error.message and "export FAKE_KEY=" in error.hint
        assert server.requests == []


async def test_nobody_listens() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        naps = Naps()
        with pytest.raises(ModelError) as failed:
            await collect(models_at(f"http://127.0.0.1:{held.getsockname()[1]}/v1", "chat", naps=naps, config={"local": True}), ask())
    assert "cannot be reached" in failed.value.message and "running" in failed.value.hint and failed.value.retryable
    assert len(naps.taken) == TRIES - 1


async def test_a_stream_of_nothing_but_comments_is_cut_too() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        while not writer.is_closing():
            writer.write(b": still thinking\n\n")
            await asyncio.sleep(0.02)
        gone.set()

    gone = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        with pytest.raises(ModelError, match=r"no event for 0\.3 s"):
            await collect(models_at(url, timeouts=Timeouts(connect=5, write=5, idle=0.3)), ask())
        await asyncio.wait_for(gone.wait(), 10)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_an_untrusted_certificate_is_named_and_the_hint_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "2"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, *subject], check=True, capture_output=True)  # noqa: ASYNC221
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
        naps = Naps()
        with pytest.raises(ModelError, match="certificate that is not trusted") as failed:
            await collect(models_at(url, naps=naps), ask())
        assert "SSL_CERT_FILE" in failed.value.hint and not failed.value.retryable and naps.taken == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pytest.raises(ModelError, match="did not accept the key"):
            await collect(models_at(url), ask(), 2)


async def raw_answer(answer: bytes) -> ModelError:
    """The error for a server that sends exactly these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        with pytest.raises(ModelError) as failed:
            await collect(models_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"), ask())
    return failed.value


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "the stream was cut"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the stream was cut"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<h1>Hi</h1>\n",
            "a stream was asked for, text/html came",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: [1]\n\n", "not an object"),
        (b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: {"choices": [3]}\n\n', "lacks its shape"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n", "without a last event"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: [DONE]\n\n", "without a last event"),
        (b"HTTP/1.1 400 Bad\r\nContent-Type: text/html\r\nContent-Length: 14\r\n\r\n<b>Go \x1b[2Jaway", "It says: Go [2Jaway"),
    ],
)
async def test_what_is_no_model_at_all(answer: bytes, words: str) -> None:
    error = await raw_answer(answer)
    assert words in error.message and "\x1b" not in error.message


async def test_law_6_no_message_repr_log_or_traceback_ever_holds_the_key(caplog: pytest.LogCaptureFixture) -> None:
    """Also when the provider itself repeats the key, whole, in its answer."""
    caplog.set_level(logging.DEBUG)
    team = "team-token-91af"
    echo = f"Incorrect API key provided: {KEY} for {team}"
    shown = ""
    for wire in WIRES:
        for reply in (
            fail(401, echo),
            fail(400, echo),
            text(LONG, error_after=2, message=echo, code=KEY),
            text(LONG, cut_after=2),
            text(LONG, malformed_after=1),
        ):
            with ScriptedModel([reply]) as server:
                models = models_at(server.base_url, wire, config={"headers": {"X-Team": team}})
                with pytest.raises(ModelError) as failed:
                    await collect(models, ask())
                assert server.requests[0].headers["x-team"] == team and KEY in server.requests[0].headers["authorization"]
                error = failed.value
                shown += "".join(traceback.format_exception(error)) + repr(error) + error.hint + repr(vars(error))
                shown += repr(models) + repr(models.providers) + repr(server.requests)
    for key in (KEY + "\n\u201d", "sk-ünicode-key-1234"):
        with pytest.raises(ModelError) as failed:
            await collect(models_at("http://127.0.0.1:9/v1", environ={"FAKE_KEY": key}), ask())
        shown += "".join(traceback.format_exception(failed.value))
        assert "FAKE_KEY" in failed.value.message and "sk-" not in shown.replace(KEY, "")
    assert KEY not in shown and team not in shown and "[secret]" in shown
    assert KEY not in caplog.text and team not in caplog.text


def test_error_bodies_in_every_shape() -> None:
    assert provider_words(b'{"error": {"message": "m", "code": "c"}}') == ("m", "c")
    assert provider_words(b'{"error": "ollama says"}') == ("ollama says", "")
    assert provider_words(b'{"object": "error", "message": "vllm says", "code": 404}') == ("vllm says", "404")
    assert provider_words(b'{"detail": "fastapi says"}')[0] == "fastapi says"
    assert provider_words(b"plain") == ("plain", "")
    assert provider_words(b"\xff" * 3)[0] and provider_words(b"[" * 100_000)[0]
    assert len(Redactor([])("x" * 10_000)) < 600


def test_retry_after_in_every_form() -> None:
    import httpx2

    assert retry_after(httpx2.Headers({"retry-after": "2.5"})) == 2.5
    assert retry_after(httpx2.Headers({"retry-after-ms": "150", "retry-after": "9"})) == pytest.approx(0.15)
    assert 20 < retry_after(httpx2.Headers({"retry-after": formatdate(time() + 30, usegmt=True)})) <= 31
    for odd in ("", "soon", "-4", "nan", "inf", "Thu, 99 Foo 2026"):
        assert retry_after(httpx2.Headers({"retry-after": odd})) == 0.0
    assert all(backoff(n) <= LONGEST_WAIT for n in range(1, 20))
