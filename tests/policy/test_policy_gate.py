"""The gate's logic, with small policies of its own: errors deny, obligations, digests (A17, law 4)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quarterdeck.policy import CedarGate, explain, load_bundle
from quarterdeck.policy.bundle import parse_bundle
from quarterdeck.protocol.actions import Decision, Resource
from quarterdeck.protocol.ports import Budget, GateRequest

PERMIT = '@id("grant") @reason("all") permit (principal, action, resource);\n'
MODEL = Resource("Model", "m")


def small(text: str) -> CedarGate:
    return CedarGate(parse_bundle(text, "test.cedar"))


def forbid(name: str, obligation: str, condition: str) -> str:
    note = f'@obligation("{obligation}") ' if obligation else ""
    return f'@id("{name}") @reason("because {name}") {note}forbid (principal, action == Action::"model.call", resource) {condition};\n'


APPROVED = 'unless {{ context has approval && ["{0}", "owner"].contains(context.approval.role) }}'
STRICT = 'unless {{ context has approval && context.approval.role == "{0}" }}'


def test_a_forbid_that_errors_denies(ask) -> None:
    """law 4: Cedar skips a forbid whose condition overflows and says Allow; the gate must not."""
    gate = small(PERMIT + forbid("sum", "", "when { context.budget.est + 1 > context.budget.left }"))
    import cedarpy

    from quarterdeck.policy.facts import cedar_request

    request = ask("model.call", MODEL, budget=Budget(2**63 - 1, 5))
    question, entities = cedar_request(request)
    raw = cedarpy.is_authorized(question, gate._bundle.policy_set, entities, gate._bundle.schema_handle)
    assert raw.allowed and raw.diagnostics.errors, "the trap that this test is about is gone"
    decision = gate.decide(request)
    assert decision.effect == "deny"
    assert "overflow" in decision.errors[0]
    assert gate.decide(ask("model.call", MODEL, budget=Budget(1, 5))).effect == "allow"


def test_an_error_while_asking_again_denies(ask) -> None:
    """The second evaluation, with the obligation discharged, is judged as strictly as the first."""
    overflow = "when { context has approval && context.budget.left + 9223372036854775807 > 1 }"
    gate = small(PERMIT + forbid("yes", "approval:x", STRICT.format("x")) + forbid("later", "", overflow))
    assert gate.decide(ask("model.call", MODEL)).effect == "deny"


def test_nothing_permits(ask) -> None:
    decision = small(forbid("never", "", "when { false }")).decide(ask("model.call", MODEL))
    assert (decision.effect, decision.policies) == ("deny", ())
    assert "no policy permits model.call" in decision.reasons[0]


@pytest.mark.parametrize(
    "obligations, effect, role",
    [
        (("approval:x",), "ask", "x"),
        (("budget:raise",), "budget", ""),
        (("transform:redact",), "transform", ""),
        (("approval:x", "transform:redact"), "ask", "x"),
        (("approval:x", "budget:raise"), "budget", "x"),
        (("budget:raise", "transform:redact"), "budget", ""),
        (("approval:x", "approval:y"), "ask", "owner"),
        (("approval:x", "approval:x"), "ask", "x"),
        (("approval:x", ""), "deny", ""),
        (("",), "deny", ""),
    ],
)
def test_what_is_offered(obligations: tuple[str, ...], effect: str, role: str, ask) -> None:
    met = {
        "approval:x": APPROVED.format("x"),
        "approval:y": APPROVED.format("y"),
        "budget:raise": "when { context.budget.est > context.budget.left }",
        "transform:redact": 'unless { context.transforms.contains("redact") }',
        "": "",
    }
    policies = "".join(forbid(f"f{i}", o, met[o]) for i, o in enumerate(obligations))
    decision = small(PERMIT + policies).decide(ask("model.call", MODEL, budget=Budget(2, 1)))
    assert (decision.effect, decision.role) == (effect, role)
    assert decision.policies == tuple(f"f{i}" for i in range(len(obligations)))
    assert decision.reasons[0] == "because f0"
    assert decision.obligations == (tuple(sorted(set(obligations))) if effect != "deny" else ())


def test_nobody_is_asked_a_question_whose_yes_would_still_be_refused(ask) -> None:
    fires = forbid("f", "approval:x", STRICT.format("x"))
    request = ask("model.call", MODEL)
    assert small(PERMIT + fires).decide(request).effect == "ask"
    assert small(fires).decide(request).effect == "deny", "there is no grant to begin with"
    hidden = forbid("g", "", "when { context has approval }")
    assert small(PERMIT + fires + hidden).decide(request).effect == "deny", "another forbid waits behind the approval"
    lying = forbid("h", "approval:y", STRICT.format("z"))
    assert small(PERMIT + lying).decide(request).effect == "deny", "the obligation does not lift its forbid"
    two = forbid("i", "approval:y", STRICT.format("y"))
    assert small(PERMIT + fires + two).decide(request).effect == "deny", "no single approver holds both roles here"


def test_a_forbid_without_an_obligation_is_never_offered_away(ask) -> None:
    """Even where an approval would happen to lift it: its author named no remedy."""
    fires = forbid("f", "approval:x", STRICT.format("x"))
    silent = forbid("g", "", STRICT.format("x"))
    assert small(PERMIT + fires + silent).decide(ask("model.call", MODEL)).effect == "deny"


def test_a_yes_counts_only_from_the_role_that_was_asked(ask) -> None:
    gate = small(PERMIT + forbid("f", "approval:x", STRICT.format("x")))
    assert gate.decide(ask("model.call", MODEL, approval_role="x")).effect == "allow"
    assert gate.decide(ask("model.call", MODEL, approval_role="y")).effect == "ask"


def test_a_decision_names_its_bundle_and_its_policies(ask) -> None:
    gate = small(PERMIT)
    decision = gate.decide(ask("model.call", MODEL))
    assert decision == Decision("allow", ("grant",), ("all",), (), "", gate.bundle)
    assert len(gate.bundle) == 64 and gate.bundle != small(PERMIT + "// a remark\n").bundle


@pytest.mark.parametrize(
    "change",
    [
        {"resource": Resource("Planet", "mars")},
        {"resource": Resource("Path", "x", ("workspace",))},
        {"resource": Resource("Agent", "x")},
        {"resource": "m"},
        {"resource": None},
        {"kind": "model.eat"},
        {"kind": ""},
        {"labels": ("a", 3)},
        {"labels": None},
        {"labels": "secret"},
        {"budget": Budget("1", 2)},  # type: ignore[arg-type]
        {"budget": Budget(True, 2)},
        {"budget": None},
        {"role": None},
        {"actor": 7},
        {"principal": b"x"},
        {"approval_role": 5},
        {"step": None},
        {"resource": Resource("Model", "m", ("a", 1))},  # type: ignore[arg-type]
        {"resource": Resource("Model", 5)},  # type: ignore[arg-type]
    ],
)
def test_a_malformed_request_is_denied_with_its_error(change: dict[str, Any], ask) -> None:
    """A17: even under a policy that permits everything."""
    known = {"kind": "model.call", "resource": MODEL, **change}
    decision = small(PERMIT).decide(ask(known.pop("kind"), known.pop("resource"), **known))
    assert decision.effect == "deny" and decision.errors and not decision.policies


def test_hostile_names_are_carried_not_trusted(gate: CedarGate, ask) -> None:
    """Names with quotes, newlines, NUL, surrogates and Cedar's own escapes are data."""
    for name in ('a"b', "a\nb", "\udcff.py", '{"__entity":{"type":"Role","id":"operator"}}', "é" * 5000, '" || true || "'):
        assert gate.decide(ask("file.read", Resource("Path", name, ("workspace",)))).effect == "allow", name
    assert gate.decide(ask("file.read", Resource("Path", "a\0b", ("workspace",)))).effect == "deny"
    assert gate.decide(ask("file.read", Resource("Path", "a", ("workspace\n",)))).effect == "deny"
    evil = {"__entity": {"type": "Zone", "id": "steps"}}
    assert gate.decide(ask("tool.call", Resource("Tool", "t", (), {"readOnly": evil, "name": evil}), "review-agent")).effect == "deny"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.sampled_from(["__entity", "__extn"]), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(["readOnly", "effect", "name", "roles", "needs", "local", "isPublic", "scope", "kind", "port", "transforms", "path"])
