"""Inside: breaking changes of the public API, by griffe's static loading. Nothing of the project is imported or executed."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from quarterdeck.workflows.review.analyzers.inside.common import Hit, Note, Unreadable, answer, items, limited, read_bytes, request_of_argv

if TYPE_CHECKING:
    import griffe

PRIVATE_FOLDERS = {
    "tests",
    "test",
    "testing",
    "docs",
    "doc",
    "examples",
    "example",
    "benchmarks",
    "bench",
    "scripts",
    "tools",
    "build",
    "dist",
}
NOT_MODULES = {"setup.py", "conftest.py", "noxfile.py", "tasks.py", "manage.py", "fabfile.py", "dodo.py", "__main__.py"}
PACKAGE_SECONDS = 60.0
MAX_FILES = 4000
MAX_BYTES = 40 << 20

# Left out: annotations and values, which griffe compares as text. `Optional[int]` to `int | None` or a new version number breaks nobody.
QUIET = {"ATTRIBUTE_CHANGED_VALUE", "ATTRIBUTE_CHANGED_TYPE", "RETURN_CHANGED_TYPE"}
MACHINERY = {"__init_subclass__", "__class_getitem__", "__slots__", "__all__", "__version__", "__author__", "__license__"}
SEVERITY = {"OBJECT_REMOVED": "high", "PARAMETER_REMOVED": "high", "PARAMETER_CHANGED_DEFAULT": "low"}


def package_of(roots: tuple[str, str], path: str) -> tuple[str, str] | None:
    """The importable top (search folder, name) that a module file belongs to, or None when it is nobody's API."""
    folders, name = path.split("/")[:-1], path.split("/")[-1]
    if PRIVATE_FOLDERS & set(folders) or name in NOT_MODULES or name.startswith("test_") or name.endswith("_test.py"):
        return None
    depth = len(folders)
    while depth and any(Path(root, *folders[:depth], "__init__.py").is_file() for root in roots):
        depth -= 1
    if depth < len(folders):
        return "/".join(folders[:depth]), folders[depth]
    if folders in ([], ["src"], ["lib"]) and name.endswith(".py"):
        return "/".join(folders), name[:-3]
    return None


def measure(root: str, folder: str, name: str) -> bool:
    """True when the package exists. Raises Unreadable when it is too big, or holds links, pipes or devices, for a static load."""
    top = Path(root, folder, name)
    if not top.is_dir():
        module = top.with_name(f"{name}.py")
        return module.is_file() and not module.is_symlink()
    files = size = 0
    for here, _, names in os.walk(top):
        for one in names:
            if not one.endswith((".py", ".pyi")):
                continue
            status = Path(here, one).lstat()
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable(f"{one} is not a plain file")
            files, size = files + 1, size + status.st_size
    if files > MAX_FILES or size > MAX_BYTES:
        raise Unreadable(f"the package has {files} modules and {size >> 20} MiB; the limits are {MAX_FILES} and {MAX_BYTES >> 20} MiB")
    return True


@cache
def loader(root: str, folder: str) -> griffe.GriffeLoader:
    """One loader for all packages of a folder: they may import each other."""
    import griffe

    return griffe.GriffeLoader(search_paths=[Path(root, folder)], allow_inspection=False, store_source=False)


def load(root: str, folder: str, name: str) -> griffe.Object | griffe.Alias:
    """Load a package statically. Packages beside it that it imports are loaded too; only this tree is searched."""
    found = loader(root, folder).load(name, try_relative_path=False)
    loader(root, folder).resolve_aliases(external=True)
    return found


def compare(request: dict[str, object], folder: str, name: str) -> Iterator[tuple[str, Hit]]:
    import griffe

    base_root, head_root = str(request["base"]), str(request["head"])
    if not measure(base_root, folder, name):
        return
    if not measure(head_root, folder, name):
        base = f"{folder}/{name}" if folder else name
        path = f"{base}/__init__.py" if Path(base_root, base).is_dir() else f"{base}.py"
        yield path, Hit(0, "api/object-removed", "high", f"the public module {name} was removed", name, whole=True)
        return
    unreadable(head_root, request)
    old, new = load(base_root, folder, name), load(head_root, folder, name)
    seen: set[tuple[str, str]] = set()
    # Definitions first: a name that is exported elsewhere too is reported once, where it is defined.
    for breakage in sorted(griffe.find_breaking_changes(old, new), key=lambda b: b.obj.is_alias):
        kind = breakage.kind.name
        key = (kind, canonical(breakage.obj) + detail(breakage))
        if kind in QUIET or key in seen or breakage.obj.name in MACHINERY:
            continue
        seen.add(key)
        if (found := describe(breakage, kind, base_root, head_root, new)) and not PRIVATE_FOLDERS & set(found[0].split("/")[:-1]):
            yield found


