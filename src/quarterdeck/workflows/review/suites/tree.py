"""Reading a repository's files without running or trusting any of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

MAX_FILE = 1 << 20
"""Bytes of one file that discovery reads; a bigger one counts as unreadable."""
MAX_FILES = 200_000


def encodable(value: str) -> bool:
    """False for text with lone surrogates: it cannot be written as UTF-8, so neither into a record nor into a report."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class TreeReader(Protocol):
    """A tree of files. Paths are relative with `/`; `read` answers None for what is absent, a link or too big."""

    def list(self) -> Sequence[str]: ...

    def read(self, path: str) -> bytes | None: ...


class MappingTree:
    """A tree held in memory."""

    def __init__(self, files: Mapping[str, bytes | None]) -> None:
        self._files = files

    def list(self) -> Sequence[str]:
        return sorted(self._files)

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)


class FolderTree:
    """A checkout on disk. Links are never followed, so a hostile tree shows nothing from outside itself."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: tuple[str, ...] | None = None
        self._known: frozenset[str] = frozenset()

    def list(self) -> Sequence[str]:
        if self._paths is None:
            self._paths = tuple(sorted(self._walk()))
            self._known = frozenset(self._paths)
        return self._paths

    def _walk(self) -> Sequence[str]:
        found = []
        for folder, folders, files in os.walk(self._root):
            folders[:] = [f for f in folders if f != ".git"]
            for name in files:
                path = Path(folder, name)
                if not encodable(str(path)):
                    continue  # a name that is not UTF-8 cannot stand in a report, and no test runner finds it
                if path.is_file() and not path.is_symlink():
                    found.append(path.relative_to(self._root).as_posix())
            if len(found) > MAX_FILES:
                break
        return found

    def read(self, path: str) -> bytes | None:
        # `list` holds only regular files below the root that no link leads to.
        self.list()
        if path not in self._known:
            return None
        target = self._root / path
        try:
            fd = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        with os.fdopen(fd, "rb") as stream:
            data = stream.read(MAX_FILE + 1)
        return None if len(data) > MAX_FILE else data


def as_tree(files: Mapping[str, bytes | None] | TreeReader) -> TreeReader:
    return MappingTree(files) if isinstance(files, Mapping) else files


def text(tree: TreeReader, path: str) -> str:
    """The file as text; empty when it is absent, too big or not UTF-8 (a byte order mark is dropped)."""
    data = tree.read(path)
    if data is None or len(data) > MAX_FILE:
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
