"""The kernel: runs, records, leases, effects, and the only path of an action. It knows no model, no HTTP, no sandbox.

`Worker` owns runs and does their I/O; `Decider` (agents and workflows) is pure; `Actions` takes every action through
gate, budget and ledger to its executor.
"""

from __future__ import annotations

from .action import Actions
from .decider import Command, Decider
from .handle import Handle
from .log import Entry, RunLog
from .worker import Worker

__all__ = ["Actions", "Command", "Decider", "Entry", "Handle", "RunLog", "Worker"]
