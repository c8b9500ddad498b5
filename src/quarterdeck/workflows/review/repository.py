"""A git repository on the host, read and never written: names, ranges, files at a commit. See `git.py` for the safety."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import msgspec

from ...protocol.errors import BadInput
from .event import PullRequest, read_event
from .git import Git, GitFailed
from .trees import TreeEntry, read_tree, write_tar

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
BATCH_BYTES = 32 << 20
_NAMES = 5_000
"""So many refs are searched for a near name."""
_USUAL_BRANCHES = ("main", "master", "trunk", "develop")


class Range(msgspec.Struct, frozen=True):
    """What is reviewed. `base_sha` is the merge base (GitHub's three dots), `base_tip` the commit that was named."""

    base_sha: str
    head_sha: str
    label: str
    base_tip: str = ""


def open_repository(path: Path | str) -> Repository:
    """Open the repository that contains `path`: a checkout, a linked worktree or a bare repository.

    Raises BadInput when there is none, ConfigError when git is missing.
    """
    where = Path(path)
    if not os.access(where, os.R_OK | os.X_OK) or not where.is_dir():
        raise BadInput(f"{where} is not a folder that can be read.", hint="Give a git repository: --repo PATH", param="repo")
    git = Git()
    try:
        return Repository(git, where.resolve())
    except GitFailed as error:
        git.close()
        why = error.stderr.splitlines()[0] if error.stderr else error.message
        raise BadInput(
            f"{where} is not a git repository that can be read: {why}", hint="Give one: --repo PATH, or run `git init`.", param="repo"
        ) from error
    except BaseException:
        git.close()
        raise


class Repository:
    """An open repository. Use it as a context manager, or call `close`: it holds a temporary folder."""

    def __init__(self, git: Git, where: Path) -> None:
        self.git = git
        self.where = where
        self.git_dir = Path(self._ask("--absolute-git-dir"))
        self.bare = self._ask("--is-bare-repository") == "true"
        inside = self._ask("--is-inside-work-tree") == "true"
        self.root = Path(self._ask("--show-toplevel")) if inside else self.git_dir
        self.shallow = self._ask("--is-shallow-repository") == "true"
        shallow_file = Path(self._ask("--path-format=absolute", "--git-path", "shallow"))
        git.attach(
            self._ask("--path-format=absolute", "--git-path", "objects"),
            self._ask("--show-object-format"),
            shallow_file.read_bytes() if self.shallow and shallow_file.is_file() else b"",
        )
        self._trees: dict[str, dict[str, TreeEntry]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary folder. The repository itself was never changed."""
        self.git.close()

    @property
    def name(self) -> str:
        """The folder's name, without `.git`: how reports call the repository."""
        folder = self.root.parent if self.root.name == ".git" else self.root
        return folder.name.removesuffix(".git") or str(folder)

    def _ask(self, *args: str) -> str:
        return self.git.run("rev-parse", *args, at=self.where).decode("utf-8", "surrogateescape").removesuffix("\n")

    def refs(self) -> dict[str, str]:
        """Branches, tags and remote branches: full name -> object id. Names are as git prints them."""
        out = self.git.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags", "refs/remotes", at=self.where)
        rows = (line.split(" ", 1) for line in out.decode("utf-8", "replace").splitlines())
        return {name: oid for oid, name in rows}

    def resolve(self, ref: str, param: str = "") -> str:
        """Return the commit id that `ref` names (branch, tag, id, `HEAD~2`). Raises BadInput, which lists near names."""
        try:
            oid = self._ask("--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        except (GitFailed, ValueError) as error:
            raise self._unknown(ref, param) from error
        if not _SHA.fullmatch(oid):
            raise self._unknown(ref, param)
        return oid

    def _unknown(self, ref: str, param: str) -> BadInput:
        short = sorted({re.sub(r"^refs/(heads|tags|remotes)/", "", name) for name in self.refs()})[:_NAMES]
        near = difflib.get_close_matches(ref, short, 3, 0.5) or [s for s in short if s.rpartition("/")[2] == ref][:3]
        if not short:
            return BadInput("The repository has no commits yet.", hint="Commit something first.", param=param)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {', '.join(short[:8])}{', ...' if len(short) > 8 else ''}."
        return BadInput(f"There is no commit named {ref!r} in {self.name}.", hint=hint, param=param)

    def default_branch(self) -> str:
        """Return the name to compare with: the remote's default branch, else a usual name, else the only branch.

        Raises BadInput when it cannot be told.
        """
        refs = self.refs()
        for ref, prefix in (("refs/remotes/origin/HEAD", "refs/remotes/"), *((("HEAD", "refs/heads/"),) if self.bare else ())):
            target = self._symbolic(ref)
            if target in refs:
                return target.removeprefix(prefix)
        for name in (*_USUAL_BRANCHES, self._configured_default()):
            for prefix in ("refs/heads/", "refs/remotes/"):
                full = f"{prefix}{'origin/' if prefix == 'refs/remotes/' else ''}{name}"
                if name and full in refs:
                    return full.removeprefix(prefix)
        local = [name for name in refs if name.startswith("refs/heads/")]
        if len(local) == 1:
            return local[0].removeprefix("refs/heads/")
        raise BadInput("The default branch cannot be told.", hint="Name what to compare with: --base REF", param="base")

    def _symbolic(self, ref: str) -> str:
        try:
            return self.git.run("symbolic-ref", "--quiet", ref, at=self.where).decode("utf-8", "replace").strip()
        except GitFailed:
            return ""

    def _configured_default(self) -> str:
        try:
            return self.git.run("config", "--get", "init.defaultBranch", at=self.where).decode("utf-8", "replace").strip()
        except GitFailed:
            return ""

    def range(self, base: str | None = None, head: str | None = None, event: Path | None = None) -> Range:
        """Resolve what to review.

        Defaults: HEAD against its merge base with the default branch. `event` is a file with GitHub's `pull_request`
        payload; it gives ids only, nothing is fetched, and explicit refs win over it. As on GitHub the diff starts at
        the merge base of base and head, so work done on the base meanwhile is not shown as removed.
        Raises BadInput: unknown refs, equal refs, no common history, commits of the event that are not here.
        """
        pull = read_event(event) if event is not None else None
        head_sha = self._side(head, pull, "head")
        base_name = base or (pull.base_ref if pull else "") or self.default_branch()
        base_tip = self._side(base or ("" if pull else base_name), pull, "base")
        head_name = head or (pull.head_ref if pull else "") or "HEAD"
        if base_tip == head_sha:
            raise BadInput(
                f"There is nothing to review: base {base_name!r} and head {head_name!r} are the same commit {head_sha[:12]}.",
                hint="Name an older base: --base HEAD~1",
                param="base",
            )
        merge_base = self._merge_base(base_tip, head_sha, base_name, head_name)
        if merge_base == head_sha:
            raise BadInput(
                f"There is nothing to review: {head_name!r} is already contained in {base_name!r}.",
                hint="Name an older base, for example --base HEAD~1, or swap --base and --head.",
                param="base",
            )
        label = f"#{pull.number} {head_name} into {base_name}" if pull and not (base or head) else f"{base_name}...{head_name}"
        return Range(base_sha=merge_base, head_sha=head_sha, label=label, base_tip=base_tip)

    def _side(self, ref: str | None, pull: PullRequest | None, side: str) -> str:
        if ref or pull is None:
            return self.resolve(ref or "HEAD", side)
        sha = pull.head_sha if side == "head" else pull.base_sha
        try:
            return self.resolve(sha, "event")
        except BadInput as error:
            what = f"pull/{pull.number}/head" if side == "head" else pull.base_ref
            raise BadInput(
                f"The {side} commit {sha} of pull request #{pull.number} is not in {self.name}; nothing is fetched by itself.",
                hint=f"git -C {shlex.quote(str(self.where))} fetch origin {shlex.quote(what)}",
                param="event",
            ) from error

    def _merge_base(self, base: str, head: str, base_name: str, head_name: str) -> str:
        try:
            return self.git.run("merge-base", base, head).decode("ascii").strip()
        except GitFailed as error:
            if error.stderr:
                raise BadInput(f"The history cannot be read: {error.stderr.splitlines()[0]}", hint="git fsck") from error
            if self.shallow:
                message = f"This clone is shallow, and its history is too short to hold the merge base of {base_name!r} and {head_name!r}."
                raise BadInput(message, hint=f"git -C {shlex.quote(str(self.where))} fetch --unshallow", param="base") from error
            raise BadInput(
                f"{base_name!r} and {head_name!r} have no common history.",
                hint="Name a base that the head grew from: --base REF",
                param="base",
            ) from error

    def tree(self, sha: str) -> dict[str, TreeEntry]:
        """Every file of a commit by its text path (`paths.to_text`), in git's order."""
        if sha not in self._trees:
            self._trees[sha] = read_tree(self.git, sha)
        return self._trees[sha]

    def read(self, sha: str, path: str, max_bytes: int = 1 << 20) -> bytes | None:
        """Return a regular file's bytes at a commit; None when it is absent, not a regular file, or larger."""
        return self.read_many(sha, [path], max_bytes).get(path)

    def read_many(self, sha: str, paths: list[str], max_bytes: int = 1 << 20) -> dict[str, bytes]:
        """Read many files with one process. Absent, irregular and too big ones are left out."""
        tree = self.tree(sha)
        wanted = [(p, tree[p]) for p in paths if p in tree and tree[p].regular and tree[p].size <= max_bytes]
        if not wanted:
            return {}
        with self.git.batch() as objects:
            read = {path: objects.read(entry.oid, max_bytes) for path, entry in wanted}
        return {path: data for path, data in read.items() if data is not None}

    def read_batches(self, sha: str, paths: Sequence[str], max_bytes: int = 1 << 20) -> Iterator[dict[str, bytes]]:
        """Like `read_many`, some `BATCH_BYTES` at a time: for many files that need not be in memory together."""
        tree = self.tree(sha)
        batch: list[str] = []
        size = 0
        for path in paths:
            size += min(tree[path].size, max_bytes) if path in tree else 0
            batch.append(path)
            if size > BATCH_BYTES:
                yield self.read_many(sha, batch, max_bytes)
                batch, size = [], 0
        if batch:
            yield self.read_many(sha, batch, max_bytes)

    def tree_tar(self, sha: str, target: Path) -> tuple[str, ...]:
        """Write a commit's tree as a plain, deterministic tar; return notes on what could not be put in. See `trees`."""
        return write_tar(self.git, self.tree(sha), target)

    def contains(self, sha: str, path: str) -> bool:
        """True when the commit has a file of that exact name."""
        return path in self.tree(sha)
