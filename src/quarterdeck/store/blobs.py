"""Blobs: bodies over 64 kB, kept as files named by their SHA-256 (temp, fsync, rename)."""

from __future__ import annotations

import os
from pathlib import Path

from quarterdeck.protocol.canonical import sha256
from quarterdeck.protocol.errors import StoreError

INLINE_BYTES = 64 << 10


class Blobs:
    """Content-addressed files under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        return self.root / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Store `data` durably and return its SHA-256 in hex. Raises StoreError when the disk refuses."""
        digest = sha256(data)
        target = self.path(digest)
        if target.exists():
            return digest
        temp = target.with_name(f".{digest}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with temp.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            temp.rename(target)
            folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            temp.unlink(missing_ok=True)
            raise StoreError(
                f"Could not store {len(data)} bytes under {self.root}: {error.strerror}.", hint="Free space, then resume."
            ) from error
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes; StoreError if they are gone or are not what their name says."""
        try:
            data = self.path(digest).read_bytes()
        except OSError as error:
            raise StoreError(f"Blob {digest} is missing.", hint="Restore HOME from a copy.") from error
        if sha256(data) != digest:
            raise StoreError(f"Blob {digest} was changed.", hint="Run `quarterdeck audit verify`.")
        return data
