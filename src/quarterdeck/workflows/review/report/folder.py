"""Reading a report directory that nobody vouches for: no link is followed, nothing special is opened, sizes are bounded."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .inputs import safe_name

FILE_BYTES, TOTAL_BYTES, FILES, DEPTH = 256 << 20, 1 << 30, 20_000, 6


class Folder:
    """The regular files below a directory, by relative name, and a sentence for everything else that lies there."""

    def __init__(self, root: Path) -> None:
        self.files: dict[str, bytes] = {}
        self.problems: list[str] = []
        self._left = TOTAL_BYTES
        try:
            top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            self.problems.append(f"{os.fspath(root)!r} cannot be read: {getattr(error, 'strerror', None) or error}")
            return
        try:
            self._walk(top, "", 0)
        finally:
            os.close(top)

    def _walk(self, fd: int, prefix: str, depth: int) -> None:
        for entry in sorted(os.listdir(fd)):
            name = prefix + entry
            if len(self.files) >= FILES:
                self.problems.append(f"more than {FILES} files: the rest was not read")
                return
            if not safe_name(name):
                self.problems.append(f"{name!a}: not a name that a report has")
                continue
            try:
                self._take(fd, entry, name, depth)
            except OSError as error:
                self.problems.append(f"{name}: cannot be read: {error.strerror}")

    def _take(self, parent: int, entry: str, name: str, depth: int) -> None:
        mode = os.stat(entry, dir_fd=parent, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            if depth >= DEPTH:
                self.problems.append(f"{name}: folders are nested too deeply")
                return
            child = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                before = len(self.files) + len(self.problems)
                self._walk(child, name + "/", depth + 1)
                if before == len(self.files) + len(self.problems):
                    self.problems.append(f"{name}: an empty folder that no report has")
            finally:
                os.close(child)
        elif stat.S_ISREG(mode):
            self._read(parent, entry, name)
        else:
            self.problems.append(f"{name}: {'a symbolic link' if stat.S_ISLNK(mode) else 'not a regular file'}; refused")

    def _read(self, parent: int, entry: str, name: str) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(entry, flags, dir_fd=parent), "rb") as file:
            status = os.fstat(file.fileno())
            limit = min(FILE_BYTES, self._left)
            if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
                self.problems.append(f"{name}: larger than {limit} bytes or not a regular file; not read")
                return
            body = file.read(limit + 1)
        if len(body) > limit:
            self.problems.append(f"{name}: grew while it was read")
            return
        self._left -= len(body)
        self.files[name] = body
