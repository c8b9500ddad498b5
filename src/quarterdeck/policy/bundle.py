"""Policy bundles: one schema (ours) and one policy file (ours or the operator's), read and checked whole.

`--policy FILE` *replaces* the policies and keeps the schema: a policy file is complete in itself, and what it does not
permit is denied. Everything wrong with a file is a PolicyError that names the file and, where known, the line.
A `FILE.cedartest` beside an operator's `FILE.cedar` is run at load; the packaged bundles' tests run in the test suite.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from quarterdeck.protocol.canonical import digest
from quarterdeck.protocol.errors import PolicyError

from .source import Statement, split

if TYPE_CHECKING:
    import cedarpy

HOME = Path(__file__).parent
BUNDLES = HOME / "bundles"
MAX_BYTES = 1 << 20
"""A policy file above this is refused before it is parsed."""

OBLIGATION = re.compile(r"(approval|transform):([a-z][a-z0-9-]*)|budget:raise")
TOKEN = re.compile(r"`([^`]*)`")


@dataclass(frozen=True)
class Policy:
    """One policy as decisions name it. `line` counts from 1; `obligation` is empty or `approval:ROLE` and the like."""

    id: str
    effect: Literal["permit", "forbid"]
    reason: str
    obligation: str
    line: int
    text: str


@dataclass(frozen=True)
class Bundle:
    """A checked policy file with our schema. `digest` is SHA-256 over the canonical bytes of both."""

    name: str
    digest: str
    schema: str
    text: str
    policies: tuple[Policy, ...]
    policy_set: cedarpy.PolicySet = field(repr=False, compare=False)
    schema_handle: cedarpy.Schema = field(repr=False, compare=False)
    """Pre-parsed handles: parsing per decision would cost 8 to 27 ms instead of 0.1."""

    def policy(self, cedar_id: str) -> Policy:
        """The policy that Cedar calls `policyN`. Raises LookupError for any other name."""
        number = cedar_id.removeprefix("policy")
        if number == cedar_id or not number.isdecimal():
            raise LookupError(cedar_id)
        return self.policies[int(number)]


def packaged_bundles() -> tuple[str, ...]:
    """Names of the bundles that come with Quarterdeck."""
    return tuple(sorted(p.stem for p in BUNDLES.glob("*.cedar")))


def load_bundle(path: Path | None = None) -> Bundle:
    """Read, check and return a bundle: the default one, a file, or by bare name a packaged one (`ask`). Raises PolicyError."""
    if path is None:
        return parse_bundle(_read(BUNDLES / "default.cedar"), "default")
    if not path.exists() and str(path) in packaged_bundles():
        return parse_bundle(_read(BUNDLES / f"{path}.cedar"), str(path))
    bundle = parse_bundle(_read(path), str(path))
    tests = path.with_suffix(".cedartest")
    if tests != path and tests.is_file():
        from .cedartest import check  # here, for cedartest decides with a gate and the gate needs bundles

        check(bundle, tests)
    return bundle


def parse_bundle(text: str, name: str) -> Bundle:
    """Check policy text against our schema. `name` is what messages call it. Raises PolicyError."""
    import cedarpy

    statements = split(text)
    if not statements:
        raise PolicyError(f"{name}: holds no policy, so every action would be denied", hint="start from a copy of the default bundle")
    for statement in statements:
        _parses(statement, name)
    policies = _policies(text, statements, name)
    schema = schema_text()
    _validates(text, schema, policies, name)
    return Bundle(
        name,
        digest({"policies": text, "schema": schema}),
        schema,
        text,
        policies,
        cedarpy.PolicySet.from_str(text),
        _schema_handle(),
    )


@lru_cache(maxsize=1)
def schema_text() -> str:
    """The packaged schema's text."""
    return (HOME / "agent.cedarschema").read_text("utf-8")


@lru_cache(maxsize=1)
def _schema_handle() -> cedarpy.Schema:
    import cedarpy

    return cedarpy.Schema.from_str(schema_text())


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        names = ", ".join(packaged_bundles())
        raise PolicyError(
            f"{path}: cannot be read: {error.strerror or error}", hint=f"give a Cedar policy file, or the name of a packaged one: {names}"
        ) from error
    if len(data) > MAX_BYTES:
        raise PolicyError(f"{path}: {len(data)} bytes is too big for a policy file", hint=f"the limit is {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyError(f"{path}:{line}: not UTF-8", hint="save the policy file as UTF-8") from error


def _parses(statement: Statement, name: str) -> None:
    import cedarpy

    if not statement.complete:
        raise PolicyError(
            f"{name}:{statement.line}: this policy does not end with `;`", hint="end it with `;`, and look for an unclosed quote"
        )
    try:
        cedarpy.PolicySet.from_str(statement.text)
    except ValueError as error:
        token = TOKEN.search(str(error))
        line = statement.line_of(token[1] if token else "")
        raise PolicyError(
            f"{name}:{line}: not Cedar: {error} (in the policy that begins on line {statement.line})",
            hint="see https://docs.cedarpolicy.com/policies/syntax-policy.html",
        ) from error


def _policies(text: str, statements: list[Statement], name: str) -> tuple[Policy, ...]:
    import cedarpy

    parsed = json.loads(cedarpy.policies_to_json_str(text))
    if parsed["templates"]:
        raise PolicyError(f"{name}: templates (`?principal`, `?resource`) are not supported", hint="write each policy out")
    seen: dict[str, int] = {}
    found: list[Policy] = []
    for number, statement in enumerate(statements):
        policy = _policy(parsed["staticPolicies"][f"policy{number}"], statement, name)
        if policy.id in seen:
            raise PolicyError(
                f'{name}:{policy.line}: @id("{policy.id}") is already used on line {seen[policy.id]}',
                hint="give each policy its own @id, for decisions name it",
            )
        seen[policy.id] = policy.line
        found.append(policy)
    return tuple(found)


def _policy(body: dict[str, object], statement: Statement, name: str) -> Policy:
    notes = cast(dict[str, str | None], body.get("annotations") or {})
    effect = cast(Literal["permit", "forbid"], body["effect"])
    identity, obligation = notes.get("id") or "", notes.get("obligation")
    if not identity.strip():
        raise PolicyError(f"{name}:{statement.line}: this policy has no @id", hint='write @id("some-name") in front of it')
    where = f'{name}:{statement.line_of("@obligation")}: policy "{identity}"'
    if obligation is not None and effect == "permit":
        raise PolicyError(f"{where}: an @obligation belongs to a forbid", hint="put it on the forbid that it lifts")
    if obligation is not None and not OBLIGATION.fullmatch(obligation):
        raise PolicyError(
            f'{where}: unknown @obligation("{obligation}")',
            hint='use "approval:ROLE", "transform:NAME" or "budget:raise", names in lower case',
        )
    return Policy(identity, effect, notes.get("reason") or "", obligation or "", statement.line, statement.text)


def _validates(text: str, schema: str, policies: tuple[Policy, ...], name: str) -> None:
    import cedarpy

    result = cedarpy.validate_policies(text, schema)
    if result.validation_passed:
        return
    said = []
    for error in result.errors:
        number = error.policy_id.removeprefix("policy")
        if number.isdecimal() and int(number) < len(policies):
            policy = policies[int(number)]
            fault = error.error.removeprefix(f"for policy `{error.policy_id}`, ")
            said.append(f'{name}:{policy.line}: policy "{policy.id}": {fault}')
        else:
            said.append(f"{name}: {error.error}")
    raise PolicyError(
        "\n".join(said or [f"{name}: does not validate"]), hint="the names and types that policies may use are in policy/agent.cedarschema"
    )
