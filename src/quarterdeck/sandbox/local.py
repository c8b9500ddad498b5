"""The driver `local`: environments on this machine, each a bubblewrap held by its own shim."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from quarterdeck.protocol.actions import ActionKey, ActionKind, Outcome, Permit, Probe
from quarterdeck.protocol.environment import Capabilities, Command, CommandResult, EnvironmentSpec
from quarterdeck.protocol.errors import BadInput, EnvironmentLost, SandboxError
from quarterdeck.protocol.ports import Permits

from . import client, plan
from .detect import detect, require
from .folder import collect, held, locked, reach, recorded, sweep
from .shim.ledger import Ledger

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
IDLE_S = 1800.0
FILE_S, UNPACK_S = 60.0, 600.0
NOTE_BYTES = 64 << 10
"""How much of a file operation's messages is kept."""
DELETE_S = 1.6
"""How long a shim has to end its environment by itself; then it is ended from here."""


class LocalDriver:
    """Implements protocol.ports.Driver with bubblewrap.

    Environments live under `home`/environments/ID. `masks` are further host paths hidden in every environment. A shim that
    nobody asks for `idle_s` seconds ends itself and everything inside. Files in /workspace, /tmp and /dev/shm lie in memory: where
    a control group enforces `Limits.memory_bytes`, they count towards it.
    """

    def __init__(self, home: Path, permits: Permits, *, masks: Sequence[str] = (), idle_s: float = IDLE_S) -> None:
        self.home = Path(os.path.realpath(home))
        self.permits = permits
        self.masks = tuple(masks)
        self.idle_s = idle_s
        self._shims: dict[str, int] = {}
        """Environment to the pid of the shim that this process started, to be collected when it ends."""

    def capabilities(self) -> Capabilities:
        """What this host enforces; see `detect`."""
        return detect()

    def _folder(self, environment: str) -> Path:
        if not NAME.fullmatch(environment):
            raise BadInput(f"{environment!r} is not an environment's id", hint="use letters, digits, '.', '_' and '-'", param="environment")
        return self.home / "environments" / environment

    # --- making and ending --------------------------------------------------------------------------------------------

    async def create(self, permit: Permit, spec: EnvironmentSpec) -> None:
        """Make the environment, or adopt it if its shim still lives. Raises HostCannotIsolate, EnvironmentLost, SandboxError."""
        folder = self._folder(spec.id)
        await self.permits.consume(permit, "tool.call")
        require()
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        hello = {"op": "hello", "run": permit.run, "epoch": permit.epoch}
        async with locked(folder.parent / f".{spec.id}.lock"):
            if folder.exists():
                sock = await reach(folder)
                if sock is not None:
                    await self._ask(folder, hello, sock=sock)
                    return
                if Ledger(str(folder)).begun():
                    raise EnvironmentLost(f"{spec.id} is gone: its shim died", hint="delete it and create it again; its files are lost")
                await asyncio.to_thread(sweep, folder)
            sock = self._start(folder, spec)
            try:
                await self._ask(folder, hello, sock=sock)
            except SandboxError:
                await self._remove(folder)
                raise

    def _start(self, folder: Path, spec: EnvironmentSpec) -> socket.socket:
        """Start the shim in a session of its own; returns the connection that it serves first."""
        wire = plan.to_bytes(plan.make(spec, self.home, self.masks, self.idle_s))
        folder.mkdir(mode=0o700)
        (folder / "plan").write_bytes(wire)
        ours, theirs = socket.socketpair()
        argv = plan.shim_command("main", repr(str(folder)))
        log = str(folder / "shim.log")
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
        ]
        ignored = [signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD]
        env = {"PATH": plan.BASE_ENV["PATH"], "LANG": "C.UTF-8"}
        pid = os.posix_spawn(argv[0], argv, env, file_actions=actions, setsid=True, setsigdef=ignored, setsigmask=[])
        theirs.close()
        self._shims[spec.id] = pid
        return ours

    async def delete(self, environment: str) -> None:
        """End every process and remove everything, within two seconds. Idempotent."""
        folder = self._folder(environment)
        if not folder.exists():
            return
        lock = folder.parent / f".{environment}.lock"
        async with locked(lock):
            await self._remove(folder)
            lock.unlink(missing_ok=True)

    async def _remove(self, folder: Path) -> None:
        deadline = time.monotonic() + DELETE_S
        with contextlib.suppress(client.Broken, asyncio.TimeoutError):
            await asyncio.wait_for(client.request(client.connect(folder), {"op": "delete"}), DELETE_S)
        while held(folder) and time.monotonic() < deadline:  # noqa: ASYNC110  another process's lock has no event
            await asyncio.sleep(0.002)
        await asyncio.to_thread(sweep, folder)
        collect(self._shims.pop(folder.name, 0))

    async def alive(self, environment: str) -> bool:
        """Whether commands can run in it."""
        try:
            answer, _ = await client.request(client.connect(self._folder(environment)), {"op": "ping"})
        except client.Broken:
            return False
        return bool(answer["ok"])

    # --- commands and files -------------------------------------------------------------------------------------------

    async def exec(self, permit: Permit, environment: str, command: Command, kind: ActionKind = "shell.exec") -> CommandResult:
        """Run one command to its end. A command that cannot be found exits 127, with the reason on stderr."""
        if bool(command.argv) == bool(command.shell):
            raise BadInput("a command has either argv or shell", hint="set exactly one of the two", param="argv")
        if any("\0" in text for text in (*command.argv, command.shell, command.cwd, *command.env, *command.env.values())):
            raise BadInput("a command cannot contain a NUL character", param="argv")
        argv = command.argv or ("/bin/bash", "-c", command.shell)
        header: dict[str, Any] = {"op": "exec", "argv": argv, "cwd": command.cwd, "env": command.env}
        header |= {"timeout_s": command.timeout_s, "output_bytes": command.output_bytes}
        return await self._job(permit, kind, environment, header, command.stdin)

    async def read(self, permit: Permit, environment: str, path: str, max_bytes: int) -> bytes:
        """Read a regular file of at most `max_bytes`; SandboxError says why not."""
        header = {"op": "read", "path": path, "most": max_bytes, "timeout_s": FILE_S, "output_bytes": max_bytes}
        result = await self._job(permit, "file.read", environment, header)
        _check(result, f"cannot read {path}")
        return result.stdout.head

    async def write(self, permit: Permit, environment: str, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file in one step, making its folders."""
        header = {"op": "write", "path": path, "mode": mode, "timeout_s": FILE_S, "output_bytes": NOTE_BYTES}
        _check(await self._job(permit, "file.write", environment, header, data), f"cannot write {path}")

    async def unpack(self, permit: Permit, environment: str, archive: Path, target: str) -> None:
        """Unpack a tar file (plain or compressed) of the host inside; the agent reads it through a descriptor."""
        archive = Path(os.getcwd(), archive)  # noqa: PTH109  the shim has another working directory
        if not archive.is_file():
            raise BadInput(f"{archive} is not a file", param="archive")
        header = {"op": "unpack", "path": target, "archive": os.fspath(archive), "timeout_s": UNPACK_S, "output_bytes": NOTE_BYTES}
        _check(await self._job(permit, "file.write", environment, header), f"cannot unpack {archive.name}")

    async def _job(self, permit: Permit, kind: ActionKind, environment: str, header: dict[str, Any], body: bytes = b"") -> CommandResult:
        folder = self._folder(environment)
        for field in ("path", "cwd"):
            if "\0" in header.get(field, ""):
                raise BadInput(f"a {field} cannot contain a NUL character", param=field)
        await self.permits.consume(permit, kind)
        key = str(permit.key)
        header |= {"key": key, "run": permit.run, "epoch": permit.epoch}
        return client.to_result(*await self._ask(folder, header, body))

    async def kill(self, environment: str, key: ActionKey) -> None:
        """Kill one running command and all its children; a command that is not running is no error."""
        with contextlib.suppress(EnvironmentLost):
            await self._ask(self._folder(environment), {"op": "kill", "key": str(key)})

    # --- after a crash ------------------------------------------------------------------------------------------------

    async def probe(self, environment: str, key: ActionKey, epoch: int) -> Probe:
        """What became of `key`; one that was never seen is forbidden for ever. Without a shim only recorded ends are known."""
        folder = self._folder(environment)
        try:
            answer, body = await self._look("probe", folder, key, epoch)
        except EnvironmentLost:
            known = recorded(folder, str(key))
            if known is None:
                return Probe("unknown")
            answer, body = known
        if answer["state"] != "done":
            return Probe(answer["state"])
        result = client.to_result(answer, body)
        return Probe("done", Outcome("done", msgspec.to_builtins(result)))

    async def wait(self, environment: str, key: ActionKey, epoch: int) -> CommandResult:
        """Wait for a command that `probe` found running. SandboxError if it never began."""
        answer, body = await self._look("wait", self._folder(environment), key, epoch)
        if answer["state"] != "done":
            raise SandboxError(f"{key} is not running: {answer['state']}", hint="probe it first")
        return client.to_result(answer, body)

    async def _look(self, op: str, folder: Path, key: ActionKey, epoch: int) -> tuple[dict[str, Any], bytes]:
        return await self._ask(folder, {"op": op, "key": str(key), "run": key.run, "epoch": epoch})

    async def _ask(
        self, folder: Path, header: dict[str, Any], body: bytes = b"", *, sock: socket.socket | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """One request. A shim that dies under a job leaves its recorded end, or the state `lost`; EnvironmentLost: it never began."""
        try:
            return await client.request(sock or client.connect(folder), header, body)
        except client.Broken as error:
            key = header.get("key", "")
            known = recorded(folder, key) if error.sent else None
            if known is not None and known[0]["state"] == "done":
                return known
            if error.sent and "timeout_s" in header and (held(folder) or key in Ledger(str(folder)).states):
                fields = {"state": "lost", "duration_s": 0.0, "totals": [0, 0]}
                return {"state": "done", "result": fields, "sizes": [0, 0, 0, 0]}, b""
            log = folder / "shim.log"
            said = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
            raise EnvironmentLost(
                f"{folder.name} is gone: {'; '.join(said) or 'its shim does not live'}", hint="start the work again; what was in it is lost"
            ) from error


def _check(result: CommandResult, what: str) -> None:
    """Raise SandboxError unless a file operation succeeded."""
    if not result.ok:
        said = result.stderr.text.strip().removeprefix("quarterdeck: ")
        raise SandboxError(f"{what}: {said or result.state}")
