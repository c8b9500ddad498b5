"""The packages of A29, and their source releases: fetched through pip, unpacked, and told apart by layout."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from quarterdeck.workflows.review.suites import FolderTree, discover, requirements
from quarterdeck.workflows.review.suites.discover import is_test

PYTEST = ("-m", "pytest")
UNITTEST = ("-m", "unittest", "discover")


class Pair(msgspec.Struct, frozen=True):
    """Two releases in succession. `command` is how the project's own people start its tests: `python COMMAND` in the tree.

    `code` is the folder whose functions are mutated.
    """

    name: str
    base: str
    head: str
    code: str
    command: tuple[str, ...] = PYTEST

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")


PAIRS = (
    Pair("itsdangerous", "2.1.2", "2.2.0", "src/itsdangerous"),
    Pair("blinker", "1.8.2", "1.9.0", "src/blinker"),
    Pair("toolz", "0.12.1", "1.0.0", "toolz"),
    Pair("cachetools", "5.4.0", "5.5.0", "src/cachetools", UNITTEST),
    Pair("sqlparse", "0.5.0", "0.5.1", "sqlparse"),
    Pair("pluggy", "1.4.0", "1.5.0", "src/pluggy"),
    Pair("more-itertools", "10.4.0", "10.5.0", "more_itertools", UNITTEST),
    Pair("click", "8.1.7", "8.1.8", "src/click"),
)


def unpack(archive: Path, into: Path) -> Path:
    """The single top folder of a source distribution, unpacked without anything that leads out of it."""
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        if hasattr(tarfile, "data_filter"):
            tar.extraction_filter = tarfile.data_filter
        else:  # Python 3.11.2 and 3.11.3 lack filters: the same rule by hand, plain files and folders only.
            members = [m for m in members if (m.isfile() or m.isdir()) and (into / m.name).resolve().is_relative_to(into.resolve())]
        tar.extractall(into, members)
    (top,) = (p for p in into.iterdir() if p.is_dir())
    return top


def download(name: str, version: str, into: Path) -> Path | str:
    """The unpacked release below `into`, from there when it was fetched before; or the reason why it cannot be had.

    `pip download` of a source distribution lets its build backend compute metadata on this machine: that is the
    benchmark's own choice of trusted packages, never the product's.
    """
    target = into / f"{name}-{version}"
    if target.is_dir():
        (top,) = (p for p in target.iterdir() if p.is_dir())
        return top
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=:all:", f"--dest={scratch}", f"{name}=={version}"]
        done = subprocess.run(argv, cwd=scratch, capture_output=True, text=True, check=False)
        archives = sorted(Path(scratch).glob("*.tar.gz"))
        if not archives:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return (said or ["no source distribution"])[-1][:160]
        target.mkdir()
        return unpack(archives[0], target)


def test_folders(top: Path) -> list[str]:
    return sorted({p.rpartition("/")[0] or "." for p in FolderTree(top).list() if is_test(p) and p.endswith(".py")})


def layout(top: Path) -> str:
    """One line: runner, where the tests lie, where the sources do."""
    tree = FolderTree(top)
    suite = discover(tree)
    needs = requirements(tree, suite.addopts)
    return (
        f"{suite.runner:9} tests in {', '.join(test_folders(top)[:3]) or '-':30} sources {','.join(suite.sources):8} needs {len(needs.all)}"
    )


def survey(pairs: tuple[Pair, ...], into: Path) -> Iterator[str]:
    for pair in pairs:
        for version in (pair.base, pair.head):
            found = download(pair.name, version, into)
            yield f"{pair.name:16} {version:8} {found if isinstance(found, str) else layout(found)}"
