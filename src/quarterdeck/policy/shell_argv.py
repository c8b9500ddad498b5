"""Which programs a list of words starts: wrappers taken off, `sh -c` and `find -exec` followed, the rest judged by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from . import shell_programs as known
from .paths import escapes
from .shell_words import COMPUTED, Word

ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=")
URL = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/@\s]*@)?(\[[0-9a-f:.]+\]|[^/:\s?#]+)", re.IGNORECASE)
REMOTE = re.compile(r"(?:[\w.-]+@)?([\w-]+(?:\.[\w-]+)+|[\w.-]+(?=:))(?:[:/].*)?$")
SED_SAFE = re.compile(r"(\d+|\$)?(,(\d+|\$))?[pdq=]|s([/|,#])[^\n;]*\4[^\n;]*\4[gpiI0-9]*")
MAX_DEPTH = 5
"""Shells within shells are followed this far."""


@dataclass
class Findings:
    """What was seen so far in one command. `why` holds a reason for each thing that could not be seen through."""

    programs: set[str] = field(default_factory=set)
    why: set[str] = field(default_factory=set)
    flags: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    runners: set[str] = field(default_factory=set)
    """Programs that run code which stands elsewhere."""

    def add(self, other: Findings) -> None:
        """Take in what another look found."""
        for name in ("programs", "why", "flags", "hosts", "writes", "runners"):
            getattr(self, name).update(getattr(other, name))


Script = Callable[[str, Findings, int], None]
"""Analyses the text of a script into findings, at a depth."""


def changes_programs(name: object) -> bool:
    """Whether a variable of this name changes which program a name means, or starts one by itself."""
    return isinstance(name, str) and (name in known.DANGEROUS_NAMES or name.startswith(known.DANGEROUS_ENV))


def check_name(name: str, found: Findings) -> None:
    """Note an assignment to a variable that changes what a program's name means."""
    if changes_programs(name):
        found.why.add(f"env:{name}")


def walk_argv(words: list[Word], found: Findings, script: Script, depth: int) -> None:
    """Add everything that running `words` may start. `script` follows `sh -c`."""
    for _ in range(len(words) + 1):
        words = _assignments(words, found)
        if not words:
            return
        name = _program(words[0], found)
        if name is None:
            return
        if name in known.WRAPPERS:
            words = _unwrap(name, words[1:], found)
            continue
        _judge(name, words[1:], found, script, depth)
        return


def _assignments(words: list[Word], found: Findings) -> list[Word]:
    while words and words[0].value is not None and (match := ASSIGNMENT.match(words[0].value)):
        check_name(match[1], found)
        words = words[1:]
    return words


def _program(word: Word, found: Findings) -> str | None:
    """The name of the program that a word starts, noted; None if it is computed."""
    if not word.value:
        found.why.add("computed-program")
        return None
    name = word.value.rpartition("/")[2]
    found.programs.add(name)
    if "/" in word.value and word.value.removesuffix(name) not in known.STANDARD_DIRS:
        found.why.add("runs-code:path")
        found.runners.add(name)
        return None
    return name


def _judge(name: str, args: list[Word], found: Findings, script: Script, depth: int) -> None:
    if name in known.IMPLIES:
        found.programs.add(known.IMPLIES[name])
    if name in known.NETWORK | known.NETWORK_PLAIN:
        found.flags.add("network")
        _hosts(args, found)
    if name in known.SHELLS:
        _shell(name, args, found, script, depth)
    elif name == "eval" and args and not any(a.computed for a in args):
        script(" ".join(a.value or "" for a in args), found, depth + 1)
    elif name == "find":
        _find(args, found, script, depth)
    elif name in SPECIAL:
        SPECIAL[name](args, found)
    elif name in known.PLAIN | known.NETWORK_PLAIN | known.BUILTINS:
        _plain(name, args, found)
    else:
        _opaque(name, args, found)


def _opaque(name: str, args: list[Word], found: Findings) -> None:
    """Say why the program cannot be seen through."""
    if name in known.NETWORK:
        found.why.add(f"network:{name}")
        return
    if name in known.OPAQUE_WRAPPERS:
        found.why.add(f"wrapper:{name}")
        found.programs.update(a.value for a in args if a.value and re.fullmatch(r"\w[\w.-]*", a.value))
        return
    found.runners.add(name)
    if name in known.INSTALLERS:
        found.why.add(f"runs-code:{name}")
        if any(a.value in known.INSTALL_WORDS or a.computed for a in args):
            found.flags.add("pkg.install")
    elif name in known.RUNS_CODE or name in known.BUILTIN_RUNNERS:
        found.why.add(f"runs-code:{name}")
    else:
        found.why.add("unknown-program")


