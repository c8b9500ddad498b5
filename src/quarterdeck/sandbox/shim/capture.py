"""One captured stream: the first and the last bytes are kept, the rest is counted and dropped, so the writer never waits for us."""

from __future__ import annotations

import os

CHUNK = 1 << 18
ROUNDS = 16
"""Chunks read in one turn, so that one loud command does not starve the others."""


class Capture:
    """Reads a non-blocking pipe. `head` + `tail` bytes are kept at most."""

    def __init__(self, fd: int, head: int, tail: int) -> None:
        self.fd = fd
        self.head_cap, self.tail_cap = head, tail
        self.head = bytearray()
        self.last = bytearray()
        """The last bytes, and up to as many again: cut rarely, so that each byte is moved once on average."""
        self.total = 0
        self.open = True

    def pump(self) -> bool:
        """Read what is there. False once the stream has ended."""
        for _ in range(ROUNDS):
            try:
                data = os.read(self.fd, CHUNK)
            except BlockingIOError:
                return True
            if not data:
                self.open = False
                return False
            self.add(data)
        return True

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self.head_cap - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        if not data or not self.tail_cap:
            return
        self.last += data[-self.tail_cap :]
        if len(self.last) >= 2 * self.tail_cap:
            del self.last[: -self.tail_cap]

    def parts(self) -> tuple[bytes, bytes]:
        """Return (head, tail) as kept."""
        return bytes(self.head), bytes(self.last[-self.tail_cap :]) if self.tail_cap else b""
