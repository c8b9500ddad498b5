"""The shim's socket: one request per connection, framed as two lengths, a header and a body of raw bytes.

Headers are plain dictionaries in marshal's version 2, which every Python 3 reads: importing json would cost 7 ms of every cold
start, and both ends belong to the same user.
"""

# pathlib and contextlib are not used: importing them costs milliseconds of every cold start.
# ruff: noqa: PTH101, PTH108, SIM105
from __future__ import annotations

import _socket
import marshal
import os
import select
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .loop import Loop

WIRE = 2
FRAME = struct.Struct("<II")
MAX_HEADER, MAX_BODY = 16 << 20, 1 << 30


class Refused(Exception):
    """A request that is answered with an error: `kind` names a class of protocol/errors.py."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.kind, self.hint = kind, hint


class Connection:
    """One client: reads its request, answers once, closes."""

    def __init__(self, loop: Loop, sock: _socket.socket, handle: Callable[[Connection, dict[str, Any], bytes], None]) -> None:
        self.loop, self.sock, self.handle = loop, sock, handle
        self.closed: Callable[[Connection], None] = lambda _: None
        self.inbox = bytearray()
        self.outbox = memoryview(b"")
        self.asked = False
        sock.setblocking(False)
        loop.watch(sock.fileno(), select.EPOLLIN, self._ready)

    def _ready(self, events: int) -> None:
        try:
            if self.outbox:
                self._write()
            elif not self._read():
                self.close()
        except OSError:
            self.close()

    def _read(self) -> bool:
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return True
        self.inbox += data
        if not data or self.asked:  # the client went away; what it asked for goes on
            return bool(data)
        if len(self.inbox) < FRAME.size:
            return True
        header, body = FRAME.unpack_from(self.inbox)
        if header > MAX_HEADER or body > MAX_BODY:
            return False
        end = FRAME.size + header + body
        if len(self.inbox) >= end:
            self.asked = True
            raw = bytes(self.inbox[FRAME.size : end])
            self.inbox.clear()
            self._dispatch(marshal.loads(raw[:header]), raw[header:])
        return True

    def _dispatch(self, request: dict[str, Any], body: bytes) -> None:
        try:
            self.handle(self, request, body)
        except Refused as refused:
            self.fail(refused.kind, str(refused), refused.hint)
        except OSError as error:
            self.fail("SandboxError", f"the shim could not do {request.get('op')!r}: {error}")

    def fail(self, kind: str, message: str, hint: str = "") -> None:
        self.answer({"error": kind, "message": message, "hint": hint})

    def answer(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send the one answer. A client that is gone is no error."""
        if self.sock.fileno() < 0:
            return
        raw = marshal.dumps(header, WIRE)
        self.outbox = memoryview(FRAME.pack(len(raw), len(body)) + raw + body)
        try:
            self._write()
        except OSError:
            self.close()

    def _write(self) -> None:
        try:
            self.outbox = self.outbox[self.sock.send(self.outbox) :]
        except BlockingIOError:
            pass
        if self.outbox:
            self.loop.watch(self.sock.fileno(), select.EPOLLOUT, self._ready)
        else:
            self.close()

    def close(self) -> None:
        if self.sock.fileno() >= 0:
            self.loop.forget(self.sock.fileno())
            self.sock.close()
            self.closed(self)


def listen(folder: str) -> _socket.socket:
    """Bind `folder`/socket, mode 0600. The name goes through /proc since a socket's name is limited to 107 bytes."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    name = f"/proc/self/fd/{fd}/socket"
    if os.path.lexists(name):
        os.unlink(name)
    sock.bind(name)
    os.chmod(name, 0o600)
    os.close(fd)
    sock.listen(1024)
    return sock
