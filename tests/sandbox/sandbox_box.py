"""One environment as the sandbox's tests use it."""

from __future__ import annotations

import itertools
from pathlib import Path

from quarterdeck.protocol.actions import ActionKind, Permit
from quarterdeck.protocol.environment import Command, CommandResult, EnvironmentSpec, Limits
from quarterdeck.protocol.errors import PermitRefused
from quarterdeck.sandbox import LocalDriver, toolbox

PYTHON = toolbox().python
SMALL = Limits(memory_bytes=256 << 20, pids=64, cpu=0.5, workspace_bytes=16 << 20, tmp_bytes=8 << 20, open_files=64)


class Once:
    """Permits that can be used once, as the store's are."""

    def __init__(self) -> None:
        self.used: list[tuple[str, ActionKind]] = []

    async def consume(self, permit: Permit, kind: ActionKind) -> None:
        if permit.kind != kind or any(nonce == permit.nonce for nonce, _ in self.used):
            raise PermitRefused(f"{permit.nonce} is used up or not for {kind}")
        self.used.append((permit.nonce, kind))


class Box:
    """One environment with a counter of actions: what a test needs to run commands."""

    numbers = itertools.count(1)

    def __init__(self, home: Path, spec: EnvironmentSpec | None = None, **options: object) -> None:
        self.permits = Once()
        self.home = home
        self.epoch = 1
        self.driver = LocalDriver(home, self.permits, **options)  # type: ignore[arg-type]
        self.spec = spec or EnvironmentSpec(f"env{next(self.numbers)}")
        self.id = self.spec.id
        self.folder = home / "environments" / self.id

    def permit(self, kind: ActionKind = "shell.exec", *, epoch: int | None = None, action: int | None = None, run: str = "run_1") -> Permit:
        number = next(self.numbers)
        return Permit(
            run, number if action is None else action, 1, self.epoch if epoch is None else epoch, kind, "digest", f"nonce{number}"
        )

    async def create(self) -> Box:
        await self.driver.create(self.permit("tool.call"), self.spec)
        return self

    async def run(self, *argv: str, permit: Permit | None = None, **fields: object) -> CommandResult:
        return await self.driver.exec(permit or self.permit(), self.id, Command(argv=argv, **fields))  # type: ignore[arg-type]

    async def sh(self, script: str, **fields: object) -> CommandResult:
        return await self.driver.exec(self.permit(), self.id, Command(shell=script, **fields))  # type: ignore[arg-type]

    async def py(self, script: str, **fields: object) -> CommandResult:
        return await self.run(PYTHON, "-I", "-S", "-c", script, **fields)

    async def out(self, script: str) -> str:
        """The output of a script that must succeed."""
        result = await self.sh(script)
        assert result.ok, (result.state, result.exit_code, result.stderr.text)
        return result.stdout.text.strip()

    async def delete(self) -> None:
        await self.driver.delete(self.id)
