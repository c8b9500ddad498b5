"""Mutants of a source file: one small change of an expression inside a function, at its place in the text (A29).

The text is edited, not unparsed from the syntax tree, so that a mutant differs from the release in that one place only.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

import msgspec

_COMPARE: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Is: ("is", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: (r"\+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: (r"\*", "+"),
    ast.FloorDiv: ("//", "*"),
}
_BOOLEAN: dict[type[ast.boolop], tuple[str, str]] = {ast.And: ("and", "or"), ast.Or: ("or", "and")}


class Mutant(msgspec.Struct, frozen=True):
    """The bytes `start` to `end` of `path` become `after`."""

    path: str
    line: int
    operator: str
    start: int
    end: int
    before: str
    after: str

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.after.encode() + source[self.end :]


class _File:
    """One file's text and the byte offset of each of its lines."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path, self.source = path, source
        self.offsets = [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]

    def begin(self, node: ast.expr | ast.stmt) -> int:
        return self.offsets[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        return self.offsets[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def replaced(self, node: ast.expr, operator: str, after: str) -> Mutant:
        start, end = self.begin(node), self.end(node)
        return Mutant(self.path, node.lineno, operator, start, end, self.source[start:end].decode(), after)

    def between(self, left: ast.expr, right: ast.expr, change: tuple[str, str], operator: str) -> Iterator[Mutant]:
        """Change the operator that stands between two expressions of one line; nothing when it cannot be told for sure."""
        start, end = self.end(left), self.begin(right)
        found = re.fullmatch(rf"[\s)]*?({change[0]})[\s(]*".encode(), self.source[start:end])
        if found and left.end_lineno == right.lineno:
            where = (start + found.start(1), start + found.end(1))
            yield Mutant(self.path, right.lineno, operator, *where, found.group(1).decode(), change[1])


def _inside(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes below, without annotations and f-strings (Python 3.11 does not know the places inside of those)."""
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            continue
        yield node
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                parts = value if isinstance(value, list) else [value]
                yield from _inside(p for p in parts if isinstance(p, ast.AST))


def _of(node: ast.AST, file: _File) -> Iterator[Mutant]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            yield from file.between(left, right, _COMPARE[type(op)], "comparison")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            yield from file.between(left, right, _ARITHMETIC[type(op)], "arithmetic")
        case ast.BoolOp(op=op, values=[left, right]):
            yield from file.between(left, right, _BOOLEAN[type(op)], "and/or")
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            text = file.source[file.begin(operand) : file.end(operand)].decode()
            yield file.replaced(node, "not dropped", f"({text})")
        case ast.Constant(value=bool() as truth):
            yield file.replaced(node, "truth value", str(not truth))
        case ast.Constant(value=int() as number):
            yield file.replaced(node, "number", str(number + 1))
        case ast.If(test=test) | ast.IfExp(test=test):
            yield file.replaced(test, "condition negated", f"(not ({file.source[file.begin(test) : file.end(test)].decode()}))")
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield file.replaced(value, "returns None", "None")


def of_file(path: str, source: bytes) -> list[Mutant]:
    """Every mutant of the file that is still Python and another program. Raises SyntaxError for a file that is not Python."""
    tree, file = ast.parse(source), _File(path, source)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = dict.fromkeys(m for f in functions for node in _inside(f.body) for m in _of(node, file))
    return [m for m in found if _differs(tree, m.apply(source))]


def _differs(tree: ast.Module, source: bytes) -> bool:
    try:
        return ast.dump(ast.parse(source)) != ast.dump(tree)
    except SyntaxError:
        return False


def drawn(files: Mapping[str, bytes], seed: str) -> list[Mutant]:
    """The mutants of all files in an order that depends on the seed alone, at most one for each line."""
    found = [m for path in sorted(files) for m in of_file(path, files[path])]
    random.Random(seed).shuffle(found)
    return list({(m.path, m.line): m for m in reversed(found)}.values())[::-1]
