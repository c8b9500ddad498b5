"""The channel `report`: a publication whose files are blobs of the run, written as one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from quarterdeck.protocol.errors import StoreError

from .write import write


class Blobs(Protocol):
    def get(self, digest: str) -> bytes: ...


class ReportChannel:
    """Delivers `{directory, artifacts: {name: sha256}, outputs: {name: sha256}}`. Writing the same report twice is one report."""

    direct = True

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def deliver(self, body: Mapping[str, Any], dedupe_key: str) -> str:
        directory = Path(body["directory"])
        artifacts = {name: self._blobs.get(digest) for name, digest in body["artifacts"].items()}
        outputs = {name: self._blobs.get(digest) for name, digest in body["outputs"].items()}
        try:
            write(directory, artifacts, outputs)
        except OSError as error:
            raise StoreError(f"The report could not be written to {directory}: {error.strerror}.", hint="Choose another --out.") from error
        return str(directory)
