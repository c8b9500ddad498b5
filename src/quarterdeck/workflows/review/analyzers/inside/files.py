"""Inside: files that are risky by what they are: links out of the tree, programs, submodules, and scripts that run by themselves."""

from __future__ import annotations

import ast
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from quarterdeck.workflows.review.analyzers.inside.common import (
    Hit,
    Item,
    Note,
    Unreadable,
    answer,
    compare,
    items,
    open_regular,
    real_path,
    request_of_argv,
)

PROGRAMS = {
    b"\x7fELF": "an ELF program",
    b"MZ": "a Windows program",
    b"\xcf\xfa\xed\xfe": "a macOS program",
    b"\xca\xfe\xba\xbe": "a Java or macOS program",
}
PACKED = (
    ".so",
    ".pyd",
    ".dll",
    ".dylib",
    ".exe",
    ".whl",
    ".egg",
    ".jar",
    ".pyc",
    ".pyo",
    ".class",
    ".node",
    ".pkl",
    ".pickle",
    ".pth",
    ".joblib",
    ".npy",
)
ARCHIVES = (".zip", ".gz", ".tgz", ".bz2", ".xz", ".tar", ".7z", ".rar", ".zst", ".deb", ".rpm", ".apk")
MEDIA = (
    *(".png", ".jpg", ".jpeg", ".gif", ".ico", ".webp", ".bmp", ".svg", ".pdf", ".woff", ".woff2", ".ttf", ".otf", ".eot"),
    *(".mp3", ".mp4", ".wav", ".webm", ".ogg", ".mo"),
)
RUNS_ITSELF = {
    "setup.py": "installing the project",
    "conftest.py": "every test run",
    "sitecustomize.py": "every start of Python",
    "usercustomize.py": "every start of Python",
    "noxfile.py": "nox",
}
BUILD_FILES = {
    "Makefile",
    "makefile",
    "GNUmakefile",
    "setup.py",
    ".pre-commit-config.yaml",
    "Jenkinsfile",
    ".gitlab-ci.yml",
    ".travis.yml",
    "azure-pipelines.yml",
    ".gitmodules",
}
REACHES_OUT = re.compile(
    r"(?:subprocess|socket|urllib|requests|httpx|http\.client|ctypes|base64|marshal|pty)(?:\.|$)|os\.(?:system|popen|exec\w*|spawn\w*)$"
)
DOWNLOAD = re.compile(
    r"\b(?:curl|wget)\b[^|\n]{0,400}\|\s{0,8}(?:sudo\s{1,8})?(?:ba|z|da|k)?sh\b|\b(?:bash|sh)\s{1,4}(?:-c\s{1,4})?[\"']?(?:<\(|\$\()\s{0,4}(?:curl|wget)\b"
)
MOVING_REV = re.compile(r"^\s{0,40}-?\s{0,8}rev:\s{0,8}['\"]?(?:main|master|HEAD|develop|latest)['\"]?\s*$")


def name_of(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def is_build_file(path: str) -> bool:
    return name_of(path) in BUILD_FILES or path.startswith(".circleci/") or path.endswith(".mk")


def is_script(path: str) -> bool:
    """True for the files that `scripts` has rules for."""
    return name_of(path) in RUNS_ITSELF or is_build_file(path) or path.endswith((".sh", ".bash")) or path.startswith(".github/")


def scripts(path: str, text: str) -> Iterator[Hit]:
    """Line rules for files that run by themselves."""
    name = name_of(path)
    if name in RUNS_ITSELF:
        yield from reaching(path, text)
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) < 4096 and DOWNLOAD.search(line):
                yield Hit(number, "risky/download-and-run", "high", "runs what it downloads, unseen", line.strip())
    if name == ".pre-commit-config.yaml":
        for number, line in enumerate(text.split("\n"), 1):
            if MOVING_REV.match(line):
                yield Hit(
                    number, "risky/unpinned-hook", "medium", "a hook from a moving branch runs on every developer's machine", line.strip()
                )


def reaching(path: str, text: str) -> Iterator[Hit]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise Unreadable(f"it does not parse as Python: {error}") from None
    lines = text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)] if isinstance(node.value, ast.Name) else []
        else:
            continue
        if name := next((n for n in names if REACHES_OUT.match(n)), ""):
            message = f"{name_of(path)} runs at {RUNS_ITSELF[name_of(path)]}, and now uses {name}"
            severity = "low" if name_of(path) == "conftest.py" else "medium"
            yield Hit(node.lineno, "risky/build-code", severity, message, lines[node.lineno - 1].strip())


def by_kind(request: dict[str, object], item: Item) -> Iterator[Hit]:
    """Rules about the file itself."""
    head, name = str(request["head"]), name_of(item.head)
    if "m" in item.flags:
        yield Hit(1, "risky/submodule", "medium", "a submodule brings code that this diff does not show", item.head, whole=True)
        return
    if "l" in item.flags:
        yield from link(head, item.head)
        return
    if is_build_file(item.head):
        message = f"{name} runs on the machines of developers or of the CI"
        yield Hit(1, "risky/build-file", "low", message, item.head, whole=True)
    program = magic(head, item.head)
    if program:
        yield Hit(1, "risky/binary", "high", f"it is {program}; nobody can review it", item.head, whole=True)
    elif "b" in item.flags and not item.head.lower().endswith(MEDIA):
        packed = item.head.lower().endswith((*PACKED, *ARCHIVES))
        message = "a binary file that can carry code" if packed else "a binary file that a diff cannot show"
        yield Hit(1, "risky/binary", "medium" if packed else "low", message, item.head, whole=True)
    if executable(head, item.head) and not (item.base and executable(str(request["base"]), item.base)):
        yield Hit(1, "risky/executable", "low", "the file is newly executable", item.head, whole=True)


def link(root: str, path: str) -> Iterator[Hit]:
    try:
        target = str(real_path(root, path).readlink())
    except OSError as error:
        raise Unreadable(f"the link could not be read ({error.strerror})") from None
    # By the text alone: what the link would meet on the way is not asked, so that no link is ever followed.
    end = Path(os.path.normpath(real_path(root, path).parent / target))
    if Path(target).is_absolute() or not end.is_relative_to(os.path.normpath(root)):
        shown = target.encode("utf-8", "backslashreplace").decode()
        yield Hit(1, "risky/symlink", "high", f"the link leads out of the repository, to {shown}", f"{path} -> {shown}", whole=True)
    elif ".git" in end.parts:
        yield Hit(1, "risky/symlink", "high", "the link leads into .git", path, whole=True)


def magic(root: str, path: str) -> str:
    with os.fdopen(open_regular(root, path), "rb") as file:
        start = file.read(4)
    for prefix, what in PROGRAMS.items():
        if start.startswith(prefix) and (len(prefix) > 2 or b"\0" in start[2:] or not start.isascii()):
            return what
    return ""


def executable(root: str, path: str) -> bool:
    try:
        status = real_path(root, path).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o111)


def main() -> None:
    request = request_of_argv()
    notes: list[Note] = []
    found: list[tuple[str, Hit]] = []
    for item in items(request):
        if not item.head:
            continue
        try:
            found += [(item.head, hit) for hit in by_kind(request, item)]
        except Unreadable as error:
            notes.append((item.head, str(error)))
        except Exception as error:
            notes.append((item.head, f"the check failed on it ({type(error).__name__}: {str(error)[:200]})"))
    texts = [list(item) for item in items(request) if not set(item.flags) & {"b", "l", "m"} and is_script(item.head or item.base)]
    more, problems = compare({**request, "items": texts}, scripts)
    answer(found + more, notes + [note for note in problems if note not in notes])
