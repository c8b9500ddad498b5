"""The error tree. Every error says what happened, why, and what to do next.

QuarterdeckError
├── BadInput              the caller's input cannot be used            (CLI exit 2, HTTP 400)
│   └── NotFound          the named thing does not exist here          (HTTP 404)
├── ConfigError           configuration is wrong                       (exit 2)
├── PolicyError           a policy bundle cannot be used               (exit 2)
├── StoreError            the database or the disk refused             (exit 2)
│   ├── DiskFull          no room; whoever resumes when there is room goes on from there
│   ├── LostLease         another worker owns the run now
│   └── PermitRefused     a permit was used twice, late or for another action
├── BudgetRefused         the work does not fit a budget
├── SandboxError          an environment could not do its work
│   ├── HostCannotIsolate this host cannot isolate; carries the exact fix
│   └── EnvironmentLost   the computer is gone (its shim died)
├── ModelError            a provider refused or broke off; `retryable` says which
└── ActionFailed          raised inside a workflow by an awaited action
    ├── Denied            policy or a person said no
    └── OutcomeUnknown    nobody can know whether the effect happened
"""

from __future__ import annotations

import errno


class QuarterdeckError(Exception):
    """Base of all errors. `hint` is the next thing to do, in one sentence or one command."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadInput(QuarterdeckError):
    """The caller's input cannot be used. `param` names the offending field or flag."""

    def __init__(self, message: str, *, hint: str = "", param: str = "") -> None:
        super().__init__(message, hint=hint)
        self.param = param


class NotFound(BadInput):
    """The named thing does not exist, or not for this caller."""


class ConfigError(QuarterdeckError):
    """Configuration is wrong; the message names the file and the key."""


class PolicyError(QuarterdeckError):
    """A policy bundle does not parse, does not validate or fails its own tests."""


class StoreError(QuarterdeckError):
    """The database or the disk refused a write; what was acknowledged before is safe."""


class DiskFull(StoreError):
    """The disk has no room. Nothing is wrong with the work: it waits, and goes on from where it was when there is room."""


def out_of_space(error: BaseException | None) -> DiskFull | None:
    """The DiskFull that an error tells of, in itself or in its causes; None when it has other reasons."""
    found = error
    while found is not None:
        if isinstance(found, DiskFull):
            return found
        if isinstance(found, OSError) and found.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return DiskFull(f"The disk is full: {error}", hint="Free space, then resume the run.")
        found = found.__cause__ or found.__context__
    return None


class LostLease(StoreError):
    """Another worker owns the run now; this one must stop without effect."""


class PermitRefused(StoreError):
    """A permit was used twice, after its lease, or for another kind of action."""


class BudgetRefused(QuarterdeckError):
    """The upper bound of the work does not fit; `scope` names the budget, amounts are micro-USD."""

    def __init__(self, message: str, *, scope: str, needed: int, left: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.scope, self.needed, self.left = scope, needed, left


class SandboxError(QuarterdeckError):
    """An environment could not do its work."""


class HostCannotIsolate(SandboxError):
    """This host cannot isolate; `hint` is the exact fix."""


class EnvironmentLost(SandboxError):
    """The environment is gone: its shim died or the host was restarted."""


class ModelError(QuarterdeckError):
    """A model provider refused or broke off. `status` is the HTTP status or 0; `billable`: it may charge for the call all the same."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0, retryable: bool = False, billable: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.status, self.retryable, self.billable = status, retryable, billable


class ActionFailed(QuarterdeckError):
    """An awaited action ended badly; `state` is its ledger state."""

    state = "failed"


class Denied(ActionFailed):
    """The gate, or a person it asked, said no."""

    state = "denied"


class OutcomeUnknown(ActionFailed):
    """The action began and nobody can know whether its effect happened."""

    state = "unknown"