KINDS = ["model.call", "tool.call", "shell.exec", "file.read", "file.write", "net.connect", "memory.read", "memory.write", "output.publish"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_junk_never_raises_and_never_allows(gate: CedarGate, data: st.DataObject) -> None:
    """A17, law 4: whatever a caller sends, a role without grants gets no yes; a reviewing model never gets to run or write."""
    draw = data.draw
    attrs = draw(st.dictionaries(KEYS, JUNK, max_size=4))
    args = draw(st.dictionaries(st.sampled_from(["argv", "shell", "kind", "x"]), JUNK, max_size=3) | JUNK)
    resource = draw(
        JUNK
        | st.builds(
            Resource,
            st.sampled_from(["Sandbox", "Path", "Model", "Tool", "Memory", "Channel", "Host", "Zone", ""]),
            JUNK | st.just("x"),
            JUNK | st.just(("workspace",)),
            st.just(attrs) | JUNK,
        )
    )
    role = draw(st.sampled_from(["review-agent", "nobody"]))
    kind = draw(st.sampled_from(KINDS) | st.text(max_size=5))
    junk = {name: draw(JUNK) if draw(st.booleans()) else good for name, good in _GOOD.items()}
    request = GateRequest(role=role, kind=kind, resource=resource, args=args, **junk)  # type: ignore[arg-type]
    decision = gate.decide(request)
    if role == "nobody" or kind in ("shell.exec", "file.write", "net.connect", "memory.write", "output.publish"):
        assert decision.effect == "deny"
    if decision.errors:
        assert decision.effect == "deny"
    assert explain(decision)


_GOOD: dict[str, Any] = {
    "project": "p",
    "run": "r",
    "principal": "x",
    "actor": "user:a",
    "trust": "operator",
    "labels": ("untrusted:pr",),
    "step": "s",
    "budget": Budget(0, 1),
    "approval_role": "",
}


def test_explain_says_which_policy_why_and_what_helps(gate: CedarGate, ask, things: dict[str, Resource]) -> None:
    words = explain(gate.decide(ask("file.write", things["ci"])))
    assert "Waits for a person" in words and "file.ci-config" in words and "continuous integration" in words
    assert "maintainer" in words and "approvals approve" in words
    assert "--budget" in explain(gate.decide(ask("model.call", things["model"], budget=Budget(2, 1))))
    assert "--policy" in explain(gate.decide(ask("net.connect", things["host"])))
    assert "fault of the policy or of the caller" in explain(gate.decide(ask("x", things["host"])))
    allowed = explain(gate.decide(ask("model.call", things["model"])))
    assert allowed.startswith("Allowed") and "helps" not in allowed


def test_a_decision_is_a_function_of_the_request(gate: CedarGate, ask, things: dict[str, Resource]) -> None:
    """So every stored decision can be derived again."""
    request = ask("shell.exec", things["sandbox"], args={"shell": "curl x | sh"})
    assert gate.decide(request) == gate.decide(request) == CedarGate(load_bundle()).decide(request)
