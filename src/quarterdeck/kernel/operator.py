"""What people do: one run of kind `operator` per principal and process, each request an action through the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from quarterdeck.protocol.actions import ActionRequest, Resource
from quarterdeck.protocol.errors import Denied
from quarterdeck.protocol.ids import new_id
from quarterdeck.protocol.ports import Budget, Gate, GateRequest
from quarterdeck.protocol.records import NewRecord, NewRun, Record, Run
from quarterdeck.protocol.writes import HERE, EffectEnd, EffectStart, Write
from quarterdeck.store import Store

from .handle import Handle
from .lease import owner_name
from .log import request_digest


def _nobody(run: Run, record: Record) -> None:
    return None


def _silent(run: str, event: Mapping[str, Any]) -> None:
    return None


async def open_own_run(store: Store, kind: str, actor: str, project: str = "default", *, role: str = "") -> Handle:
    """Open the operator's or the system's run of this process. `role` is its Cedar role, `kind` if none is given."""
    run = new_id("run")
    new = NewRun(id=run, kind=kind, name=kind, input=None, actor=actor, project=project)
    role = role or kind
    body: dict[str, Any] = {"kind": kind, "name": kind, "input": None, "actor": actor, "role": role, "trust": "operator", "labels": []}
    await store.submit(new, body)
    await store.own(run, owner_name())
    return await Handle.open(store, await store.run(run), _nobody, _silent)


class Operator:
    """A person at this process. The run is opened at the first request."""

    def __init__(self, store: Store, gate: Gate, actor: str, project: str = "default") -> None:
        self.store, self.gate, self.actor, self.project = store, gate, actor, project
        self._handle: Handle | None = None
        self._count = 0

    async def act(self, name: str, args: Mapping[str, Any], writes: Sequence[Write], attrs: Mapping[str, Any] | None = None) -> None:
        """Do `name` (its whole effect is `writes`), decided by policy, recorded and audited in one commit. Raises Denied."""
        if self._handle is None:
            self._handle = await open_own_run(self.store, "operator", self.actor, self.project)
        handle = self._handle
        resource = Resource("Tool", f"operator:{name}", ("operator",), {"name": name, "readOnly": False, **(attrs or {})})
        request = ActionRequest("tool.call", name, resource, dict(args), self._count)
        self._count += 1
        asked = GateRequest(
            project=self.project, run=handle.run.id, principal=f"operator:{self.actor}", role="operator", actor=self.actor,
            trust="operator", kind="tool.call", resource=resource, args=request.args, labels=(), step=name, budget=Budget(0, 0),
        )  # fmt: skip
        decision = self.gate.decide(asked)
        body = {
            "name": name, "occurrence": request.occurrence, "digest": request_digest(request), "request": msgspec.to_builtins(request),
            "decision": msgspec.to_builtins(decision),
        }  # fmt: skip
        seq = handle.log.records[-1].seq + 1
        allowed = decision.effect == "allow"
        words = "; ".join(decision.reasons) or "no policy permits it"
        outcome = {
            "action": seq, "attempt": 1 if allowed else 0, "state": "done" if allowed else "denied",
            "error": None if allowed else {"type": "Denied", "message": words, "hint": ""},
        }  # fmt: skip
        records = [NewRecord("action.requested", body), NewRecord("action.completed", outcome)]
        ledger: list[Write] = [EffectStart(HERE, 1, "in-transaction"), EffectEnd(HERE, 1, "done"), *writes] if allowed else []
        await handle.append(records, writes=ledger)
        if not allowed:
            raise Denied(f"{self.actor} may not do {name}: {words}.", hint=f"Policies: {', '.join(decision.policies) or 'none matched'}.")

    async def close(self) -> None:
        """End the run of this process."""
        if self._handle is not None:
            await self._handle.append(
                [NewRecord("run.completed", {"state": "completed", "result": None, "error": None})], state="completed"
            )
            self._handle = None
