"""Inside: do deployment files parse, are they complete, and do they follow basic rules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from quarterdeck.workflows.review.analyzers.inside.common import Hit, Unreadable, run
from quarterdeck.workflows.review.analyzers.inside.containers import compose, invalid, kubernetes
from quarterdeck.workflows.review.analyzers.inside.docker import check as check_dockerfile
from quarterdeck.workflows.review.analyzers.inside.docker import is_dockerfile
from quarterdeck.workflows.review.analyzers.inside.yamlnodes import Broken, List, Map, documents, mapping, text_of, walk

COMPOSE = re.compile(r"(?:^|/)(?:docker-)?compose(?:[.-][A-Za-z0-9_.-]+)?\.ya?ml$")
MANIFEST_FOLDER = re.compile(r"(?:^|/)(?:k8s|kubernetes|kube|manifests|deploy|deployment)/")
HELM = re.compile(r"(?:^|/)templates/")
LOOKS_LIKE_MANIFEST = re.compile(r"^apiVersion:", re.M)


def kind_of(path: str, text: str) -> str:
    """dockerfile, compose, workflow, kubernetes, or "" for everything else."""
    if is_dockerfile(path):
        return "dockerfile"
    if not path.endswith((".yml", ".yaml")):
        return ""
    if path.startswith(".github/workflows/"):
        return "workflow"
    if COMPOSE.search(path):
        return "compose"
    if LOOKS_LIKE_MANIFEST.search(text) and (MANIFEST_FOLDER.search(path) or re.search(r"^kind:", text, re.M)):
        return "kubernetes"
    return ""


def check(path: str, text: str) -> Iterator[Hit]:
    kind = kind_of(path, text)
    if kind == "dockerfile":
        yield from check_dockerfile(path, text)
    elif kind:
        if kind == "kubernetes" and HELM.search(path) and "{{" in text:
            raise Unreadable("it is a Helm template; only rendered manifests can be checked")
        yield from from_yaml(kind, text)


def from_yaml(kind: str, text: str) -> Iterator[Hit]:
    try:
        found = documents(text)
    except Broken as error:
        yield Hit(error.line, "deploy/unparseable", "high", f"the {kind} file does not parse: {error}", str(error), whole=True)
        return
    for document in found:
        yield from doubled(document)
        if document is None and kind == "kubernetes":
            continue
        if not isinstance(document, Map):
            yield invalid(getattr(document, "line", 1), f"the {kind} file is not a mapping")
        elif kind == "workflow":
            yield from workflow(document)
        else:
            yield from (compose if kind == "compose" else kubernetes)(document)


def doubled(document: object) -> Iterator[Hit]:
    seen: set[int] = set()
    maps = [document, *(value for _, _, value in walk(document))]
    lists = [one for value in maps if isinstance(value, List) for one in value]
    for one in (*maps, *lists):
        if isinstance(one, Map) and id(one) not in seen:
            seen.add(id(one))
            for key, line in one.doubled.items():
                yield Hit(line, "deploy/duplicate-key", "medium", f"the key {key} stands twice; only one of them counts", key, whole=True)


def workflow(document: Map) -> Iterator[Hit]:
    """A GitHub workflow: what GitHub itself would refuse."""
    if "on" not in document:
        yield invalid(1, "the workflow has no on: nothing starts it")
    jobs = document.get("jobs")
    if not isinstance(jobs, Map) or not jobs:
        yield invalid(document.lines.get("jobs", 1), "the workflow has no jobs")
        return
    for name, body in jobs.items():
        line = jobs.lines[name]
        if not isinstance(body, Map):
            yield invalid(line, f"job {name} is not a mapping")
            continue
        yield from needs(name, body, jobs)
        if "uses" in body:
            continue
        if "runs-on" not in body:
            yield invalid(line, f"job {name} has no runs-on")
        yield from steps(name, body, line)


def steps(name: str, body: Map, line: int) -> Iterator[Hit]:
    found = body.get("steps")
    if not isinstance(found, List) or not found:
        yield invalid(line, f"job {name} has no steps")
        return
    for number, step in enumerate(found, 1):
        uses, runs = "uses" in mapping(step), "run" in mapping(step)
        if uses == runs:
            why = "both uses and run" if uses else "neither uses nor run"
            yield invalid(getattr(step, "line", line), f"step {number} of job {name} has {why}")


def needs(name: str, body: Map, jobs: Map) -> Iterator[Hit]:
    wanted = body.get("needs")
    for other in wanted if isinstance(wanted, List) else [wanted]:
        if text_of(other) and text_of(other) not in jobs:
            yield invalid(body.lines["needs"], f"job {name} needs {other}, which does not exist")


def main() -> None:
    run(check)
