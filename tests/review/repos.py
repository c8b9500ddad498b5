"""Small real git repositories for tests: one `git fast-import`, any name, any mode."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Name = str | bytes


class Link(bytes):
    """A symbolic link's target."""


class Submodule(bytes):
    """A submodule's commit id."""


class Executable(bytes):
    """An executable file's content."""


Content = str | bytes | None
"""None deletes the file."""
Tree = Mapping[Any, Any]
"""Name -> Content."""

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "LC_ALL": "C.UTF-8",
}


def git(repo: Path, *args: str | bytes, stdin: bytes = b"", check: bool = True) -> bytes:
    """Run plain git, as the repository's owner would."""
    done = subprocess.run(["git", "-C", str(repo), *args], input=stdin, env=ENV, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 or not check, done.stderr.decode()
    return done.stdout


def build(
    tmp_path: Path,
    base: Tree,
    head: Tree,
    *,
    name: str = "project",
    message: str = "Change things",
    history: Sequence[tuple[str, Tree]] = (),
    checkout: bool = True,
    bare: bool = False,
) -> Path:
    """Make a repository: `history` and then `base` on branch `main`, `head` as one more commit on branch `feature` (HEAD).

    Values: text or bytes (a file), Link, Submodule, Executable, or None (deleted). Keys may be bytes.
    """
    commits = [*history, ("Start", base)]
    return build_commits(tmp_path, commits, [(message, head)], name=name, checkout=checkout, bare=bare)


def build_commits(
    tmp_path: Path,
    main: Sequence[tuple[str, Tree]],
    feature: Sequence[tuple[str, Tree]],
    *,
    name: str = "project",
    checkout: bool = True,
    bare: bool = False,
) -> Path:
    """Like `build`, with any number of commits (message, files) on both branches."""
    repo = tmp_path / name
    repo.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main", *(["--bare"] if bare else []), str(repo)], env=ENV, check=True)
    stream = b"".join(_commit("main", i, *commit) for i, commit in enumerate(main))
    stream += b"reset refs/heads/feature\nfrom refs/heads/main\n\n"
    stream += b"".join(_commit("feature", 100_000 + i, *commit) for i, commit in enumerate(feature))
    git(repo, "fast-import", "--quiet", "--force", stdin=stream)
    git(repo, "symbolic-ref", "HEAD", "refs/heads/main" if bare else "refs/heads/feature")
    if checkout and not bare:
        git(repo, "reset", "-q", "--hard")
    return repo


def _commit(branch: str, number: int, message: str, files: Tree) -> bytes:
    text = message.encode()
    out = [b"commit refs/heads/%s\n" % branch.encode(), b"committer Ada <ada@example.org> %d +0000\n" % (1_700_000_000 + number)]
    out.append(b"data %d\n%s\n" % (len(text), text))
    for name, content in files.items():
        path = _quoted(name)
        if content is None:
            out.append(b"D %s\n" % path)
        elif isinstance(content, Submodule):
            out.append(b"M 160000 %s %s\n" % (content, path))
        else:
            mode = b"120000" if isinstance(content, Link) else b"100755" if isinstance(content, Executable) else b"100644"
            data = content.encode() if isinstance(content, str) else bytes(content)
            out.append(b"M %s inline %s\ndata %d\n%s\n" % (mode, path, len(data), data))
    return b"".join(out) + b"\n"


def _quoted(name: str | bytes) -> bytes:
    raw = os.fsencode(name)
    return b'"' + b"".join(b"\\%03o" % c if c < 32 or c > 126 or c in b'"\\' else bytes([c]) for c in raw) + b'"'


def sha(repo: Path, ref: str) -> str:
    """The commit id of `ref`."""
    return git(repo, "rev-parse", ref).decode().strip()
