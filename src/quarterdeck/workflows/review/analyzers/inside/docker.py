"""Inside: Dockerfiles. A small reader of instructions (continuations, comments, here-documents, stages) and basic rules."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from quarterdeck.workflows.review.analyzers.inside.common import Hit

KNOWN = {
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "RUN"),
    *("SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
}
NEEDS_ARGUMENT = KNOWN - {"CMD"}
SECRET_NAME = re.compile(r"passw(?:or)?d|secret|token|api_?key|access_?key|private_?key|credential", re.I)
NOT_SECRET = re.compile(r"_(?:file|path|url|name|id|ttl|expiry|expires\w*|length)$", re.I)
DOWNLOAD = re.compile(
    r"\b(?:curl|wget)\b[^|\n]{0,400}\|\s{0,8}(?:sudo\s{1,8})?(?:ba|z|da|k)?sh\b|\b(?:bash|sh)\s{1,4}(?:-c\s{1,4})?[\"']?(?:<\(|\$\()\s{0,4}(?:curl|wget)\b"
)
HEREDOC = re.compile(r"<<-?\s?(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")
ARCHIVE = re.compile(r"\.(?:tar(?:\.\w+)?|tgz|txz|zip)$", re.I)


class Instruction(NamedTuple):
    line: int
    name: str
    text: str


def is_dockerfile(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return bool(
        re.fullmatch(r"(?:Dockerfile|Containerfile)(?:[.-][A-Za-z0-9._-]+)?|.+\.(?:dockerfile|Dockerfile)", name)
    ) and not name.endswith((".md", ".dockerignore"))


def escape_of(text: str) -> str:
    found = re.match(r"(?:#[^\n]*\n)*?#\s*escape\s*=\s*([\\`])", text[:2000], re.I)
    return found[1] if found else "\\"


def instructions(text: str) -> Iterator[Instruction]:
    """Logical lines. Comments within a continuation are skipped, here-documents belong to their instruction."""
    escape, lines, index = escape_of(text), text.split("\n"), 0
    while index < len(lines):
        start = index
        parts: list[str] = []
        while index < len(lines):
            line = lines[index].rstrip("\r").strip()
            index += 1
            if line.startswith("#") or (not line and parts):
                continue
            parts.append(line.removesuffix(escape).strip() if line.endswith(escape) else line)
            if not line.endswith(escape):
                break
        logical = " ".join(filter(None, parts))
        if not logical:
            continue
        while not parts[0] or lines[start].strip().startswith("#") or not lines[start].strip():
            start += 1
        name, _, rest = logical.partition(" ")
        body = []
        if name.upper() in ("RUN", "COPY", "ADD"):
            for _, word in HEREDOC.findall(rest):
                while index < len(lines) and lines[index].strip() != word:
                    body.append(lines[index])
                    index += 1
                index += 1
        yield Instruction(start + 1, name.upper(), "\n".join([rest.strip(), *body]))


def broken(line: int, why: str) -> Hit:
    return Hit(line, "deploy/unparseable", "high", f"the Dockerfile does not parse: {why}", why, whole=True)


def check(path: str, text: str) -> Iterator[Hit]:
    found = list(instructions(text))
    first = next((i for i in found if i.name != "ARG"), None)
    for one in found:
        if one.name not in KNOWN:
            yield broken(one.line, f"unknown instruction {one.name[:40]}")
        elif one.name in NEEDS_ARGUMENT and not one.text:
            yield broken(one.line, f"{one.name} needs an argument")
    if first is None or not any(i.name == "FROM" for i in found):
        yield broken(1, "it has no FROM instruction")
        return
    if first.name != "FROM" and first.name in KNOWN:
        yield broken(first.line, f"{first.name} stands before FROM")
    yield from rules(found)


def rules(found: list[Instruction]) -> Iterator[Hit]:
    """The basic rules. Hits are about the whole file, each with the words at fault as its key: an instruction spans lines, and changing
    one word of it must neither hide a new fault nor bring back an old one.
    """
    stages: dict[str, str] = {"scratch": ""}
    stage, user, last = "", "", found[0]
    for one in found:
        if one.name == "FROM":
            words = [w for w in one.text.split() if not w.startswith("--")]
            image, last = (words[0] if words else ""), one
            user = stages.get(image.lower(), "")
            if image.lower() not in stages and "$" not in image and untagged(image):
                message = f"{image} is whatever is newest on the day of the build; name a version"
                yield Hit(one.line, "deploy/latest-image", "medium", message, one.text, whole=True, key=image)
            stage = words[2].lower() if len(words) == 3 and words[1].lower() == "as" else ""
        elif one.name == "USER":
            user, last = one.text.split(":")[0].strip(), one
        elif one.name == "ADD":
            yield from added(one)
        elif one.name in ("ENV", "ARG"):
            yield from secrets(one)
        elif one.name == "RUN":
            for match in DOWNLOAD.finditer(one.text):
                message = "runs what it downloads, unseen"
                yield Hit(one.line, "deploy/download-and-run", "high", message, match.group(), whole=True)
        stages[stage] = user
    if user in ("root", "0"):
        yield Hit(last.line, "deploy/root-user", "medium", "the container runs as root", f"USER {user}", whole=True)


def untagged(image: str) -> bool:
    """True when nothing says which version: no digest, and no tag or `latest`."""
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return "@sha256:" not in image and tag in ("", "latest")


def added(one: Instruction) -> Iterator[Hit]:
    for word in one.text.split()[:-1]:
        if re.match(r"https?://", word) and "--checksum=" not in one.text:
            yield Hit(one.line, "deploy/add-url", "medium", f"ADD fetches {word} without a checksum", one.text[:300], whole=True, key=word)


def secrets(one: Instruction) -> Iterator[Hit]:
    try:
        words = shlex.split(one.text)
    except ValueError:
        words = one.text.split()
    if one.name == "ENV" and words and "=" not in words[0]:
        words = [f"{words[0]}={' '.join(words[1:])}"]
    for word in words:
        name, _, value = word.partition("=")
        if SECRET_NAME.search(name) and not NOT_SECRET.search(name) and (value and not value.startswith("$")):
            message = f"{one.name} {name} puts a secret into the image's layers for everybody who has it"
            yield Hit(one.line, "deploy/secret-in-image", "high", message, f"{one.name} {name}=…", whole=True)
