"""From a GateRequest to what Cedar sees: the few entities of this one request, and its context.

Facts come from the resource, which the runtime writes. `args` may come from a model and are read only where they *are*
what will be done (`argv`, `shell`) or where they can only describe it (`kind` of a publication). What a caller leaves
out becomes the most restrictive value; a value of a wrong type counts as left out, except where it says so.

| fact in a policy                     | read from                                   | when missing or of a wrong type              |
|--------------------------------------|---------------------------------------------|----------------------------------------------|
| `principal in Role::...`             | `request.role`                              | error: denied                                |
| `principal.trust`                    | `request.trust`                             | `fork` (also for an unknown word)            |
| `principal.actor`, `.actorKind`      | `request.actor`, before its `:`             | kind `unknown`                               |
| `principal.workflow`                 | `request.principal` after `workflow:`       | empty                                        |
| `principal.project`, `context.step`  | `request.project`, `.step`                  | error: denied                                |
| `resource in Zone::...`              | `resource.zones`                            | no zone; for a Path the zone `outside`       |
| Path `.path`, `context.file.path`    | `resource.id`                               | error: denied                                |
| `context.file.escapes`               | computed: `..`, `~`, NUL, absolute outside  | true                                         |
| `context.file.ci`, zone `ci-config`  | computed from the path; zones may add       | false                                        |
| Model `.provider`, `.local`          | attrs                                       | `unknown`, false (so it counts as egress)    |
| Tool `.name`                         | attrs `name`                                | `resource.id`                                |
| Tool `.readOnly`                     | attrs `readOnly`, or effect `read_only`     | false                                        |
| `context.tool.effect`                | attrs `effect`                              | `never` (`read_only` if readOnly)            |
| `context.person.roles`               | attrs `roles`; role `operator` only         | {`owner`} for `user:` (the CLI), else none   |
| `context.person.needs`               | attrs `needs`; role `operator` only         | `owner`                                      |
| Memory `.scope`, `.kind`             | attrs                                       | `unknown`                                    |
| Channel `.kind`, `.isPublic`         | attrs                                       | `unknown`, true                              |
| Host `.name`, `.port`                | attrs                                       | `resource.id`, -1                            |
| `context.publish.kind`               | args `kind`                                 | `unknown`                                    |
| `context.shell.*`                    | computed from args `argv` or `shell`, `env` | opaque, with the reason `no-command`         |
| `context.transforms`                 | attrs `transforms`                          | empty                                        |
| `context.labels.*`                   | `request.labels`                            | error: denied                                |
| `context.budget.est`, `.left`        | `request.budget`, clamped to 64 bits        | error: denied                                |
| `context.approval`                   | `request.approval_role`                     | absent                                       |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quarterdeck.protocol.actions import Resource
from quarterdeck.protocol.ports import GateRequest

from .paths import escapes, is_ci_config
from .shell import ShellFacts, facts, facts_argv
from .shell_argv import changes_programs

LONG_MAX = 2**63 - 1
TRUSTS = ("operator", "maintainer", "fork")
EFFECTS = ("never", "read_only", "idempotent", "probe")
Json = dict[str, Any]


class BadRequest(Exception):
    """A request from which no sound question can be made; the gate denies it with this message."""


def cedar_request(request: GateRequest) -> tuple[Json, list[Json]]:
    """Return Cedar's request and its entities. Raises BadRequest for what has no safe default."""
    resource = request.resource
    if not isinstance(resource, Resource):
        raise BadRequest(f"resource is {type(resource).__name__}, not a Resource")
    principal = {"type": "Agent", "id": _text(request.principal, "principal")}
    target = {"type": _text(resource.type, "resource.type"), "id": _text(resource.id, "resource.id")}
    question = {
        "principal": principal,
        "action": {"type": "Action", "id": _text(request.kind, "kind")},
        "resource": target,
        "context": _context(request, resource),
    }
    zones = [{"type": "Zone", "id": zone} for zone in _zones(resource)]
    return question, [
        {"uid": principal, "attrs": _agent(request), "parents": [{"type": "Role", "id": _text(request.role, "role")}]},
        {"uid": target, "attrs": _attributes(resource), "parents": zones},
    ]


def _agent(request: GateRequest) -> Json:
    actor = _text(request.actor, "actor")
    kind, colon, _ = actor.partition(":")
    return {
        "actor": {"__entity": {"type": "User", "id": actor}},
        "actorKind": kind if colon and kind in ("user", "key", "trigger") else "unknown",
        "project": _text(request.project, "project"),
        "workflow": _text(request.principal, "principal").partition("workflow:")[2],
        "trust": request.trust if request.trust in TRUSTS else "fork",
    }


def _zones(resource: Resource) -> list[str]:
    zones = [_text(zone, "zone") for zone in _sequence(resource.zones, "zones")]
    if resource.type == "Path":
        if is_ci_config(resource.id):
            zones.append("ci-config")
        if not resource.zones:
            zones.append("outside")
    return zones


