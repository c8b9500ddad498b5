"""Running git on the host over a repository that nobody trusts.

Objects are read through a *shadow*: an empty git folder of our own whose object store is the repository's. So the
repository's configuration, hooks, attributes, grafts, replacements and index are never read when content is, and none
of them can run a program (`core.fsmonitor`, `diff.external`, text conversion, lazy fetch) or hide a change
(`*.py -diff`). Only names are looked up in the repository itself, with commands that run nothing.

`safe.directory` is waived for these reads: it protects against a foreign repository's configuration running programs,
which cannot happen here, and a review of somebody else's bare repository (a post-receive hook) is a normal thing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from ...protocol.errors import BadInput, ConfigError, DiskFull, StoreError, out_of_space
from .scratch import Scratch

TIMEOUT_S = 120.0
MAX_OUTPUT = 256 << 20
BIG_FILE = 16 << 20
"""Bytes. git treats larger files as binary, so that a diff stays in memory."""

_HARDENED = (
    "--no-pager",
    "--no-replace-objects",
    "--literal-pathspecs",
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.untrackedCache=false"),
    *("-c", "core.quotePath=true"),
    *("-c", f"core.bigFileThreshold={BIG_FILE}"),
    *("-c", "protocol.allow=never"),
)
_GLOBAL_CONFIG = "[safe]\n\tdirectory = *\n\tbareRepository = all\n"


class GitFailed(BadInput):
    """A git command failed; `stderr` is what it said."""

    def __init__(self, message: str, stderr: str) -> None:
        super().__init__(message, hint="Check the repository: git fsck")
        self.stderr = stderr


def _no_folder(error: OSError) -> StoreError:
    kind = DiskFull if out_of_space(error) else StoreError
    full = "the disk is full" if kind is DiskFull else error.strerror
    return kind(f"No temporary folder can be made in {tempfile.gettempdir()}: {full}.", hint="Free space, or set TMPDIR.")


class Git:
    """Runs hardened git commands, either in the repository (`at=`, names only) or over the shadow (content)."""

    def __init__(self) -> None:
        self.program = shutil.which("git") or ""
        if not self.program:
            raise ConfigError("git is not installed, or not on PATH.", hint="apt-get install git")
        try:
            self._folder = Scratch("quarterdeck-git-")
            self.shadow = self._folder.path
            (self.shadow / ".gitconfig").write_text(_GLOBAL_CONFIG)
        except OSError as error:
            raise _no_folder(error) from error
        self._objects = ""

    def close(self) -> None:
        self._folder.close()

    def attach(self, objects: str, object_format: str, shallow: bytes) -> None:
        """Make the shadow: `objects` is the repository's object folder, `shallow` the content of its `shallow` file."""
        try:
            self._shadow(object_format, shallow)
        except OSError as error:
            raise _no_folder(error) from error
        self._objects = objects

    def _shadow(self, object_format: str, shallow: bytes) -> None:
        extra = f"[extensions]\n\tobjectFormat = {object_format}\n" if object_format == "sha256" else ""
        version = 1 if extra else 0
        (self.shadow / "config").write_text(f"[core]\n\tbare = true\n\trepositoryFormatVersion = {version}\n{extra}")
        (self.shadow / "HEAD").write_text("ref: refs/heads/none\n")
        (self.shadow / "refs").mkdir(exist_ok=True)
        (self.shadow / "objects").mkdir(exist_ok=True)
        if shallow:
            (self.shadow / "shallow").write_bytes(shallow)

    def run(self, *args: str, at: Path | None = None, stdin: bytes = b"", timeout_s: float = TIMEOUT_S) -> bytes:
        """Return stdout. Raises GitFailed (exit status, too much output) or BadInput (timeout)."""
        with self.open(args, at=at, stdin=stdin, timeout_s=timeout_s) as stdout:
            data = stdout.read(MAX_OUTPUT + 1)
            if len(data) > MAX_OUTPUT:
                raise GitFailed(f"git {args[0]} printed more than {MAX_OUTPUT >> 20} MB.", "")
        return data

    @contextlib.contextmanager
    def open(self, args: Sequence[str], *, at: Path | None = None, stdin: bytes = b"", timeout_s: float = TIMEOUT_S) -> Iterator[IO[bytes]]:
        """Run a command and give its stdout as a stream; its status is checked when the block ends."""
        with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            process = subprocess.Popen(
                self._command(args), cwd=at or self.shadow, env=self._environment(at), stdin=given, stdout=subprocess.PIPE, stderr=errors,
                start_new_session=True,  # a Ctrl-C is ours to take: git must not fail of it while we stop
            )  # fmt: skip
            expired = threading.Event()

            def expire() -> None:
                expired.set()
                process.kill()

            timer = threading.Timer(timeout_s, expire)
            timer.daemon = True
            timer.start()
            try:
                assert process.stdout is not None
                yield process.stdout
                process.stdout.close()
                code = process.wait()
            finally:
                timer.cancel()
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if expired.is_set():
                raise BadInput(
                    f"git {args[0]} did not end within {timeout_s:.0f} s.", hint="Review a smaller range: --base REF --head REF."
                )
            if code != 0:
                errors.seek(0)
                said = errors.read(4000).decode("utf-8", "replace").strip()
                raise GitFailed(f"git {args[0]} failed with status {code}: {said or 'it said nothing'}", said)

    @contextlib.contextmanager
    def batch(self) -> Iterator[Objects]:
        """Open one `cat-file --batch` process for many reads."""
        process = subprocess.Popen(
            self._command(("cat-file", "--batch")),
            cwd=self.shadow,
            env=self._environment(None),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield Objects(process)
        finally:
            process.kill()
            process.communicate()

    def _command(self, args: Sequence[str]) -> list[str]:
        return [self.program, *_HARDENED, *args]

    def _environment(self, at: Path | None) -> dict[str, str]:
        """Only what git needs: a hook's own GIT_DIR and every GIT_CONFIG_* of the caller stay outside."""
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.shadow),
            "XDG_CONFIG_HOME": str(self.shadow),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.shadow / ".gitconfig"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        if at is None:
            env |= {"GIT_DIR": str(self.shadow), "GIT_OBJECT_DIRECTORY": self._objects}
        return env