def _plain(name: str, args: list[Word], found: Findings) -> None:
    bad = known.DANGEROUS_OPTIONS.get(name, ())
    if bad and any(
        a.computed or any(a.value == o or (a.value or "").startswith(f"{o}=") for o in _abbreviations(a.value, bad)) for a in args
    ):
        found.why.add(f"option:{name}")
    if name in known.BUILTINS:
        _builtin(name, args, found)
    targets = [a for a in args if not (a.value or "").startswith("-")]
    if name in ("tee", "touch", "mkdir", "truncate", "shred"):
        _writes(targets, found)
    elif name in ("cp", "mv", "ln", "install") and targets:
        _writes(targets[-1:], found)
    elif name == "dd":
        _writes([Word(a.raw[3:], a.value[3:]) for a in args if a.value and a.value.startswith("of=")], found)


def _abbreviations(value: str | None, options: tuple[str, ...]) -> set[str]:
    """The options that `value` may stand for: GNU programs accept any unambiguous beginning of a long one."""
    if value is None or not value.startswith("--") or len(value) < 4:
        return set(options)
    stem = value.partition("=")[0]
    return {stem for option in options if option.startswith(stem)} or set(options)


def _builtin(name: str, args: list[Word], found: Findings) -> None:
    """Builtins that evaluate subscripts (`a[$(cmd)]`) or assign to variables named by their arguments."""
    if any("[" in a.raw and re.search(r"[$`]", a.value or "") for a in args):
        found.why.add("subscript")
    if name == "test" and not _plain_test(args):
        found.why.add("computed-test")
    assigns = name in ("read", "getopts", "export", "declare", "local", "readonly", "typeset", "unset")
    if assigns or (name == "printf" and any(a.computed or (a.value or "").startswith("-v") for a in args[:1])):
        for arg in args:
            if arg.computed and name != "printf":
                found.why.add("computed-name")
            elif arg.value:
                check_name(arg.value.partition("=")[0].removeprefix("-v"), found)


def _plain_test(args: list[Word]) -> bool:
    """Whether no word of a `test` can turn out to be the operator `-v`, which evaluates a subscript."""
    if any(a.value in ("-v", "-R") for a in args):
        return False
    if not any(a.computed for a in args):
        return True
    quoted = all(not a.computed or a.raw.startswith('"') for a in args)
    operator = args[0 if len(args) == 2 else 1 if len(args) == 3 else -1]
    return quoted and (len(args) == 1 or (len(args) in (2, 3) and not operator.computed))


def _writes(targets: list[Word], found: Findings) -> None:
    for target in targets:
        if target.value is None:
            found.why.add("computed-write")
        else:
            found.writes.add(target.value)


def _unwrap(name: str, args: list[Word], found: Findings) -> list[Word]:
    """The command that a wrapper runs; empty (with a reason noted) when its options are not understood."""
    wrapper = known.WRAPPERS[name]
    if name == "sudo":
        found.flags.add("privilege")
    if name == "command" and args and args[0].value in ("-v", "-V"):
        return []
    while args and (args[0].computed or (args[0].value or "").startswith("-")):
        value = args[0].value
        if value == "--":
            args = args[1:]
            break
        if value in wrapper.values:
            if len(args) > 1 and args[1].computed:
                break
            args = args[2:]
        elif value in wrapper.flags or _attached(name, value or "", wrapper):
            args = args[1:]
        else:
            found.why.add(f"option:{name}")
            return []
    if any(a.computed for a in args[: wrapper.skip + 1]):
        found.why.add("computed-program")
        return []
    if wrapper.assignments:
        args = _assignments(args, found)
    args = args[wrapper.skip :]
    if not args and wrapper.default:
        found.programs.add(wrapper.default)
    return [*args, COMPUTED] if name == "xargs" and args else args


def _attached(name: str, value: str, wrapper: known.Wrapper) -> bool:
    """`-n5`, `--signal=KILL`, `nice -5`."""
    if value.startswith("--"):
        stem, equals, _ = value.partition("=")
        return bool(equals) and (stem in wrapper.values or stem == "--preserve-env")
    if name == "nice" and re.fullmatch(r"-\d+", value):
        return True
    return len(value) > 2 and value[:2] in wrapper.values and value[:2] not in wrapper.flags


