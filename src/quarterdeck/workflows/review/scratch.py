"""Temporary folders that do not outlive their process, however it ends: whoever makes the next one removes those of the dead."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Self


class Scratch:
    """A fresh folder of this user alone in `parent` (the system's temporary folder if None), removed by `close` or with this object.

    It is locked while its process lives; who renames it keeps it. Raises OSError when it cannot be made.
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        where = Path(parent or tempfile.gettempdir())
        _sweep(where, prefix)
        # Nobody takes a folder for an abandoned one before it is locked: until then it has another name.
        hidden = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=where))
        lock = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.path = hidden.with_name(hidden.name[1:])
        hidden.rename(self.path)
        self._end = weakref.finalize(self, _end, self.path, lock)

    def close(self) -> None:
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end(path: Path, lock: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    os.close(lock)


def _sweep(where: Path, prefix: str) -> None:
    """Remove this user's folders that no living process has locked."""
    for path in where.glob(f"{glob.escape(prefix)}*"):
        with contextlib.suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
