"""The only path of an action: gate, approval, budget, ledger, executor, outcome (laws 3, 4, 7 and 8).

This file alone mints permits. Each function below commits one stage of an action; after a crash the next owner finds
in the log and the ledger exactly which stage was reached and goes on from there.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from quarterdeck.protocol.actions import ActionKey, ActionKind, ActionRequest, Decision, Outcome, Permit
from quarterdeck.protocol.canonical import digest
from quarterdeck.protocol.errors import (
    BadInput,
    BudgetRefused,
    ConfigError,
    LostLease,
    ModelError,
    PermitRefused,
    QuarterdeckError,
    out_of_space,
)
from quarterdeck.protocol.ids import new_id
from quarterdeck.protocol.ports import ActionContext, Budget, Executor, Gate, GateRequest
from quarterdeck.protocol.records import NewRecord
from quarterdeck.protocol.writes import HERE, AddLabels, EffectEnd, EffectStart, OpenApproval, Reserve, Settle, UseApproval, Write

from .handle import Handle
from .log import Entry, request_digest

MAX_ATTEMPTS = 4
UNLIMITED = 1 << 53
RETRIED = ("read_only", "idempotent")


class Actions:
    """Takes actions through the gate to their executors. One per worker."""

    def __init__(self, gate: Gate, executors: Mapping[ActionKind, Executor], *, approval_days: float = 7.0) -> None:
        self.gate, self.executors = gate, executors
        self.approval_us = int(approval_days * 86_400_000_000)

    async def perform(self, handle: Handle, request: ActionRequest) -> None:
        """Bring one wanted action as far as it can go: to an outcome, or to a question that a person must answer."""
        entry = handle.log.entry(request.name, request.occurrence)
        if entry is None:
            entry = await self._request(handle, request)
        elif entry.approval and entry.attempt == 0 and entry.outcome is None:
            await self._answered(handle, entry)
        if entry.outcome is None and entry.attempt > 0:
            await self._attempts(handle, entry)

    # --- deciding

    async def decide(self, handle: Handle, request: ActionRequest, approval_role: str = "") -> tuple[Decision, GateRequest]:
        """Ask the gate. The request that it saw is stored with the decision, so that the verdict can be derived again."""
        run, submitted = handle.run, handle.log.submitted
        left = UNLIMITED
        if request.kind == "model.call":
            for scope in self.scopes(handle):
                room = (await handle.store.account(scope)).left
                left = left if room is None else min(left, room)
        asked = GateRequest(
            project=run.project, run=run.id, principal=f"{run.kind}:{run.name}", role=submitted.get("role", ""), actor=run.actor,
            trust=submitted.get("trust", "fork"), kind=request.kind, resource=request.resource, args=request.args, labels=handle.labels,
            step=request.name, budget=Budget(request.est_microusd, left), approval_role=approval_role,
        )  # fmt: skip
        return self.gate.decide(asked), asked

    def scopes(self, handle: Handle) -> tuple[str, ...]:
        """The budgets above a run, all of which a reservation must fit."""
        return (f"project:{handle.run.project}", f"run:{handle.run.root}")

    async def _request(self, handle: Handle, request: ActionRequest) -> Entry:
        """Record what is wanted and what the gate says; an allowed one enters the ledger in the same commit."""
        decision, asked = await self.decide(handle, request)
        body = {
            "name": request.name, "occurrence": request.occurrence, "digest": request_digest(request),
            "request": msgspec.to_builtins(request), "decision": msgspec.to_builtins(decision),
            "facts": {"role": asked.role, "trust": asked.trust, "labels": list(asked.labels), "budget": msgspec.to_builtins(asked.budget)},
        }  # fmt: skip
        records = [NewRecord("action.requested", body)]
        if decision.effect == "allow":
            writes, nonce = self._starts(handle, request, HERE, 1)
            try:
                seq = await handle.append(records, writes=writes)
                handle.log.by_seq[seq].nonce = nonce
            except BudgetRefused as refused:  # decided on an account that changed since: the store has the last word
                body["decision"]["effect"] = "budget"
                body["decision"]["reasons"] = [refused.message]
                seq = await handle.append([NewRecord("action.requested", body)])
                await self._deny(handle, handle.log.by_seq[seq])
        elif decision.effect == "ask":
            await self._ask(handle, records, HERE, request, decision, body["digest"])
        else:
            seq = await handle.append(records)
            await self._deny(handle, handle.log.by_seq[seq])
        entry = handle.log.entry(request.name, request.occurrence)
        assert entry is not None
        return entry

    def _starts(self, handle: Handle, request: ActionRequest, action: int, attempt: int) -> tuple[list[Write], str]:
        """What begins an attempt: its ledger row and its reservation, and the nonce that its permit will carry."""
        nonce = os.urandom(16).hex()
        writes: list[Write] = [EffectStart(action, attempt, nonce)]
        if request.kind == "model.call":
            writes.append(Reserve(action, attempt, self.scopes(handle), request.est_microusd))
        return writes, nonce

    async def _deny(self, handle: Handle, entry: Entry) -> None:
        assert entry.decision is not None
        decision = entry.decision
        kind = "BudgetRefused" if decision.effect == "budget" else "Denied"
        words = "; ".join(decision.reasons) or "no policy permits it"
        error = {
            "type": kind,
            "message": f"{entry.body['name']}: {words}",
            "hint": f"policies: {', '.join(decision.policies) or 'none matched'}",
        }
        await handle.append([NewRecord("action.completed", {"action": entry.seq, "attempt": 0, "state": "denied", "error": error})])

    # --- asking people

    def _question_digest(self, handle: Handle, action_digest: str) -> str:
        run = handle.run
        return digest([run.id, run.kind, run.name, run.actor, action_digest, sorted(handle.labels), self.gate.bundle])

    async def _ask(
        self, handle: Handle, records: list[NewRecord], action: int, request: ActionRequest, decision: Decision, action_digest: str
    ) -> None:
        approval, bound = new_id("appr"), self._question_digest(handle, action_digest)
        question = {
            "kind": request.kind, "step": request.name, "resource": msgspec.to_builtins(request.resource), "args": request.args,
            "reasons": list(decision.reasons), "policies": list(decision.policies), "labels": list(handle.labels),
            "workflow": handle.run.name, "actor": handle.run.actor,
        }  # fmt: skip
        expires = time.time_ns() // 1000 + self.approval_us
        asked = {
            "approval": approval, "name": request.name, "occurrence": request.occurrence,
            "action": "previous" if action == HERE else action, "role": decision.role,
            "question": question, "digest": bound, "expires_at": expires,
        }  # fmt: skip
        await handle.append(
            [*records, NewRecord("approval.requested", asked)],
            writes=[OpenApproval(approval, action, decision.role, bound, question, expires)],
        )

    async def _answered(self, handle: Handle, entry: Entry) -> None:
        """A person has answered: start, deny, or (if the world has changed since) ask again."""
        request, answer = entry.request, entry.answer
        assert request is not None
        if answer is None:
            return
        if answer["verdict"] != "approve":
            said = answer.get("reason") or "no reason given"
            error = {"type": "Denied", "message": f"{request.name}: {answer['by']} said no ({said})", "hint": ""}
            done = {"action": entry.seq, "attempt": 0, "state": "denied", "error": error}
            await handle.append([NewRecord("action.completed", done)])
            return
        approval = await handle.store.approval(entry.approval)
        decision, _ = await self.decide(handle, request, approval_role=approval.role)
        bound = self._question_digest(handle, entry.digest)
        if decision.effect == "allow":
            body = {"action": entry.seq, "attempt": 1, "decision": msgspec.to_builtins(decision), "approval": entry.approval}
            writes, nonce = self._starts(handle, request, entry.seq, 1)
            try:
                await handle.append([NewRecord("action.started", body)], writes=[UseApproval(entry.approval, bound), *writes])
                entry.nonce = nonce
                return
            except PermitRefused:  # bound to other labels or another bundle, or expired
                decision, _ = await self.decide(handle, request)
        if decision.effect == "ask":
            await self._ask(handle, [], entry.seq, request, decision, entry.digest)
        else:
            entry.decision = decision
            await self._deny(handle, entry)

    # --- doing

    async def _attempts(self, handle: Handle, entry: Entry) -> None:
        """Do the action; after a crash, or a retryable failure, do it again if that is allowed."""
        request = entry.request
        assert request is not None
        if not entry.nonce and not await self._recover(handle, entry):  # begun by an earlier owner
            return
        while entry.outcome is None:
            outcome, error = await self._execute(handle, entry)
            again = isinstance(error, ModelError) and error.retryable and entry.attempt < MAX_ATTEMPTS
            await self._close(handle, entry, outcome, again=again, free=_never_billed(error))

    async def _recover(self, handle: Handle, entry: Entry) -> bool:
        """An earlier owner died in this attempt. Returns True if a new attempt has been started."""
        request = entry.request
        assert request is not None
        used = (entry.seq, entry.attempt, True) in await handle.store.open_attempts(handle.run.id)
        if not used:  # nobody can use the old permit any more: its epoch is over
            await self._start_again(handle, entry, "never begun", end="not_begun")
            return True
        key = ActionKey(handle.run.id, entry.seq, entry.attempt)
        probe = await self.executors[request.kind].probe(key, request, self._context(handle))
        if probe.state == "done" and probe.outcome is not None:
            await self._close(handle, entry, probe.outcome, again=False, collected=True)
            return False
        retry = request.kind == "model.call" or request.effect in RETRIED
        if probe.state == "not_begun" or (retry and entry.attempt < MAX_ATTEMPTS):
            await self._start_again(handle, entry, "interrupted", end="not_begun" if probe.state == "not_begun" else "unknown")
            return True
        message = f"{request.name} was interrupted in attempt {entry.attempt}; whether its effect happened cannot be known"
        error = {"type": "OutcomeUnknown", "message": message, "hint": "Look at what it should have changed, then decide."}
        await self._close(handle, entry, Outcome("unknown", error=error), again=False)
        return False

    async def _start_again(self, handle: Handle, entry: Entry, why: str, end: str = "") -> None:
        """Open the next attempt; an interrupted one is closed in the same commit, its money settled at the worst case."""
        request = entry.request
        assert request is not None
        writes: list[Write] = []
        if end:
            writes.append(EffectEnd(entry.seq, entry.attempt, end))
            worst = await handle.store.reserved(handle.run.id, entry.seq, entry.attempt)
            if request.kind == "model.call":
                writes.append(Settle(entry.seq, entry.attempt, 0 if end == "not_begun" else worst))
        attempt = entry.attempt + 1
        body = {"action": entry.seq, "attempt": attempt, "why": why}
        starts, nonce = self._starts(handle, request, entry.seq, attempt)
        await handle.append([NewRecord("action.started", body)], writes=[*writes, *starts])
        entry.nonce = nonce

    async def _execute(self, handle: Handle, entry: Entry) -> tuple[Outcome, BaseException | None]:
        request, decision = entry.request, entry.decision
        assert request is not None
        assert decision is not None
        permit = Permit(handle.run.id, entry.seq, entry.attempt, handle.run.epoch, request.kind, digest(decision), entry.nonce)
        try:
            return await self.executors[request.kind].execute(permit, request, self._context(handle)), None
        except (LostLease, PermitRefused):
            raise
        except asyncio.CancelledError:
            if handle.stopping != "cancel":
                raise
            return Outcome("cancelled", error={"type": "Cancelled", "message": f"{request.name} was cancelled", "hint": ""}), None
        except Exception as error:  # an executor's or a user's own bug is an outcome of the action, not of the worker
            if full := out_of_space(error):  # neither: it can be done when there is room
                raise full from error
            if isinstance(error, QuarterdeckError):
                return Outcome("failed", error={"type": type(error).__name__, "message": error.message, "hint": error.hint}), error
            return Outcome("failed", error={"type": type(error).__name__, "message": str(error), "hint": ""}), error

    async def _close(
        self, handle: Handle, entry: Entry, outcome: Outcome, *, again: bool, collected: bool = False, free: bool = False
    ) -> None:
        """Commit the outcome with the ledger and the money; `again` closes the attempt but not the action."""
        request = entry.request
        assert request is not None
        ledger = {"cancelled": "failed", "denied": "failed"}.get(outcome.state, outcome.state)
        writes: list[Write] = [EffectEnd(entry.seq, entry.attempt, ledger), *outcome.writes]
        result = outcome.result if isinstance(outcome.result, dict) else {}
        body: dict[str, Any] = {"action": entry.seq, "attempt": entry.attempt, "state": outcome.state}
        body["result"], body["error"] = outcome.result, outcome.error
        if collected:
            body["collected"] = True
        if request.kind == "model.call":
            worst = await handle.store.reserved(handle.run.id, entry.seq, entry.attempt)
            body["cost"] = int(result.get("cost_microusd", 0 if free or ledger == "not_begun" else worst))
            writes.append(Settle(entry.seq, entry.attempt, body["cost"]))
        grown = tuple(sorted(set(handle.labels) | set(result.get("labels", ()))))
        if grown != handle.labels:
            writes.append(AddLabels(grown))
        if again:
            started = NewRecord("action.started", {"action": entry.seq, "attempt": entry.attempt + 1, "why": outcome.error})
            starts, nonce = self._starts(handle, request, entry.seq, entry.attempt + 1)
            await handle.append([started], writes=[*writes, *starts])
            entry.nonce = nonce
        else:
            await handle.append([NewRecord("action.completed", body)], writes=writes)
        handle.labels = grown

    def _context(self, handle: Handle) -> ActionContext:
        run = handle.run
        return ActionContext(
            run=run.id, project=run.project, epoch=run.epoch, environment=run.environment or "", actor=run.actor, labels=handle.labels,
            stopping=lambda: handle.stopping, progress=handle.progress,
        )  # fmt: skip


def _never_billed(error: BaseException | None) -> bool:
    """Whether a failed model call cannot have cost anything: nothing was sent, or the provider refused it with a status."""
    return isinstance(error, (ConfigError, BadInput)) or (isinstance(error, ModelError) and not error.billable)
