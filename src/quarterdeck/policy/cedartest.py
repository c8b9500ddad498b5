"""`NAME.cedartest`: what a bundle must decide, as TOML beside it.

    [request]                    # what every test starts from
    trust = "operator"

    [[test]]
    name = "a workflow runs commands"
    role = "workflow"
    kind = "shell.exec"
    resource = { type = "Sandbox", id = "env_1" }
    args = { shell = "pytest -q" }
    effect = "allow"             # allow | deny | ask | transform | budget
    policies = ["shell.exec"]    # exactly these, in any order
    asks = "maintainer"          # the role asked, for effect "ask"

Further keys of a request: principal, actor, labels, step, project, est, left (micro-USD), approval (a role).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from quarterdeck.protocol.actions import Decision, Resource
from quarterdeck.protocol.errors import PolicyError
from quarterdeck.protocol.ports import Budget, GateRequest

from .bundle import Bundle
from .gate import CedarGate


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    """One `[[test]]` with the file's `[request]` filled in."""

    kind: str
    resource: Resource
    effect: str
    name: str = ""
    policies: list[str] = []
    asks: str = ""
    role: str = "workflow"
    project: str = "default"
    run: str = "run_test"
    principal: str = "workflow:test"
    actor: str = "user:test"
    trust: str = "operator"
    args: dict[str, Any] = {}
    labels: tuple[str, ...] = ()
    step: str = "test"
    est: int = 0
    left: int = 1_000_000
    approval: str = ""


@dataclass(frozen=True)
class Case:
    """One expectation."""

    name: str
    request: GateRequest
    effect: str
    policies: frozenset[str]
    asks: str

    def fault(self, decision: Decision) -> str:
        """What is wrong with a decision, in words; empty when it is as expected."""
        wrong = []
        if decision.effect != self.effect:
            wrong.append(f"expected {self.effect}, decided {decision.effect}")
        if set(decision.policies) != self.policies:
            wrong.append(f"expected policies {sorted(self.policies)}, decided by {sorted(decision.policies)}")
        if decision.role != self.asks:
            wrong.append(f'expected to ask "{self.asks}", asks "{decision.role}"')
        return "; ".join([*wrong, *decision.errors]) if wrong else ""


def load_cases(path: Path) -> tuple[Case, ...]:
    """Read a `.cedartest` file. Raises PolicyError for anything that is not as above."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}", hint="a .cedartest file is TOML; see policy/cedartest.py") from error
    rows = document.get("test", [])
    common = document.get("request", {})
    if not isinstance(rows, list) or not rows or not isinstance(common, dict):
        raise PolicyError(f"{path}: holds no [[test]]", hint="a .cedartest file is TOML; see policy/cedartest.py")
    return tuple(_case(path, number, {**common, **row} if isinstance(row, dict) else {}) for number, row in enumerate(rows, 1))


def _case(path: Path, number: int, data: dict[str, Any]) -> Case:
    try:
        row = msgspec.convert(data, _Row)
    except msgspec.ValidationError as error:
        raise PolicyError(f"{path}: test {number}: {error}", hint="see policy/cedartest.py for the keys of a test") from error
    request = GateRequest(
        project=row.project,
        run=row.run,
        principal=row.principal,
        role=row.role,
        actor=row.actor,
        trust=row.trust,
        kind=row.kind,  # type: ignore[arg-type]  # an unknown kind is a fair test: it must be denied
        resource=row.resource,
        args=row.args,
        labels=row.labels,
        step=row.step,
        budget=Budget(row.est, row.left),
        approval_role=row.approval,
    )
    return Case(row.name or f"test {number}", request, row.effect, frozenset(row.policies), row.asks)


def failures(bundle: Bundle, cases: tuple[Case, ...]) -> list[str]:
    """`name: what is wrong` for each expectation that the bundle does not meet."""
    gate = CedarGate(bundle)
    return [f"{case.name}: {fault}" for case in cases if (fault := case.fault(gate.decide(case.request)))]


def check(bundle: Bundle, path: Path) -> None:
    """Run a bundle's own tests. Raises PolicyError that lists what fails."""
    failed = failures(bundle, load_cases(path))
    if failed:
        raise PolicyError(
            f"{bundle.name}: fails its own tests in {path.name}:\n" + "\n".join(failed),
            hint=f"correct the policy, or the expectation in {path}",
        )
