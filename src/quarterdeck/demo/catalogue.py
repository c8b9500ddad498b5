"""Builds the demo's repositories. The same seed gives the same commits, to the last bit of their ids.

`build`         a pull request on harbor with faults drawn from the catalogue, among honest edits
`build_attack`  a pull request whose conftest.py tries to get out of the sandbox
`build_broken`  harbor with one bug and a test that fails, for an agent to repair
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from .faults import KINDS, RULES, Decoy, Fault, Kind, catalogue, draw, of_kind
from .repository import Edit, Repository, base

FEWEST = 4
"""At least so many of the seven kinds are in every pull request."""
DECOYS = 3
"""So many honest edits stand among them, beside the feature that the pull request is about."""
LINE_SLACK = 2
"""A finding this many lines beside the fault still points at it (tools name the statement or the definition)."""


@dataclass(frozen=True)
class SeededFault:
    """A fault that was planted. `line` is in the head; 0 stands for the file as a whole. `rules`: see `faults.RULES`."""

    kind: Kind
    path: str
    line: int
    rules: tuple[str, ...]
    description: str

    def found_by(self, rule: str, path: str, line: int) -> bool:
        """Whether a finding with this rule at this place is about this fault. What is missing (docs) may be reported anywhere."""
        if not rule.startswith(self.rules):
            return False
        if self.path == "CHANGELOG.md":
            return rule == "conv/changelog"
        return path == self.path and (not self.line or abs(line - self.line) <= LINE_SLACK)


@dataclass(frozen=True)
class Seeded:
    """A repository with a pull request: `base` is the tip of `main`, `head` that of `feature`, which is checked out."""

    repo: Path
    base: str
    head: str
    faults: tuple[SeededFault, ...]
    tests_failing: tuple[str, ...]
    """Ids of the tests that fail in the head and pass in the base, as `classname::name` of JUnit."""


@dataclass(frozen=True)
class Broken:
    """A repository with one planted bug: what fails, and where. `right` is the text that `wrong` took the place of."""

    repo: Path
    head: str
    test: str
    path: str
    line: int
    wrong: str
    right: str
    description: str


def build(target: Path, seed: int) -> Seeded:
    """Build the pull request of a seed in the new or empty folder `target`. Raises BadInput if something is there."""
    random = Random(f"pull request {seed}")
    kinds = random.sample(KINDS, random.randint(FEWEST, len(KINDS)))
    chosen = [draw(kind, random) for kind in sorted(kinds, key=KINDS.index)]
    silent = any(fault.omit_changelog for fault in chosen)
    feature, *decoys = catalogue().decoy
    steps: list[Fault | Decoy] = [*chosen, *random.sample(decoys, DECOYS)]
    random.shuffle(steps)

    repository, base_commit = _branch(target)
    for step in (feature, *steps):
        repository.edit(step.edits)
        if step.entry and not silent:
            repository.note(step.entry)
        repository.commit(step.subject)
    planted = tuple(
        SeededFault(
            fault.kind,
            fault.path,
            repository.line_of(fault.path, fault.marker) if fault.marker else 0,
            RULES[fault.kind],
            fault.description,
        )
        for fault in chosen
    )
    failing = tuple(test for fault in chosen for test in fault.failing)
    return Seeded(repository.path, base_commit, repository.tip(), planted, failing)


def build_attack(target: Path, canary: Path, port: int) -> Seeded:
    """Build a pull request whose conftest.py reads and changes the file `canary` and connects to `port` on this machine.

    It says what came of each attempt in pytest's own output, in lines that begin with `ATTACK`: `blocked (why)` or `got through`.
    """
    repository, base_commit = _branch(target)
    source = ATTACK.replace("'CANARY'", repr(str(canary))).replace("'PORT'", repr(port))
    repository.edit([Edit("tests/conftest.py", source)])
    repository.commit("test: share fixtures between modules")
    return Seeded(repository.path, base_commit, repository.tip(), (), ())


def build_broken(target: Path, seed: int) -> Broken:
    """Build harbor with the seed's bug committed on `main`, followed by an honest commit. One test fails."""
    random = Random(f"broken {seed}")
    bugs = of_kind("failing-test")
    bug = bugs[seed % len(bugs)]
    later = random.choice(catalogue().decoy)
    repository = base(target)
    repository.edit(bug.edits)
    repository.commit(bug.subject)
    repository.edit(later.edits)
    if later.entry:
        repository.note(later.entry)
    repository.commit(later.subject)
    (edit,) = bug.edits
    (test,) = bug.failing
    line = repository.line_of(bug.path, bug.marker)
    return Broken(repository.path, repository.tip(), test, bug.path, line, edit.new, edit.old, bug.description)


def _branch(target: Path) -> tuple[Repository, str]:
    """Harbor with the new branch `feature` checked out, and the id of the tip of `main`."""
    repository = base(target)
    tip = repository.tip()
    repository.git("checkout", "--quiet", "-b", "feature")
    return repository, tip


ATTACK = '''\
"""Fixtures that several test modules share."""

import socket
from pathlib import Path

CANARY = Path('CANARY')
ATTEMPTS = {
    "read a file outside": lambda: CANARY.read_text(),
    "change a file outside": lambda: CANARY.write_text("changed"),
    "connect to the host": lambda: socket.create_connection(("127.0.0.1", 'PORT'), 2),
    "look up a name": lambda: socket.getaddrinfo("harbor.example", 80),
}


def attempt(action):
    try:
        action()
    except Exception as error:
        return f"blocked ({type(error).__name__})"
    return "got through"


RESULTS = {name: attempt(action) for name, action in ATTEMPTS.items()}


def pytest_terminal_summary(terminalreporter):
    for name, result in RESULTS.items():
        terminalreporter.write_line(f"ATTACK {name}: {result}")
'''
