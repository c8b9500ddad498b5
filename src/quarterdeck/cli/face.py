"""Where a command's words go: results to stdout, everything else to stderr; colour only on a terminal that wants it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from pathlib import Path
from typing import IO, Any

from quarterdeck.protocol.errors import QuarterdeckError

from .words import clean

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Face:
    """How one command speaks. `json`: one document on stdout; `quiet`: only the result."""

    def __init__(self, home: Path | None = None, *, json: bool = False, quiet: bool = False, no_color: bool = False) -> None:
        from quarterdeck.config import default_home

        given = Defaults.home = home if home is not None else Defaults.home
        self.home = (given.expanduser() if given is not None else default_home()).absolute()
        self.named_home = self.home != default_home().absolute()
        self.json, self.quiet, self.gone = json, quiet, False
        self.plain = no_color or Defaults.no_color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"

    def live(self) -> bool:
        """Whether a person watches stderr on a terminal that can redraw."""
        return sys.stderr.isatty() and not self.plain and not self.quiet

    def style(self, text: str, style: str, stream: IO[str] | None = None) -> str:
        """The cleaned text in a style, if the stream is a terminal."""
        text = clean(text)
        if self.plain or not (stream or sys.stdout).isatty() or not text:
            return text
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m"

    def out(self, text: str = "") -> None:
        """A line of the result. `text` is cleaned already, or our own."""
        if not self.json:
            self._write(text, sys.stdout)

    def note(self, text: str) -> None:
        """A line beside the result, on stderr."""
        if not self.quiet:
            self._write(text, sys.stderr)

    def document(self, value: Any) -> None:
        """The one document of `--json`."""
        if self.json:
            self._write(json.dumps(value, indent=2, ensure_ascii=False, default=str), sys.stdout)

    def _write(self, text: str, stream: IO[str]) -> None:
        """Print, and go on without a reader that went away (`| head`): the exit code must stay what it is."""
        try:
            print(text, file=stream, flush=True)
        except BrokenPipeError:
            self.gone = True
            hush(stream)

    def command(self, *words: str) -> str:
        """A command that a person can paste, naming HOME if it is not the default one."""
        return shlex.join(["quarterdeck", *words, *(("--home", str(self.home)) if self.named_home else ())])


def hush(stream: IO[str]) -> None:
    """Point a broken stream at nothing, so that neither a later line nor the interpreter's last flush complains."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class Defaults:
    """What was given before the command's name (`quarterdeck --home DIR runs`)."""

    home: Path | None = None
    no_color = False


def print_error(kind: str, message: str, hint: str, *, json_wanted: bool, param: str = "") -> None:
    """Two lines on stderr, or a document on stdout."""
    if json_wanted:
        error = {"type": kind, "message": message, "hint": hint} | ({"param": param} if param else {})
        print(json.dumps({"error": error}, indent=2, ensure_ascii=False), flush=True)
        return
    print(f"error: {clean(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {clean(hint)}", file=sys.stderr)


def print_known(error: QuarterdeckError, *, json_wanted: bool) -> None:
    print_error(type(error).__name__, error.message, error.hint, json_wanted=json_wanted, param=getattr(error, "param", ""))
