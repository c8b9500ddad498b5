"""Git repositories that come out the same every time: fixed people, fixed dates, no user's configuration.

The project inside is *harbor*, a small warehouse library. Its files lie beside this module in `harbor/`, each with `.txt` behind its
name, so that no tool takes them for a part of Quarterdeck.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from quarterdeck.protocol.errors import BadInput, QuarterdeckError

PEOPLE = ("Ada Vance <ada@harbor.example>", "Jon Mora <jon@harbor.example>", "Rika Holm <rika@harbor.example>")
FIRST_COMMIT = 1_767_600_000
"""Unix time of the first commit (2026-01-05); each later one comes 5 hours after."""
CHANGELOG_HEAD = "# Changelog\n\n## Unreleased\n\n"

BASE_HISTORY: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("chore: start the project", "", ("pyproject.toml", "README.md", "CHANGELOG.md", ".gitignore", "src/harbor/__init__.py")),
    ("feat: parse, show and split amounts", "Amounts of money in whole cents.", ("src/harbor/money.py", "tests/test_money.py")),
    ("feat: count and reserve stock", "Stock with reservations.", ("src/harbor/stock.py", "tests/test_stock.py")),
    (
        "feat: prices and orders",
        "Customer tiers, discounts, tax and order lines.",
        ("src/harbor/pricing.py", "src/harbor/orders.py", "tests/test_pricing.py", "tests/test_orders.py"),
    ),
    ("feat: shipping costs by zone", "Shipping costs for three zones.", ("src/harbor/shipping.py", "tests/test_shipping.py")),
    (
        "feat: read item lists and cache exchange rates",
        "CSV import and a cache for exchange rates.",
        (
            "src/harbor/importer.py", "src/harbor/__main__.py", "src/harbor/config.py", "src/harbor/cache.py",
            "tests/test_importer.py", "tests/test_cache.py",
        ),
    ),
    ("ci: test every pull request", "", (".github/workflows/ci.yml", "Dockerfile", "deploy/harbor.env", "scripts/release.py")),
)  # fmt: skip
"""Subject, changelog entry, files."""


@dataclass(frozen=True)
class Edit:
    """One replacement in one file. `old` must occur exactly once; an empty `old` appends, or makes the file."""

    path: str
    new: str
    old: str = ""


def template(path: str) -> str:
    """The text of a file of harbor's base, before any history."""
    node: Traversable = resources.files(__package__) / "harbor"
    *folders, name = (f"dot_{part[1:]}" if part.startswith(".") else part for part in path.split("/"))
    return node.joinpath(*folders, f"{name}.txt").read_text("utf-8")


class Repository:
    """A repository in the making. Commits are numbered, and their dates, people and therefore ids follow from the number."""

    def __init__(self, path: Path) -> None:
        """Make an empty repository with the branch `main` in a new or empty folder. Raises BadInput if something is there."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise BadInput(f"{path} exists and is not an empty folder.", hint="Name a folder that does not exist yet.")
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.commits = 0
        self.git("init", "--quiet", "--template=", "--object-format=sha1", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """Run git here without anybody's configuration or hooks. Returns its output; raises QuarterdeckError with git's words."""
        name, _, mail = PEOPLE[self.commits % len(PEOPLE)].rstrip(">").partition(" <")
        date = f"{FIRST_COMMIT + self.commits * 18_000} +0000"
        env = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": os.devnull, "LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail, "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail, "GIT_COMMITTER_DATE": date,
        }  # fmt: skip
        options = ("-c", "commit.gpgsign=false", "-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0")
        argv = ["git", *options, *arguments]
        try:
            done = subprocess.run(argv, cwd=self.path, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise QuarterdeckError("git was not found.", hint="Install it: sudo apt-get install git") from None
        if done.returncode:
            raise QuarterdeckError(f"git {arguments[0]} failed in {self.path}: {done.stderr.strip()}")
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")

    def read(self, path: str) -> str:
        return (self.path / path).read_text("utf-8")

    def edit(self, edits: Iterable[Edit]) -> None:
        """Apply edits. Raises ValueError for one whose `old` is not there exactly once: the catalogue contradicts itself."""
        for edit in edits:
            if not edit.old:
                before = self.read(edit.path) if (self.path / edit.path).exists() else ""
                self.write(edit.path, before + edit.new)
                continue
            text = self.read(edit.path)
            if text.count(edit.old) != 1:
                raise ValueError(f"{edit.path} holds {text.count(edit.old)} times, not once: {edit.old!r}")
            self.write(edit.path, text.replace(edit.old, edit.new))

    def note(self, entry: str) -> None:
        """Add an entry to the changelog, newest first."""
        self.write("CHANGELOG.md", self.read("CHANGELOG.md").replace(CHANGELOG_HEAD, f"{CHANGELOG_HEAD}- {entry}\n", 1))

    def commit(self, subject: str) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", subject)
        self.commits += 1

    def tip(self) -> str:
        """The id of the newest commit."""
        return self.git("rev-parse", "HEAD")

    def line_of(self, path: str, marker: str) -> int:
        """The number of the first line that holds `marker`, from 1. Raises ValueError when none does."""
        for number, line in enumerate(self.read(path).splitlines(), 1):
            if marker in line:
                return number
        raise ValueError(f"{path} has no line with {marker!r}")


def base(path: Path) -> Repository:
    """Make harbor with its history on `main`: seven commits, all tests passing, its own linter content."""
    repository = Repository(path)
    for subject, entry, files in BASE_HISTORY:
        for name in files:
            repository.write(name, template(name))
        if entry:
            repository.note(entry)
        repository.commit(subject)
    return repository