def _attributes(resource: Resource) -> Json:
    attrs = _mapping(resource.attrs)
    match resource.type:
        case "Path":
            return {"path": _text(resource.id, "resource.id")}
        case "Model":
            return {"provider": _word(attrs, "provider"), "local": attrs.get("local") is True}
        case "Tool":
            return {"name": _word(attrs, "name", resource.id), "readOnly": _read_only(attrs)}
        case "Memory":
            return {"scope": _word(attrs, "scope"), "kind": _word(attrs, "kind")}
        case "Channel":
            return {"kind": _word(attrs, "kind"), "isPublic": attrs.get("isPublic") is not False}
        case "Host":
            port = attrs.get("port")
            return {"name": _word(attrs, "name", resource.id), "port": port if type(port) is int and 0 <= port < 65536 else -1}
        case _:
            return {}


def _read_only(attrs: Mapping[str, Any]) -> bool:
    said = attrs.get("readOnly")
    return said if isinstance(said, bool) else attrs.get("effect") == "read_only"


def _context(request: GateRequest, resource: Resource) -> Json:
    attrs = _mapping(resource.attrs)
    labels = [_text(label, "label") for label in _sequence(request.labels, "labels")]
    context: Json = {
        "labels": {
            "session": labels,
            "secret": "secret" in labels,
            "untrusted": any(label.startswith("untrusted") for label in labels),
        },
        "budget": {"est": _long(request.budget.est, "budget.est"), "left": _long(request.budget.left, "budget.left")},
        "step": _text(request.step, "step"),
        "transforms": _words(attrs.get("transforms")),
    }
    if request.approval_role:
        context["approval"] = {"role": _text(request.approval_role, "approval_role")}
    match request.kind:
        case "shell.exec":
            context["shell"] = shell_context(request.args)
        case "file.read" | "file.write":
            path = _text(resource.id, "resource.id")
            context["file"] = {"path": path, "escapes": escapes(path), "ci": is_ci_config(path)}
        case "output.publish":
            context["publish"] = {"kind": _word(_mapping(request.args), "kind")}
        case "tool.call":
            context["tool"] = {"name": _word(attrs, "name", resource.id), "effect": _effect(attrs)}
            context["person"] = _person(request, attrs)
        case _:
            pass
    return context


def _effect(attrs: Mapping[str, Any]) -> str:
    said = attrs.get("effect")
    if isinstance(said, str) and said in EFFECTS:
        return said
    return "read_only" if _read_only(attrs) else "never"


def _person(request: GateRequest, attrs: Mapping[str, Any]) -> Json:
    if request.role != "operator":
        return {"roles": [], "needs": "owner"}
    roles = attrs.get("roles")
    if roles is None and request.actor.startswith("user:"):
        roles = ["owner"]
    return {"roles": _words(roles), "needs": _word(attrs, "needs", "owner")}


def shell_context(args: object) -> Json:
    """The `context.shell` of a command given as `argv` or `shell`; anything else is opaque."""
    given = _mapping(args)
    argv, script = given.get("argv") or (), given.get("shell") or ""
    if isinstance(argv, list | tuple) and argv and not script and all(isinstance(word, str) for word in argv):
        found = facts_argv(tuple(argv))
    elif isinstance(script, str) and script and not argv:
        found = facts(script)
    else:
        found = ShellFacts(opaque=True, why=("no-command",))
    why = sorted({*found.why, *(f"env:{_clean(name)}" for name in _mapping(given.get("env")) if changes_programs(name))})
    zones = {"ci-config" if is_ci_config(path) else "outside" if escapes(path) else "workspace" for path in found.redirects}
    return {
        "programs": [_clean(p) for p in found.programs],
        "opaque": bool(why),
        "why": why,
        "flags": list(found.flags) + (["write.ci-config"] if "ci-config" in zones else []),
        "hosts": [_clean(h) for h in found.hosts],
        "writes": [_clean(w) for w in found.redirects],
        "writesZones": sorted(zones),
    }


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"{what} is {type(value).__name__}, not text")
    return _clean(value)


def _clean(value: str) -> str:
    """Text that JSON can carry: undecodable bytes (surrogates) become visible escapes."""
    return value.encode("utf-8", "backslashreplace").decode()


def _long(value: object, what: str) -> int:
    if type(value) is not int:
        raise BadRequest(f"{what} is {type(value).__name__}, not an integer")
    return max(-LONG_MAX, min(LONG_MAX, value))


def _sequence(value: object, what: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise BadRequest(f"{what} is {type(value).__name__}, not a list")
    return list(value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _word(source: Mapping[str, Any], key: str, default: str = "unknown") -> str:
    value = source.get(key)
    return _clean(value if isinstance(value, str) and value else default)


def _words(value: object) -> list[str]:
    return [_clean(word) for word in value if isinstance(word, str)] if isinstance(value, list | tuple) else []
