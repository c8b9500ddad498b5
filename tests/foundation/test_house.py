"""The house of DESIGN.md, held by tests: what import-linter cannot see. (A24, laws 4 and 8)"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest
from house_source import ROOT, SRC, imported, modules, tracked

FILE_LINES, FUNCTION_LINES = 500, 80
SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(UNIQUE\s+)?(TABLE|INDEX)|ALTER\s+TABLE"
    r"|PRAGMA\s+\w+|BEGIN\s+IMMEDIATE)\b",
    re.DOTALL,
)
VENDORS = {"openai", "anthropic", "litellm", "langchain", "pydantic_ai", "google"}
HEAVY = {
    "cedarpy", "httpx2", "httpcore2", "genai_prices", "pydantic", "griffe", "radon", "bandit", "yaml", "tree_sitter", "tree_sitter_bash",
    "rich.markdown", "rich.markup", "pygments", "markdown_it", "sqlite3", "asyncio", "ssl", "xml.etree.ElementTree",
}  # fmt: skip
"""What `quarterdeck --help` must not pay for. Typer's Rich help pulls in rich.markdown and pygments (0.15 s against 0.07 s measured):
`Typer(rich_markup_mode=None)` does without."""


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string constant that is not a docstring, f-strings' plain parts included: (line, text)."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def test_a_file_is_one_idea_and_a_function_fits_a_screen() -> None:
    files = [path for path in SRC.rglob("*.py") if len(path.read_text("utf-8").splitlines()) > FILE_LINES]
    assert not files, f"over {FILE_LINES} lines: {files}"
    long = [f"{path}:{node.lineno} {node.name}" for path, node in functions() if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES]
    assert not long, f"over {FUNCTION_LINES} lines: {long}"


def test_every_room_says_what_it_is_for() -> None:
    mute = [path for path, tree in modules().items() if path.endswith("__init__.py") and len(ast.get_docstring(tree) or "") < 40]
    assert not mute, f"a package's __init__.py needs its paragraph: {mute}"


def test_every_module_has_a_docstring() -> None:
    mute = [path for path, tree in modules().items() if not ast.get_docstring(tree)]
    assert not mute, mute


def test_only_the_store_holds_sql() -> None:
    found = [
        f"{path}:{line}"
        for path, tree in modules().items()
        if not path.startswith("store/")
        for line, text in strings(tree)
        if SQL.search(text)
    ]
    assert not found, f"SQL outside store/: {found}"
    drivers = [
        path
        for path, tree in modules().items()
        if not path.startswith("store/") and {"sqlite3", "asyncpg", "sqlalchemy"} & {name.partition(".")[0] for name in imported(tree)}
    ]
    assert not drivers, f"a database driver outside store/: {drivers}"


def names_permit(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "Permit") or (isinstance(node, ast.Attribute) and node.attr == "Permit")


def minted(tree: ast.AST) -> list[int]:
    """Lines that make a Permit: a call of it, a conversion to it, a copy with changes, or a second name for it."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
            converts = called in {"convert", "decode", "Decoder", "partial"} and any(names_permit(a) for a in arguments)
            copies = called == "replace" and any(isinstance(a, ast.Name) and "permit" in a.id.lower() for a in node.args)
            if names_permit(node.func) or converts or copies:
                lines.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and any(alias.name == "Permit" and alias.asname for alias in node.names):
            lines.append(node.lineno)
        if isinstance(node, ast.Assign) and names_permit(node.value):
            lines.append(node.lineno)
    return lines


def test_law_4_only_the_action_path_mints_permits() -> None:
    found = {path: lines for path, tree in modules().items() if path != "kernel/action.py" and (lines := minted(tree))}
    assert not found, f"a permit is made outside kernel/action.py: {found}"


@pytest.mark.parametrize(
    "source",
    [
        "Permit(run='r')", "actions.Permit(*parts)", "msgspec.convert(data, Permit)", "msgspec.json.decode(raw, type=Permit)",
        "from .actions import Permit as Leave", "Leave = Permit", "structs.replace(permit, epoch=2)",
    ],
)  # fmt: skip
def test_law_4_the_search_for_permits_sees_every_way(source: str) -> None:
    assert minted(ast.parse(source)) == [1]


