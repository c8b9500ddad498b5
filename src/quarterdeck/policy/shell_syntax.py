"""The walk over bash's syntax tree: finds the simple commands, and everything that makes the tree an unsafe witness.

tree-sitter-bash accepts more than bash and sometimes shelves words in odd places: arguments after a redirection become
further *destinations* of it, the body of a pipeline after a heredoc hangs below the heredoc. Each oddity that was found
by running commands against what they really start (tests/policy) has its line here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from . import shell_programs as known
from .shell_argv import MAX_DEPTH, Findings, check_name, walk_argv
from .shell_words import Word, literal, text, word

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_BYTES = 16 << 10
"""A longer command is opaque, unparsed: time stays bounded."""

TICKS_PER_KB = 45
"""Progress reports of the parser, for each kB, after which it is stopped: its recovery from errors takes quadratic time.
Counted, not timed, so that the same command always has the same facts. Honest scripts have about 20."""

UNGUARDED = 2 << 10
"""Scripts up to this many bytes are parsed without that guard; the worst takes 30 ms."""

MAX_WORK = 60_000
"""Nodes looked at, in all walks over one script. A command of a page has about 2,000."""

UNDERSTOOD = known.words(
    """
    program list pipeline command command_name word string string_content raw_string number concatenation file_redirect
    file_descriptor herestring_redirect redirected_statement heredoc_redirect heredoc_start heredoc_body heredoc_end
    heredoc_content comment subshell compound_statement if_statement elif_clause else_clause for_statement
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
HIDDEN = re.compile(rb"\$\(|`|[<>]\(|\$\[")
DEV_NET = re.compile(r"/dev/(?:tcp|udp)(?:/([^/\s]+))?")
DUPLICATES = re.compile(rb"\d*[<>]&\s*(\d+|-)")
QUOTED_HEREDOC = re.compile(r"<<-?\s*['\"\\]")
FETCHES = re.compile(rf"\b({'|'.join(sorted(known.NETWORK | known.NETWORK_PLAIN))})\b")
MENTIONS = re.compile(r"\b(curl|wget|nc|ncat|netcat|socat|telnet|ssh|scp|sftp|ftp|git\s+(push|pull|fetch|clone))\b|/dev/(tcp|udp)")
UNPROVEN = ("too-long", "parse-error", "computed-program", "unseen-substitution", "depth", "not-utf8", "analysis:", "syntax:")
SUBSTITUTIONS = ("command_substitution", "process_substitution")


@lru_cache(maxsize=1)
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


def _parses_in_time(source: bytes) -> bool:
    if len(source) <= UNGUARDED:
        return True
    ticks, limit = 0, TICKS_PER_KB * len(source) // 1024

    def progress(_offset: int, _has_error: bool) -> bool:
        nonlocal ticks
        ticks += 1
        return ticks > limit

    parser = _parser()
    try:
        parser.parse(lambda offset, _point: source[offset:], progress_callback=progress)
    except ValueError:  # stopped
        return False
    finally:
        parser.reset()
    return ticks <= limit


def walk_script(command: str, found: Findings, depth: int) -> None:
    """Add to `found` what `bash -c command` may start. `depth` counts the shells around it."""
    mine = Findings()
    _walk(command, mine, depth)
    if any(why.startswith(UNPROVEN) for why in mine.why) and MENTIONS.search(command):
        mine.flags.add("network")  # what could not be read at all gets no benefit of the doubt
    found.add(mine)


def _walk(command: str, found: Findings, depth: int) -> None:
    try:
        source = command.encode()
    except UnicodeEncodeError:
        found.why.add("not-utf8")
        return
    if depth > MAX_DEPTH:
        found.why.add("depth")
        return
    if len(source) > MAX_BYTES or not _parses_in_time(source):
        found.why.add("too-long")
        return
    if b"\0" in source or b"\r" in source:
        found.why.add("control-character")
    root = _parser().parse(source).root_node
    if root.has_error:
        found.why.add("parse-error")
    _Walk(found, depth, source, FETCHES.search(command) is not None).tree(root)


