"""A commit's tree, and its copy as a tar for the sandbox.

The tar is made here from `ls-tree` and `cat-file`, not by `git archive`, whose `export-ignore` and `export-subst`
attributes would let a pull request show the reviewer other files than it has.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
from pathlib import Path
from typing import IO, cast

import msgspec

from ...protocol.errors import BadInput, StoreError
from .git import Git, Objects
from .paths import is_safe, shown, to_bytes, to_text

MAX_TREE_BYTES = 8 << 30
MTIME = 315_619_200
"""The one date of every file, for equal bytes: 2 January 1980, the oldest that a wheel (a ZIP file) can hold in every time zone."""
_LINK_BYTES = 4096
_MANY = 20


class TreeEntry(msgspec.Struct, frozen=True):
    """One file of a tree. `mode` is git's: 100644, 100755, 120000 (symbolic link), 160000 (submodule)."""

    mode: str
    oid: str
    size: int
    """Bytes; 0 for a submodule."""

    @property
    def regular(self) -> bool:
        return self.mode.startswith("100")

    @property
    def symlink(self) -> bool:
        return self.mode == "120000"

    @property
    def submodule(self) -> bool:
        return self.mode == "160000"


def read_tree(git: Git, sha: str) -> dict[str, TreeEntry]:
    """List a commit's files by text path. The first of two equal names wins, as it does for git."""
    entries: dict[str, TreeEntry] = {}
    for row in git.run("ls-tree", "-r", "-z", "-l", "--full-tree", sha).split(b"\0"):
        if row:
            facts, _, name = row.partition(b"\t")
            mode, _kind, oid, size = facts.decode("ascii").split()
            entries.setdefault(to_text(name), TreeEntry(mode, oid, int(size) if size.isdigit() else 0))
    return entries


def write_tar(git: Git, tree: dict[str, TreeEntry], target: Path) -> tuple[str, ...]:
    """Write `tree` to the file `target`: equal trees give equal bytes, and memory stays at a few megabytes.

    Symbolic links stay links, submodules become empty folders, times and owners are zero. Names that no honest tree
    has are left out. Returns a note for each of these that a reader should know. Raises StoreError (disk), BadInput.
    """
    total = sum(entry.size for entry in tree.values())
    if total > MAX_TREE_BYTES:
        raise BadInput(f"The tree holds {total >> 20} MB, more than the {MAX_TREE_BYTES >> 20} MB that a review copies.")
    notes = _Notes()
    part = target.with_name(target.name + ".part")
    try:
        with (
            git.batch() as objects,
            tarfile.open(part, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as tar,
        ):
            _Writer(tar, objects, notes).write(tree)
        part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise StoreError(f"{target} cannot be written: {error.strerror}.", hint="Free disk space, or choose another --home.") from error
    return notes.sentences()


class _Notes:
    """Collects names by kind, and says each kind in one sentence."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}

    def add(self, what: str, path: str) -> None:
        self._names.setdefault(what, []).append(shown(path))

    def sentences(self) -> tuple[str, ...]:
        return tuple(
            f"{what}: {', '.join(names[:_MANY])}{f' and {len(names) - _MANY} more' if len(names) > _MANY else ''}."
            for what, names in self._names.items()
        )


class _Writer:
    def __init__(self, tar: tarfile.TarFile, objects: Objects, notes: _Notes) -> None:
        self._tar, self._objects, self._notes = tar, objects, notes
        self._folders: set[bytes] = set()
        self._leaves: set[bytes] = set()

    def write(self, tree: dict[str, TreeEntry]) -> None:
        for path, entry in tree.items():
            name = to_bytes(path)
            if not is_safe(name) or not self._open_folders(name):
                self._notes.add("Left out of the copy, since the name is unsafe", path)
            elif entry.submodule:
                self._folder(name)
                self._notes.add("Submodules are empty folders in the copy", path)
            else:
                self._leaves.add(name)
                self._leaf(name, path, entry)

    def _open_folders(self, name: bytes) -> bool:
        """Write the folders above `name`. False when one of them is a file or link, or `name` exists: a forged tree."""
        parents = [name[:i] for i, byte in enumerate(name) if byte == 0x2F]
        if name in self._leaves or name in self._folders or any(p in self._leaves for p in parents):
            return False
        for parent in parents:
            if parent not in self._folders:
                self._folder(parent)
        return True

    def _folder(self, name: bytes) -> None:
        self._folders.add(name)
        info = tarfile.TarInfo(os.fsdecode(name))
        info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, MTIME
        self._tar.addfile(info)

    def _leaf(self, name: bytes, path: str, entry: TreeEntry) -> None:
        info = tarfile.TarInfo(os.fsdecode(name))
        info.mtime = MTIME
        if not entry.symlink:
            blob = self._objects.open(entry.oid)
            info.size, info.mode = blob.size, 0o755 if entry.mode == "100755" else 0o644
            self._tar.addfile(info, cast(IO[bytes], blob))
            return
        link = self._objects.read(entry.oid, _LINK_BYTES)
        if not link or b"\0" in link:
            self._notes.add("Left out of the copy, since the link's target is malformed", path)
            return
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, os.fsdecode(link)
        self._tar.addfile(info)
        if leads_out(name, link):
            self._notes.add("Symbolic links that lead out of the tree are kept as links (inside they reach only the sandbox)", path)


def leads_out(name: bytes, link: bytes) -> bool:
    """True when the link's target lies outside of the tree, by its text alone."""
    if link.startswith(b"/"):
        return True
    where = os.path.normpath(name.rpartition(b"/")[0] + b"/" + link if b"/" in name else link)
    return where == b".." or where.startswith(b"../")
