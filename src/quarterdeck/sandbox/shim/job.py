"""One job: a command or a file operation, from its pipes to its recorded result."""

from __future__ import annotations

import marshal
import os
import select
import struct
import time

from .capture import Capture
from .launch import memfd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .loop import Loop

STATUS = struct.Struct("<iddq")
"""As in inside/agent.py: wait status, user and system seconds, peak resident bytes."""
GRACE_S = 0.2
"""How long after its end a command's streams may still be held open by what it left behind."""
KILL_GRACE_S = 2.0
"""How long the agent has to end a job; after that the whole environment is ended."""
MAX_CPU_S, MAX_RSS = 1e9, 1 << 50


class Job:
    """Owns a job's host ends. `finished(job)` is called once, when `result` and `streams` are there."""

    def __init__(self, loop: Loop, number: int, key: str, request: dict[str, Any], finished: Callable[[Job], None]) -> None:
        self.loop, self.number, self.key = loop, number, key
        self.finished = finished
        self.kind: str = request["op"]
        self.timeout = float(request["timeout_s"])
        cap = int(request["output_bytes"])
        head, tail = (cap, 0) if self.kind == "read" else (cap - cap // 2, cap // 2)
        self.out, out_w = self._pipe(head, tail)
        self.err, err_w = self._pipe(cap - cap // 2, cap // 2)
        self.status_r, status_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.theirs = [out_w, err_w, status_w]
        self.began = time.monotonic()
        self.reason = ""
        """Why it was ended from outside: timeout | killed | lost | oom; empty if it ended by itself."""
        self.status: tuple[int, float, float, int] | None = None
        self.ended = False
        self.done = False
        self.timers: list[int] = []
        self.oom_before = 0
        self.result: dict[str, Any] = {}
        self.streams: list[bytes] = []

    def _pipe(self, head: int, tail: int) -> tuple[Capture, int]:
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        return Capture(read, head, tail), write

    def fds(self, spec: dict[str, Any], stdin: int) -> list[int]:
        """What the agent is sent: specification, stdin, stdout, stderr, status."""
        return [memfd(marshal.dumps(spec)), stdin, *self.theirs]

    def watch(self, on_timeout: Callable[[Job], None]) -> None:
        """The agent has the other ends now: close ours, and listen."""
        for fd in self.theirs:
            os.close(fd)
        for capture in (self.out, self.err):
            self.loop.watch(capture.fd, select.EPOLLIN, lambda _, capture=capture: self._pump(capture))  # type: ignore[misc]
        self.loop.watch(self.status_r, select.EPOLLIN, lambda _: self._read_status())
        self.timers.append(self.loop.after(self.timeout, lambda: on_timeout(self)))

    def _pump(self, capture: Capture) -> None:
        if not capture.pump():
            self._close(capture)
        self._settle()

    def _close(self, capture: Capture) -> None:
        capture.open = False
        if capture.fd >= 0:
            self.loop.forget(capture.fd)
            os.close(capture.fd)
            capture.fd = -1

    def _read_status(self) -> None:
        """Parse the status strictly: it comes from inside. Its absence means that the minder was killed."""
        data = os.read(self.status_r, STATUS.size)
        self.loop.forget(self.status_r)
        os.close(self.status_r)
        if len(data) == STATUS.size:
            status, user, system, rss = STATUS.unpack(data)
            if 0 <= status <= 0xFFFF and 0 <= user < MAX_CPU_S and 0 <= system < MAX_CPU_S and 0 <= rss < MAX_RSS:
                self.status = (status, user, system, rss)
        self._end()

    def _end(self) -> None:
        self.ended = True
        self.took = time.monotonic() - self.began
        for capture in (self.out, self.err):
            if capture.open and not capture.pump():
                self._close(capture)
        self.timers.append(self.loop.after(GRACE_S, self._finish))
        self._settle()

    def _settle(self) -> None:
        if self.ended and not self.out.open and not self.err.open:
            self._finish()

    def lose(self) -> None:
        """The environment died under it."""
        if not self.ended:
            self.reason = self.reason or "lost"
            self.loop.forget(self.status_r)
            os.close(self.status_r)
            self._end()

    def _finish(self) -> None:
        if self.done:
            return
        self.done = True
        for timer in self.timers:
            self.loop.cancel(timer)
        self.streams = [*self.out.parts(), *self.err.parts()]
        self.result = self._result()
        for capture in (self.out, self.err):
            if capture.open:  # a daemon still writes: keep emptying its pipe, keep nothing
                capture.head_cap = capture.tail_cap = 0
        self.finished(self)

    def _result(self) -> dict[str, Any]:
        status, user, system, rss = self.status or (-1, 0.0, 0.0, 0)
        exit_code = status >> 8 if status >= 0 and status & 0x7F == 0 else None
        number = status & 0x7F if status >= 0 and exit_code is None else None
        state = self.reason or ("lost" if status < 0 else "exited" if exit_code is not None else "signaled")
        return {
            "state": state,
            "exit_code": exit_code if state == "exited" else None,
            "signal": number if state == "signaled" else None,
            "duration_s": self.took,
            "cpu_s": user + system,
            "max_rss_bytes": rss,
            "totals": [self.out.total, self.err.total],
        }
