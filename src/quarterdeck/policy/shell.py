"""What a command will do, as far as its text proves it: programs, hosts, writes. Fail-closed: what is not proven is `opaque`.

This is a *prediction*, not a boundary: no promise is made that a denied name cannot run, the sandbox and the proxy
enforce. Three rules make it sound for what it does claim. Only node kinds on an allow-list are understood; a program
that is not known to start nothing is opaque; and every `$(`, backtick and `<(` of the text must have been seen as one.
What a *configuration file* makes a plain program start (git's fsmonitor, an rc file) is not seen. Never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from . import shell_programs as known
from .shell_argv import MAX_DEPTH, Findings, check_name, walk_argv
from .shell_programs import words
from .shell_words import literal, text, word

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_BYTES = 32 << 10
"""A longer command is opaque, unparsed: time stays bounded."""

MAX_NODES = 20_000

UNDERSTOOD = words(
    """
    program list pipeline command command_name word string string_content raw_string number concatenation
    file_redirect file_descriptor herestring_redirect redirected_statement heredoc_redirect heredoc_start heredoc_body
    heredoc_end heredoc_content comment subshell compound_statement if_statement elif_clause else_clause for_statement
    while_statement do_group case_statement case_item test_command unary_expression binary_expression
    parenthesized_expression test_operator regex extglob_pattern command_substitution process_substitution
    simple_expansion expansion variable_name special_variable_name variable_assignment variable_assignments
    declaration_command negated_command array arithmetic_expansion brace_expression unset_command
    """
)

EXPANSION = re.compile(r"\$\{(#?[A-Za-z_]\w*|[#?@*!$0-9-])((:?[-+?]|##?|%%?)[^$`\\{}\[\]]*)?\}")
"""Expansions that evaluate nothing: no subscript, no arithmetic, no indirection, no `@P`, no assignment."""

ARITHMETIC = re.compile(r"\$\(\([\s0-9+*/%<>=!&|^~?:()-]*\)\)")
"""Arithmetic without names: a name's value may be `a[$(cmd)]`, which arithmetic runs."""

COMPARES = re.compile(r"\s-(eq|ne|lt|le|gt|ge|v)\s")
HIDDEN = re.compile(rb"\$\(|`|[<>]\(")
DEV_NET = re.compile(r"/dev/(?:tcp|udp)(?:/([^/\s]+))?")
QUOTED_HEREDOC = re.compile(r"<<-?\s*['\"\\]")


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
        _script(command, found, 0)
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
            walk_argv([literal(a) for a in argv], found, _script, 0)
            if found.flags & {"network"} and found.runners & known.SHELLS:
                found.flags.add("remote.code")
        else:
            found.why.add("no-command")
    except Exception as error:
        found.why.add(f"analysis:{type(error).__name__}")
    return _done(found)


def _done(found: Findings) -> ShellFacts:
    ordered = [tuple(sorted(part)) for part in (found.programs, found.why, found.flags, found.hosts, found.writes)]
    return ShellFacts(ordered[0], bool(found.why), *ordered[1:])


@lru_cache(maxsize=1)
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


def _script(command: str, found: Findings, depth: int) -> None:
    if depth > MAX_DEPTH:
        found.why.add("depth")
        return
    try:
        source = command.encode()
    except UnicodeEncodeError:
        found.why.add("not-utf8")
        return
    if len(source) > MAX_BYTES or b"\0" in source or b"\r" in source:
        found.why.add("too-long" if len(source) > MAX_BYTES else "control-character")
        return
    root = _parser().parse(source).root_node
    if root.has_error:
        found.why.add("parse-error")
    seen: list[tuple[int, int]] = []
    stack, count = [root], 0
    while stack:
        node = stack.pop()
        count += 1
        if count > MAX_NODES:
            found.why.add("too-long")
            return
        _node(node, found, depth)
        seen.extend(_spans(node))
        stack.extend(node.children)
    _all_seen(source, seen, found)


def _node(node: Node, found: Findings, depth: int) -> None:
    kind = node.type
    if node.is_named and kind not in UNDERSTOOD:
        found.why.add(f"syntax:{kind}")
    match kind:
        case "command":
            _command(node, found, depth)
        case "pipeline":
            _pipeline(node, found)
        case "variable_assignment" | "for_statement":
            _assigned(node, found)
        case "declaration_command" | "unset_command":
            _declaration(node, found, depth)
        case "file_redirect":
            _redirect(node, found)
        case "test_command":
            _compare(node, found)
        case "expansion" if not EXPANSION.fullmatch(text(node)):
            found.why.add("expansion")
        case "arithmetic_expansion" if not ARITHMETIC.fullmatch(text(node)):
            found.why.add("arithmetic")
        case _:
            pass


