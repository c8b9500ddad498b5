"""What a path's name alone tells: whether it leaves the workspace, and whether it decides what CI runs."""

from __future__ import annotations

import posixpath
import re

INSIDE = ("/workspace", "/tmp", "/opt/quarterdeck", "/dev/null", "/dev/stdout", "/dev/stderr", "/dev/shm")
"""Absolute paths that lie inside an environment; any other one escapes the workspace."""

CI_CONFIG = re.compile(
    r"(^|/)(\.github/(workflows|actions)(/.*)?|\.gitlab-ci\.ya?ml|\.gitlab/ci(/.*)?|\.circleci(/.*)?|\.buildkite(/.*)?|\.ci(/.*)?"
    r"|jenkinsfile[^/]*|azure-pipelines[^/]*\.ya?ml|\.travis\.ya?ml|\.drone\.ya?ml|\.woodpecker(\.ya?ml|/.*)?"
    r"|bitbucket-pipelines\.ya?ml|\.pre-commit-config\.ya?ml|codeowners)$",
    re.IGNORECASE,
)


def escapes(path: str) -> bool:
    """Whether a path leads, or may lead, out of the workspace. Symbolic links are the sandbox's business, not ours."""
    if "\0" in path or path.startswith("~") or ".." in path.split("/"):
        return True
    return path.startswith("/") and not any(path == root or path.startswith(root + "/") for root in INSIDE)


def is_ci_config(path: object) -> bool:
    """Whether a file decides what continuous integration runs, by the names that the usual forges give it."""
    return isinstance(path, str) and CI_CONFIG.search(posixpath.normpath(path)) is not None
