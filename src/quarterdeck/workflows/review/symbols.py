"""Which functions, methods and classes a change touches, by comparing the Python sources of base and head.

The sources are hostile, and CPython's parser may crash on deep nesting, so they are parsed by `symbols_worker.py` in
a process of its own with memory and CPU limits. When that process dies, the file that killed it is noted and the rest
goes on in a new one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from quarterdeck.protocol.errors import StoreError

from . import areas
from .model import FileChange, Symbol
from .paths import shown
from .repository import Range, Repository

MAX_SOURCE = 1 << 20
MAX_FILES = 2_000
TIMEOUT_S = 120.0
_RESTARTS = 8


class Definition(msgspec.Struct, frozen=True):
    """One definition in one version of a file. `parameters` of a class are those of its `__init__` without self."""

    kind: Literal["function", "method", "class"]
    line: int
    signature: str
    digest: str
    documented: bool
    doc_start: int = 0
    doc_end: int = 0
    """First and last line of the docstring, 0 without one."""
    parameters: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    """What stands behind the name: `(a, b: int = 1) -> int` in the usual spellings, place by place."""
    body: str = ""
    """Digest of a function's lines below its head."""
    inherits: bool = False
    """True for a class with bases: a method that it lost may still be there."""


class Parsed(msgspec.Struct, frozen=True):
    """What the worker answers for one source."""

    definitions: dict[str, Definition] = {}
    bound: dict[str, int] = {}
    """Names that imports and assignments bind (`*` for a star import), with their line."""
    error: str = ""


def parse(sources: Sequence[bytes]) -> list[Parsed]:
    """Parse every source in worker processes; the answers are in the same order.

    Never raises for what a source holds; StoreError when there is no room for temporary files.
    """
    done: list[Parsed] = []
    for _ in range(_RESTARTS):
        if len(done) == len(sources):
            break
        done += _run_worker(sources[len(done) :])
        if len(done) < len(sources):
            done.append(Parsed(error="the parser gave up on it"))
    return done + [Parsed(error="the parser was stopped before it")] * (len(sources) - len(done))


def _run_worker(sources: Sequence[bytes]) -> list[Parsed]:
    try:
        return _answers(sources)
    except OSError as error:
        raise StoreError(f"Sources cannot be parsed: {error.strerror}.", hint="Free disk space, or set TMPDIR.") from error


def _answers(sources: Sequence[bytes]) -> list[Parsed]:
    worker = Path(__file__).with_name("symbols_worker.py")
    with tempfile.TemporaryFile() as frames, tempfile.TemporaryFile() as answers:
        for source in sources:
            frames.write(b"%d\n" % len(source) + source)
        frames.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-W", "ignore", str(worker)],
            stdin=frames,
            stdout=answers,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
            process.wait()
        answers.seek(0)
        whole = [line for line in answers.read().split(b"\n")[:-1]]
    return [msgspec.json.decode(line, type=Parsed) for line in whole[: len(sources)]]


def is_public(path: str, name: str) -> bool:
    """True without a leading underscore in module path or dotted name. Tests, examples and scripts are nobody's API."""
    module = path.rsplit(".", 1)[0].removesuffix("/__init__").removesuffix("/__main__")
    if module in ("__init__", "__main__"):
        module = ""
    parts = [*module.split("/"), *name.split(".")]
    return areas.is_api(path) and not any(part.startswith("_") for part in parts)


def changed_symbols(repo: Repository, span: Range, files: Sequence[FileChange]) -> tuple[tuple[Symbol, ...], tuple[str, ...]]:
    """Return the symbols that differ between base and head, by path and line, and notes on files that were not read."""
    python = [f for f in files if not (f.binary or f.symlink or f.submodule) and (areas.is_python(f.path) or areas.is_python(f.old_path))]
    notes: list[str] = []
    if len(python) > MAX_FILES:
        notes.append(f"Symbols were read in the first {MAX_FILES} of {len(python)} changed Python files.")
        python = python[:MAX_FILES]
    old_paths = [f.old_path or f.path for f in python if f.status != "added"]
    new_paths = [f.path for f in python if f.status != "deleted"]
    old = parsed_files(repo, span.base_sha, old_paths, "base", notes)
    new = parsed_files(repo, span.head_sha, new_paths, "head", notes)
    symbols: list[Symbol] = []
    for file in python:
        before = old.get(file.old_path or file.path, Parsed() if file.status == "added" else None)
        after = new.get(file.path, Parsed() if file.status == "deleted" else None)
        if before is not None and after is not None:
            symbols += _compare(file, before, after)
    return tuple(sorted(symbols, key=lambda s: (s.path, s.line, s.name))), tuple(notes)


def definitions(repo: Repository, sha: str, paths: list[str], side: str, notes: list[str]) -> dict[str, dict[str, Definition]]:
    """Return path -> dotted name -> definition at a commit; files that cannot be read are noted and left out."""
    return {path: one.definitions for path, one in parsed_files(repo, sha, paths, side, notes).items()}


def parsed_files(repo: Repository, sha: str, paths: list[str], side: str, notes: list[str]) -> dict[str, Parsed]:
    """Like `definitions`, with everything that was parsed."""
    tree = repo.tree(sha)
    found: dict[str, Parsed] = {}
    for path in paths:
        if path in tree and tree[path].regular and tree[path].size > MAX_SOURCE:
            notes.append(f"Symbols of {shown(path)} ({side}) were not read: it is larger than {MAX_SOURCE >> 20} MB.")
    for sources in repo.read_batches(sha, paths, MAX_SOURCE):
        for path, answer in zip(sources, parse(list(sources.values())), strict=True):
            if answer.error:
                notes.append(f"Symbols of {shown(path)} ({side}) were not read: {answer.error}.")
            else:
                found[path] = answer
    return found


def _compare(file: FileChange, before: Parsed, after: Parsed) -> list[Symbol]:
    symbols: list[Symbol] = []
    for name in {**before.definitions, **after.definitions}:
        old, new = before.definitions.get(name), after.definitions.get(name)
        if old and new and old.digest == new.digest and old.kind == new.kind:
            continue
        if old and not new and (line := _still_bound(name, after)):
            # The definition went, the name did not: it is imported or assigned now.
            new = msgspec.structs.replace(old, line=line)
        shown_one = new or old
        assert shown_one is not None
        symbols.append(
            Symbol(
                path=file.path,
                name=name,
                kind=shown_one.kind,
                change="modified" if old and new else "added" if new else "removed",
                public=is_public(file.path, name),
                line=shown_one.line,
                signature=new.signature if new else "",
                old_signature=old.signature if old else "",
                documented=shown_one.documented,
            )
        )
    return symbols


def _still_bound(name: str, after: Parsed) -> int:
    """The line that binds the name in another way now; 0 when none does."""
    star = 0 if "." in name or name.startswith("_") else after.bound.get("*", 0)
    return after.bound.get(name, star)
