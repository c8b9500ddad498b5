"""Ports: what one room needs of another, as small Protocols. `app.py` puts the real thing in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from .actions import ActionKey, ActionKind, ActionRequest, Decision, Outcome, Permit, Probe
from .environment import Capabilities, Command, CommandResult, EnvironmentSpec
from .models import ModelEvent, ModelRequest, Price, Usage


class Permits(Protocol):
    """Where a receiver hands in its permit before it begins."""

    async def consume(self, permit: Permit, kind: ActionKind) -> None:
        """Use the permit up, durably. Raises PermitRefused (used, other kind) or LostLease (stale epoch)."""
        ...


class Driver(Protocol):
    """Makes environments and runs commands in them. Every call that begins an effect consumes its permit first."""

    def capabilities(self) -> Capabilities: ...

    async def create(self, permit: Permit, spec: EnvironmentSpec) -> None:
        """Make the environment, or adopt it if its shim still lives. `tool.call`."""
        ...

    async def exec(self, permit: Permit, environment: str, command: Command, kind: ActionKind = "shell.exec") -> CommandResult:
        """Run one command to its end. `kind` is `file.read` for the built-in listing and searching commands."""
        ...

    async def read(self, permit: Permit, environment: str, path: str, max_bytes: int) -> bytes:
        """Read a file from inside (resolved inside, by the agent). `file.read`. SandboxError if absent or too big."""
        ...

    async def write(self, permit: Permit, environment: str, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file inside, making its folders. `file.write`."""
        ...

    async def unpack(self, permit: Permit, environment: str, archive: Path, target: str) -> None:
        """Unpack a tar file of the host into the folder `target` inside; done inside, never on the host. `file.write`."""
        ...

    async def probe(self, environment: str, key: ActionKey, epoch: int) -> Probe:
        """After a crash: collect what became of the command `key`, or fence it so that it can never begin.

        The `done` outcome's result is `CommandResult` as JSON data (bytes in base64). `running` was adopted: await `wait`.
        """
        ...

    async def wait(self, environment: str, key: ActionKey, epoch: int) -> CommandResult:
        """Wait for a command that `probe` found running."""
        ...

    async def kill(self, environment: str, key: ActionKey) -> None:
        """Kill one running command and all its children; no permit, for stopping is always allowed."""
        ...

    async def delete(self, environment: str) -> None:
        """End every process and remove everything. Idempotent."""
        ...

    async def alive(self, environment: str) -> bool: ...


class ModelPort(Protocol):
    """Calls models of any provider."""

    def stream(self, permit: Permit, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Consume the permit (`model.call`), call, and yield events; the last is Completed. Raises ModelError."""
        ...

    def price(self, model: str) -> Price:
        """Raises ConfigError for a model without a price (never free by accident)."""
        ...

    def estimate(self, request: ModelRequest) -> int:
        """Upper bound of the call's price in micro-USD."""
        ...

    def cost(self, model: str, usage: Usage) -> int:
        """The call's price in micro-USD."""
        ...


class Budget(msgspec.Struct, frozen=True):
    """What policy may know of money: micro-USD."""

    est: int
    left: int


class GateRequest(msgspec.Struct, frozen=True):
    """Everything that a decision may depend on. Stored whole, so that every decision can be derived again."""

    project: str
    run: str
    principal: str
    """The acting agent or workflow, e.g. `workflow:review`."""
    role: str
    """A Cedar Role: `reviewer`, `review-agent`, `agent`, `workflow`, `operator`."""
    actor: str
    """On whose behalf: `user:NAME`, `key:ID`, `trigger:ID`."""
    trust: str
    """Of the trigger: `operator`, `maintainer`, `fork`."""
    kind: ActionKind
    resource: Any
    """A Resource."""
    args: dict[str, Any]
    labels: tuple[str, ...]
    step: str
    budget: Budget
    approval_role: str = ""
    """Set when a valid, unused approval exists for exactly this action."""


class Gate(Protocol):
    """The one decision point."""

    @property
    def bundle(self) -> str:
        """SHA-256 of the policy bundle in force."""
        ...

    def decide(self, request: GateRequest) -> Decision:
        """Deny by default; any evaluation error denies. Never raises."""
        ...


class ActionContext(msgspec.Struct, frozen=True):
    """What an executor may know of the run that asks."""

    run: str
    project: str
    epoch: int
    environment: str
    actor: str
    labels: tuple[str, ...]
    stopping: Callable[[], str]
    """Why a cancelled `execute` is being stopped: `cancel` (end the effect) or `drain` (leave it to the next owner)."""
    progress: Callable[[Mapping[str, Any]], None]
    """Tell live watchers of this process; never durable, never truth."""


class Executor(Protocol):
    """Does one kind of action. Registered per kind in `app.py`; called only by `kernel/action.py`."""

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome: ...

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        """After a crash, for an intent without outcome: say what became of it, waiting if it still runs, and fence it if it never began."""
        ...
