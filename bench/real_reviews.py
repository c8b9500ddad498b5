"""A29: successive source releases of well-known pure-Python packages, reviewed as base and head.

    python bench/real_reviews.py run [--mutants N] [--whole N] [--into DIR] [--until HH:MM] [NAME ...]
    python bench/real_reviews.py table     # draw the table of docs/real-projects.md from bench/results/real_reviews.json
    python bench/real_reviews.py survey    # what the releases look like

`run` goes on where an earlier one stopped: each result is in the JSON as soon as it is known. Counts, the unchanged head
and the first mutants come from the whole `quarterdeck review` in the real sandbox, further mutants from its tests stage
(real_stage.py; `--whole 20` sends all through the whole review). Beside it the same suite runs directly (real_direct.py).
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from real_direct import Direct, Environment
from real_mutants import Mutant, drawn
from real_record import Compared, Counts, Judged, Project, Results, Unchanged, Upgrade, Way, inserted, load, save, table
from real_releases import PAIRS, Pair, download, survey, test_folders
from real_stage import tests_stage

from quarterdeck import Runtime, __version__
from quarterdeck.workflows import Workflow
from quarterdeck.workflows.review import prepare, review, verify_report
from quarterdeck.workflows.review.derive import Suites
from quarterdeck.workflows.review.model import TestReport
from quarterdeck.workflows.review.suites.discover import is_test

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "real_reviews.json"
DOCUMENT = HERE.parent / "docs" / "real-projects.md"
SEED = "A29"
BATCH = 6
"""Mutants that share one run of the base's suite."""


class Reviewed(NamedTuple):
    """A review that came to its end."""

    tests: TestReport
    suites: Suites
    folder: Path
    seconds: float


class History:
    """A git repository: the base release, upon it the head, and upon the head whatever is tried."""

    def __init__(self, path: Path, base: Path, head: Path) -> None:
        self.path, self.head = path, head
        if not (path / "done").exists():
            subprocess.run(["rm", "-rf", str(path)], check=True)
            path.mkdir(parents=True)
            self.git("init", "-q", "-b", "base")
            self._commit(base, "the base release")
            self.git("checkout", "-q", "-b", "head")
            self._commit(head, "the head release")
            (path / ".git" / "info" / "exclude").write_text("/done\n")
            (path / "done").touch()

    def git(self, *arguments: str) -> None:
        kept = ["-c", "core.autocrlf=false", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(self.path), *kept, *arguments], check=True, stdout=subprocess.DEVNULL)

    def _commit(self, tree: Path, message: str) -> None:
        tracked = [p for p in self.path.iterdir() if p.name != ".git"]
        subprocess.run(["rm", "-rf", *map(str, tracked)], check=True)
        subprocess.run(["cp", "-aT", str(tree), str(self.path)], check=True)
        self.git("add", "-A", "-f", ".")
        self.git("commit", "-q", "-m", message)

    def branch(self, name: str, path: str, content: bytes) -> None:
        """A commit upon the head that gives one file new content."""
        self.git("checkout", "-q", "-f", "-B", name, "head")
        (self.path / path).write_bytes(content)
        self.git("add", "-f", "--", path)
        self.git("commit", "-q", "-m", f"Change {path}")


