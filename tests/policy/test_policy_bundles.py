"""The packaged bundles decide what their own tests say, and every policy in them counts (A17, law 4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from quarterdeck.policy import Bundle, load_bundle, packaged_bundles
from quarterdeck.policy.bundle import BUNDLES, parse_bundle
from quarterdeck.policy.cedartest import failures, load_cases
from quarterdeck.policy.source import split


def packaged(name: str) -> Bundle:
    return load_bundle(Path(name))


@pytest.mark.parametrize("name", packaged_bundles())
def test_a_packaged_bundle_passes_its_own_tests(name: str) -> None:
    cases = load_cases(BUNDLES / f"{name}.cedartest")
    assert len(cases) >= 10
    assert failures(packaged(name), cases) == []


@pytest.mark.parametrize("name", packaged_bundles())
def test_every_policy_has_a_reason(name: str) -> None:
    assert [p.id for p in packaged(name).policies if not p.reason] == []


@pytest.mark.parametrize("name", packaged_bundles())
def test_deleting_any_policy_changes_an_effect(name: str) -> None:
    """Mutation: each policy is load-bearing. Only the *effect* counts here, not which policies are named."""
    bundle = packaged(name)
    cases = load_cases(BUNDLES / f"{name}.cedartest")
    statements = split(bundle.text)
    survivors = []
    for number, policy in enumerate(bundle.policies):
        rest = "\n".join(s.text for i, s in enumerate(statements) if i != number)
        if not any("expected " in f and ", decided " in f for f in failures(parse_bundle(rest, "mutant"), cases)):
            survivors.append(policy.id)
    assert survivors == []


def test_the_default_is_what_comes_without_a_path() -> None:
    assert load_bundle().digest == packaged("default").digest
    assert len({packaged(name).digest for name in packaged_bundles()}) == len(packaged_bundles())
