"""What a command will do, as far as its text proves it: programs, hosts, writes. Fail-closed: what is not proven is `opaque`.

This is a *prediction*, not a boundary: no promise is made that a denied name cannot run, the sandbox and the proxy
enforce. Three rules make it sound for what it does claim. Only node kinds on an allow-list are understood; a program
that is not known to start nothing is opaque; and every `$(`, backtick and `<(` of the text must have been seen as one.
What a *configuration file* makes a plain program start (git's fsmonitor, an rc file) is not seen. Never raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from . import shell_programs as known
from .shell_argv import Findings, walk_argv
from .shell_syntax import MAX_BYTES, walk_script
from .shell_words import literal


@dataclass(frozen=True)
class ShellFacts:
    """Sorted and without duplicates. `opaque` means that more may happen than is listed; `why` says for what reasons."""

    programs: tuple[str, ...] = ()
    opaque: bool = False
    why: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    """network, git.push, git.push.force, rm.recursive, rm.recursive.outside, pkg.install, privilege, remote.code, sed.in-place."""
    hosts: tuple[str, ...] = ()
    redirects: tuple[str, ...] = ()
    """Paths that the command writes, by redirection or as arguments of the usual programs."""


@lru_cache(maxsize=512)
def facts(command: str) -> ShellFacts:
    """What `bash -c command` may start. Never raises; time is bounded."""
    found = Findings()
    try:
        walk_script(command, found, 0)
    except Exception as error:  # a prediction that fails must not fail the decision
        found.why.add(f"analysis:{type(error).__name__}")
    return _done(found)


def facts_argv(argv: tuple[str, ...]) -> ShellFacts:
    """What running `argv` without a shell may start. Never raises."""
    found = Findings()
    try:
        if sum(map(len, argv)) > MAX_BYTES:
            found.why.add("too-long")
        elif argv:
            walk_argv([literal(word) for word in argv], found, walk_script, 0)
        else:
            found.why.add("no-command")
    except Exception as error:
        found.why.add(f"analysis:{type(error).__name__}")
    return _done(found)


def _done(found: Findings) -> ShellFacts:
    if "network" in found.flags and found.programs & known.SHELLS and "computed-program" in found.why:
        found.flags.add("remote.code")
    ordered = [tuple(sorted(part)) for part in (found.programs, found.why, found.flags, found.hosts, found.writes)]
    return ShellFacts(ordered[0], bool(found.why), *ordered[1:])
