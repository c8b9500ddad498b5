"""The documentation patch (A10): what the code itself proves about its documents, as a patch for `git apply` on the head.

Three kinds of facts: the change log entry, parameters that a docstring describes and the change took away, and signatures
that a page quotes and the change altered. Nothing is phrased, guessed or left as a placeholder; without facts the patch is
empty. It is never applied by itself: it is checked against the head in the shadow's own index, which no checkout sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from .areas import area, is_api, is_python
from .conventions_habits import find_changelog
from .docs_changelog import MAX_ENTRIES, changelog_edits, entries
from .docs_docstrings import stale_parameters, texts
from .docs_references import MAX_FILES, Rewrite, find, is_documentation, rewrite
from .git import GitFailed
from .model import Change, FileChange, NotChecked, Symbol
from .patches import Edit, edited, split_lines, unified
from .paths import shown
from .repository import Range, Repository
from .symbols import MAX_FILES as MAX_SOURCES
from .symbols import Definition, Parsed, definitions, is_public, parse

_PAGE_BYTES = 1 << 20


class DocsPatch(msgspec.Struct, frozen=True):
    """The patch (empty when there is nothing to say), the facts that it writes down, and what it could not say."""

    patch: bytes = b""
    facts: tuple[str, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()


class _Work(msgspec.Struct):
    """What is being collected."""

    repo: Repository
    span: Range
    change: Change
    old: dict[str, dict[str, Definition]]
    new: dict[str, dict[str, Definition]]
    files: list[FileChange]
    patches: dict[str, bytes] = msgspec.field(default_factory=dict)
    facts: list[str] = msgspec.field(default_factory=list)
    missing: list[NotChecked] = msgspec.field(default_factory=list)


def docs_patch(repo: Repository, span: Range, change: Change) -> DocsPatch:
    """Make the patch for the head of `span`. Reads only. Raises BadInput for a damaged clone."""
    files = [f for f in change.files if is_python(f.path) and f.status in ("modified", "renamed") and not (f.binary or f.symlink)]
    notes: list[str] = []
    files = files[:MAX_SOURCES]
    old = definitions(repo, span.base_sha, [f.old_path or f.path for f in files], "base", notes)
    new = definitions(repo, span.head_sha, [f.path for f in files], "head", notes)
    work = _Work(repo, span, change, old, new, files)
    renamed = _renamed(work)
    _changelog(work, renamed)
    _docstrings(work)
    _references(work, renamed)
    patch = b"".join(work.patches[path] for path in sorted(work.patches))
    if patch and not _applies(repo, span, patch):
        work.missing.append(NotChecked("documentation patch", "git would not apply it to the head, so it was dropped."))
        return DocsPatch(not_checked=tuple(work.missing))
    return DocsPatch(patch, tuple(work.facts), tuple(work.missing))


def _both(work: _Work, file: FileChange) -> tuple[dict[str, Definition], dict[str, Definition]]:
    return work.old.get(file.old_path or file.path, {}), work.new.get(file.path, {})


def _renamed(work: _Work) -> list[tuple[Symbol, Symbol]]:
    """Public functions that came and went in one file with the same parameters and body: one and only one of each."""
    pairs: list[tuple[Symbol, Symbol]] = []
    by_path: dict[str, list[Symbol]] = {}
    for symbol in work.change.symbols:
        if symbol.public and symbol.kind != "class" and symbol.change != "modified":
            by_path.setdefault(symbol.path, []).append(symbol)
    for file in work.files:
        old, new = _both(work, file)
        here = by_path.get(file.path, [])
        gone = [s for s in here if s.change == "removed" and s.name in old and old[s.name].body]
        come = [s for s in here if s.change == "added" and s.name in new and new[s.name].body]

        def key(symbol: Symbol, where: dict[str, Definition]) -> tuple[object, ...]:
            one = where[symbol.name]
            return (symbol.name.rpartition(".")[0], one.body, one.forms)

        for symbol in gone:
            same = [s for s in come if key(s, new) == key(symbol, old)]
            if len(same) == 1 and sum(key(g, old) == key(symbol, old) for g in gone) == 1:
                pairs.append((symbol, same[0]))
    return pairs


def _changelog(work: _Work, renamed: Sequence[tuple[Symbol, Symbol]]) -> None:
    if any(area(f.path) == "changelog" for f in work.change.files):
        return
    found = entries(work.change, renamed, _perhaps_inherited(work))
    path = find_changelog(list(work.repo.tree(work.span.head_sha)))
    data = work.repo.read(work.span.head_sha, path) if path and found else None
    if data is None:
        return
    if len(found) > MAX_ENTRIES:
        work.missing.append(NotChecked("change log entry", f"{len(found)} public changes are more than an entry for a person can hold."))
        return
    edits = changelog_edits(data, found)
    if isinstance(edits, str):
        work.missing.append(NotChecked("change log entry", f"{shown(path)} was left alone: {edits}."))
        return
    work.patches[path] = unified(path, split_lines(data), edits)
    work.facts += [f"{shown(path)}: {entry.render('`', True)}" for entry in found]


def _perhaps_inherited(work: _Work) -> set[tuple[str, str]]:
    heirs = {(path, name) for path, found in work.new.items() for name, one in found.items() if one.inherits}
    return {(s.path, s.name) for s in work.change.symbols if s.change == "removed" and (s.path, s.name.rpartition(".")[0]) in heirs}


def _docstrings(work: _Work) -> None:
    files = {f.path: f for f in work.files}
    for sources in work.repo.read_batches(work.span.head_sha, list(files)):
        wanted: list[tuple[str, list[bytes], list[Edit], list[str], dict[str, Definition]]] = []
        for path, data in sources.items():
            old, new = _both(work, files[path])
            if b"\r" not in data.replace(b"\r\n", b""):
                lines = split_lines(data)
                edits, facts = _stale(work, path, lines, old, new)
                wanted += [(path, lines, edits, facts, new)] if edits else []
        results = parse([edited(lines, edits) for _, lines, edits, _, _ in wanted])
        for (path, lines, edits, facts, new), result in zip(wanted, results, strict=True):
            if _same_code(result, new):
                work.patches[path] = unified(path, lines, edits)
                work.facts += facts
            else:
                work.missing.append(NotChecked(f"docstrings of {shown(path)}", "the edit would have changed more than docstrings."))


def _stale(
    work: _Work, path: str, lines: list[bytes], old: dict[str, Definition], new: dict[str, Definition]
) -> tuple[list[Edit], list[str]]:
    text, edits, facts = texts(lines), set[Edit](), list[str]()
    for name in sorted(old.keys() & new.keys()):
        stale = stale_parameters(lines, text, old[name], new[name])
        if stale.problem:
            work.missing.append(NotChecked(f"docstring of {name} in {shown(path)}", f"{stale.problem}."))
        edits |= set(stale.edits)
        facts += [f"{shown(path)}: `{name}` has no parameter `{p}` any more." for p in stale.removed]
        facts += [f"{shown(path)}: parameter `{a}` of `{name}` is called `{b}` now." for a, b in stale.renamed]
    return _apart(sorted(edits)), sorted(facts)


def _apart(edits: Sequence[Edit]) -> list[Edit]:
    """Drop edits that touch lines of an earlier one (a class and its `__init__` may share no docstring, but nobody knows)."""
    kept: list[Edit] = []
    for edit in edits:
        if not kept or edit.start >= kept[-1].end:
            kept.append(edit)
    return kept


def _same_code(after: Parsed, before: dict[str, Definition]) -> bool:
    """True when the edited source still defines the same names with the same signatures, and they are still documented."""

    def facts(found: dict[str, Definition]) -> dict[str, tuple[object, ...]]:
        return {name: (d.kind, d.signature, d.parameters, d.documented) for name, d in found.items()}

    return not after.error and facts(after.definitions) == facts(before)


def _references(work: _Work, renamed: Sequence[tuple[Symbol, Symbol]]) -> None:
    rewrites = _rewrites(work, renamed)
    gone = _gone(work, renamed)
    if not rewrites and not gone:
        return
    pages = [p for p in work.repo.tree(work.span.head_sha) if is_documentation(p)][:MAX_FILES]
    allowed = _other_meanings(work)
    batches = work.repo.read_batches(work.span.head_sha, pages, _PAGE_BYTES)
    for path, data in ((path, data) for batch in batches for path, data in batch.items()):
        if found := find(data, rewrites, allowed):
            by_line = {f.edit.start: f.edit for f in found}
            work.patches[path] = unified(path, split_lines(data), sorted(by_line.values()))
            work.facts += [f"{shown(path)} line {f.line}: `{f.old}` is `{f.new}` now." for f in found]
        for one in find(data, gone, allowed):
            why = f"line {one.line} quotes `{one.old}`, which this change removes; what to write instead is no fact of the code."
            work.missing.append(NotChecked(f"documentation in {shown(path)}", why))


def _rewrites(work: _Work, renamed: Sequence[tuple[Symbol, Symbol]]) -> list[Rewrite]:
    found: list[Rewrite | None] = []
    for file in work.files:
        old, new = _both(work, file)
        names = [n for n in old if n in new and is_public(file.path, n) and old[n].forms != new[n].forms]
        found += [rewrite(n, old[n], new[n]) for n in names]
        found += [rewrite(a.name, old[a.name], new[b.name], b.name) for a, b in renamed if a.path == file.path]
    return [r for r in found if r]


def _gone(work: _Work, renamed: Sequence[tuple[Symbol, Symbol]]) -> list[Rewrite]:
    """Removed public functions, as rewrites that only serve to find where they are quoted."""
    names = {(a.path, a.name) for a, _ in renamed}
    found: list[Rewrite] = []
    for file in work.files:
        old, new = _both(work, file)
        for name in sorted(old.keys() - new.keys()):
            if is_public(file.path, name) and (file.path, name) not in names and new:
                bare = name.rpartition(".")[2]
                found.append(Rewrite(bare, bare, tuple((form, f"{form}\0") for form in dict.fromkeys(old[name].forms))))
    return found


def _other_meanings(work: _Work) -> Callable[[Rewrite, str], bool]:
    """Answer whether an old spelling can mean only this function: no other definition of the head is written so."""
    known: list[set[str]] = []

    def allowed(one: Rewrite, form: str) -> bool:
        if not known:
            paths = [p for p in work.repo.tree(work.span.head_sha) if is_python(p) and is_api(p)][:MAX_SOURCES]
            heads = definitions(work.repo, work.span.head_sha, paths, "head", [])
            known.append({n.rpartition(".")[2] + f for found in heads.values() for n, d in found.items() for f in d.forms})
        return one.old_name + form not in known[0]

    return allowed


def _applies(repo: Repository, span: Range, patch: bytes) -> bool:
    """Ask git itself, over an index of our own in the shadow."""
    try:
        repo.git.run("read-tree", span.head_sha)
        repo.git.run("apply", "--cached", "--check", "--whitespace=nowarn", "-", stdin=patch)
    except GitFailed:
        return False
    return True
