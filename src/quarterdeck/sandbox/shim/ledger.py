"""The environment's own ledger, on disk: what began, what ended and how, which keys are forbidden, and the epoch fence.

Append-only lines of tab-separated fields, synced before a command begins and when it has ended, so that even a dead shim's
environment can tell what finished. A key is ``RUN.ACTION.ATTEMPT``; epochs belong to runs. A torn last line is ignored.

    epoch       RUN  NUMBER
    begun       KEY
    tombstoned  KEY
    ended       KEY  FILE  SIZES  STATE  EXIT  SIGNAL  SECONDS  CPU  RSS  STDOUT  STDERR
"""

# pathlib is not used: importing it costs milliseconds of every cold start.
# ruff: noqa: PTH103, PTH118, PTH123
from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NONE = "-"


class End:
    """How a key ended: the result's fields, and the sizes of its four stored pieces (stdout's head and tail, stderr's head and tail)."""

    def __init__(self, file: str, sizes: list[int], result: dict[str, Any]) -> None:
        self.file, self.sizes, self.result = file, sizes, result

    def to_fields(self) -> list[str]:
        found = self.result
        optional = [NONE if found[name] is None else str(found[name]) for name in ("exit_code", "signal")]
        numbers = [str(found[name]) for name in ("duration_s", "cpu_s", "max_rss_bytes")]
        return [self.file or NONE, ",".join(map(str, self.sizes)), found["state"], *optional, *numbers, *map(str, found["totals"])]

    @classmethod
    def from_fields(cls, fields: list[str]) -> End:
        file, sizes, state, code, number, seconds, cpu, rss, out, err = fields
        result = {
            "state": state,
            "exit_code": None if code == NONE else int(code),
            "signal": None if number == NONE else int(number),
            "duration_s": float(seconds),
            "cpu_s": float(cpu),
            "max_rss_bytes": int(rss),
            "totals": [int(out), int(err)],
        }
        return cls("" if file == NONE else file, [int(size) for size in sizes.split(",")], result)

    def to_answer(self) -> dict[str, Any]:
        """The header of the shim's answer; the body is the four pieces in one."""
        return {"state": "done", "result": self.result, "sizes": self.sizes}


class Ledger:
    """Reads a folder's ledger; `writable` appends to it (the shim alone does)."""

    def __init__(self, folder: str, *, writable: bool = False) -> None:
        self.results = os.path.join(folder, "results")
        self.epochs: dict[str, int] = {}
        self.states: dict[str, str] = {}
        """Key to begun | ended | tombstoned."""
        self.ends: dict[str, End] = {}
        self.fd = -1
        path = os.path.join(folder, "ledger")
        self._load(path)
        if writable:
            os.makedirs(self.results, mode=0o700, exist_ok=True)
            self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _load(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                lines = file.read().decode("utf-8", "surrogateescape").split("\n")
        except FileNotFoundError:
            return
        for line in lines[:-1]:
            what, name, *fields = line.split("\t")
            if what == "epoch":
                self.epochs[name] = int(fields[0])
                continue
            self.states[name] = what
            if what == "ended":
                self.ends[name] = End.from_fields(fields)

    def _append(self, *fields: str, sync: bool) -> None:
        line = "\t".join(fields).encode("utf-8", "surrogateescape") + b"\n"
        before = os.fstat(self.fd).st_size
        if os.write(self.fd, line) != len(line):  # no room for all of it: a torn line would swallow the next one
            os.ftruncate(self.fd, before)
            raise OSError(errno.ENOSPC, "no room for the environment's ledger")
        if sync:
            self.sync()

    def sync(self) -> None:
        """Bring what was appended to the disk."""
        os.fdatasync(self.fd)

    def fence(self, run: str, epoch: int) -> bool:
        """Raise the run's fence to `epoch`; False if a higher one was seen, for then the caller is a revived zombie."""
        seen = self.epochs.get(run)
        if seen is not None and epoch < seen:
            return False
        if seen is None or epoch > seen:
            self._append("epoch", run, str(epoch), sync=False)  # what depends on it is synced behind it
            self.epochs[run] = epoch
        return True

    def begin(self, key: str) -> bool:
        """Record, durably, that `key` begins. False if it began or was forbidden before."""
        if key in self.states:
            return False
        self._append("begun", key, sync=True)
        self.states[key] = "begun"
        return True

    def forbid(self, key: str) -> None:
        """Leave a tombstone: `key` can never begin."""
        self._append("tombstoned", key, sync=True)
        self.states[key] = "tombstoned"

    def end(self, key: str, result: dict[str, Any], streams: list[bytes]) -> End:
        """Record how `key` ended; `sync` follows. `streams` are stdout's head and tail, stderr's head and tail.

        Without room who waits is answered all the same; who probes later is told that nobody knows.
        """
        sizes = [len(part) for part in streams]
        name = str(len(self.ends)) if any(sizes) else ""
        end = End(name, sizes, result)
        try:
            if name:
                with open(os.path.join(self.results, name), "wb") as file:
                    file.write(b"".join(streams))
            self._append("ended", key, *end.to_fields(), sync=False)
        except OSError:
            return end
        self.states[key] = "ended"
        self.ends[key] = end
        return end

    def result(self, key: str) -> tuple[End, bytes] | None:
        """Return the recorded end of `key` and its streams in one piece, or None if it cannot be told."""
        end = self.ends.get(key)
        if end is None:
            return None
        if not end.file:
            return end, b""
        try:
            with open(os.path.join(self.results, end.file), "rb") as file:
                streams = file.read()
        except OSError:
            return None
        return (end, streams) if len(streams) == sum(end.sizes) else None

    def begun(self) -> bool:
        """Whether any command ever began here."""
        return any(state != "tombstoned" for state in self.states.values())
