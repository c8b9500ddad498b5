"""Decisions in words: what was decided, by which policy, why, and what would help."""

from __future__ import annotations

from quarterdeck.protocol.actions import Decision

HEADS = {
    "allow": "Allowed",
    "deny": "Denied",
    "ask": "Waits for a person",
    "transform": "Must be changed first",
    "budget": "Does not fit the budget",
}


def explain(decision: Decision) -> str:
    """Return one or more lines for a person; never empty, never raises."""
    lines = [f"{HEADS[decision.effect]}: {_because(decision)}"]
    if decision.policies:
        lines.append(f"policy: {', '.join(decision.policies)}")
    lines += [f"error: {error}" for error in decision.errors]
    lines.append(f"what helps: {_help(decision)}")
    return "\n".join(lines if decision.effect != "allow" else lines[:-1])


def _because(decision: Decision) -> str:
    return "; ".join(decision.reasons) or "no reason was given by the policy"


def _help(decision: Decision) -> str:
    if decision.errors:
        return "this is a fault of the policy or of the caller, not of the action: check the policy file, then ask again"
    if decision.effect == "ask":
        extra = [o for o in decision.obligations if not o.startswith("approval:")]
        then = f" (after that also: {', '.join(extra)})" if extra else ""
        return (
            f"a yes by somebody with the role {decision.role}: `quarterdeck approvals list`, then `quarterdeck approvals approve ID`{then}"
        )
    if decision.effect == "budget":
        people = [o.removeprefix("approval:") for o in decision.obligations if o.startswith("approval:")]
        then = f"; after that a yes by {', '.join(people)} is needed too" if people else ""
        return f"a higher budget (`--budget USD`) or a cheaper model{then}"
    if decision.effect == "transform":
        return "the runtime applies " + ", ".join(o.removeprefix("transform:") for o in decision.obligations)
    if decision.policies:
        return "nothing within this policy; its owner would have to change it (`--policy FILE`)"
    return "a policy that permits it (`--policy FILE`); what is not permitted is denied"
