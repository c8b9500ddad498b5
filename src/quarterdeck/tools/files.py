"""`file.read` and `file.write`: files of the run's computer."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from quarterdeck.protocol.ports import ActionContext, Driver

INLINE_CHARS = 48_000


class Blobs(Protocol):
    def put(self, data: bytes) -> str: ...

    def get(self, digest: str) -> bytes: ...


class FileReader:
    """Reads a file inside. The result holds its digest and size; `text` too when the request asks for it and it is UTF-8."""

    def __init__(self, driver: Driver, blobs: Blobs) -> None:
        self._driver, self._blobs = driver, blobs

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        args = request.args
        data = await self._driver.read(permit, context.environment, args["path"], args["max_bytes"])
        result: dict[str, object] = {"sha256": self._blobs.put(data), "bytes": len(data)}
        if args.get("text"):
            text = data.decode("utf-8", "replace")
            result["text"] = (
                text if len(text) <= INLINE_CHARS else text[:INLINE_CHARS] + f"\n... {len(text) - INLINE_CHARS} characters left out ..."
            )
        return Outcome("done", result)

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")  # reading again changes nothing; the kernel retries it


class FileWriter:
    """Writes a file inside (from a blob or from text), or unpacks a tar file of the host there."""

    def __init__(self, driver: Driver, blobs: Blobs) -> None:
        self._driver, self._blobs = driver, blobs

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        args = request.args
        if "archive" in args:
            context.progress({"kind": "command", "step": request.name, "command": f"unpack {args['target']}"})
            await self._driver.unpack(permit, context.environment, Path(args["archive"]), args["target"])
        else:
            data = args["text"].encode() if "text" in args else self._blobs.get(args["sha256"])
            await self._driver.write(permit, context.environment, args["path"], data, args.get("mode", 0o644))
        return Outcome("done", {})

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")  # writing the same bytes again is idempotent; the kernel retries it
