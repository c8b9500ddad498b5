"""Running an inside script: its source as an argument of `python -I -S -c`, its request as another, its answer as findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources

import msgspec

from quarterdeck.protocol.environment import Toolbox

from .. import findings as making
from ..model import Change, FileChange, Finding, NotChecked, Plan, RawRun, Settings, Severity
from . import trees
from .base import ARGUMENT_BYTES, artifact, base_path, excluded, output, slug, touches

PACKAGE = f"{__package__}.inside"
BOOT = (
    "import sys,types\n"
    "sys.path.extend({site!r})\n"
    "def load(name,source):\n"
    " module=sys.modules[name]=types.ModuleType(name)\n"
    " exec(compile(source,name.rpartition('.')[2]+'.py','exec'),module.__dict__)\n"
    " return module\n"
    "for name,source in {sources!r}: last=load(name,source)\n"
    "last.main()\n"
)


class Hit(msgspec.Struct, frozen=True):
    """One result as an inside script prints it, see `inside.common.Hit`."""

    path: str
    line: int
    rule: str
    severity: Severity
    message: str
    evidence: str
    whole: bool


class _Answer(msgspec.Struct, frozen=True):
    hits: list[Hit]
    notes: list[tuple[str, str]]


@cache
def source(modules: tuple[str, ...], site: str) -> str:
    """One program from inside modules, the last one's `main` called; `site` is a folder to import third-party code from, or ""."""
    folder = resources.files(PACKAGE)
    sources = [(f"{PACKAGE}.{name}", (folder / f"{name}.py").read_text("utf-8")) for name in ("common", *modules)]
    return BOOT.format(site=[site] if site else [], sources=sources)


def _ranges(file: FileChange) -> tuple[object, object]:
    """LINES and REMOVED of a request's item, see `inside.common`."""
    if file.truncated:
        return ("diff" if base_path(file) else None), "diff"
    lines = [[h.head_start, len(h.added)] for h in file.hunks if h.added]
    gone = [[h.base_start, len(h.removed)] for h in file.hunks if h.removed]
    if len(json.dumps([lines, gone])) > ARGUMENT_BYTES // 2:
        return "diff", "diff"
    return lines, gone


def item(file: FileChange) -> list[object]:
    """One changed file as an inside script is told of it."""
    lines, gone = _ranges(file)
    flags = "".join(
        letter for letter, on in (("a", file.status == "added"), ("b", file.binary), ("l", file.symlink), ("m", file.submodule)) if on
    )
    return ["" if file.status == "deleted" else file.path, base_path(file), lines, gone, flags]


def plans(
    name: str, files: Sequence[FileChange], modules: tuple[str, ...], toolbox: Toolbox, *, third_party: bool = False, **extra: object
) -> list[Plan]:
    """The commands that run an inside script over `files`; `extra` goes into the request. Several when one argument is too short."""
    groups: list[list[list[object]]] = []
    size = ARGUMENT_BYTES
    for entry in map(item, files):
        length = len(json.dumps(entry))
        if size + length > ARGUMENT_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += length
    program = source(modules, toolbox.site if third_party else "")
    found = []
    for index, group in enumerate(groups):
        request = json.dumps({"head": trees.HEAD, "base": trees.BASE, "items": group, **extra}, separators=(",", ":"))
        # -S: the machine's own packages must not stand in for the toolbox's.
        argv = (toolbox.python, "-I", "-S", "-c", program, request)
        found.append(Plan(slug(name, index), argv, cwd=trees.HEAD, timeout_s=120.0))
    return found


def read(
    tool: str,
    runs: Sequence[RawRun],
    change: Change,
    settings: Settings,
    *,
    rewrite: Callable[[Hit], Hit] | None = None,
    anywhere: bool = False,
) -> tuple[list[Finding], list[NotChecked]]:
    """Turn an inside script's answers into findings. `anywhere` also accepts paths that the change does not name."""
    found: list[Finding] = []
    missing: list[NotChecked] = []
    for run in runs:
        answer = output(tool, run, _Answer)
        if isinstance(answer, NotChecked):
            missing.append(answer)
            continue
        missing += [NotChecked(f"{tool}: {path}" if path else tool, why) for path, why in answer.notes]
        for hit in map(rewrite, answer.hits) if rewrite else answer.hits:
            file = change.file(hit.path)
            if excluded(hit.path, settings) or not _belongs(hit, file, anywhere):
                continue
            found.append(
                making.make(
                    tool, hit.rule, hit.severity, hit.path, max(hit.line, 0), hit.message, evidence=hit.evidence, artifact=artifact(run)
                )
            )
    return found, missing


def _belongs(hit: Hit, file: FileChange | None, anywhere: bool) -> bool:
    """Whether the change can be the cause of a hit. A cut file's lines were worked out inside, from both trees."""
    if file is None:
        return anywhere
    return hit.whole or file.truncated or touches(file, hit.line)
