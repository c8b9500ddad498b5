"""The repository's habits, learned from the base's own history and files, and what of the change departs from them.

A habit is only what the base follows in at least 80 % of enough cases; nobody is held to a rule that the project ignores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from . import areas
from .diff import touched_paths
from .findings import make
from .intake import read_commits
from .model import Change, Commit, Finding, Severity, Symbol
from .paths import shown
from .repository import Range, Repository
from .risk import listed
from .signatures import same_call
from .symbols import is_public, parse

ARTIFACT = "habits.json"
SHARE = 0.8
MIN_COMMITS, MAX_COMMITS = 10, 200
MIN_DOCUMENTED, MAX_SOURCES, MAX_SOURCE_BYTES = 10, 200, 8 << 20
MAX_TEST_FILES, MAX_TEST_BYTES = 5_000, 64 << 20
CHANGELOG_NAMES = ("CHANGELOG", "CHANGES", "HISTORY", "NEWS", "RELEASE_NOTES")
SUBJECT_CHARS = 72
MANY_IN_A_FILE = 3

_CONVENTIONAL = re.compile(r"[a-z]+(\([^()]*\))?!?: \S")
_MERGE = re.compile(r"(Merge|Revert|Reapply)\b|Bump ")
_FIXUP = re.compile(r"(fixup|squash|amend)!|wip\b", re.IGNORECASE)
_SIGNED = re.compile(r"^Signed-off-by: \S", re.MULTILINE)
_UNRELEASED = re.compile(rb"^(#{1,4} *\[?|\[)?(unreleased|next|in development|dev)\b", re.IGNORECASE | re.MULTILINE)


class Message(msgspec.Struct, frozen=True):
    subject: str
    signed: bool


class Habits(msgspec.Struct, frozen=True):
    """What was counted in the base, and in the head for the new symbols: the artifact `habits.json`."""

    messages: tuple[Message, ...] = ()
    """The base's newest commits that are no merges, newest first."""
    source_commits: int = 0
    changelog_commits: int = 0
    """Of the base's steps that touched source: how many there were, and how many touched the change log, too."""
    changelog: str = ""
    """The head's change log, or empty."""
    unreleased: bool = False
    """Whether it has a section for what is not released yet."""
    test_files: int = 0
    """Python test files of the base."""
    mentioned: tuple[str, ...] = ()
    """New public names that some test file of the head mentions."""
    public_symbols: int = 0
    documented_symbols: int = 0
    """Public definitions of the base that were looked at, and how many have a docstring."""


def learn(repo: Repository, span: Range, change: Change) -> Habits:
    """Count what is to be known of base and head. Reads only."""
    commits = read_commits(repo.git, span.base_sha, MAX_COMMITS, merges=False)
    steps = touched_paths(repo.git, span.base_sha, MAX_COMMITS)
    source = [names for names in steps if any(areas.area(n) == "source" for n in names)]
    base_paths, head_paths = list(repo.tree(span.base_sha)), list(repo.tree(span.head_sha))
    changelog = find_changelog(head_paths)
    text = repo.read(span.head_sha, changelog) if changelog else None
    public, documented = _documentation(repo, span, base_paths)
    return Habits(
        messages=tuple(Message(c.subject, bool(_SIGNED.search(c.body))) for c in commits),
        source_commits=len(source),
        changelog_commits=sum(any(areas.area(n) == "changelog" for n in names) for names in source),
        changelog=changelog,
        unreleased=bool(text and _UNRELEASED.search(text)),
        test_files=sum(areas.is_python(p) and areas.is_test(p) for p in base_paths),
        mentioned=_mentioned(repo, span, change, head_paths),
        public_symbols=public,
        documented_symbols=documented,
    )


def find_changelog(paths: Sequence[str]) -> str:
    """The change log at the root or in `docs/`; the first usual name counts."""
    ranked = [(CHANGELOG_NAMES.index(stem), p.count("/"), p) for p in paths if (stem := _changelog_stem(p)) in CHANGELOG_NAMES]
    return min(ranked)[2] if ranked else ""


