"""Inside: what a changed GitHub workflow lets outsiders do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from quarterdeck.workflows.review.analyzers.inside.common import Hit, run
from quarterdeck.workflows.review.analyzers.inside.yamlnodes import Broken, Map, Text, documents, entries, mapping, text_of, walk

OWN = ("actions/", "github/")
"""GitHub's own actions may be named by tag; everybody else's tags can be moved under us."""
COMMIT = re.compile(r"^[0-9a-f]{40}$")
HEAD_REF = re.compile(r"github\.event\.pull_request\.head|github\.head_ref|github\.event\.workflow_run\.head")
EXPRESSION = re.compile(r"\$\{\{(?P<inside>[^{}]{1,400})\}\}")
EVENT = re.compile(r"github\.event\.[A-Za-z0-9_.*\[\]'\"-]{1,200}|github\.head_ref\b")
# Numbers, hashes, flags and the repository's own names cannot carry a command; what people type can.
HARMLESS = re.compile(
    r"(?:\.|^)(?:number|id|node_id|sha|action|draft|merged|ref_type|before|after|run_id|run_number|\w+_at|size|conclusion|status|state)$"
)
TYPED = re.compile(
    r"\.(?:title|body|message|name|email|label|ref|head_ref|page_name|description|login|default_branch|display_title)$|head_ref$"
)
SECRET = re.compile(r"\$\{\{\s{0,4}secrets\.[A-Za-z0-9_]{1,80}\s{0,4}\}\}")
PRINTS = re.compile(r"(?:^|[\s;&|(])(?:echo|printf|print|Write-Output|Write-Host)\s", re.I)
DANGEROUS_TRIGGERS = ("pull_request_target", "workflow_run")


def is_workflow(path: str) -> bool:
    return path.startswith(".github/workflows/") and path.endswith((".yml", ".yaml"))


def triggers(document: Map) -> list[str]:
    on = document.get("on")
    return list(on) if isinstance(on, Map) else [text_of(e) for e in entries(on)]


def check(path: str, text: str) -> Iterator[Hit]:
    if not is_workflow(path):
        return
    lines = text.split("\n")
    try:
        found = documents(text)
    except Broken:
        return  # `deployment` reports it
    for document in found:
        for hit in workflow(mapping(document)):
            shown = lines[hit.line - 1].strip() if 0 < hit.line <= len(lines) else ""
            yield hit._replace(evidence=hit.evidence or shown)


def workflow(document: Map) -> Iterator[Hit]:
    dangerous = [t for t in triggers(document) if t in DANGEROUS_TRIGGERS]
    checked_out = False
    for holder, key, value in walk(document):
        line = holder.lines[key]
        if key == "permissions" and text_of(value) == "write-all":
            yield Hit(line, "risky/write-all", "high", "the workflow's token may write everything; name only what it needs", "")
        elif key == "uses":
            yield from action(text_of(value), line)
            if (
                dangerous
                and text_of(value).startswith("actions/checkout")
                and HEAD_REF.search(text_of(mapping(holder.get("with")).get("ref")))
            ):
                checked_out = True
                message = f"{dangerous[0]} runs with this repository's secrets and checks out the outsider's code"
                yield Hit(line, "risky/pull-request-target-checkout", "high", message, text_of(value), whole=True)
        elif key in ("run", "script") and isinstance(value, Text):
            yield from command(value)
    if "pull_request_target" in dangerous and not checked_out:
        message = "pull_request_target runs with this repository's secrets for outsiders' pull requests"
        yield Hit(document.lines.get("on", 1), "risky/pull-request-target", "medium", message, "on: pull_request_target", whole=True)


def action(uses: str, line: int) -> Iterator[Hit]:
    name, _, version = uses.partition("@")
    if uses.startswith(("./", "../")) or not uses:
        return
    if uses.startswith("docker://"):
        if "@sha256:" not in uses:
            yield Hit(line, "risky/unpinned-action", "low", f"{uses} is not pinned to a digest", "")
    elif not name.startswith(OWN) and not COMMIT.match(version):
        message = f"{name} is a third party's action, and {version or 'its default branch'} can be moved; pin the full commit"
        yield Hit(line, "risky/unpinned-action", "medium", message, "")


def command(script: Text) -> Iterator[Hit]:
    """What is wrong with a step's commands, each on its own line."""
    for match in EXPRESSION.finditer(script):
        for event in EVENT.findall(match["inside"]):
            if HARMLESS.search(event):
                continue
            severity = "high" if TYPED.search(event) else "medium"
            message = f"{event} is text from outside and becomes part of the command; pass it through env instead"
            yield Hit(script.line_of(match.start()), "risky/script-injection", severity, message, "")
    offset = 0
    for line in script.split("\n"):
        if SECRET.search(line) and PRINTS.search(line) and "|" not in line and ">" not in SECRET.sub("", line):
            yield Hit(script.line_of(offset), "risky/secret-printed", "high", "prints a secret into the log", "")
        offset += len(line) + 1


def main() -> None:
    run(check)
