"""A very small event loop: epoll and timers (importing asyncio would cost 45 ms of every cold start)."""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


LONGEST_S = 3600.0
"""epoll takes no more than 24 days; a timer may be further away."""


class Loop:
    """Calls handlers when descriptors are ready and timers when they are due. Times are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.handlers: dict[int, Callable[[int], None]] = {}
        self.timers: dict[int, tuple[float, Callable[[], None]]] = {}
        self.next_timer = 0
        self.running = True

    def watch(self, fd: int, events: int, handler: Callable[[int], None]) -> None:
        """Call `handler(events)` while `fd` is ready; a second call changes what is watched."""
        if fd in self.handlers:
            self.epoll.modify(fd, events)
        else:
            self.epoll.register(fd, events)
        self.handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Stop watching; call before closing."""
        if self.handlers.pop(fd, None) is not None:
            self.epoll.unregister(fd)

    def after(self, seconds: float, action: Callable[[], None]) -> int:
        """Call `action` once, `seconds` from now. Returns what `cancel` takes."""
        self.next_timer += 1
        self.timers[self.next_timer] = (time.monotonic() + seconds, action)
        return self.next_timer

    def cancel(self, timer: int) -> None:
        self.timers.pop(timer, None)

    def run(self) -> None:
        """Serve until `running` is False."""
        while self.running:
            wait = LONGEST_S
            if self.timers:
                wait = max(0.0, min(LONGEST_S, min(due for due, _ in self.timers.values()) - time.monotonic()))
            for fd, events in self.epoll.poll(wait):
                handler = self.handlers.get(fd)
                if handler is not None:
                    handler(events)
            now = time.monotonic()
            for number in [number for number, (due, _) in self.timers.items() if due <= now]:
                timer = self.timers.pop(number, None)
                if timer is not None:
                    timer[1]()
