"""The environment's own ledger, on disk: what began, what ended and how, which keys are forbidden, and the epoch fence.

Append-only JSON lines, synced before a command begins and when it has ended, so that even a dead shim's environment can tell
what finished. A key is ``RUN.ACTION.ATTEMPT``; epochs belong to runs. A torn last line is ignored.
"""

# pathlib and contextlib are not used: importing them costs milliseconds of every cold start.
# ruff: noqa: PTH103, PTH118, PTH123
from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STREAMS = ("stdout", "stderr")


class Ledger:
    """Reads a folder's ledger; `writable` appends to it (the shim alone does)."""

    def __init__(self, folder: str, *, writable: bool = False) -> None:
        self.results = os.path.join(folder, "results")
        self.epochs: dict[str, int] = {}
        self.states: dict[str, str] = {}
        """Key to begun | ended | tombstoned."""
        self.ends: dict[str, dict[str, Any]] = {}
        self.fd = -1
        path = os.path.join(folder, "ledger.jsonl")
        self._load(path)
        if writable:
            os.makedirs(self.results, mode=0o700, exist_ok=True)
            self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _load(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return
        for line in lines[:-1]:
            entry = json.loads(line)
            run, epoch, key = entry.get("run"), entry.get("epoch"), entry.get("key")
            if run is not None:
                self.epochs[run] = max(epoch, self.epochs.get(run, epoch))
            if key is not None:
                self.states[key] = entry["state"]
            if "result" in entry:
                self.ends[key] = entry

    def _append(self, entry: dict[str, Any], *, sync: bool = True) -> None:
        os.write(self.fd, json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        if sync:
            os.fdatasync(self.fd)

    def fence(self, run: str, epoch: int) -> bool:
        """Raise the run's fence to `epoch`; False if a higher one was seen, for then the caller is a revived zombie."""
        seen = self.epochs.get(run)
        if seen is not None and epoch < seen:
            return False
        if seen is None or epoch > seen:
            self.epochs[run] = epoch
            self._append({"run": run, "epoch": epoch}, sync=False)  # what depends on it is synced behind it
        return True

    def begin(self, key: str) -> bool:
        """Record, durably, that `key` begins. False if it began or was forbidden before."""
        if key in self.states:
            return False
        self.states[key] = "begun"
        self._append({"key": key, "state": "begun"})
        return True

    def forbid(self, key: str) -> None:
        """Leave a tombstone: `key` can never begin."""
        self.states[key] = "tombstoned"
        self._append({"key": key, "state": "tombstoned"})

    def end(self, key: str, result: dict[str, Any], streams: list[bytes]) -> None:
        """Record how `key` ended; `sync` follows. `streams` are stdout's head and tail, stderr's head and tail."""
        sizes = [len(part) for part in streams]
        name = str(len(self.ends)) if any(sizes) else ""
        if name:
            with open(os.path.join(self.results, name), "wb") as file:
                file.write(b"".join(streams))
        self.states[key] = "ended"
        self.ends[key] = {"key": key, "state": "ended", "file": name, "sizes": sizes, "result": result}
        self._append(self.ends[key], sync=False)

    def sync(self) -> None:
        """Bring what was appended to the disk."""
        os.fdatasync(self.fd)

    def result(self, key: str) -> tuple[dict[str, Any], bytes] | None:
        """Return the recorded end of `key` and its streams in one piece, or None if it cannot be told."""
        entry = self.ends.get(key)
        if entry is None:
            return None
        if not entry["file"]:
            return entry, b""
        try:
            with open(os.path.join(self.results, entry["file"]), "rb") as file:
                streams = file.read()
        except OSError:
            return None
        if len(streams) != sum(entry["sizes"]):
            return None
        return entry, streams

    def begun(self) -> bool:
        """Whether any command ever began here."""
        return any(state != "tombstoned" for state in self.states.values())