def _changelog_stem(path: str) -> str:
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.partition(".")
    return stem.upper().replace("-", "_") if folder in ("", "docs", "doc") and (not dot or suffix in ("md", "rst", "txt")) else ""


def _documentation(repo: Repository, span: Range, paths: list[str]) -> tuple[int, int]:
    sources = [p for p in paths if areas.is_python(p) and areas.is_api(p)][:MAX_SOURCES]
    budget, chosen = MAX_SOURCE_BYTES, []
    for path in sources:
        budget -= repo.tree(span.base_sha)[path].size
        if budget > 0:
            chosen.append(path)
    data = repo.read_many(span.base_sha, chosen)
    found = [
        definition.documented
        for path, parsed in zip(data, parse(list(data.values())), strict=True)
        for name, definition in parsed.definitions.items()
        if is_public(path, name)
    ]
    return len(found), sum(found)


def _mentioned(repo: Repository, span: Range, change: Change, paths: list[str]) -> tuple[str, ...]:
    names = {s.name.rpartition(".")[2] for s in new_public(change)}
    tests = [p for p in paths if areas.is_test(p) and areas.is_python(p)][:MAX_TEST_FILES]
    budget, found = MAX_TEST_BYTES, set[str]()
    for start in range(0, len(tests), 200):
        for data in repo.read_many(span.head_sha, tests[start : start + 200]).values():
            budget -= len(data)
            found |= names & set(re.findall(r"\w+", data.decode("utf-8", "replace")))
        if budget < 0 or found == names:
            break
    return tuple(sorted(found))


def new_public(change: Change) -> list[Symbol]:
    return [s for s in change.symbols if s.public and s.change == "added"]


def judge(habits: Habits, change: Change) -> list[Finding]:
    """Compare the change with the habits. Pure: the same facts give the same findings."""
    return [*_messages(habits, change), *_tests(habits, change), *_docs(habits, change), *_changelog(habits, change)]


Rule = tuple[str, str, Callable[[Message], bool], str]


def _rules(conventional: bool) -> list[Rule]:
    rules: list[Rule] = [
        (
            "conv/commit-length",
            f"a subject of at most {SUBJECT_CHARS} characters",
            lambda m: len(m.subject) <= SUBJECT_CHARS,
            "Shorten it.",
        ),
        ("conv/commit-period", "a subject without a full stop at its end", lambda m: not m.subject.endswith("."), "Drop the full stop."),
        ("conv/commit-signed", "a Signed-off-by line", lambda m: m.signed, "git commit --amend --signoff"),
        (
            "conv/commit-conventional",
            "a conventional subject (`type: text`)",
            lambda m: bool(_CONVENTIONAL.match(m.subject)),
            "Name its type: `fix: ...`",
        ),
    ]
    if not conventional:
        capital: Rule = (
            "conv/commit-capital",
            "a subject that begins with a capital letter",
            lambda m: not m.subject[:1].islower(),
            "Capitalise it.",
        )
        rules.append(capital)
    return rules


def _messages(habits: Habits, change: Change) -> Iterator[Finding]:
    base = [m for m in habits.messages if not _MERGE.match(m.subject)]
    own = [(c, Message(c.subject, bool(_SIGNED.search(c.body)))) for c in change.commits if not _MERGE.match(c.subject)]
    for commit, message in own:
        if _FIXUP.match(message.subject):
            yield _commit(
                "conv/commit-fixup", commit, "This commit is marked as unfinished.", "Squash it before merging: git rebase -i --autosquash"
            )
    if len(base) < MIN_COMMITS:
        return
    share = sum(bool(_CONVENTIONAL.match(m.subject)) for m in base) / len(base)
    for rule, habit, keeps, help_text in _rules(share >= SHARE):
        kept = sum(map(keeps, base))
        if kept >= SHARE * len(base):
            said = f"The base's commits have {habit} ({kept} of {len(base)}); this one has not."
            yield from (_commit(rule, c, said, help_text) for c, m in own if not keeps(m) and not _FIXUP.match(m.subject))


