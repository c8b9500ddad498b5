"""What `real_reviews.py` measured: the committed JSON, and the table of docs/real-projects.md drawn from it alone (A29)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

BEGIN, END = "<!-- table: begin (bench/real_reviews.py table) -->", "<!-- table: end -->"


Way = Literal["review", "tests stage"]


class Counts(msgspec.Struct, frozen=True):
    """Tests by outcome. A test that is expected to fail, and does, is skipped."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @property
    def all(self) -> int:
        return self.passed + self.failed + self.errors + self.skipped


class Compared(msgspec.Struct, frozen=True):
    """One release's suite, run directly and by the review."""

    direct: Counts
    reviewed: Counts
    same_failures: bool
    """The ids of the failing tests, if any, are the same too."""

    @property
    def equal(self) -> bool:
        return self.direct == self.reviewed and self.same_failures and self.direct.all > 0


class Upgrade(msgspec.Struct, frozen=True):
    """What the review of base against head said."""

    newly_failing: int
    newly_passing: int
    removed: int
    flaky: tuple[str, ...]
    not_checked: tuple[str, ...]
    """What the review said it could not do about the tests."""
    report_verified: bool
    seconds: float


class Unchanged(msgspec.Struct, frozen=True):
    """The review of a commit upon the head that only adds a line to a text file."""

    file: str
    tests: int
    newly_failing: tuple[str, ...]
    flaky: tuple[str, ...]
    report_verified: bool
    seconds: float


class Judged(msgspec.Struct, frozen=True):
    """A mutant that the direct run kills, and what the review of it reported as newly failing."""

    number: int
    path: str
    line: int
    operator: str
    before: str
    after: str
    killed_by: int
    """Tests that fail in the direct run of the mutant, and did not in the direct run of the head."""
    reported: int
    example: str
    way: Way
    """The whole review, or its tests stage alone (real_stage.py)."""
    missed: tuple[str, ...] = ()
    """In the direct run only."""
    unexpected: tuple[str, ...] = ()
    """In the review only."""
    flaky: tuple[str, ...] = ()
    """Left out of the comparison: the review called them flaky, or direct runs of the same mutant disagree about them."""
    direct_s: float = 0.0
    review_s: float = 0.0

    @property
    def right(self) -> bool:
        return not self.missed and not self.unexpected and self.killed_by > 0


class Drawn(msgspec.Struct):
    """How many mutants were drawn, and what became of those that are not judged."""

    sites: int = 0
    tried: int = 0
    survived: int = 0
    unfinished: int = 0
    """The direct run hung, crashed or could not collect its tests: there is no list of failing tests to compare with."""


class Project(msgspec.Struct):
    """One pair of releases."""

    name: str
    base: str
    head: str
    runner: str = ""
    sources: str = ""
    tests: str = ""
    command: str = ""
    upgrade: Upgrade | None = None
    on_base: Compared | None = None
    on_head: Compared | None = None
    unchanged: Unchanged | None = None
    drawn: Drawn = msgspec.field(default_factory=Drawn)
    mutants: list[Judged] = msgspec.field(default_factory=list)

    @property
    def right(self) -> int:
        return sum(m.right for m in self.mutants)


class Results(msgspec.Struct):
    """The whole file. `wanted` is the number of mutants per project that the run was asked for."""

    python: str
    quarterdeck: str
    seed: str
    wanted: int
    projects: list[Project] = msgspec.field(default_factory=list)

    def project(self, name: str, base: str, head: str) -> Project:
        found = next((p for p in self.projects if (p.name, p.base, p.head) == (name, base, head)), None)
        if found is None:
            found = Project(name, base, head)
            self.projects.append(found)
        return found


def load(path: Path) -> Results:
    return msgspec.json.decode(path.read_bytes(), type=Results)


def save(results: Results, path: Path) -> None:
    """Write beside, then rename: an interruption leaves the older file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    beside.replace(path)


HEADINGS = (
    "Project", "Releases", "Layout", "Runner", "Tests in base: direct / reviewed", "Tests in head: direct / reviewed",
    "Unchanged head: newly failing", "Mutants killed directly: reported right / judged", "of these, by the whole review",
)  # fmt: skip


def table(results: Results) -> str:
    """The Markdown table, and one line of totals."""
    rows = [_row(p) for p in results.projects]
    judged, right = sum(len(p.mutants) for p in results.projects), sum(p.right for p in results.projects)
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}", *(f"| {' | '.join(row)} |" for row in rows), ""]
    tried, survived = sum(p.drawn.tried for p in results.projects), sum(p.drawn.survived for p in results.projects)
    unfinished = sum(p.drawn.unfinished for p in results.projects)
    flaky = sum(bool(m.flaky) for p in results.projects for m in p.mutants)
    lines.append(
        f"{right} of {judged} mutants were reported with exactly the tests that fail in the direct run. {tried} were drawn:"
        f" {survived} survive the direct run, and {unfinished} keep it from ending, so neither can be compared."
        f" Mutants with a test left out as flaky: {flaky}."
        f" Python {results.python}, Quarterdeck {results.quarterdeck}, seed `{results.seed}`."
    )
    return "\n".join(lines)


def _row(p: Project) -> tuple[str, ...]:
    return (
        p.name, f"{p.base} → {p.head}", f"{p.sources}, {p.tests}", p.runner, _compared(p.on_base), _compared(p.on_head),
        "not run" if p.unchanged is None else str(len(p.unchanged.newly_failing)), f"{p.right} / {len(p.mutants)}",
        str(sum(m.way == "review" for m in p.mutants)),
    )  # fmt: skip


def _compared(found: Compared | None) -> str:
    if found is None:
        return "not run"
    return f"{_counts(found.direct)} / {_counts(found.reviewed)}{'' if found.equal else ' **differ**'}"


def _counts(c: Counts) -> str:
    parts = [(c.failed, "failed"), (c.errors, "errors"), (c.skipped, "skipped")]
    more = ", ".join(f"{n} {word}" for n, word in parts if n)
    return f"{c.all} ({more})" if more else str(c.all)


def inserted(document: str, drawn: str) -> str:
    """The document with `drawn` between its markers. Raises ValueError when it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{drawn}\n\n{END}{after}"
