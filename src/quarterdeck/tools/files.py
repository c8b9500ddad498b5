"""`file.read` and `file.write`: files of the run's computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe
from quarterdeck.protocol.environment import Command
from quarterdeck.protocol.ports import ActionContext, Driver

INLINE_CHARS = 48_000
LOOK_S, LOOK_BYTES = 30.0, 32 << 10


class Blobs(Protocol):
    def put(self, data: bytes) -> str: ...

    def get(self, digest: str) -> bytes: ...


def list_command(path: str) -> Command:
    """The files below `path`, without git's own."""
    argv = ("find", path, "-xdev", "-name", ".git", "-prune", "-o", "(", "-type", "f", "-o", "-type", "l", ")", "-printf", "%P\n")
    return Command(argv, timeout_s=LOOK_S, output_bytes=LOOK_BYTES)


def search_command(path: str, pattern: str) -> Command:
    """The lines below `path` that fit an extended regular expression; at most 40 of each file."""
    argv = ("grep", "-rnIE", "--max-count=40", "--exclude-dir=.git", "-e", pattern, "--", path)
    return Command(argv, timeout_s=LOOK_S, output_bytes=LOOK_BYTES)


class FileReader:
    """Reads a file inside, lists a folder (`list`), or searches one (`search`).

    The result of reading holds digest and size, and `text` too when the request asks for it; of the others, `text`.
    """

    def __init__(self, driver: Driver, blobs: Blobs) -> None:
        self._driver, self._blobs = driver, blobs

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        args = request.args
        if "list" in args or "search" in args:
            return await self._look(permit, args, context)
        data = await self._driver.read(permit, context.environment, args["path"], args["max_bytes"])
        result: dict[str, object] = {"sha256": self._blobs.put(data), "bytes": len(data)}
        if args.get("text"):
            text = data.decode("utf-8", "replace")
            result["text"] = (
                text if len(text) <= INLINE_CHARS else text[:INLINE_CHARS] + f"\n... {len(text) - INLINE_CHARS} characters left out ..."
            )
        return Outcome("done", result)

    async def _look(self, permit: Permit, args: dict[str, Any], context: ActionContext) -> Outcome:
        command = search_command(args["path"], args["search"]) if "search" in args else list_command(args["path"])
        ran = await self._driver.exec(permit, context.environment, command, "file.read")
        if ran.state != "exited" or (ran.exit_code or 0) > 1:
            words = ran.stderr.text.strip().splitlines()[-1:] or [f"it ended with {ran.state}"]
            return Outcome("failed", error={"type": "SandboxError", "message": words[0], "hint": "Check the path and the pattern."})
        return Outcome("done", {"text": ran.stdout.text or "nothing found"})

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
