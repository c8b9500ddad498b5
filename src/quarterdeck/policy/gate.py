"""The decision point. Deny by default; an error anywhere in an evaluation denies; never raises.

Two traps shape this file (reference: governance notes, section 1.2). A `forbid` whose condition *errors* is skipped by
Cedar and the request is allowed, with the error only in the diagnostics: so any error denies. And a forbid with an
obligation must not lead to a question whose "yes" would still be refused: so the gate discharges the obligations of all
forbids that fired, asks Cedar again, and offers them only if that second answer is yes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from quarterdeck.protocol.actions import Decision
from quarterdeck.protocol.ports import GateRequest

from .bundle import Bundle, Policy
from .facts import LONG_MAX, BadRequest, cedar_request

OWNER = "owner"
"""Holds every role, so it can stand in when one action needs the yes of two different roles."""

NOT_OURS = (KeyboardInterrupt, SystemExit, GeneratorExit)


@dataclass(frozen=True)
class _Answer:
    """One evaluation by Cedar. `allowed` is never true when there are errors."""

    allowed: bool
    policies: tuple[Policy, ...]
    errors: tuple[str, ...]


class CedarGate:
    """`protocol.ports.Gate` over one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        import cedarpy

        self._bundle = bundle
        self._authorize = cedarpy.is_authorized

    @property
    def bundle(self) -> str:
        """SHA-256 of the policy bundle in force."""
        return self._bundle.digest

    def decide(self, request: GateRequest) -> Decision:
        """Deny by default; any evaluation error denies. Never raises."""
        try:
            return self._decide(request)
        except NOT_OURS:
            raise
        except BadRequest as error:
            return self._refuse(f"the request is malformed: {error}")
        except BaseException as error:  # also the panics of the Rust side, which are no Exceptions
            return self._refuse(f"{type(error).__name__}: {error}"[:500].encode("utf-8", "backslashreplace").decode())

    def _decide(self, request: GateRequest) -> Decision:
        question, entities = cedar_request(request)
        listed = json.dumps(entities)
        answer = self._ask(question, listed)
        if answer.errors:
            return self._say("deny", answer.policies, ("the policy could not be evaluated, so the action is denied",), errors=answer.errors)
        if answer.allowed:
            return self._say("allow", answer.policies, _reasons(answer.policies))
        if not answer.policies:
            return self._say("deny", (), (f"no policy permits {request.kind} on this {request.resource.type} for role {request.role}",))
        return self._remedy(question, listed, answer.policies)

    def _remedy(self, question: dict[str, Any], entities: str, fired: tuple[Policy, ...]) -> Decision:
        """What would turn this deny into a yes, if anything would."""
        reasons = _reasons(fired)
        obligations = sorted({policy.obligation for policy in fired})
        if "" in obligations:
            return self._say("deny", fired, reasons)
        wanted = sorted({o.removeprefix("approval:") for o in obligations if o.startswith("approval:")})
        for role in (*wanted, OWNER) if len(wanted) > 1 else wanted or [""]:
            discharged = {**question, "context": _discharge(question["context"], obligations, role)}
            if self._ask(discharged, entities).allowed:
                return self._say(_effect(obligations), fired, reasons, obligations=tuple(obligations), role=role)
        return self._say("deny", fired, (*reasons, "meeting these conditions would not be enough: something else denies it too"))

    def _ask(self, question: dict[str, Any], entities: str) -> _Answer:
        result = self._authorize(question, self._bundle.policy_set, entities, self._bundle.schema_handle)
        errors = tuple(str(error)[:500] for error in result.diagnostics.errors)
        word = result.decision.value
        if word not in ("Allow", "Deny") and not errors:
            errors = (f"Cedar gave no decision ({word})",)
        policies = tuple(sorted((self._bundle.policy(r) for r in result.diagnostics.reasons), key=lambda p: p.line))
        return _Answer(word == "Allow" and not errors, policies, errors)

    def _refuse(self, error: str) -> Decision:
        return self._say("deny", (), ("the request could not be evaluated, so it is denied",), errors=(error,))

    def _say(
        self,
        effect: Literal["allow", "deny", "ask", "transform", "budget"],
        policies: tuple[Policy, ...],
        reasons: tuple[str, ...],
        *,
        obligations: tuple[str, ...] = (),
        role: str = "",
        errors: tuple[str, ...] = (),
    ) -> Decision:
        names = tuple(policy.id for policy in policies)
        return Decision(effect, names, reasons, obligations, role, self._bundle.digest, errors)


def _reasons(policies: tuple[Policy, ...]) -> tuple[str, ...]:
    return tuple(policy.reason or f"policy {policy.id}" for policy in policies)


def _discharge(context: dict[str, Any], obligations: list[str], role: str) -> dict[str, Any]:
    """The context as it would be with every obligation met; an approval is by `role`."""
    met = dict(context)
    for obligation in obligations:
        kind, _, name = obligation.partition(":")
        if kind == "approval":
            met["approval"] = {"role": role}
        elif kind == "transform":
            met["transforms"] = [*met["transforms"], name]
        elif kind == "budget":
            met["budget"] = {**met["budget"], "left": LONG_MAX}
    return met


def _effect(obligations: list[str]) -> Literal["ask", "transform", "budget"]:
    """Money first, for a person's yes is wasted on what cannot be paid; transforms last, for the runtime does them alone."""
    kinds = {obligation.partition(":")[0] for obligation in obligations}
    return "budget" if "budget" in kinds else "ask" if "approval" in kinds else "transform"