class Reviews:
    """Reviews of one history, in one HOME, so that wheels are fetched once."""

    def __init__(self, runtime: Runtime, home: Path, repo: Path) -> None:
        self.runtime, self.home, self.repo = runtime, home, repo

    async def _result(self, what: Workflow, value: Any) -> Any:
        run, _ = await self.runtime.start(what, value, labels=("untrusted:pr",))
        row = await self.runtime.drive(run)
        if row.state != "completed":
            raise SystemExit(f"{what.name} ended as {row.state}: {(await self.runtime.store.records(run))[-1].body}")
        return await self.runtime.result(run)

    async def __call__(self, base: str, head: str) -> Reviewed:
        """The whole review, as `quarterdeck review` does it."""
        began = time.monotonic()
        result = await self._result(review, prepare(self.repo, base=base, head=head, home=self.home))
        folder = Path(result["report"])
        tests = msgspec.json.decode((folder / "artifacts" / "tests.json").read_bytes(), type=TestReport)
        suites = msgspec.json.decode((folder / "artifacts" / "suites.json").read_bytes(), type=Suites)
        return Reviewed(tests, suites, folder, round(time.monotonic() - began, 1))

    async def tests_only(self, base: str, heads: Sequence[str]) -> list[TestReport]:
        """The review's tests stage alone, for several heads (see real_stage.py)."""
        values = [prepare(self.repo, base=base, head=head, home=self.home) for head in heads]
        return msgspec.convert(await self._result(tests_stage, values), list[TestReport])

    async def verified(self, reviewed: Reviewed) -> bool:
        return not (await verify_report(self.runtime.store, reviewed.folder)).problems


def compared(direct: Direct, tests: TestReport, side: str) -> Compared:
    cases = tests.base if side == "base" else tests.head
    count = {o: sum(c.outcome == o for c in cases) for o in ("passed", "failed", "error", "skipped")}
    bad = {c.id for c in cases if c.outcome in ("failed", "error")}
    return Compared(
        Counts(direct.passed, len(direct.failed), len(direct.errors), direct.skipped),
        Counts(count["passed"], count["failed"], count["error"], count["skipped"]),
        direct.finished and direct.bad == bad,
    )


class Trial(NamedTuple):
    """One mutant, and what is needed to run it directly."""

    number: int
    mutant: Mutant
    source: bytes
    env: Environment
    clean: Direct
    command: tuple[str, ...]

    def direct(self) -> Direct:
        """Run the suite over the mutant; the file is put back afterwards."""
        file = self.env.tree / self.mutant.path
        file.write_bytes(self.mutant.apply(self.source))
        try:
            return self.env.test(self.command, 30 + 10 * self.clean.seconds)
        finally:
            file.write_bytes(self.source)


