"""Inside: calls that run, load or trust what they should not, found in the syntax tree; and comments that silence a reviewer."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from quarterdeck.workflows.review.analyzers.inside.common import Hit, Unreadable, run

SHELL = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "commands.getoutput"}
PROCESS = {"subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen"}
UNPICKLE = {f"{m}.{f}" for m in ("pickle", "cPickle", "_pickle", "dill", "cloudpickle") for f in ("load", "loads")} | {
    "pickle.Unpickler",
    "jsonpickle.decode",
    "shelve.open",
}
YAML = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all"}
SAFE_LOADERS = ("SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader")
HTTP = {"get", "post", "put", "patch", "delete", "head", "options", "request", "stream", "Session", "Client", "AsyncClient"}

# Comments that silence this review: all of bandit's, and noqa without codes or with codes that stand for bugs, not for style.
NOSEC = re.compile(r"#\s*nosec\b", re.I)
NOQA = re.compile(r"#\s*(?:(?:ruff|flake8)\s*:\s*)?noqa\b(?P<codes>\s*:\s*[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*)?", re.I)
BUG_CODE = re.compile(r"\b(?:S\d|F(?!40[1345]\b)\d|B0|E9|PLE|ASYNC2|RUF006)", re.I)
SECURITY_CODE = re.compile(r"\bS\d", re.I)


def imported_names(tree: ast.AST) -> dict[str, str]:
    """What each name of the module stands for, as far as its import statements say."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`a.b.c` with the import's own name for `a`; "" for anything that is not a plain dotted name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def fixed_text(call: ast.Call) -> bool:
    """True when the first argument is a literal string: nothing from outside can reach it."""
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)


def judge(call: ast.Call, name: str) -> tuple[str, str, str] | None:
    """Rule, severity and message of one call, or None."""
    fixed = fixed_text(call)
    if name in ("eval", "exec", "builtins.eval", "builtins.exec"):
        if fixed:
            return None
        return f"unsafe/{name.rpartition('.')[2]}", "high", f"{name}() runs whatever text reaches it"
    if name in SHELL:
        return "unsafe/shell", ("low" if fixed else "high"), f"{name}() hands its text to a shell"
    if name in PROCESS and is_constant(keyword(call, "shell"), True):
        return "unsafe/shell", ("low" if fixed else "high"), f"{name}(shell=True) hands its text to a shell"
    if name in UNPICKLE:
        return "unsafe/pickle", "high" if name != "shelve.open" else "medium", f"{name}() can run code that is in the data it reads"
    if name in YAML and not _safe_loader(call):
        return "unsafe/yaml-load", "high", f"{name}() without a safe loader can build any Python object"
    if name == "tempfile.mktemp":
        return "unsafe/mktemp", "medium", "tempfile.mktemp() names a file that somebody else can create first"
    return _judge_tls(call, name)


def _safe_loader(call: ast.Call) -> bool:
    loader = keyword(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
    named = loader.attr if isinstance(loader, ast.Attribute) else loader.id if isinstance(loader, ast.Name) else ""
    return named in SAFE_LOADERS


def _judge_tls(call: ast.Call, name: str) -> tuple[str, str, str] | None:
    if is_constant(keyword(call, "verify"), False) and name.rpartition(".")[2] in HTTP:
        return "unsafe/tls-verify", "high", f"{name}(verify=False) accepts any certificate"
    if name == "ssl._create_unverified_context":
        return "unsafe/tls-verify", "high", f"{name}() accepts any certificate"
    return None


def calls(text: str) -> Iterator[Hit]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise Unreadable(f"it does not parse as Python: {error}") from None
    names = imported_names(tree)
    lines = text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := dotted(node.func, names)) and (verdict := judge(node, name)):
            rule, severity, message = verdict
            # The word that makes the call unsafe may stand on a line of its own.
            word = keyword(node, {"unsafe/shell": "shell", "unsafe/tls-verify": "verify"}.get(rule, ""))
            line = word.lineno if word else node.lineno
            yield Hit(line, rule, severity, message, lines[line - 1].strip())


def suppressions(text: str) -> Iterator[Hit]:
    """Real comments only: the tokenizer tells them from strings that look like one."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type != tokenize.COMMENT:
                continue
            if severity := silences(token.string):
                shown = token.line.strip() if len(token.line) < 300 else token.string
                message = "this new comment silences a checker; the checkers of this review ran without it"
                yield Hit(token.start[0], "review/suppression", severity, message, shown)
    except (tokenize.TokenError, SyntaxError):
        return


def silences(comment: str) -> str:
    """How bad it is: medium for a security checker, low for one of bugs, "" for one of style or none."""
    if NOSEC.search(comment):
        return "medium"
    found = NOQA.search(comment)
    if found is None or (found["codes"] and not BUG_CODE.search(found["codes"])):
        return ""
    return "medium" if SECURITY_CODE.search(found["codes"] or "") else "low"


def check(path: str, text: str) -> Iterator[Hit]:
    yield from suppressions(text)
    yield from calls(text)


def main() -> None:
    run(check)
