"""What a review talks about, as plain data. Everything in a report is derived from these and from the artifacts.

The flow:  git -> Change;  Change -> Probe plans -> RawRun artifacts -> Findings, TestReport, ... -> report files.
Plans and parsers are pure; only the workflow runs commands, and every raw output is kept as an artifact.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Severity = Literal["low", "medium", "high"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high")


class Hunk(msgspec.Struct, frozen=True):
    """One hunk of a file's diff, zero context. Line numbers start at 1; `added` maps head line numbers to text."""

    base_start: int
    base_lines: int
    head_start: int
    head_lines: int
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class FileChange(msgspec.Struct, frozen=True):
    """One changed path. Paths are UTF-8 with undecodable bytes as surrogates escaped to `\\xNN`; never trusted."""

    path: str
    status: Literal["added", "modified", "deleted", "renamed", "type-changed"]
    old_path: str = ""
    binary: bool = False
    symlink: bool = False
    submodule: bool = False
    added: int = 0
    deleted: int = 0
    hunks: tuple[Hunk, ...] = ()
    truncated: bool = False
    """True when the hunks were left out because the change is too big; counts are still exact."""

    def head_lines(self) -> dict[int, str]:
        """The added or changed lines of the head: number -> text."""
        return {h.head_start + i: t for h in self.hunks for i, t in enumerate(h.added)}


class Symbol(msgspec.Struct, frozen=True):
    """A function, method or class that the change touches. `public`: no leading underscore in its dotted path."""

    path: str
    name: str
    kind: Literal["function", "method", "class"]
    change: Literal["added", "removed", "modified"]
    public: bool
    line: int
    signature: str = ""
    old_signature: str = ""
    documented: bool = True


class Commit(msgspec.Struct, frozen=True):
    sha: str
    author: str
    subject: str
    body: str = ""


class Change(msgspec.Struct, frozen=True):
    """A pull request as facts. `risk` is derived by rules that `risk_reasons` name."""

    repository: str
    base: str
    head: str
    commits: tuple[Commit, ...]
    files: tuple[FileChange, ...]
    symbols: tuple[Symbol, ...] = ()
    risk: Severity = "low"
    risk_reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be read or was cut, one sentence each."""

    @property
    def added(self) -> int:
        return sum(f.added for f in self.files)

    @property
    def deleted(self) -> int:
        return sum(f.deleted for f in self.files)

    def file(self, path: str) -> FileChange | None:
        return next((f for f in self.files if f.path == path), None)


class Finding(msgspec.Struct, frozen=True):
    """One thing that a reader of the pull request should look at.

    `evidence` quotes the source line or the tool's own words; `artifact` names where it comes from.
    `fingerprint` is stable across line moves: it is what `findings dismiss` remembers.
    """

    tool: str
    rule: str
    severity: Severity
    path: str
    line: int
    message: str
    evidence: str
    artifact: str
    fingerprint: str
    end_line: int = 0
    help: str = ""


class NotChecked(msgspec.Struct, frozen=True):
    """Something that could not be checked, and why. Never silently left out."""

    what: str
    why: str


LOG_BYTES = 2 << 20


class Plan(msgspec.Struct, frozen=True):
    """A command that a probe wants run in the sandbox. `output` names a file inside to read instead of stdout."""

    name: str
    argv: tuple[str, ...]
    cwd: str = "/workspace/head"
    env: dict[str, str] = {}
    timeout_s: float = 300.0
    output: str = ""
    output_bytes: int = 8 << 20

    @property
    def stream_bytes(self) -> int:
        """How much of stdout and stderr is kept, head and tail: they are but a log where a file holds the result."""
        return min(self.output_bytes, LOG_BYTES) if self.output else self.output_bytes


class RawRun(msgspec.Struct, frozen=True):
    """What a plan's command did, verbatim: the artifact `raw/NAME.json`."""

    name: str
    argv: tuple[str, ...]
    state: str
    exit_code: int | None
    stdout: str
    stderr: str
    output: str = ""
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return self.state == "exited" and self.exit_code == 0


class TestCase(msgspec.Struct, frozen=True):
    """One test of one run. `id` is `classname::name` of the JUnit file."""

    __test__ = False
    id: str
    outcome: Literal["passed", "failed", "error", "skipped"]
    seconds: float = 0.0
    message: str = ""


class TestReport(msgspec.Struct, frozen=True):
    """Base against head. Ids are those of TestCase; `flaky` failed once and passed on a re-run of the same side."""

    __test__ = False
    runner: str
    base: tuple[TestCase, ...] = ()
    head: tuple[TestCase, ...] = ()
    newly_failing: tuple[str, ...] = ()
    newly_passing: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed_lines: int = 0
    """Executable changed lines of the head that coverage knows."""
    covered_lines: int = 0
    uncovered: dict[str, tuple[int, ...]] = {}
    not_checked: tuple[NotChecked, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """The technical summary: what changed and why it matters. `source` is `template` or the model's name."""

    text: str
    source: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The repository's own `[review]` table of `quarterdeck.toml`, read from the base, over the defaults."""

    fail_on: Severity = "high"
    ticket_on: Severity = "high"
    tests: str = ""
    """A command that replaces discovery; run with bash in the checkout."""
    test_timeout_s: float = 600.0
    exclude: tuple[str, ...] = ()
    max_complexity: int = 12
    extras: dict[str, Any] = {}
