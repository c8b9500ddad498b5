"""Inside: compose files and Kubernetes manifests: do they parse, are they complete, and what do they give a container."""

from __future__ import annotations

import re
from collections.abc import Iterator

from quarterdeck.workflows.review.analyzers.inside.common import Hit
from quarterdeck.workflows.review.analyzers.inside.docker import untagged
from quarterdeck.workflows.review.analyzers.inside.yamlnodes import List, Map, entries, mapping, text_of, truthy

SOCKET = "docker.sock"
POD_KINDS = {"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "ReplicationController"}
IMAGE_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")


def invalid(line: int, why: str) -> Hit:
    return Hit(line, "deploy/invalid", "high", why, why, whole=True)


def image_hit(image: str, line: int, whose: str) -> Iterator[Hit]:
    if image and not IMAGE_VARIABLE.search(image) and untagged(image):
        yield Hit(line, "deploy/latest-image", "medium", f"{whose} runs {image}: whatever is newest on that day; name a version", image)


def compose(document: object) -> Iterator[Hit]:
    """A compose file."""
    top = mapping(document)
    services = top.get("services")
    if not isinstance(services, Map):
        # An override file may hold volumes or networks only; a file without any known part is none.
        if not any(key in top for key in ("include", "volumes", "networks", "secrets", "configs")):
            yield invalid(1, "the compose file has no services")
        return
    for name, body in services.items():
        if not isinstance(body, Map):
            yield invalid(services.lines[name], f"service {name} is not a mapping")
            continue
        yield from service(name, body, services.lines[name])


def service(name: str, body: Map, line: int) -> Iterator[Hit]:
    if not any(key in body for key in ("image", "build", "extends", "provider")):
        yield invalid(line, f"service {name} has neither image nor build")
    if "image" in body and "build" not in body:
        yield from image_hit(text_of(body["image"]), body.lines["image"], f"service {name}")
    if truthy(body.get("privileged")):
        yield Hit(
            body.lines["privileged"], "deploy/privileged", "high", f"service {name} has every privilege of the host", "privileged: true"
        )
    for key in ("network_mode", "pid", "ipc"):
        if text_of(body.get(key)) == "host":
            yield Hit(
                body.lines[key],
                "deploy/host-namespace",
                "medium",
                f"service {name} shares the host's {key.removesuffix('_mode')}",
                f"{key}: host",
            )
    for volume in entries(body.get("volumes")):
        source = text_of(volume).split(":")[0] if isinstance(volume, str) else text_of(mapping(volume).get("source"))
        where = getattr(volume, "line", line)
        if SOCKET in source:
            yield Hit(
                where, "deploy/docker-socket", "high", f"service {name} may command the host's Docker, which is root on the host", source
            )
        elif source == "/":
            yield Hit(where, "deploy/host-path", "high", f"service {name} mounts the host's whole file system", source)


def kubernetes(document: object) -> Iterator[Hit]:
    """One document of a manifest."""
    top = mapping(document)
    if not top:
        return
    kind = text_of(top.get("kind"))
    for key in ("apiVersion", "kind"):
        if not text_of(top.get(key)):
            yield invalid(top.line, f"the manifest has no {key}")
    if kind == "List" or kind.endswith("List"):
        for one in entries(top.get("items")):
            yield from kubernetes(one)
        return
    meta = mapping(top.get("metadata"))
    if kind not in ("Kustomization", "Component") and not (text_of(meta.get("name")) or text_of(meta.get("generateName"))):
        yield invalid(top.line, f"{kind or 'the manifest'} has no metadata.name")
    if kind in POD_KINDS:
        yield from pod(pod_spec(kind, top), f"{kind} {text_of(meta.get('name'))}".strip(), top.lines.get("spec", top.line))


def pod_spec(kind: str, top: Map) -> Map:
    spec = mapping(top.get("spec"))
    if kind == "CronJob":
        spec = mapping(mapping(spec.get("jobTemplate")).get("spec"))
    return spec if kind == "Pod" else mapping(mapping(spec.get("template")).get("spec"))


def pod(spec: Map, whose: str, line: int) -> Iterator[Hit]:
    if not isinstance(spec.get("containers"), List):
        yield invalid(line, f"{whose} has no containers")
        return
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if truthy(spec.get(key)):
            yield Hit(spec.lines[key], "deploy/host-namespace", "high", f"{whose} shares the host's {key[4:].lower()}", f"{key}: true")
    for volume in entries(spec.get("volumes")):
        body = mapping(volume)
        if "hostPath" in body:
            path = text_of(mapping(body["hostPath"]).get("path"))
            yield Hit(body.lines["hostPath"], "deploy/host-path", "high", f"{whose} mounts {path} of its host", f"hostPath: {path}")
    context = mapping(spec.get("securityContext"))
    for key in ("initContainers", "containers"):
        for one in entries(spec.get(key)):
            yield from container(mapping(one), context, whose, key == "containers")


def container(body: Map, pod_context: Map, whose: str, main: bool) -> Iterator[Hit]:
    name = text_of(body.get("name"))
    whose = f"container {name or '?'} of {whose}"
    if not name:
        yield invalid(body.line, f"{whose} has no name")
    if not text_of(body.get("image")):
        yield invalid(body.line, f"{whose} has no image")
    else:
        yield from image_hit(text_of(body["image"]), body.lines["image"], whose)
    context = mapping(body.get("securityContext"))
    if truthy(context.get("privileged")):
        yield Hit(context.lines["privileged"], "deploy/privileged", "high", f"{whose} has every privilege of its host", "privileged: true")
    if truthy(context.get("allowPrivilegeEscalation")):
        line = context.lines["allowPrivilegeEscalation"]
        yield Hit(line, "deploy/privilege-escalation", "medium", f"{whose} may gain privileges", "allowPrivilegeEscalation: true")
    for where in (context, pod_context):
        if text_of(where.get("runAsUser")) == "0":
            yield Hit(where.lines["runAsUser"], "deploy/root-user", "medium", f"{whose} runs as root", "runAsUser: 0")
            break
    if main and not mapping(mapping(body.get("resources")).get("limits")):
        message = f"{whose} has no resource limits: it can take the whole node"
        yield Hit(body.line, "deploy/no-limits", "low", message, f"{name}: no limits", whole=True, key=whose)