class _Walk:
    """One script's walk."""

    def __init__(self, found: Findings, depth: int, source: bytes, fetches: bool) -> None:
        self.source = source
        self.found = found
        self.depth = depth
        self.work = 0
        self.fetches = fetches
        """Whether the script names a program that could fetch code; without it nobody looks for `curl | sh`."""

        self.later: dict[int, list[Word]] = {}
        """Words that stand after a redirection, by the id of the command that they belong to."""

    def tree(self, root: Node) -> None:
        seen: list[tuple[int, int]] = []
        stack = [root]
        while stack:
            node = stack.pop()
            self.work += 1
            if self.work > MAX_WORK:
                self.found.why.add("too-long")
                return
            self.node(node)
            seen.extend(_spans(node))
            stack.extend(node.children)
        if any(not any(start <= match.start() < end for start, end in seen) for match in HIDDEN.finditer(self.source)):
            self.found.why.add("unseen-substitution")  # the parser took a substitution for something else

    def node(self, node: Node) -> None:
        kind = node.type
        if node.is_named and kind not in UNDERSTOOD:
            self.found.why.add(f"syntax:{kind}")
        match kind:
            case "command":
                self.command(node)
            case "pipeline":
                self.pipeline(node)
            case "variable_assignment" | "for_statement":
                self.assigned(node)
            case "declaration_command" | "unset_command":
                self.declaration(node)
            case "redirected_statement":
                self.redirected(node)
            case "file_redirect":
                self.redirect(node)
            case "test_command" | "compound_statement":
                self.test(node)
            case "heredoc_end" if not self.alone(node):
                self.found.why.add("heredoc")
            case "expansion" if not EXPANSION.fullmatch(text(node)):
                self.found.why.add("expansion")
            case "arithmetic_expansion" if not ARITHMETIC.fullmatch(text(node)):
                self.found.why.add("arithmetic")
            case _:
                pass

    def command(self, node: Node) -> None:
        line = [*_words(node), *self.later.get(node.id, ())]
        if not line:
            return
        mine = Findings()
        walk_argv(line, mine, walk_script, self.depth)
        if self.fetches and _runs_text(mine) and any(FETCHES.search(text(inner)) for inner in self.nested(node, SUBSTITUTIONS)):
            mine.flags.add("remote.code")  # sh -c "$(curl ...)", bash <(curl ...)
        self.found.add(mine)

    def pipeline(self, node: Node) -> None:
        """`curl ... | sh`: code from another machine."""
        fetched = False
        for part in node.children if self.fetches else ():
            if fetched and part.is_named:
                mine = Findings()
                for command in [c for c in [part, *self.nested(part, ("command",))] if c.type == "command"]:
                    walk_argv(_words(command), mine, _no_script, 0)
                if _runs_text(mine):
                    self.found.flags.add("remote.code")
            fetched = fetched or FETCHES.search(text(part)) is not None

    def redirected(self, node: Node) -> None:
        """Give the words after a redirection back to their command: `env >log rm x` runs rm."""
        later = []
        for redirect in node.children_by_field_name("redirect"):
            if redirect.type == "file_redirect":
                later += redirect.children_by_field_name("destination")[1:]
            else:
                later += redirect.children_by_field_name("argument")
        if not later:
            return
        owner = node.child_by_field_name("body")
        while owner is not None and owner.type in ("list", "negated_command"):
            owner = owner.named_children[-1] if owner.named_children else None
        if owner is not None and owner.type == "command":
            self.later[owner.id] = [word(w) for w in later]
        else:
            self.found.why.add("words-after-redirect")

    def redirect(self, node: Node) -> None:
        raw = node.text or b""
        if match := DEV_NET.search(text(node)):
            self.found.why.add("dev-tcp")
            self.found.flags.add("network")
            if match[1]:
                self.found.hosts.add(match[1].strip("'\"").lower())
        target = node.child_by_field_name("destination")
        if target is None or DUPLICATES.fullmatch(raw[: target.end_byte - node.start_byte]):
            return
        where = word(target)
        if where.computed:
            self.found.why.add("computed-redirect")
        elif b">" in raw[: target.start_byte - node.start_byte]:
            self.found.writes.add(where.value or "")

    def alone(self, node: Node) -> bool:
        """Whether a heredoc's end stands alone on its line, as bash demands of it; the parser is content with less."""
        line_start = self.source.rfind(b"\n", 0, node.start_byte) + 1
        after = self.source[node.end_byte : node.end_byte + 1]
        return not self.source[line_start : node.start_byte].strip(b"\t") and after in (b"", b"\n")

    def assigned(self, node: Node) -> None:
        name = node.child_by_field_name("name") or node.child_by_field_name("variable")
        if name is not None and name.type == "subscript":
            self.found.why.add("subscript")
        elif name is not None:
            check_name(text(name), self.found)

    def declaration(self, node: Node) -> None:
        """export, declare, local, readonly, typeset, unset: attributes and computed names change what later words mean."""
        keyword, *rest = node.children
        line = [literal(text(keyword)), *(word(c) for c in rest if c.type != "variable_assignment" and "redirect" not in c.type)]
        if any((w.value or "").startswith(("-", "+")) and set((w.value or "")[1:]) - set("xgrp") for w in line[1:]):
            self.found.why.add("declare-attribute")
        walk_argv(line, self.found, walk_script, self.depth)

    def test(self, node: Node) -> None:
        """Numeric tests, `(( ))` and `-v` evaluate names and subscripts, and a subscript may be `$(cmd)`."""
        body, why = text(node), self.found.why
        if body.startswith("((") and re.search(r"[A-Za-z_$`]", body):
            why.add("arithmetic")
        elif body.startswith("[[") and COMPARES.search(body):
            if re.search(r"[A-Za-z_$`]", COMPARES.sub(" ", body)):
                why.add("arithmetic")
        elif body.startswith("[") and not body.startswith("[["):
            if re.search(r"\s-[vR]\s", body):
                why.add("subscript")
            if any(_may_be_operator(child) for child in self.nested(node, ("unary_expression", "simple_expansion", "expansion"))):
                why.add("computed-test")

    def nested(self, node: Node, kinds: tuple[str, ...]) -> list[Node]:
        """The nodes of these kinds below a node. Past the limit of work it finds none, and the script is too long anyway."""
        found, stack = [], list(node.children)
        while stack and self.work <= MAX_WORK:
            child = stack.pop()
            self.work += 1
            if child.type in kinds:
                found.append(child)
            stack.extend(child.children)
        return found


def _may_be_operator(node: Node) -> bool:
    """In `[ ]` an unquoted expansion may bring its own operator, and so may a first word: `[ "$op" "$x" ]`."""
    if node.type == "unary_expression":
        return not text(node).startswith(("-", "!"))
    return node.parent is not None and node.parent.type != "string"


def _words(command: Node) -> list[Word]:
    """The words of a simple command as far as they stand in their own node."""
    return [word(c) for c in command.children if c.is_named and "redirect" not in c.type and c.type != "variable_assignment"]


def _runs_text(found: Findings) -> bool:
    return bool(found.runners or found.programs & known.SHELLS or "computed-program" in found.why)


def _no_script(script: str, found: Findings, depth: int) -> None:
    """Stands in for `walk_script` where only the programs' names count."""


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
