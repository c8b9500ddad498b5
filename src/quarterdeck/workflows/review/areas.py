"""What a path is for, told by its name alone: source, tests, docs, CI, build, dependencies, deployment, data."""

from __future__ import annotations

import re
from typing import Literal

Area = Literal["source", "tests", "docs", "changelog", "ci", "build", "dependencies", "deployment", "other"]

_RULES: tuple[tuple[Area, re.Pattern[str]], ...] = tuple(
    (area, re.compile(pattern, re.IGNORECASE))  # type: ignore[misc]
    for area, pattern in (
        (
            "ci",
            r"^\.github/(workflows|actions)/|^\.gitlab-ci|^\.circleci/|^\.travis\.yml$|^azure-pipelines|^jenkinsfile$"
            r"|^\.buildkite/|^\.drone\.yml$|^appveyor\.yml$|^\.pre-commit-config\.yaml$|^\.ci/|^bitbucket-pipelines",
        ),
        (
            "dependencies",
            r"(^|/)((requirements|constraints)[^/]*\.(txt|in)|requirements/[^/]+\.(txt|in)|pipfile(\.lock)?|poetry\.lock|uv\.lock|pdm\.lock"
            r"|pylock[^/]*\.toml|package\.json|package-lock\.json|yarn\.lock|pnpm-lock\.yaml|go\.(mod|sum)|cargo\.(toml|lock)"
            r"|environment\.ya?ml|gemfile(\.lock)?)$",
        ),
        (
            "deployment",
            r"(^|/)(dockerfile[^/]*|[^/]+\.dockerfile|(docker-)?compose[^/]*\.ya?ml|chart\.yaml|kustomization\.ya?ml|procfile)$"
            r"|(^|/)(k8s|kubernetes|helm|deploy|deployment|terraform)/|\.tf$",
        ),
        (
            "build",
            r"(^|/)(pyproject\.toml|setup\.(py|cfg)|manifest\.in|makefile|gnumakefile|cmakelists\.txt|meson\.build|build\.gradle(\.kts)?"
            r"|pom\.xml|noxfile\.py|tox\.ini|\.gitmodules|\.gitattributes|hatch\.toml|build\.rs|webpack\.config\.[cm]?js|tsconfig\.json)$",
        ),
        (
            "tests",
            r"(^|/)(tests?|testing|spec|__tests__)/|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$|\.(test|spec)\.[cm]?[jt]sx?$|_test\.go$",
        ),
        ("changelog", r"(^|/)(changelog|changes|history|news|release[-_ ]?notes)(\.(md|rst|txt))?$|(^|/)(changelog\.d|newsfragments)/"),
        ("docs", r"(^|/)docs?/|\.(md|rst|adoc)$|(^|/)(readme|contributing|license|authors|notice|security)(\.[a-z]+)?$"),
        (
            "source",
            r"\.(pyi?|pyx|pxd|pyw|c|cc|cpp|cxx|h|hh|hpp|rs|go|java|kt|swift|rb|php|cs|scala|sh|bash|pl|lua|sql|r|jl|vue|svelte|[cm]?[jt]sx?)$",
        ),
    )
)

_SENSITIVE = re.compile(
    r"(?<![a-z])(auth|authn|authz|oauth|login|password|passwd|crypto|crypt|cipher|token|secret|session|permission|acl|rbac|signing"
    r"|subprocess|shell|sandbox|sql|migrations?)(?![a-z])",
    re.IGNORECASE,
)


def area(path: str) -> Area:
    """Return what the file is for; the first rule that matches counts."""
    return next((name for name, pattern in _RULES if pattern.search(path)), "other")


def is_test(path: str) -> bool:
    """True for test code: it is no public API, and a change of it is a change of tests."""
    return area(path) == "tests"


_NO_API = frozenset({"examples", "example", "scripts", "tools", "benchmarks", "bench", "samples", "demo", "demos", "docs", "doc"})


def is_api(path: str) -> bool:
    """True for source that others may import: no tests, examples, scripts or build files."""
    return area(path) == "source" and path.split("/", 1)[0] not in _NO_API


def is_python(path: str) -> bool:
    return path.endswith((".py", ".pyi", ".pyw"))


def is_sensitive(path: str) -> bool:
    """True when the name says that security depends on the file: authentication, cryptography, SQL, subprocesses."""
    return bool(_SENSITIVE.search(path.replace("_", "-")))