def test_law_4_the_search_lets_a_mention_pass() -> None:
    assert not minted(ast.parse("def begin(permit: Permit) -> None:\n    check(permit)\n    text.replace('permit', '')\n"))


def test_no_vendor_sdk_in_the_source() -> None:
    found = {path: names for path, tree in modules().items() if (names := VENDORS & {name.partition(".")[0] for name in imported(tree)})}
    assert not found


def room(name: str) -> str:
    """The room that an absolute or relative import names first, e.g. `protocol` of `quarterdeck.protocol.ids`."""
    return name.removeprefix("quarterdeck.").lstrip(".").partition(".")[0]


def test_testing_stands_alone_and_nothing_real_leans_on_it() -> None:
    """`quarterdeck.testing` is public: it may know the vocabulary, msgspec and the standard library, no room of the house."""
    rooms = {path.stem for path in SRC.iterdir()} - {"testing", "protocol"}
    for path, tree in modules().items():
        names = list(imported(tree))
        ours = [name for name in names if name.startswith((".", "quarterdeck"))]
        if path.startswith("testing"):
            foreign = [n for n in names if n not in ours and n.partition(".")[0] not in sys.stdlib_module_names | {"msgspec"}]
            assert not foreign + [n for n in ours if room(n) in rooms], path
        elif not path.startswith("demo/"):
            assert not [n for n in ours if room(n) == "testing"], path


def test_inside_the_house_nobody_takes_the_way_round_through_the_package() -> None:
    """`from quarterdeck import Runtime` is for users and faces; a room that did so would import upwards unseen by the contracts."""
    found = [
        f"{path}: {alias.name}"
        for path, tree in modules().items()
        if not path.startswith(("cli/", "demo/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module == "quarterdeck" or (not node.module and node.level == path.count("/") + 1))
        for alias in node.names
        if alias.name in {"Agent", "Context", "Runtime", "tool", "workflow"}
    ]
    assert not found


def test_nothing_committed_names_a_registry_or_this_machine() -> None:
    # Put together from halves, so that this file does not find itself.
    hosts = ["python" + "hosted.", "pypi." + "org", "npm" + "js.", "deb.deb" + "ian", "archive.ubu" + "ntu"]
    machine = re.compile(rb"(?<![\w.-])/(wo" + rb"rk|fa" + rb"rm)/[a-z]|/ro" + rb"ot/\.(cache|config|local)")
    found = []
    for path in tracked():
        data = path.read_bytes()
        found += [f"{path.relative_to(ROOT)}: {host}" for host in hosts if host.encode() in data]
        found += [f"{path.relative_to(ROOT)}: {match.group().decode()}" for match in machine.finditer(data)]
    assert not found


def test_what_is_declared_is_what_is_imported() -> None:
    """Every third-party import of the source is a declared dependency or an extra's; what runs inside may ask for the project's pytest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=\[; ]", name)[0].lower() for name in project["dependencies"] + project["optional-dependencies"]["review"]}
    renamed = {"yaml": "pyyaml"}
    missing = {
        f"{path}: {name}"
        for path, tree in modules().items()
        for name in imported(tree)
        if not name.startswith((".", "quarterdeck"))
        and (top := name.partition(".")[0]) not in sys.stdlib_module_names
        and renamed.get(top, top).replace("_", "-") not in declared
        and not (top == "pytest" and "/suites/inside/" in path)
    }
    assert not missing


def test_nothing_asks_for_more_than_debian_12s_python() -> None:
    """Debian 12 has Python 3.11.2, which knows no `filter` of tarfile's extract (3.11.4 does); this machine's Python would not tell."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in tracked()
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"extract", "extractall"}
        if any(keyword.arg == "filter" for keyword in node.keywords)
    ]
    assert not found, f"set the archive's extraction_filter if hasattr(tarfile, 'data_filter'), or unpack with tar: {found}"


def test_the_command_line_starts_without_heavy_imports() -> None:
    """A32: `quarterdeck --help` in 0.25 s is kept by what it does not import, which a noisy machine cannot blur."""
    probe = (
        "import sys, json\n"
        "sys.argv = ['quarterdeck', '--help']\n"
        "from quarterdeck.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-I", "-c", probe], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stdout.strip().splitlines()[-1]))
    assert not loaded & HEAVY, sorted(loaded & HEAVY)
