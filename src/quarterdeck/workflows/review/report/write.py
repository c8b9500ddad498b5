"""Putting a report on disk as a whole: a reader sees the old report or the new one, never a mixture."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from quarterdeck.protocol.errors import BadInput

from ..scratch import Scratch
from .data import OUTPUTS
from .document import SCHEMA
from .inputs import safe_name

_KNOWN = frozenset((*OUTPUTS, "artifacts"))


def write(directory: Path, artifacts: Mapping[str, bytes], outputs: Mapping[str, bytes]) -> None:
    """Write `DIR/artifacts/*` and the output files, durable on return, and replace a former report.

    Raises BadInput when DIR holds anything that is not a report, OSError when the disk refuses; DIR is then as before.
    """
    for name in artifacts:
        if not safe_name(name):
            raise BadInput(f"artifact name {name!r} is not a plain relative path", param=name)
    if outputs.keys() != set(OUTPUTS):
        raise BadInput(f"a report has exactly the files {', '.join(OUTPUTS)}", param="outputs")
    directory = directory.absolute()
    former = _former(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with Scratch(f".{directory.name}.new-", directory.parent) as fresh:
        files = {f"artifacts/{n}": b for n, b in artifacts.items()} | dict(outputs)
        _fill(fresh.path, files)
        _swap(fresh.path, directory, former)


def _former(directory: Path) -> bool:
    """True when DIR holds a former report, False when it is free; raises BadInput for anything else."""
    if not os.path.lexists(directory):
        return False
    if directory.is_symlink() or not directory.is_dir():
        raise BadInput(f"{directory} is not a folder", param="out", hint="choose another --out")
    names = {p.name for p in directory.iterdir()}
    if not names:
        return False
    if names <= _KNOWN and _is_report(directory / "report.json"):
        return True
    raise BadInput(f"{directory} holds files that are not a report", param="out", hint="choose an empty folder or a former report's")


def _is_report(file: Path) -> bool:
    try:
        found = json.loads(file.read_bytes()) if file.is_file() and not file.is_symlink() else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("schema") == SCHEMA


def _fill(root: Path, files: Mapping[str, bytes]) -> None:
    root.chmod(0o755)
    folders = {root}
    for name, body in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folders.update(p for p in path.parents if p.is_relative_to(root))
        with path.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
    for folder in folders:
        _sync(folder)


def _swap(fresh: Path, directory: Path, former: bool) -> None:
    """Rename into place. Linux renames onto an empty folder; a former report is moved aside first, and back on failure."""
    aside = fresh.with_name(fresh.name.replace(".new-", ".old-"))
    if former:
        directory.rename(aside)
    try:
        fresh.rename(directory)
    except OSError:
        if former:
            aside.rename(directory)
        raise
    _sync(directory.parent)
    if former:
        shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
