"""The driver's side of the shim's socket: one connection per request, any number at once."""

from __future__ import annotations

import asyncio
import marshal
import os
import socket
from pathlib import Path
from typing import Any

from quarterdeck.protocol import errors
from quarterdeck.protocol.environment import Captured, CommandResult

from .shim.server import FRAME, WIRE


class Broken(Exception):
    """The shim did not answer. `sent`: the request may have reached it."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the shim did not answer")
        self.sent = sent


def connect(folder: Path) -> socket.socket:
    """Connect to the shim of an environment's folder. Raises Broken. The name goes through /proc: it may be over 107 bytes long."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        fd = os.open(folder, os.O_PATH)
        try:
            sock.setblocking(False)  # a stopped shim must not stop us
            sock.connect(f"/proc/self/fd/{fd}/socket")
        finally:
            os.close(fd)
    except OSError as error:
        sock.close()
        raise Broken(sent=False) from error
    return sock


async def request(sock: socket.socket, header: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
    """Send one request, await its answer, close. Raises Broken, or the error that the shim names."""
    reader, writer = await asyncio.open_unix_connection(sock=sock, limit=1 << 20)
    try:
        raw = marshal.dumps(header, WIRE)
        writer.write(FRAME.pack(len(raw), len(body)) + raw)
        writer.write(body)
        await writer.drain()
        sizes = FRAME.unpack(await reader.readexactly(FRAME.size))
        answer: dict[str, Any] = marshal.loads(await reader.readexactly(sizes[0]))
        data = await reader.readexactly(sizes[1])
    except (OSError, EOFError) as error:
        raise Broken(sent=True) from error
    finally:
        writer.close()
    if "error" in answer:
        kind = getattr(errors, answer["error"], errors.SandboxError)
        raise kind(answer["message"], hint=answer["hint"])
    return answer, data


def to_result(answer: dict[str, Any], body: bytes) -> CommandResult:
    """Build the result from the shim's answer (or its ledger's entry) and the streams in one piece."""
    parts = []
    for size in answer["sizes"]:
        parts.append(body[:size])
        body = body[size:]
    fields = dict(answer["result"])
    out, err = fields.pop("totals")
    return CommandResult(stdout=Captured(parts[0], parts[1], out), stderr=Captured(parts[2], parts[3], err), **fields)
