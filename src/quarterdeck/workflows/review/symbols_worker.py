"""Lists the functions, methods and classes of Python sources. Runs alone: `python -I -S symbols_worker.py < frames`.

It only parses; nothing of the source is executed or imported. It is a process of its own because hostile source can
bring CPython's parser down (deep nesting) or make it slow, and then only this process is lost. See `symbols.py`.

A frame on stdin is a decimal size, a newline, and that many bytes. For each frame one JSON line goes to stdout:
{"definitions": {name: {...}}, "bound": {name: line}} or {"error": "..."}.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import re
import resource
import sys
from typing import IO

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 60
SIGNATURE_CHARS = 1000

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = ("body", "orelse", "finalbody", "handlers")
_NEWLINE = re.compile(rb"\r\n|\r|\n")

Definition = dict[str, object]


class _Module:
    """Collects the definitions of one parsed file; nested functions belong to the function around them."""

    def __init__(self, data: bytes) -> None:
        self.lines = _NEWLINE.split(data)
        self.found: dict[str, Definition] = {}
        self.bound: dict[str, int] = {}
        """Names that imports and assignments bind, module level or `Class.name`, with their line; `*` for a star import."""

    def visit(self, body: list[ast.stmt], prefix: str, kind: str) -> set[int]:
        """Record the definitions in `body`; return the line numbers that they cover."""
        covered: set[int] = set()
        for node in body:
            if isinstance(node, _Function):
                self._function(node, prefix, kind)
                covered.update(_span(node))
            elif isinstance(node, ast.ClassDef):
                self._class(node, prefix)
                covered.update(_span(node))
            else:
                self.bound.update((prefix + name, node.lineno) for name in _bound_names(node))
                for inner in _inner_blocks(node):
                    covered |= self.visit(inner, prefix, kind)
        return covered

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, prefix: str, kind: str) -> None:
        name = prefix + node.name
        digest = self._digest(_span(node))
        accessor = any(isinstance(d, ast.Attribute) and d.attr in ("setter", "deleter") for d in node.decorator_list)
        earlier = self.found.get(name)
        if earlier is not None:
            digest = _hash(f"{earlier['digest']}{digest}".encode())
            if accessor:
                earlier["digest"] = digest
                return
        self.found[name] = {
            "kind": kind,
            "line": node.lineno,
            "signature": _signature(node.name, node),
            "digest": digest,
            "parameters": _parameters(node.args),
            "forms": _forms(node, drop_first=kind == "method" and not _is_static(node)),
            "body": self._body(node),
            **_docstring(node),
        }

    def _class(self, node: ast.ClassDef, prefix: str) -> None:
        name = prefix + node.name
        covered = self.visit(node.body, name + ".", "method")
        own = [n for n in _span(node) if n not in covered]
        init = next((n for n in node.body if isinstance(n, _Function) and n.name == "__init__"), None)
        named = [ast.unparse(b) for b in [*node.bases, *node.keywords]]
        bases = ", ".join(b for b in named if b != "object")
        made_with = _signature(node.name, init, drop_first=True) if init else f"{node.name}"
        self.found[name] = {
            "kind": "class",
            "line": node.lineno,
            "signature": _cut(made_with + (f": {bases}" if bases else "")),
            "digest": _hash((self._digest(own) + (_signature("", init) if init else "")).encode()),
            "parameters": _parameters(init.args)[1:] if init else [],
            "forms": _forms(init, drop_first=True, returns=False) if init else [],
            "inherits": bool(bases),
            **_docstring(node),
        }

    def _body(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        """Digest of the lines below the head, to know a renamed function by; empty when all is in one line."""
        start = node.body[0].lineno
        return self._digest(list(range(start, (node.end_lineno or start) + 1))) if start > node.lineno else ""

    def _digest(self, numbers: list[int]) -> str:
        texts = (self.lines[n - 1].strip() for n in numbers if n <= len(self.lines))
        return _hash(b"\n".join(t for t in texts if t))


def _bound_names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [t.id for t in targets if isinstance(t, ast.Name)]


def _inner_blocks(node: ast.stmt) -> list[list[ast.stmt]]:
    """The statement lists inside `if`, `try`, `with` and loops: definitions there are module level, too."""
    blocks: list[list[ast.stmt]] = []
    for field in _BLOCKS:
        for child in getattr(node, field, None) or []:
            if isinstance(child, ast.ExceptHandler):
                blocks.append(child.body)
            elif isinstance(child, ast.stmt):
                blocks.append([child])
    return blocks


def _span(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> list[int]:
    start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return list(range(start, (node.end_lineno or node.lineno) + 1))


def _parameters(args: ast.arguments) -> list[str]:
    named = [a.arg for a in [*args.posonlyargs, *args.args]]
    rest = [a.arg for a in (args.vararg, *args.kwonlyargs, args.kwarg) if a is not None]
    return named + rest


def _signature(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, drop_first: bool = False) -> str:
    text = ast.unparse(node.args)
    if drop_first:
        first = next(iter([*node.args.posonlyargs, *node.args.args]), None)
        text = re.sub(rf"^{re.escape(first.arg)}(, /)?(, |$)", "", text) if first else text
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and not drop_first else ""
    start = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return _cut(f"{start}{name}({text}){returns}")


def _is_static(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)


def _forms(node: ast.FunctionDef | ast.AsyncFunctionDef, drop_first: bool = False, returns: bool = True) -> list[str]:
    """The ways in which people write a signature behind its name; two versions of a function are compared place by place."""
    back = f" -> {ast.unparse(node.returns)}" if node.returns and returns else ""
    forms = [_render(node.args, drop_first, annotated=a, spaced=s) + b for a, s, b in _styles(back)]
    return forms if all(len(form) <= SIGNATURE_CHARS for form in forms) else []


def _styles(back: str) -> list[tuple[bool, bool, str]]:
    return [(True, True, back), (True, False, back), (True, True, ""), (True, False, ""), (False, False, "")]


def _render(args: ast.arguments, drop_first: bool, *, annotated: bool, spaced: bool) -> str:
    def one(arg: ast.arg, default: ast.expr | None, stars: str = "") -> str:
        note = f": {ast.unparse(arg.annotation)}" if annotated and arg.annotation else ""
        equals = " = " if note and spaced else "="
        return f"{stars}{arg.arg}{note}" + (f"{equals}{ast.unparse(default)}" if default else "")

    named = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(args.defaults)) + list(args.defaults)
    parts = [one(arg, default) for arg, default in zip(named, defaults, strict=True)]
    if args.posonlyargs:
        parts.insert(len(args.posonlyargs), "/")
    if drop_first and named:
        parts = parts[2:] if parts[1:2] == ["/"] else parts[1:]
    if args.vararg:
        parts.append(one(args.vararg, None, "*"))
    elif args.kwonlyargs:
        parts.append("*")
    parts += [one(arg, default) for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    if args.kwarg:
        parts.append(one(args.kwarg, None, "**"))
    return f"({', '.join(parts)})"


def _cut(text: str) -> str:
    return text if len(text) <= SIGNATURE_CHARS else text[: SIGNATURE_CHARS - 1] + "…"


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Definition:
    """Whether there is a docstring, and its first and last line (0 when there is none)."""
    first = node.body[0] if node.body else None
    value = first.value if isinstance(first, ast.Expr) else None
    if not (isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value.strip()):
        return {"documented": False, "doc_start": 0, "doc_end": 0}
    return {"documented": True, "doc_start": value.lineno, "doc_end": value.end_lineno or value.lineno}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def describe(data: bytes) -> dict[str, object]:
    """Return the answer for one source. Never raises for what the source contains."""
    try:
        module = _Module(data)
        module.visit(ast.parse(data).body, "", "function")
        return {"definitions": module.found, "bound": module.bound}
    except SyntaxError as error:
        return {"error": f"it is not valid Python {sys.version_info[0]}.{sys.version_info[1]} (line {error.lineno or 0}: {error.msg})"}
    except (RecursionError, MemoryError):
        return {"error": "it is nested too deeply"}
    except (ValueError, LookupError) as error:
        return {"error": f"it cannot be decoded ({error})"}


def main(stdin: IO[bytes], stdout: IO[str]) -> None:
    for limit, value in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))
    while size := stdin.readline():
        answer = json.dumps(describe(stdin.read(int(size))))
        stdout.write(answer + "\n")
        stdout.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout)
