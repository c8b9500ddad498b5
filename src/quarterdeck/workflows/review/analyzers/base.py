"""What the analyzers share: their interface, which files they look at, and how a tool's word becomes a finding or a `NotChecked`.

An analyzer is pure. `plan` names the commands and `parse` reads what they printed; only the workflow runs anything. What a command
printed comes out of the sandbox where the head was read, so nothing in it is trusted: it is decoded into a typed structure, paths
and lines must belong to the change, and anything else becomes "not checked" with its reason, never an exception.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec

from quarterdeck.protocol.environment import Toolbox

from ..model import Change, FileChange, Finding, NotChecked, Plan, RawRun, Settings

INSTALL = "install it with: pip install 'quarterdeck[review]'"
ARGUMENT_BYTES = 60_000
"""How much one command-line argument may carry; Linux refuses 128 KiB."""

_LONE_BYTE = re.compile(r"(?<!\\)((?:\\\\)*)(?<!\\ud[89ab][0-9a-f]{2})\\udc([89a-f][0-9a-f])")
"""How Python prints an undecodable byte of a file name into JSON; the change writes it as `\\xNN`."""

T = TypeVar("T")


class Analyzer(Protocol):
    """One source of findings. `name` prefixes the names of its plans."""

    name: str

    def plan(self, change: Change, toolbox: Toolbox, settings: Settings) -> list[Plan] | NotChecked:
        """Return the commands to run; none when the change gives nothing to look at; NotChecked when the tool is absent."""
        ...

    def parse(self, runs: Sequence[RawRun], change: Change, settings: Settings) -> tuple[list[Finding], list[NotChecked]]:
        """Read what the planned commands did. Never raises, whatever they printed."""
        ...


def artifact(run: RawRun) -> str:
    return f"raw/{run.name}.json"


def absent(tool: str) -> NotChecked:
    return NotChecked(tool, f"{tool} is not installed; {INSTALL}")


def excluded(path: str, settings: Settings) -> bool:
    """True for paths that the base's own `[review] exclude` globs name."""
    return any(fnmatch.fnmatchcase(path, glob) or path.startswith(glob.rstrip("/") + "/") for glob in settings.exclude)


def text_files(change: Change, settings: Settings) -> list[FileChange]:
    """The changed files that can be read as text, deleted ones too; links, binaries and submodules are left to `risky`."""
    return [f for f in change.files if not (f.binary or f.symlink or f.submodule) and not excluded(f.path, settings)]


def is_python(path: str) -> bool:
    return path.endswith((".py", ".pyi"))


def is_test(path: str) -> bool:
    """True for files that belong to a test suite by name or folder."""
    folders, _, name = path.rpartition("/")
    return (
        name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py" or bool({"tests", "test"} & set(folders.split("/")))
    )


def base_path(file: FileChange) -> str:
    """Where the file was in the base; "" for an added one."""
    return "" if file.status == "added" else file.old_path or file.path


def removed_lines(file: FileChange) -> dict[int, str]:
    """The removed or changed lines of the base: number -> text."""
    return {h.base_start + i: text for h in file.hunks for i, text in enumerate(h.removed)}


def touches(file: FileChange, line: int) -> bool:
    """True when the change added or modified this line of the head. A file too big for hunks counts only if it is new."""
    if file.truncated:
        return file.status == "added" and line >= 1
    return line in file.head_lines()


def problem(what: str, run: RawRun, good: Sequence[int] = (0,)) -> NotChecked | None:
    """Say why a command's output cannot be used; None when it can."""
    if run.state != "exited":
        return NotChecked(what, f"{run.name} did not finish: {run.state}")
    if run.exit_code not in good:
        return NotChecked(what, f"{run.name} ended with status {run.exit_code}: {last_line(run.stderr)}")
    if run.truncated:
        return NotChecked(what, f"{run.name} printed more than its output limit")
    return None


def last_line(text: str) -> str:
    """The last line that is not empty, at most 200 characters: where tools put their reason."""
    lines = [line.strip() for line in text[-4000:].splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"


def output(what: str, run: RawRun, shape: type[T], good: Sequence[int] = (0,)) -> T | NotChecked:
    """Read a run's JSON into `shape`, or say why it cannot be used."""
    if bad := problem(what, run, good):
        return bad
    text = _LONE_BYTE.sub(r"\1\\\\x\2", run.output or run.stdout)
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=shape)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return NotChecked(what, f"the output of {run.name} could not be read: {str(error)[:160]}")


def chunked(paths: Iterable[str], limit: int = ARGUMENT_BYTES) -> list[list[str]]:
    """Split arguments into groups that a command line can carry."""
    groups: list[list[str]] = []
    size = limit
    for path in paths:
        length = len(path.encode("utf-8", "replace")) + 9
        if size + length > limit:
            groups.append([])
            size = 0
        groups[-1].append(path)
        size += length
    return groups


def slug(name: str, index: int) -> str:
    """The name of the n-th plan of a kind: `ruff-head`, `ruff-head-2`, ..."""
    return name if index == 0 else f"{name}-{index + 1}"


def relative(path: str, root: str) -> str:
    """A path that a tool printed, relative to its tree."""
    return path.removeprefix(root.rstrip("/") + "/").removeprefix("./")