def _commit(rule: str, commit: Commit, message: str, help_text: str) -> Finding:
    quoted = shown(commit.subject) or "(empty subject)"
    return make(
        "conventions", rule, "low", "", 0, f"Commit {commit.sha[:12]}: {message}", evidence=quoted, artifact=ARTIFACT, help=help_text
    )


def _tests(habits: Habits, change: Change) -> Iterator[Finding]:
    if not habits.test_files:
        return
    known = set(habits.mentioned)
    unnamed = [s for s in new_public(change) if s.name.rpartition(".")[2] not in known]
    owners = {(s.path, s.name) for s in unnamed}
    alone = [s for s in unnamed if (s.path, s.name.rpartition(".")[0]) not in owners]
    yield from _symbols("conv/missing-test", "medium", alone, "No test file mentions the new public {}", "Add a test that uses it.")


def _docs(habits: Habits, change: Change) -> Iterator[Finding]:
    if habits.public_symbols < MIN_DOCUMENTED or habits.documented_symbols < SHARE * habits.public_symbols:
        return
    share = f"{habits.documented_symbols} of {habits.public_symbols} public definitions of the base have one"
    undocumented = [s for s in new_public(change) if not s.documented]
    yield from _symbols(
        "conv/missing-docstring",
        "low",
        undocumented,
        f"No docstring ({share}): the new public {{}}",
        "Say what it does, its errors and its units.",
    )


def _symbols(rule: str, severity: Severity, symbols: Sequence[Symbol], message: str, help_text: str) -> Iterator[Finding]:
    """One finding for each symbol, but one for a whole file that has many: it is one thing to decide."""
    by_path: dict[str, list[Symbol]] = {}
    for symbol in symbols:
        by_path.setdefault(symbol.path, []).append(symbol)
    for path, inside in by_path.items():
        groups = [[s] for s in inside] if len(inside) <= MANY_IN_A_FILE else [inside]
        for group in groups:
            what = f"{group[0].kind} `{group[0].name}`" if len(group) == 1 else f"names {listed([f'`{s.name}`' for s in group], 8)}"
            quoted = group[0].signature or group[0].name
            yield make(
                "conventions",
                rule,
                severity,
                path,
                group[0].line,
                message.format(what) + ".",
                evidence=quoted,
                artifact=ARTIFACT,
                help=help_text,
            )


def _changelog(habits: Habits, change: Change) -> Iterator[Finding]:
    touched = any(areas.area(f.path) == "changelog" for f in change.files)
    if touched or not any(areas.area(f.path) == "source" for f in change.files):
        return
    api = [s for s in change.symbols if s.public and (s.change != "modified" or not same_call(s.old_signature, s.signature))]
    usual = habits.source_commits >= MIN_COMMITS and habits.changelog_commits >= SHARE * habits.source_commits
    if usual:
        counted = f"{habits.changelog_commits} of {habits.source_commits} steps of the base that touch source touch the change log, too"
        message, quoted = f"This change touches source and not the change log; {counted}.", "no change log entry"
    elif habits.changelog and habits.unreleased and api:
        message = f"{shown(habits.changelog)} has a section for unreleased changes, and this change of the public API is not in it."
        quoted = ", ".join(s.signature or s.old_signature for s in api[:5])
    else:
        return
    path = habits.changelog
    yield make(
        "conventions",
        "conv/changelog",
        "medium" if usual else "low",
        path,
        1 if path else 0,
        message,
        evidence=quoted,
        artifact=ARTIFACT,
        help="Add an entry; docs.patch may hold one.",
    )
