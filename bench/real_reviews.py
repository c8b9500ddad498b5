"""A29, first part: successive source releases of well-known pure-Python packages, as base and head.

    python bench/real_reviews.py survey [--into DIR] [NAME ...]

downloads both source distributions of each pair through pip (the user's own index configuration) and says which contain
their tests, how these are laid out, and which runner discovery picks. `pip download` of a source distribution lets its
build backend compute metadata on this machine: that is the benchmark's own choice of trusted packages, never the product's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from quarterdeck.workflows.review.suites import FolderTree, discover, requirements
from quarterdeck.workflows.review.suites.discover import is_test


class Pair(msgspec.Struct, frozen=True):
    """Two releases in succession: `base` is reviewed against `head`."""

    name: str
    base: str
    head: str


PAIRS = (
    Pair("more-itertools", "10.4.0", "10.5.0"),
    Pair("itsdangerous", "2.1.2", "2.2.0"),
    Pair("packaging", "24.1", "24.2"),
    Pair("idna", "3.7", "3.8"),
    Pair("iniconfig", "2.0.0", "2.1.0"),
    Pair("toolz", "0.12.1", "1.0.0"),
    Pair("tabulate", "0.8.10", "0.9.0"),
    Pair("cachetools", "5.4.0", "5.5.0"),
    Pair("sqlparse", "0.5.0", "0.5.1"),
    Pair("blinker", "1.8.2", "1.9.0"),
    Pair("pluggy", "1.4.0", "1.5.0"),
    Pair("click", "8.1.7", "8.1.8"),
    Pair("tomli", "2.0.1", "2.0.2"),
    Pair("python-slugify", "8.0.3", "8.0.4"),
)


def unpack(archive: Path, into: Path) -> Path:
    """The single top folder of a source distribution, unpacked without links out of it (the `data` filter)."""
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    (top,) = (p for p in into.iterdir() if p.is_dir())
    return top


def download(name: str, version: str, into: Path) -> Path | str:
    """The unpacked release below `into`, from there when it was fetched before; or the reason why it cannot be had."""
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


def layout(top: Path) -> str:
    """One line: runner, number of test files, where they lie."""
    tree = FolderTree(top)
    suite = discover(tree)
    tests = [p for p in tree.list() if is_test(p) and p.endswith(".py")]
    folders = sorted({p.rpartition("/")[0] or "." for p in tests})
    needs = requirements(tree, suite.addopts)
    where = f"{suite.runner:9} {len(tests):3} test files in {', '.join(folders[:3]) or '-':30}"
    return f"{where} sources {','.join(suite.sources):8} needs {len(needs.all)}"


def survey(pairs: tuple[Pair, ...], into: Path) -> Iterator[str]:
    for pair in pairs:
        for version in (pair.base, pair.head):
            found = download(pair.name, version, into)
            yield f"{pair.name:16} {version:8} {found if isinstance(found, str) else layout(found)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["survey"])
    parser.add_argument("names", nargs="*", help="packages of the list; all when none is given")
    parser.add_argument("--into", type=Path, default=Path(tempfile.gettempdir()) / "quarterdeck-real-reviews")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    chosen = tuple(p for p in PAIRS if not given.names or p.name in given.names)
    for line in survey(chosen, given.into):
        print(line, flush=True)
    return 0 if chosen else 2


if __name__ == "__main__":
    sys.exit(main())
