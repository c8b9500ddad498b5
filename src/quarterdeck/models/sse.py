"""Server-sent events, parsed as they arrive. Bytes go in, in any pieces; whole events come out."""

from __future__ import annotations

from typing import NamedTuple

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""A stream that sends more than this without ending an event is broken or hostile."""

_BOM = b"\xef\xbb\xbf"


class SSEEvent(NamedTuple):
    """One dispatched event; `event` is empty when the server named none."""

    event: str
    data: str


class SSEParser:
    """Incremental parser after the WHATWG rules for `text/event-stream`.

    Lines end with LF, CR or CRLF, also when a piece ends between CR and LF. Text is decoded line by line, so a piece may end inside a
    character. `id` and `retry` are ignored: model streams cannot be resumed. An event without its closing blank line is never dispatched.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._partial: list[bytes] = []
        self._size = 0
        self._data: list[str] = []
        self._event = ""
        self._skip_lf = False
        self._start = True

    def feed(self, piece: bytes) -> list[SSEEvent]:
        """Return the events that `piece` completes. Raises ValueError when one event is larger than the limit."""
        if self._skip_lf and piece:
            self._skip_lf = False
            if piece[:1] == b"\n":
                piece = piece[1:]
        if not piece:
            return []
        self._size += len(piece)
        if self._size > self._limit:
            raise ValueError(f"an event is larger than {self._limit} bytes")
        if b"\n" not in piece and b"\r" not in piece:
            self._partial.append(piece)
            return []
        self._partial.append(piece)
        lines = b"".join(self._partial).splitlines(keepends=True)  # for bytes: LF, CR and CRLF only
        self._partial = []
        if not lines[-1].endswith((b"\n", b"\r")):
            self._partial.append(lines.pop())
        self._skip_lf = lines[-1].endswith(b"\r")
        return self._take(lines)

    def _take(self, lines: list[bytes]) -> list[SSEEvent]:
        events: list[SSEEvent] = []
        for raw in lines:
            line = raw.rstrip(b"\r\n")
            if self._start:
                self._start = False
                line = line.removeprefix(_BOM)
            if not line:
                if self._data:
                    events.append(SSEEvent(self._event, "\n".join(self._data)))
                self._data, self._event = [], ""
                self._size = sum(map(len, self._partial))
                continue
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
            elif name == b"event":
                self._event = value.removeprefix(b" ").decode("utf-8", "replace")
            elif not name and not self._data:
                self._size = sum(map(len, self._partial))  # a comment keeps the connection alive; it is no part of an event
        return events
