"""Inside: cyclomatic complexity of the functions that a change touches, head against base.

Counted: 1, plus one for each if, elif, conditional expression, for, while, except, comprehension clause and its conditions, match
case, and each `and`/`or` operand after the first. A nested function counts on its own. A function that moved or was renamed is
compared with what it was.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from quarterdeck.workflows.review.analyzers.inside.common import (
    Hit,
    Note,
    Unreadable,
    answer,
    items,
    limited,
    line_set,
    load,
    request_of_argv,
)

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Function(NamedTuple):
    name: str
    line: int
    end: int
    complexity: int
    body: str
    """A digest of the body, which is the same after a move or a new name."""


def weight(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.match_case):
        return 0 if isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None and node.guard is None else 1
    return int(isinstance(node, ast.If | ast.IfExp | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler))


def complexity(function: FunctionNode) -> int:
    total, waiting = 1, list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, FunctionNode | ast.ClassDef):
            total += weight(node)
            waiting += ast.iter_child_nodes(node)
    return total


def functions(text: str) -> Iterator[Function]:
    """All functions of a module with their dotted names. Raises Unreadable when it does not parse."""
    try:
        waiting: list[tuple[str, ast.AST]] = [("", ast.parse(text))]
    except (SyntaxError, ValueError) as error:
        raise Unreadable(f"it does not parse as Python: {error}") from None
    while waiting:
        prefix, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, FunctionNode | ast.ClassDef):
                name = f"{prefix}.{child.name}" if prefix else child.name
            if isinstance(child, FunctionNode):
                body = hashlib.sha256("\n".join(map(ast.dump, child.body)).encode("utf-8", "replace")).hexdigest()
                yield Function(name, child.lineno, child.end_lineno or child.lineno, complexity(child), body)
            waiting.append((name, child))


def safely(path: str, text: str, notes: list[Note]) -> list[Function]:
    try:
        with limited():
            return list(functions(text))
    except Unreadable as error:
        notes.append((path, str(error)))
    except (RecursionError, MemoryError):
        notes.append((path, "it is nested too deeply or too big to analyse"))
    return []


def main() -> None:
    request = request_of_argv()
    limit = int(str(request["limit"]))
    notes: list[Note] = []
    unheard: list[Note] = []
    bodies: set[str] = set()
    by_name: dict[str, int] = {}
    heads: list[tuple[str, dict[str, int], set[int] | None, list[Function]]] = []
    for item in items(request):
        base = load(str(request["base"]), item.base, unheard) or ""
        before = safely(item.base, base, unheard)
        bodies.update(f.body for f in before)
        for f in before:
            short = f.name.rpartition(".")[2]
            by_name[short] = max(f.complexity, by_name.get(short, 0))
        head = load(str(request["head"]), item.head, notes) or ""
        lines = line_set(item.lines, head, base)
        heads.append((item.head, {f.name: f.complexity for f in before}, lines, safely(item.head, head, notes)))
    found: list[tuple[str, Hit]] = []
    for path, was, lines, now in heads:
        for f in now:
            touched = [f.line] if lines is None else sorted(n for n in range(f.line, f.end + 1) if n in lines)
            before_it = was.get(f.name, by_name.get(f.name.rpartition(".")[2], 0))
            if touched and f.complexity > max(limit, before_it) and f.body not in bodies:
                found.append((path, judged(f, before_it, limit)))
    answer(found, notes)


def judged(f: Function, before: int, limit: int) -> Hit:
    grown = f"grew from {before} to {f.complexity}" if before else f"is {f.complexity}"
    severity = "medium" if f.complexity > 2 * limit else "low"
    message = f"the complexity of {f.name} {grown}; the limit is {limit}"
    return Hit(f.line, "complexity/grown", severity, message, f"{f.name}: complexity {f.complexity}", whole=True)
