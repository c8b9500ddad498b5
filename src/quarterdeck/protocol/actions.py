"""Actions: what a decider asks for, what the gate answers, and what became of it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .writes import Write

ActionKind = Literal[
    "model.call",
    "tool.call",
    "shell.exec",
    "file.read",
    "file.write",
    "net.connect",
    "memory.read",
    "memory.write",
    "output.publish",
]
"""The enforcement points. One policy decides them all."""

EffectClass = Literal["never", "read_only", "idempotent", "probe"]
"""What may follow a crash inside the effect: only `read_only` and `idempotent` are run again."""


class Resource(msgspec.Struct, frozen=True):
    """What an action touches. `type` is a Cedar entity type (Sandbox, Path, Model, Tool, Memory, Channel, Host)."""

    type: str
    id: str
    zones: tuple[str, ...] = ()
    attrs: dict[str, Any] = {}


class ActionRequest(msgspec.Struct, frozen=True):
    """What a decider asks for. `name` and `occurrence` identify it within its run across replays."""

    kind: ActionKind
    name: str
    resource: Resource
    args: dict[str, Any] = {}
    occurrence: int = 0
    effect: EffectClass = "never"
    est_microusd: int = 0
    """Upper bound of its price in micro-USD; reserved before it begins."""
    call_id: str = ""
    """The model's or client's name for the call: an attribute, may repeat, never an identity."""


class Decision(msgspec.Struct, frozen=True):
    """The gate's answer. `ask` needs a person of `role`; `budget` means that a cap stands in the way."""

    effect: Literal["allow", "deny", "ask", "transform", "budget"]
    policies: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    role: str = ""
    bundle: str = ""
    errors: tuple[str, ...] = ()


class ActionKey(msgspec.Struct, frozen=True):
    """The identity of an attempt outside its run: shim, permits, tool keys."""

    run: str
    action: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.run}.{self.action}.{self.attempt}"


class Permit(msgspec.Struct, frozen=True):
    """A single-use leave to begin one attempt. Only `kernel/action.py` mints them; the store consumes each once."""

    run: str
    action: int
    attempt: int
    epoch: int
    kind: ActionKind
    decision: str
    """Digest of the decision that allowed it."""
    nonce: str

    @property
    def key(self) -> ActionKey:
        return ActionKey(self.run, self.action, self.attempt)


class Outcome(msgspec.Struct, frozen=True):
    """What became of an attempt. `result` is JSON data; `error` is {type, message, hint}.

    `writes` are committed in the same transaction as the outcome's record, and are no part of it.
    """

    state: Literal["done", "failed", "unknown", "not_begun", "denied", "cancelled"]
    result: Any = None
    error: dict[str, str] | None = None
    writes: tuple[Write, ...] = ()


class Probe(msgspec.Struct, frozen=True):
    """What a fencing probe found after a crash.

    `done`: it ended, here is the outcome. `running`: it still runs and was adopted. `not_begun`: it never began and,
    because the probe fenced, never will. `unknown`: nobody can know.
    """

    state: Literal["done", "running", "not_begun", "unknown"]
    outcome: Outcome | None = None