class Bench:
    """One pair of releases, from the first review to the last mutant."""

    def __init__(self, pair: Pair, into: Path, results: Results, file: Path, runtime: Runtime) -> None:
        self.pair, self.into, self.results, self.file = pair, into, results, file
        self.project: Project = results.project(pair.name, pair.base, pair.head)
        self.trees = {"base": self._tree(pair.base), "head": self._tree(pair.head)}
        self.history = History(into / "histories" / pair.name, self.trees["base"], self.trees["head"])
        self.review = Reviews(runtime, runtime.home, self.history.path)

    def _tree(self, version: str) -> Path:
        found = download(self.pair.name, version, self.into)
        if isinstance(found, str):
            raise SystemExit(f"{self.pair.name} {version}: {found}")
        return found

    def say(self, text: str) -> None:
        print(f"{datetime.datetime.now(datetime.UTC):%H:%M:%S} {self.pair.name}: {text}", flush=True)

    def environment(self, side: str, suites: Suites) -> Environment:
        """The environment of one side: its own copy of the release, so that an editable build leaves the release clean."""
        folder = self.into / "direct" / f"{self.pair.name}-{side}"
        tree = folder / "tree"
        if not tree.exists():
            tree.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-aT", str(self.trees[side]), str(tree)], check=True)
        house = suites.base_house if side == "base" else suites.head_house
        made = Environment(folder, tree, suites.python, house)
        made.build()
        return made

    async def releases(self) -> Suites:
        """The review of base against head, and the direct run of each. Answers how the suites were run."""
        reviewed = await self.review("base", "head")
        p, tests, suite = self.project, reviewed.tests, reviewed.suites.head.suite
        p.runner, p.command = suite.runner, "python " + " ".join(self.pair.command)
        p.sources = "src/ layout" if self.pair.code.startswith("src/") else "flat layout"
        folders = test_folders(self.trees["head"])
        p.tests = f"tests in {folders[0].replace(self.pair.code, 'the package') if folders else '-'}"
        p.upgrade = Upgrade(
            len(tests.newly_failing), len(tests.newly_passing), len(tests.removed), tests.flaky,
            tuple(f"{n.what}: {n.why}" for n in tests.not_checked), await self.review.verified(reviewed), reviewed.seconds,
        )  # fmt: skip
        sides = {s: compared(self.environment(s, reviewed.suites).test(self.pair.command, 600), tests, s) for s in ("base", "head")}
        p.on_base, p.on_head = sides["base"], sides["head"]
        self.say(f"direct {p.on_base.direct.all} and {p.on_head.direct.all} tests, equal: {p.on_base.equal}, {p.on_head.equal}")
        return reviewed.suites

    async def unchanged(self) -> None:
        text = next(f for f in ("README.rst", "README.md") if (self.trees["head"] / f).is_file())
        self.history.branch("unchanged", text, (self.trees["head"] / text).read_bytes() + b"\nOne line more.\n")
        reviewed = await self.review("head", "unchanged")
        tests = reviewed.tests
        self.project.unchanged = Unchanged(
            text, len(tests.head), tests.newly_failing, tests.flaky, await self.review.verified(reviewed), reviewed.seconds
        )
        self.say(f"unchanged head: {len(tests.newly_failing)} of {len(tests.head)} newly failing, {reviewed.seconds} s")

    async def mutants(self, wanted: int, whole: int, until: float) -> None:
        """Draw, run directly, and review what the direct run kills, until there are enough."""
        if len(self.project.mutants) >= wanted:
            return
        suites = msgspec.json.decode((self.into / f"{self.pair.name}.suites.json").read_bytes(), type=Suites)
        env, p = self.environment("head", suites), self.project
        files = {f: (self.trees["head"] / f).read_bytes() for f in self._code()}
        candidates = drawn(files, f"{self.results.seed}:{self.pair.name}:{self.pair.head}")
        p.drawn.sites = len(candidates)
        for path, source in files.items():  # a run that was killed may have left its mutant
            (env.tree / path).write_bytes(source)
        clean = env.test(self.pair.command, 600)
        while len(p.mutants) < wanted and p.drawn.tried < len(candidates) and time.time() < until:
            single = sum(m.way == "review" for m in p.mutants) < whole
            size = 1 if single else min(BATCH, wanted - len(p.mutants))
            killed: list[tuple[Trial, Direct]] = []
            seen = msgspec.structs.replace(p.drawn)
            while len(killed) < size and seen.tried < len(candidates):
                trial = Trial(seen.tried, candidates[seen.tried], files[candidates[seen.tried].path], env, clean, self.pair.command)
                seen.tried += 1
                direct = trial.direct()
                seen.survived += direct.finished and not direct.bad - clean.bad
                seen.unfinished += not direct.finished
                killed += [(trial, direct)] if direct.finished and direct.bad - clean.bad else []
            p.mutants += await (self._whole if single else self._batch)(killed)
            p.drawn = seen
            save(self.results, self.file)

    async def _whole(self, killed: Sequence[tuple[Trial, Direct]]) -> list[Judged]:
        """One mutant after another through the whole review."""
        judged = []
        for trial, direct in killed:
            reviewed = await self.review("head", self._branch(trial))
            judged.append(self._judged(trial, direct, reviewed.tests, "review", reviewed.seconds))
        return judged

    async def _batch(self, killed: Sequence[tuple[Trial, Direct]]) -> list[Judged]:
        """Several mutants through the tests stage of the review."""
        began = time.monotonic()
        reports = await self.review.tests_only("head", [self._branch(trial) for trial, _ in killed]) if killed else []
        seconds = round((time.monotonic() - began) / max(1, len(killed)), 1)
        return [self._judged(trial, direct, tests, "tests stage", seconds) for (trial, direct), tests in zip(killed, reports, strict=True)]

    def _branch(self, trial: Trial) -> str:
        name = f"mutant-{trial.number}"
        self.history.branch(name, trial.mutant.path, trial.mutant.apply(trial.source))
        return name

    def _code(self) -> list[str]:
        top = self.trees["head"]
        names = [f.relative_to(top).as_posix() for f in sorted(top.glob(f"{self.pair.code}/**/*.py"))]
        return [n for n in names if not is_test(n)]

    def _judged(self, trial: Trial, direct: Direct, tests: TestReport, way: Way, seconds: float) -> Judged:
        reported, killed, flaky = set(tests.newly_failing), set(direct.bad - trial.clean.bad), set(tests.flaky)
        if (reported ^ killed) - flaky:
            for again in (trial.direct(), trial.direct()):
                flaky |= (again.bad ^ direct.bad) if again.finished else set()
        flaky &= reported ^ killed
        mutant = trial.mutant
        judged = Judged(
            trial.number, mutant.path, mutant.line, mutant.operator, mutant.before[:120], mutant.after[:120], len(killed), len(reported),
            min(killed), way, tuple(sorted(killed - reported - flaky)), tuple(sorted(reported - killed - flaky)), tuple(sorted(flaky)),
            round(direct.seconds, 2), seconds,
        )  # fmt: skip
        place = f"mutant {trial.number} {mutant.path}:{mutant.line} {mutant.operator}"
        self.say(f"{place}: killed by {len(killed)}, right: {judged.right}, {way} {seconds} s")
        return judged

    async def run(self, wanted: int, whole: int, until: float) -> None:
        p, kept = self.project, self.into / f"{self.pair.name}.suites.json"
        if p.upgrade is None or p.on_head is None or not kept.exists():
            kept.write_bytes(msgspec.json.encode(await self.releases()))
            save(self.results, self.file)
        if p.unchanged is None:
            await self.unchanged()
            save(self.results, self.file)
        await self.mutants(wanted, whole, until)
        save(self.results, self.file)