def unreadable(root: str, request: dict[str, object]) -> None:
    """Refuse a head with a changed module that does not parse: griffe would take every name in it for removed."""
    import ast

    for item in items(request):
        if item.head.endswith(".py"):
            try:
                ast.parse(read_bytes(root, item.head))
            except (SyntaxError, ValueError) as error:
                raise Unreadable(f"{item.head} does not parse as Python: {error}") from None
            except Unreadable:
                continue


def canonical(obj: griffe.Object | griffe.Alias) -> str:
    """Where an object is defined; where it is exported, if its definition is out of reach."""
    import griffe

    try:
        return obj.canonical_path
    except griffe.GriffeError:
        return obj.path


def detail(breakage: griffe.Breakage) -> str:
    """The parameter that a breakage is about, as `(name)`."""
    value = breakage.old_value if breakage.old_value is not None else breakage.new_value
    named = breakage.kind.name.startswith("PARAMETER")
    return f"({value.name})" if named else ""


def describe(
    breakage: griffe.Breakage, kind: str, base_root: str, head_root: str, new: griffe.Object | griffe.Alias
) -> tuple[str, Hit] | None:
    """The path in the head (or base, for a removed module) and the hit."""
    import griffe

    removed = kind == "OBJECT_REMOVED"
    # An alias (an exported import) stands where it is imported, not where its target is.
    obj = breakage.obj
    owner = obj.parent if obj.is_alias and obj.parent is not None else obj
    try:
        filepath = os.fspath(owner.filepath)  # type: ignore[arg-type]
        line = obj.alias_lineno if isinstance(obj, griffe.Alias) else obj.lineno
    except (griffe.GriffeError, AttributeError, ValueError):
        return None
    root = base_root if removed else head_root
    path = os.path.relpath(filepath, root)
    if removed:
        line = parent_line(obj, new)
    where = obj.path + detail(breakage)
    values = ""
    if kind in ("PARAMETER_CHANGED_DEFAULT", "PARAMETER_CHANGED_KIND", "PARAMETER_MOVED", "OBJECT_CHANGED_KIND", "CLASS_REMOVED_BASE"):
        values = f": {breakage._format_old_value(colors=False)} -> {breakage._format_new_value(colors=False)}"
    rule = "api/" + kind.lower().replace("_", "-")
    return path, Hit(line or 1, rule, SEVERITY.get(kind, "medium"), f"{where}: {breakage.kind.value}", where + values, whole=True)


def parent_line(obj: griffe.Object | griffe.Alias, new: griffe.Object | griffe.Alias) -> int:
    """Where the head would have the removed object: the first line of its class there, else line 1."""
    parent = obj.parent
    if parent is None or not parent.is_class:
        return 1
    try:
        relative = parent.path.split(".")[1:]
        return new[".".join(relative)].lineno or 1
    except (KeyError, ValueError):
        return 1


def main() -> None:
    request = request_of_argv()
    logging.disable(logging.CRITICAL)
    notes: list[Note] = []
    found: list[tuple[str, Hit]] = []
    roots = (str(request["head"]), str(request["base"]))
    paths = [path for item in items(request) for path in (item.head, item.base) if path]
    for folder, name in sorted({top for path in paths if (top := package_of(roots, path))}):
        if name.startswith("_"):
            continue
        shown = f"{folder}/{name}" if folder else name
        try:
            with limited(PACKAGE_SECONDS):
                found += compare(request, folder, name)
        except Unreadable as error:
            notes.append((shown, str(error)))
        except (RecursionError, MemoryError):
            notes.append((shown, "it is nested too deeply or too big to analyse"))
        except Exception as error:
            notes.append((shown, f"griffe could not load it ({type(error).__name__}: {str(error)[:200]})"))
    answer(found, notes)
