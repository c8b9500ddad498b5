"""The scripted model's HTTP server: a thread of its own, a free port of the loopback, HTTP/1.1 with chunked streams."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from . import wire
from .checks import objection
from .replies import Reply, Script

_PATHS = ("/v1/chat/completions", "/v1/responses")


@dataclass(frozen=True)
class Received:
    """One request that came. `headers` have lower-case names and are left out of `repr`: they may hold a key."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str] = field(repr=False)


class ScriptedModel:
    """Serves `script`: `with ScriptedModel(script) as server:` and point any client at `server.base_url`.

    `api_key`: refuse every other key with 401. `models`: what `/v1/models` lists. A script that is used up, and a function that raises,
    answer 400 with the reason, which no client retries; `server.errors` keeps these reasons, for a test to assert that there are none.
    """

    def __init__(self, script: Script, *, api_key: str = "", models: Iterable[str] = ("scripted",), host: str = "127.0.0.1") -> None:
        self._script = script
        self._api_key, self.models, self._host = api_key, tuple(models), host
        self._lock = threading.Lock()
        self._next = 0
        self.requests: list[Received] = []
        self.errors: list[str] = []
        self.connections = 0
        self._stopping = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The address to give to a client, ending in `/v1`."""
        if self._server is None:
            raise RuntimeError("the scripted model is not running: use it in a with statement, or call start()")
        return f"http://{self._host}:{self._server.server_address[1]}/v1"

    def start(self) -> ScriptedModel:
        """Begin to serve on a free port."""
        self._server = _Server((self._host, 0), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="scripted-model", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End, dropping every connection. Idempotent."""
        self._stopping.set()
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._sockets:
                _drop(connection)
        self._server.server_close()

    def __enter__(self) -> ScriptedModel:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def answer(self, received: Received) -> Reply:
        """Return the reply to one request; the script's next turn, or the refusal that the real endpoint would give."""
        with self._lock:
            self.requests.append(received)
            if self._api_key and received.headers.get("authorization") != f"Bearer {self._api_key}":
                return Reply(status=401, message="Incorrect API key provided.", code="invalid_api_key")
            if reason := objection(received.path, received.body):
                return self._refuse(reason)
            if not callable(self._script):
                if self._next >= len(self._script):
                    return self._refuse(f"the script has only {len(self._script)} turns, and this is one more")
                self._next += 1
                return self._script[self._next - 1]
        try:
            return self._script(received.body)
        except Exception as error:
            with self._lock:
                return self._refuse(f"the script raised {type(error).__name__}: {error}")

    def _refuse(self, reason: str) -> Reply:
        self.errors.append(reason)
        return Reply(status=400, message=reason, code="invalid_request")

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self._sockets.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(connection)

    def pause(self, seconds: float | None) -> None:
        """Wait, but not longer than the server lives."""
        self._stopping.wait(seconds)


class _Server(ThreadingHTTPServer):
    owner: ScriptedModel
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.owner.opened(self.connection)

    def finish(self) -> None:
        self.server.owner.closed(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: tests read `requests`."""

    def do_GET(self) -> None:
        if self.path.rstrip("/") == "/v1/models":
            data = [{"id": name, "object": "model", "created": 0, "owned_by": "script"} for name in self.server.owner.models]
            self._whole(200, {"object": "list", "data": data}, {})
        else:
            self._whole(404, _error(404, f"there is no {self.path}", "not_found"), {})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        if path not in _PATHS:
            self._whole(404, _error(404, f"there is no {path}", "not_found"), {})
            return
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._whole(400, _error(400, "the body is not a JSON object", "invalid_json"), {})
            return
        reply = self.server.owner.answer(Received(path, body, {name.lower(): value for name, value in self.headers.items()}))
        if reply.status != 200:
            self._whole(reply.status, _error(reply.status, reply.message or "scripted refusal", reply.code), dict(reply.headers))
        elif body.get("stream"):
            self._stream(path, reply, body)
        else:
            self.server.owner.pause(reply.delay)
            self._whole(200, wire.chat_body(reply, body) if path == _PATHS[0] else wire.responses_body(reply, body), {})

    def _whole(self, status: int, answer: dict[str, Any], headers: dict[str, str]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, path: str, reply: Reply, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        events: list[Any] = list(wire.chat_events(reply, body) if path == _PATHS[0] else wire.responses_events(reply, body))
        for number, event in enumerate([*events, None]):
            if number == reply.cut_after:
                self.close_connection = True
                _drop(self.connection)
                return
            if number == reply.malformed_after:
                self._chunk(b'data: {"choices": [\n\n', reply)
            if number == reply.error_after:
                self._chunk(_event(_stream_error(path, reply)), reply)
                break
            if number == reply.stall_after:
                self.server.owner.pause(None)
                return
            if event is not None:
                if reply.delay:
                    self.server.owner.pause(reply.delay)
                self._chunk(_event(event), reply)
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes, reply: Reply) -> None:
        size = reply.split or len(data)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))


def _event(event: dict[str, Any] | str) -> bytes:
    """Return the bytes of one event; text beyond ASCII goes as UTF-8, as real servers send it."""
    if isinstance(event, str):
        return f"data: {event}\n\n".encode()
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode("utf-8", "replace")


def _error(status: int, message: str, code: str) -> dict[str, Any]:
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}


def _stream_error(path: str, reply: Reply) -> dict[str, Any]:
    if path == _PATHS[0]:
        return _error(500, reply.message or "scripted error", reply.code)
    return {"type": "error", "code": reply.code or None, "message": reply.message or "scripted error", "param": None, "sequence_number": 0}


def _drop(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)