def deadline(text: str) -> float:
    """Today's HH:MM in UTC as a time stamp."""
    hour, minute = map(int, text.split(":"))
    return datetime.datetime.now(datetime.UTC).replace(hour=hour, minute=minute, second=0).timestamp()


def begun(file: Path, wanted: int) -> Results:
    """What an earlier run left, or nothing yet."""
    return load(file) if file.exists() else Results(platform.python_version(), __version__, SEED, wanted)


async def run(pairs: tuple[Pair, ...], into: Path, file: Path, wanted: int, whole: int, until: float) -> None:
    results = begun(file, wanted)
    results.wanted = max(results.wanted, wanted)
    async with Runtime(into / "home") as runtime:
        for pair in pairs:
            if time.time() < until:
                await Bench(pair, into, results, file, runtime).run(wanted, whole, until)


def draw() -> None:
    DOCUMENT.write_text(inserted(DOCUMENT.read_text(), table(load(RESULTS))))
    print(table(load(RESULTS)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["survey", "run", "table"])
    parser.add_argument("names", nargs="*", help="packages of the list; all when none is given")
    parser.add_argument("--into", type=Path, default=Path(tempfile.gettempdir()) / "quarterdeck-real-reviews")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON file that `run` writes")
    parser.add_argument("--mutants", type=int, default=20, help="mutants per package that the direct run kills")
    parser.add_argument("--whole", type=int, default=2, help="of these, how many go through the whole review (others: its tests stage)")
    parser.add_argument("--until", type=deadline, default=float("inf"), help="begin nothing after HH:MM UTC")
    given = parser.parse_intermixed_args()
    given.into.mkdir(parents=True, exist_ok=True)
    chosen = tuple(p for p in PAIRS if not given.names or p.name in given.names)
    if given.what == "run":
        asyncio.run(run(chosen, given.into, given.results, given.mutants, given.whole, given.until))
    elif given.what == "table":
        draw()
    else:
        for line in survey(chosen, given.into):
            print(line, flush=True)
    return 0 if chosen else 2


if __name__ == "__main__":
    sys.exit(main())
