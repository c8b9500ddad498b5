"""What a review does on the host, as plain functions for `ctx.step`: read git, fetch wheels. Nothing of the repository is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from quarterdeck.protocol.canonical import digest
from quarterdeck.protocol.environment import Bind, Capabilities, Limits, Toolbox

from . import conventions
from .docs_patch import DocsPatch, docs_patch
from .intake import diff_patch, read_change
from .model import Change, Settings
from .repository import Range, Repository, open_repository
from .settings import read_settings
from .suites import Requirements, Suite, Wheelhouse, discover, fetch, requirements, wanted
from .suites.tree import MAX_FILE


class Request(msgspec.Struct, frozen=True):
    """The input of a review run. Ids of commits, not names: the same request is the same review."""

    repo: str
    span: Range
    home: str
    out: str = ""
    fail_on: str = ""
    model: str = ""
    trust: str = "operator"


class Side(msgspec.Struct, frozen=True):
    """One side's test suite and what it needs."""

    suite: Suite
    requirements: Requirements
    versioned: bool = False


class Source(msgspec.Struct, frozen=True):
    """Everything that was read from git for a review."""

    change: Change
    settings: Settings
    notes: tuple[str, ...]
    habits: conventions.Facts
    base: Side
    head: Side
    diff: bytes
    scope: str


class Houses(msgspec.Struct, frozen=True):
    """The wheels of both sides."""

    base: Wheelhouse
    head: Wheelhouse

    @property
    def binds(self) -> tuple[Bind, ...]:
        found = [h.bind for h in (self.base, self.head)]
        return tuple(dict.fromkeys(b for b in found if b is not None))


class Ready(msgspec.Struct, frozen=True):
    """What the stage `intake` leaves to the later ones. `files`: artifact name -> SHA-256."""

    source: Source
    houses: Houses
    toolbox: Toolbox
    host: Capabilities
    files: dict[str, str]
    limits: Limits = Limits()


class _GitTree:
    """A commit's tree as a `TreeReader`."""

    def __init__(self, repo: Repository, sha: str) -> None:
        self._repo, self._sha = repo, sha

    def list(self) -> Sequence[str]:
        return list(self._repo.tree(self._sha))

    def read(self, path: str) -> bytes | None:
        return self._repo.read(self._sha, path, MAX_FILE)


def prepare(
    repo: Path, *, base: str | None = None, head: str | None = None, event: Path | None = None, out: Path | None = None,
    fail_on: str | None = None, model: str = "", home: Path,
) -> dict[str, Any]:  # fmt: skip
    """Resolve what to review into the input of a run. Raises BadInput for what cannot be reviewed."""
    with open_repository(repo) as opened:
        span = opened.range(base, head, event)
        request = Request(
            repo=str(opened.root),
            span=span,
            home=str(home.absolute()),
            out=str(out.absolute()) if out else "",
            fail_on=fail_on or "",
            model=model,
        )
    plain: dict[str, Any] = msgspec.to_builtins(request)
    return plain


def scope_of(repo: Path) -> str:
    """Under which name things are remembered of a repository: the same for all its worktrees and clones of one history."""
    with open_repository(repo) as opened:
        return _scope(opened)


def _scope(repo: Repository) -> str:
    """The oldest commit names a history; a repository without one tip in common is another."""
    roots = repo.git.run("rev-list", "--max-parents=0", "--all").decode("ascii", "replace").split()
    return f"repository:{digest(sorted(roots))[:16]}"


def read_source(request: Request, scratch: str) -> Source:
    """Read change, settings and suites from git, and write both trees as tar files into `scratch`."""
    folder = Path(scratch)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    span = request.span
    with open_repository(request.repo) as repo:
        change = read_change(repo, span)
        settings, notes = read_settings(repo, span)
        more: list[str] = []
        for side, sha in (("base", span.base_sha), ("head", span.head_sha)):
            more += repo.tree_tar(sha, folder / f"{side}.tar")
        sides = {}
        for side, sha in (("base", span.base_sha), ("head", span.head_sha)):
            tree = _GitTree(repo, sha)
            suite = discover(tree, settings)
            sides[side] = Side(suite, requirements(tree, suite.addopts), repo.contains(sha, "PKG-INFO"))
        habits = conventions.collect(repo, span, change)
        change = msgspec.structs.replace(change, notes=tuple(dict.fromkeys((*change.notes, *more))))
        return Source(change, settings, tuple(notes), habits, sides["base"], sides["head"], diff_patch(repo, span), _scope(repo))


def fetch_wheels(base: Side, head: Side, home: str) -> Houses:
    """Fetch both sides' dependencies as wheels into HOME's cache; a set that is there already costs nothing."""
    cache = Path(home) / "cache" / "wheels"
    return Houses(fetch(wanted(base.requirements, base.suite.runner), cache), fetch(wanted(head.requirements, head.suite.runner), cache))


def write_docs(request: Request, change: Change) -> DocsPatch:
    """The documentation patch."""
    with open_repository(request.repo) as repo:
        return docs_patch(repo, request.span, change)