def _spans(node: Node) -> list[tuple[int, int]]:
    """Where this node accounts for a `$(`, a backtick or a `<(`: as a substitution, or as text that is never expanded."""
    match node.type:
        case "command_substitution" | "process_substitution" | "arithmetic_expansion":
            opening = (node.start_byte, node.start_byte + 2)
            return [opening, (node.end_byte - 1, node.end_byte)] if text(node).startswith("`") else [opening]
        case "raw_string" | "comment":
            return [(node.start_byte, node.end_byte)]
        case "heredoc_redirect" if QUOTED_HEREDOC.match(text(node)):
            return [(c.start_byte, c.end_byte) for c in node.children if c.type == "heredoc_body"]
        case _:
            return []


def _all_seen(source: bytes, seen: list[tuple[int, int]], found: Findings) -> None:
    """Every beginning of a substitution in the text must lie in a node that says so; else the parser misread something."""
    for match in HIDDEN.finditer(source):
        if not any(start <= match.start() < end for start, end in seen):
            found.why.add("unseen-substitution")
            return


def _command(node: Node, found: Findings, depth: int) -> None:
    line = []
    for child in node.children:
        if child.type == "command_name" or (child.is_named and "redirect" not in child.type and child.type != "variable_assignment"):
            line.append(word(child))
    if not line:
        return
    mine = Findings()
    walk_argv(line, mine, _script, depth)
    fetched = _nested(node, ("command_substitution", "process_substitution"))
    if fetched and (mine.runners or "computed-program" in mine.why or mine.programs & known.SHELLS) and _fetches(fetched):
        found.flags.add("remote.code")
    _merge(mine, found)


def _merge(mine: Findings, found: Findings) -> None:
    found.programs |= mine.programs
    found.why |= mine.why
    found.flags |= mine.flags
    found.hosts |= mine.hosts
    found.writes |= mine.writes
    found.runners |= mine.runners


def _nested(node: Node, kinds: tuple[str, ...]) -> list[Node]:
    found, stack = [], list(node.children)
    while stack:
        child = stack.pop()
        if child.type in kinds:
            found.append(child)
        stack.extend(child.children)
    return found


def _fetches(nodes: list[Node]) -> bool:
    return any(re.search(rf"\b({'|'.join(sorted(known.NETWORK | known.NETWORK_PLAIN))})\b", text(node)) for node in nodes)


def _pipeline(node: Node, found: Findings) -> None:
    """`curl ... | sh`: code from another machine."""
    fetched = False
    for child in node.children:
        if not child.is_named:
            continue
        if fetched:
            mine = Findings()
            for command in [child, *_nested(child, ("command",))]:
                line = [word(c) for c in command.children if c.is_named and "redirect" not in c.type and c.type != "variable_assignment"]
                if command.type == "command" and line:
                    walk_argv(line, mine, lambda script, into, depth: None, 0)
            if mine.runners or mine.programs & known.SHELLS or "computed-program" in mine.why:
                found.flags.add("remote.code")
        fetched = fetched or _fetches([child])


def _assigned(node: Node, found: Findings) -> None:
    name = node.child_by_field_name("name") or node.child_by_field_name("variable")
    if name is None:
        return
    if name.type == "subscript":
        found.why.add("subscript")
    check_name(text(name), found)


def _declaration(node: Node, found: Findings, depth: int) -> None:
    """export, declare, local, readonly, typeset, unset: attributes and computed names change what later words mean."""
    line = [word(c) for c in node.children if c.type != "variable_assignment" and "redirect" not in c.type]
    if any((w.value or "").startswith(("-", "+")) and set((w.value or "")[1:]) - set("xgrp") for w in line[1:]):
        found.why.add("declare-attribute")
    walk_argv(line, found, _script, depth)


def _compare(node: Node, found: Findings) -> None:
    """Numeric tests in `[[ ]]` and `(( ))` evaluate names, and a name's value may run something."""
    body = text(node)
    if not body.startswith("[[") and not body.startswith("(("):
        return
    if body.startswith("((") or re.search(r"[A-Za-z_$]", re.sub(r"\s-(eq|ne|lt|le|gt|ge)\s", " ", body[2:-2])):
        found.why.add("arithmetic")


def _redirect(node: Node, found: Findings) -> None:
    raw = text(node)
    if match := DEV_NET.search(raw):
        found.why.add("dev-tcp")
        found.flags.add("network")
        if match[1]:
            found.hosts.add(match[1].strip("'\"").lower())
    target = node.child_by_field_name("destination")
    if target is None or re.match(r"\d*[<>]&\s*(\d+|-)$", raw):
        return
    where = word(target)
    if where.computed:
        found.why.add("computed-redirect")
    elif ">" in raw.split(where.raw)[0]:
        found.writes.add(where.value or "")