class Objects:
    """A running `cat-file --batch`: open one object, read it to its end, then open the next."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout

    def open(self, oid: str) -> Blob:
        """Ask for `oid`. Raises BadInput when the repository lacks it."""
        try:
            self._stdin.write(oid.encode("ascii") + b"\n")
            self._stdin.flush()
        except BrokenPipeError as error:
            raise BadInput("git stopped while it read objects (a damaged clone).", hint="git fsck") from error
        words = self._stdout.readline().split()
        if len(words) != 3:
            raise BadInput(
                f"The object {oid} is not in the repository (a partial or damaged clone).",
                hint="Fetch everything: git fetch --refetch --no-filter",
            )
        return Blob(self._stdout, int(words[2]))

    def read(self, oid: str, max_bytes: int) -> bytes | None:
        """Return the whole object, or None when it is larger than `max_bytes`."""
        blob = self.open(oid)
        if blob.size <= max_bytes:
            return blob.read(blob.size)
        while blob.read(1 << 20):
            pass
        return None


class Blob:
    """The bytes of one object, as a file-like reader that never holds more than it is asked for."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.size = size
        self._stream, self._left = stream, size
        if not size:
            stream.read(1)

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end. Raises BadInput when git breaks off."""
        want = min(size, self._left)
        if not want:
            return b""
        data = self._stream.read(want)
        if len(data) != want:
            raise BadInput("git stopped in the middle of an object (a damaged clone).", hint="git fsck")
        self._left -= want
        if not self._left:
            self._stream.read(1)
        return data
