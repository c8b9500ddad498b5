"""What a `setup.py` says in literals. The file is parsed, never run: computed values are reported, not guessed."""

from __future__ import annotations

import ast

import msgspec

from .tree import encodable

MAX_SOURCE = 256 << 10
KEYS = ("name", "install_requires", "tests_require", "setup_requires", "extras_require", "python_requires")


class SetupPy(msgspec.Struct, frozen=True):
    """The literal arguments of the `setup()` call. `computed` names those that are not literal."""

    name: str = ""
    python_requires: str = ""
    install_requires: tuple[str, ...] = ()
    tests_require: tuple[str, ...] = ()
    setup_requires: tuple[str, ...] = ()
    extras_require: dict[str, tuple[str, ...]] = {}
    computed: tuple[str, ...] = ()


def _parse(source: str) -> ast.Module | None:
    if len(source) > MAX_SOURCE:
        return None
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _constants(module: ast.Module) -> dict[str, ast.expr]:
    """Top-level `NAME = literal` assignments; a name assigned twice is no constant."""
    found: dict[str, ast.expr] = {}
    twice: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            (twice.add(name) if name in found else found.setdefault(name, node.value))
    return {k: v for k, v in found.items() if k not in twice}


class _Literals:
    def __init__(self, names: dict[str, ast.expr]) -> None:
        self.names = names

    def resolve(self, node: ast.expr) -> ast.expr:
        for _ in range(5):
            if not isinstance(node, ast.Name) or node.id not in self.names:
                break
            node = self.names[node.id]
        return node

    def string(self, node: ast.expr) -> str | None:
        node = self.resolve(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and encodable(node.value):
            return node.value
        return None

    def strings(self, node: ast.expr, depth: int = 0) -> tuple[str, ...] | None:
        """A list, tuple or set of strings, a single string with one requirement a line, or a sum of such."""
        node = self.resolve(node)
        if depth > 10:
            return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.strings(node.left, depth + 1), self.strings(node.right, depth + 1)
            return None if left is None or right is None else left + right
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            values = [self.string(e) for e in node.elts]
            return None if any(v is None for v in values) else tuple(v for v in values if v is not None)
        value = self.string(node)
        return None if value is None else tuple(line.strip() for line in value.splitlines() if line.strip())

    def extras(self, node: ast.expr) -> dict[str, tuple[str, ...]] | None:
        node = self.resolve(node)
        if not isinstance(node, ast.Dict):
            return None
        found: dict[str, tuple[str, ...]] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            name = self.string(key) if key is not None else None
            values = self.strings(value)
            if name is not None and values is not None:
                found[name] = values
        return found


def _setup_call(module: ast.Module) -> ast.Call | None:
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
            if name == "setup":
                return node
    return None


def read_setup_py(source: str) -> SetupPy:
    """The literals of the first `setup(...)` call; an unreadable file gives an empty answer that says so."""
    module = _parse(source)
    if module is None:
        return SetupPy(computed=("everything (the file does not parse)",)) if source.strip() else SetupPy()
    call = _setup_call(module)
    if call is None:
        return SetupPy()
    read = _Literals(_constants(module))
    computed: list[str] = ["**" for k in call.keywords if k.arg is None]
    texts: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    extras: dict[str, tuple[str, ...]] = {}
    for keyword in call.keywords:
        if keyword.arg not in KEYS:
            continue
        if keyword.arg in ("name", "python_requires"):
            value = read.string(keyword.value)
            known = value is not None
            texts[keyword.arg] = value or ""
        elif keyword.arg == "extras_require":
            table = read.extras(keyword.value)
            known = table is not None
            extras = table or {}
        else:
            values = read.strings(keyword.value)
            known = values is not None
            lists[keyword.arg] = values or ()
        if not known:
            computed.append(keyword.arg)
    return SetupPy(
        name=texts.get("name", ""),
        python_requires=texts.get("python_requires", ""),
        install_requires=lists.get("install_requires", ()),
        tests_require=lists.get("tests_require", ()),
        setup_requires=lists.get("setup_requires", ()),
        extras_require=extras,
        computed=tuple(computed),
    )
