"""Inside: what a change does to what gets installed: new dependencies, other sources for them, looser pins, other build steps."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

from quarterdeck.workflows.review.analyzers.inside.common import (
    Hit,
    Note,
    Unreadable,
    answer,
    guarded,
    items,
    load,
    request_of_argv,
)

REQUIREMENTS = re.compile(
    r"(?:^|/)(?:[A-Za-z0-9._-]*(?:requirements|constraints)[A-Za-z0-9._-]*\.(?:txt|in)|requirements/[^/]+\.(?:txt|in))$"
)
NAME = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,100})\s*(?:\[[^\]]{0,200}\])?\s*(?P<rest>.*)$", re.S)
REMOTE = re.compile(r"\b(?:git|hg|svn|bzr)\+|https?://|^file:|^\.{0,2}/|^(?:git|github|gitlab|bitbucket):|\.git(?:#|$)", re.I)
FIXED = re.compile(r"[@#][0-9a-f]{40}\b|sha256[=:][0-9a-f]{64}|\bsha512-", re.I)
INDEX = re.compile(r"^\s*(?:-i\b|--(?:index-url|extra-index-url|trusted-host|find-links|pre)\b|-f\b)")
OPTION = re.compile(r"#|-r\b|-c\b|--(?!editable)")
INSTALL_HOOKS = ("preinstall", "install", "postinstall", "prepare", "prepublish")


class Dependency(NamedTuple):
    """`source`: a URL or repository instead of the index. `pinned`: one exact version or content."""

    name: str
    line: int
    text: str
    source: str
    pinned: bool
    bounded: bool


class Manifest(NamedTuple):
    """What a file installs; `settings` are other things that steer an installation: text -> (line, rule, severity, message)."""

    dependencies: list[Dependency]
    settings: dict[str, tuple[int, str, str, str]]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def dependency(text: str, line: int) -> Dependency | None:
    """One requirement as pip writes it."""
    text = text.split(" #")[0].split(" --hash")[0].strip().rstrip("\\").strip()
    plain = re.sub(r"^(?:-e|--editable)[ =]\s*", "", text)
    if REMOTE.search(plain) and "@" not in plain.split("://")[0]:
        egg = re.search(r"[#&]egg=([A-Za-z0-9._-]+)", plain)
        name = egg[1] if egg else plain.split("://")[-1].split("@")[0].rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
        return Dependency(normal(name), line, text, plain, bool(FIXED.search(plain)), True)
    match = NAME.match(plain)
    if not match:
        return None
    rest = match["rest"].split(";")[0].strip()
    if rest.startswith("@"):
        return Dependency(normal(match["name"]), line, text, rest[1:].strip(), bool(FIXED.search(rest)), True)
    return Dependency(normal(match["name"]), line, text, "", rest.startswith("==") and "*" not in rest, bool(rest))


def requirements(text: str) -> Manifest:
    found = Manifest([], {})
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if INDEX.match(line):
            message = "changes where packages come from; whoever owns that place chooses what runs here"
            found.settings[stripped] = (number, "risky/package-index", "high", message)
        elif stripped and not OPTION.match(stripped) and (one := dependency(stripped, number)):
            found.dependencies.append(one)
    return found


def line_with(text: str, needle: str, start: str = "") -> int:
    """The line where `needle` stands, looked for after `start`; 1 when it cannot be told."""
    begin = max(text.find(start), 0) if start else 0
    at = text.find(needle, begin)
    return text.count("\n", 0, at) + 1 if at >= 0 else 1


def strings(value: object) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def table(value: object, *keys: str) -> dict[str, object]:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def pyproject(text: str) -> Manifest:
    try:
        data: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(f"it is no valid TOML: {error}") from None
    found = Manifest([], {})
    project, build = table(data, "project"), table(data, "build-system")
    listed = strings(project.get("dependencies"))
    for group in (*table(project, "optional-dependencies").values(), *table(data, "dependency-groups").values(), build.get("requires")):
        listed += strings(group)
    for text_ in listed:
        if one := dependency(text_, line_with(text, text_)):
            found.dependencies.append(one)
    poetry = table(data, "tool", "poetry")
    groups = [table(poetry, "dependencies"), table(poetry, "dev-dependencies")]
    groups += [table(group, "dependencies") for group in table(poetry, "group").values()]
    for group in groups:
        found.dependencies.extend(poetry_dependency(name, value, text) for name, value in group.items() if name != "python")
    for key, severity in (("build-backend", "medium"), ("backend-path", "high")):
        if key in build:
            message = f"changes {key}: which code runs when the package is built"
            found.settings[f"{key} = {build[key]!r}"] = (line_with(text, key), "risky/build-backend", severity, message)
    for source in (*_indexes(poetry.get("source")), *_indexes(table(data, "tool", "uv").get("index"))):
        found.settings[source] = (line_with(text, source), "risky/package-index", "high", "changes where packages come from")
    return found


def _indexes(value: object) -> list[str]:
    return [str(entry.get("url")) for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def poetry_dependency(name: str, value: object, text: str) -> Dependency:
    entry = value if isinstance(value, dict) else {}
    version = value if isinstance(value, str) else str(entry.get("version", ""))
    source = str(entry.get("git") or entry.get("url") or entry.get("path") or "")
    fixed = bool(re.fullmatch(r"[0-9a-f]{40}", str(entry.get("rev", ""))))
    shown = f"{name} = {value!r}"[:200]
    return Dependency(
        normal(name),
        line_with(text, f"\n{name}", "dependencies]") + 1,
        shown,
        source,
        fixed or version[:1].isdigit(),
        version not in ("", "*"),
    )


def package_json(text: str) -> Manifest:
    try:
        data: object = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"it is no valid JSON: {error}") from None
    found = Manifest([], {})
    for group in ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies"):
        for name, version in table(data, group).items():
            version = str(version)
            remote = version if REMOTE.search(version) or re.fullmatch(r"[\w.-]+/[\w.-]+(#.*)?", version) else ""
            shown = f'"{name}": "{version}"'
            fixed = bool(FIXED.search(version)) if remote else version[:1].isdigit()
            bounded = version not in ("", "*", "latest", "x")
            found.dependencies.append(Dependency(name, line_with(text, f'"{name}"', f'"{group}"'), shown, remote, fixed, bounded))
    for hook in INSTALL_HOOKS:
        if hook in table(data, "scripts"):
            shown = f'"{hook}": {json.dumps(table(data, "scripts")[hook])}'
            found.settings[shown] = (
                line_with(text, f'"{hook}"', '"scripts"'),
                "risky/install-script",
                "high",
                f"{hook} runs on every machine that installs this",
            )
    return found


def setup_cfg(text: str) -> Manifest:
    import configparser

    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise Unreadable(f"it is no valid configuration file: {str(error).splitlines()[0]}") from None
    found = Manifest([], {})
    listed = parser.get("options", "install_requires", fallback="") + "\n" + parser.get("options", "setup_requires", fallback="")
    if parser.has_section("options.extras_require"):
        listed += "\n" + "\n".join(value for _, value in parser.items("options.extras_require"))
    for entry in filter(None, map(str.strip, listed.split("\n"))):
        if one := dependency(entry, line_with(text, entry)):
            found.dependencies.append(one)
    return found


def manifest(path: str, text: str) -> Manifest | None:
    name = path.rsplit("/", 1)[-1]
    readers = {"pyproject.toml": pyproject, "package.json": package_json, "setup.cfg": setup_cfg}
    reader = readers.get(name) or (requirements if REQUIREMENTS.search(path) else None)
    return reader(text) if reader else None


def judge(path: str, base: Manifest, head: Manifest) -> Iterator[Hit]:
    """What the head's manifest adds to the base's."""
    before = {d.name: d for d in base.dependencies}
    strict = bool(REQUIREMENTS.search(path))
    for one in head.dependencies:
        old = before.get(one.name)
        if one.source and (old is None or old.source != one.source):
            severity = "medium" if one.pinned else "high"
            yield _hit(one, "risky/dependency-url", severity, f"{one.name} comes from {one.source} instead of the package index")
        elif old is None:
            loose = "" if one.bounded else ", in any version"
            severity = "medium" if strict and not one.bounded else "low"
            yield _hit(one, "risky/dependency-added", severity, f"{one.name} is a new dependency{loose}")
        elif old.pinned and not one.pinned:
            yield _hit(one, "risky/dependency-unpinned", "medium", f"{one.name} was pinned ({old.text}) and is not any more")
    for shown, (line, rule, severity, message) in head.settings.items():
        if shown not in base.settings:
            yield Hit(line, rule, severity, message, shown, whole=True)


def _hit(one: Dependency, rule: str, severity: str, message: str) -> Hit:
    return Hit(one.line, rule, severity, message, one.text, whole=True)


def main() -> None:
    """Manifests are compared with each other, not line by line: moving a line or raising a version is no finding."""
    request = request_of_argv()
    found: list[tuple[str, Hit]] = []
    notes: list[Note] = []
    unheard: list[Note] = []
    for item in items(request):
        if not item.head:
            continue
        head = load(str(request["head"]), item.head, notes)
        base = load(str(request["base"]), item.base, unheard)
        if head is None:
            continue

        def check(path: str, text: str, before: str = base or "", was: str = item.base) -> Iterator[Hit]:
            new = manifest(path, text)
            try:
                old = manifest(was or path, before) if before else None
            except Unreadable:
                old = None
            return judge(path, old or Manifest([], {}), new) if new else iter(())

        added = guarded(check, item.head, head, notes)
        # A manifest that is new as a whole lists what the project needs; only foreign sources and own build steps in it are news.
        found += [(item.head, hit) for hit in added if base or hit.severity == "high" or hit.rule == "risky/dependency-url"]
    answer(found, notes)
