"""Intake: from two commits to a `Change`, on the host, by reading only (A3)."""

from __future__ import annotations

from ...protocol.errors import BadInput
from . import diff
from .git import Git, GitFailed
from .model import Change, Commit, FileChange, Hunk
from .paths import shown, to_bytes
from .repository import Range, Repository
from .risk import assess, count, listed
from .symbols import changed_symbols
from .trees import leads_out

MAX_COMMITS = 1_000
MAX_FILES = 20_000
PATCH_BYTES = 64 << 20
_TEXT_CHARS = 20_000


def read_change(repo: Repository, span: Range) -> Change:
    """Describe the change from `span.base_sha` to `span.head_sha`.

    Counts are exact at any size; hunks beyond the caps of `diff.py` are left out, with a note and `truncated`.
    Raises BadInput for an empty diff and for objects that the clone lacks.
    """
    try:
        raw = diff.raw_files(repo.git, span.base_sha, span.head_sha)
        if not raw:
            raise BadInput(
                f"There is nothing to review: {span.label} has commits, but base and head hold the same files.",
                hint="Check the refs: git diff --stat " + f"{span.base_sha[:12]} {span.head_sha[:12]}",
                param="base",
            )
        notes: list[str] = []
        files = _files(repo, span, raw, notes)
        commits = _commits(repo.git, span, notes)
        symbols, symbol_notes = changed_symbols(repo, span, files)
    except GitFailed as error:
        raise BadInput(f"The change cannot be read: {error.message}", hint="Check the clone with: git fsck") from error
    risk, reasons = assess(files, symbols)
    return Change(
        repository=repo.name,
        base=span.base_sha,
        head=span.head_sha,
        commits=commits,
        files=files,
        symbols=symbols,
        risk=risk,
        risk_reasons=reasons,
        notes=(*notes, *symbol_notes),
    )


def diff_patch(repo: Repository, span: Range) -> bytes:
    """Return the unified diff, names quoted as git does: the artifact. Cut at 64 MB with a last line that says so."""
    data, cut = diff.unified_diff(repo.git, span.base_sha, span.head_sha, PATCH_BYTES)
    return data + (b"# Cut here: the diff is larger than %d MB.\n" % (PATCH_BYTES >> 20) if cut else b"")


def _files(repo: Repository, span: Range, raw: list[diff.RawFile], notes: list[str]) -> tuple[FileChange, ...]:
    if len(raw) > MAX_FILES:
        raise BadInput(
            f"The change touches {len(raw):,} files, more than the {MAX_FILES:,} that a review reads.", hint="Review a smaller range."
        )
    quiet = frozenset(
        f.path for f in raw if f.added is None or "160000" in (f.mode, f.old_mode) or f.added + (f.deleted or 0) > diff.FILE_LINES
    )
    hunks, dropped = diff.read_hunks(repo.git, span.base_sha, span.head_sha, quiet)
    files = tuple(_file(f, hunks.get(f.path, []), f.path in dropped or (f.path in quiet and f.added is not None)) for f in raw)
    cut = [f for f in files if f.truncated and not f.submodule]
    if cut:
        lines = sum(f.added + f.deleted for f in cut)
        what = f"{count(len(cut), 'file')} ({lines:,} changed lines)"
        notes.append(f"The lines of {what} were counted but not kept, for size: {listed([f.path for f in cut])}.")
    if binary := [f.path for f in files if f.binary]:
        notes.append(f"Binary files have no lines to review: {listed(binary)}.")
    if modules := [f.path for f in files if f.submodule]:
        notes.append(f"Submodules are reviewed as a moved commit only; their content is not fetched: {listed(modules)}.")
    _note_links(repo, span, files, notes)
    if escaped := [f.path for f in files if f.path.encode("utf-8", "surrogatepass") != to_bytes(f.path)]:
        notes.append(f"Names that are not UTF-8 are shown with their bytes as \\xNN: {listed(escaped)}.")
    return files


def _file(raw: diff.RawFile, hunks: list[Hunk], truncated: bool) -> FileChange:
    submodule = "160000" in (raw.mode, raw.old_mode)
    return FileChange(
        path=raw.path,
        status=raw.status,
        old_path=raw.old_path,
        binary=raw.added is None,
        symlink="120000" in (raw.mode, raw.old_mode),
        submodule=submodule,
        added=raw.added or 0,
        deleted=raw.deleted or 0,
        hunks=tuple(hunks),
        truncated=truncated and not submodule,
    )


def _note_links(repo: Repository, span: Range, files: tuple[FileChange, ...], notes: list[str]) -> None:
    tree = repo.tree(span.head_sha)
    links = [f.path for f in files if f.path in tree and tree[f.path].symlink]
    if not links:
        return
    with repo.git.batch() as objects:
        out = [path for path in links if leads_out(to_bytes(path), objects.read(tree[path].oid, 4096) or b"/")]
    if out:
        notes.append(f"Symbolic links that lead out of the tree: {listed(out)}.")


def _commits(git: Git, span: Range, notes: list[str]) -> tuple[Commit, ...]:
    """The commits of the head that the base lacks, newest first."""
    total = int(git.run("rev-list", "--count", f"{span.base_sha}..{span.head_sha}"))
    if total > MAX_COMMITS:
        notes.append(f"The newest {MAX_COMMITS:,} of {total:,} commits were read.")
    return read_commits(git, f"{span.base_sha}..{span.head_sha}", MAX_COMMITS)


def read_commits(git: Git, revisions: str, most: int, *, merges: bool = True) -> tuple[Commit, ...]:
    """Read commit messages as text: undecodable bytes become U+FFFD, very long ones are cut."""
    options = ["-z", "--no-show-signature", "--no-color", f"--max-count={most}", "--format=tformat:%H%n%an%n%s%n%b"]
    out = git.run("log", *options, *([] if merges else ["--no-merges"]), revisions)
    commits: list[Commit] = []
    for record in out.split(b"\0"):
        sha, _, rest = record.decode("utf-8", "replace").partition("\n")
        author, _, rest = rest.partition("\n")
        subject, _, body = rest.partition("\n")
        if sha:
            commits.append(Commit(sha=sha, author=shown(author)[:200], subject=subject[:1000], body=body.strip()[:_TEXT_CHARS]))
    return tuple(commits)
