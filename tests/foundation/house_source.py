"""How the foundation's tests read the source: parsed once, from files, never imported."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "quarterdeck"


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package as syntax: path under src/quarterdeck -> tree."""
    return {str(path.relative_to(SRC)): ast.parse(path.read_text("utf-8"), str(path)) for path in sorted(SRC.rglob("*.py"))}


def imported(tree: ast.AST) -> Iterator[str]:
    """The absolute names of what `tree` imports, anywhere in it; relative imports keep their dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def tracked() -> list[Path]:
    """The files that are committed, or would be: what a reader of the repository gets."""
    argv = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(argv, check=True, capture_output=True).stdout.split(b"\0")
    return [ROOT / name.decode() for name in names if name and (ROOT / name.decode()).is_file()]