def _shell(name: str, args: list[Word], found: Findings, script: Script, depth: int) -> None:
    while args and args[0].value and re.fullmatch(r"-[a-z]+", args[0].value):
        letters = args[0].value[1:]
        if set(letters) - set("ceux"):
            break
        args = args[1:]
        if "c" in letters:
            if args and args[0].value is not None and not args[0].value.startswith(("-", "+")):
                script(args[0].value, found, depth + 1)
                return
            break
    found.why.add(f"runs-code:{name}")
    found.runners.add(name)


def _find(args: list[Word], found: Findings, script: Script, depth: int) -> None:
    if any(a.computed and re.search(r"[$`\\{]|^-", a.raw) for a in args):
        found.why.add("option:find")
    i = 0
    while i < len(args):
        value = args[i].value
        i += 1
        if value in ("-exec", "-execdir", "-ok", "-okdir"):
            end = next((j for j in range(i, len(args)) if args[j].value in (";", "+")), len(args))
            walk_argv([COMPUTED if a.value == "{}" else a for a in args[i:end]], found, script, depth)
            i = end + 1
        elif value == "-delete":
            found.flags.add("rm.recursive")
        elif value in ("-fprint", "-fprint0", "-fprintf", "-fls"):
            _writes(args[i : i + 1], found)


def _git(args: list[Word], found: Findings) -> None:
    while args and args[0].value in ("-C", "--no-pager", "-p", "--literal-pathspecs", "--no-optional-locks", "--bare"):
        args = args[2:] if args[0].value == "-C" else args[1:]
    if not args:
        return
    command = args[0].value
    if command in known.GIT_NETWORK:
        found.flags.add("network")
        _hosts(args[1:], found)
    if command == "push":
        found.flags.add("git.push")
        words = [a.value or "" for a in args[1:]]
        if any(_forces(w) for w in words) or any(a.computed for a in args[1:]):
            found.flags.add("git.push.force")
    risky = (
        "--upload-pack",
        "--receive-pack",
        "--exec",
        "--ext-diff",
        "--textconv",
        "--open-files-in-pager",
        "-O",
        "--output",
        "-c",
        "--config",
    )
    if command not in known.GIT_PLAIN or command in known.GIT_HOOKED:
        found.why.add(f"git:{command if command and re.fullmatch(r'[a-z-]+', command) else 'computed'}")
        found.runners.add("git")
    elif any(a.computed and not re.fullmatch(r"[\w./*?~^-]+", a.raw) for a in args) or any(
        (a.value or "").startswith(risky) for a in args[1:]
    ):
        found.why.add("option:git")


def _forces(word: str) -> bool:
    return (
        word.startswith(("--force", "--mirror", "--delete", "--prune", "+"))
        or word.startswith(":")
        or bool(re.fullmatch(r"-[a-zA-Z]*[fd][a-zA-Z]*", word))
    )


def _sed(args: list[Word], found: Findings) -> None:
    scripts: list[Word] = []
    rest: list[Word] = []
    i, given = 0, False
    while i < len(args):
        value = args[i].value or ""
        if value in ("-e", "--expression"):
            scripts, given, i = [*scripts, *args[i + 1 : i + 2]], True, i + 2
        elif re.fullmatch(r"-[nErsuz]+|--quiet|--silent|--posix|--regexp-extended", value):
            i += 1
        elif re.fullmatch(r"-[nErsuz]*i\S*|--in-place(=.*)?", value):
            found.flags.add("sed.in-place")
            i += 1
        else:
            rest.append(args[i])
            i += 1
    if not given:
        scripts, rest = rest[:1], rest[1:]
    if any(s.value is None or not SED_SAFE.fullmatch(s.value) for s in scripts) or any(
        a.computed or (a.value or "").startswith("-") for a in rest
    ):
        found.why.add("runs-code:sed")
    if "sed.in-place" in found.flags:
        _writes(rest, found)


def _rm(args: list[Word], found: Findings) -> None:
    options = [a.value for a in args if a.value and a.value.startswith("-")]
    if not any(re.fullmatch(r"-[a-zA-Z]*[rR][a-zA-Z]*|--recursive", o) for o in options) and not any(a.computed for a in args):
        return
    found.flags.add("rm.recursive")
    if any(a.leads_outside(escapes(a.value if a.value is not None else a.raw)) for a in args):
        found.flags.add("rm.recursive.outside")


def _hosts(args: list[Word], found: Findings) -> None:
    for arg in args:
        text = arg.value if arg.value is not None else arg.raw
        if (match := URL.match(text)) or (not text.startswith("-") and (match := REMOTE.fullmatch(text))):
            found.hosts.add(match[1].lower())


SPECIAL: dict[str, Callable[[list[Word], Findings], None]] = {"git": _git, "sed": _sed, "rm": _rm}
