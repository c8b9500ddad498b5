"""`quarterdeck doctor`: what this machine can do, what it cannot, and the exact fix; within two seconds (A16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ..face import Face
from ..options import Home, Json, NoColor
from ..words import clean, columns

if TYPE_CHECKING:
    from pathlib import Path

MARKS = {"ok": ("✓", "green"), "note": ("·", "yellow"), "bad": ("✗", "red")}
LIMITS = {
    "memory": "memory of an environment", "pids": "number of processes", "cpu": "processor time", "disk": "size of /workspace and /tmp",
    "time": "time of a command", "files": "open files",
}  # fmt: skip
EXTRAS = {
    "ruff": "style and bugs",
    "bandit": "security",
    "griffe": "API compatibility",
    "radon": "complexity",
    "yaml": "deployment files",
    "coverage": "coverage",
}


def add(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(home: Home = None, json: Json = False, no_color: NoColor = False) -> int:
    """Say what works on this machine, and what does not.

    Sandbox, limits, tools, HOME, policy, model keys (never their values), each with the fix.

    Exit codes: 0 a review can run here; 2 something that it needs is missing, and the fix is printed.

    \b
    Examples:
      quarterdeck doctor
      quarterdeck doctor --json
    """
    face = Face(home, json=json, no_color=no_color)
    checks = [*_machine(), *_sandbox(), *_tools(), *_home(face.home), *_models(face.home)]
    bad = [c for c in checks if c["state"] == "bad"]
    face.document({"schema": "quarterdeck.doctor/1", "ok": not bad, "checks": checks})
    rows = [(MARKS[c["state"]][0], c["what"], c["words"]) for c in checks]
    for line, one in zip(columns(rows), checks, strict=True):
        face.out(face.style(line, MARKS[one["state"]][1]) if one["state"] != "ok" else line)
        if one["fix"]:
            face.out(f"   fix: {clean(one['fix'])}")
    face.out("ready: `quarterdeck review` can run here" if not bad else f"not ready: {', '.join(c['what'] for c in bad)}")
    return 2 if bad else 0


def _check(state: str, what: str, words: str, fix: str = "") -> dict[str, Any]:
    return {"state": state, "what": what, "words": words, "fix": fix}


def _machine() -> list[dict[str, Any]]:
    import platform
    import sys

    from quarterdeck import __version__

    enough = sys.version_info >= (3, 11)
    fix = "" if enough else "install Python 3.11 or newer"
    return [
        _check(
            "ok" if enough else "bad",
            "python",
            f"{platform.python_version()} on {platform.system()} {platform.release()}; quarterdeck {__version__}",
            fix,
        )
    ]


def _sandbox() -> list[dict[str, Any]]:
    from quarterdeck.sandbox import detect

    found = detect()
    if found.mode == "D":
        cause, fix = (*found.notes, "", "")[:2]
        return [_check("bad", "sandbox", f"commands cannot be isolated here: {cause}", fix)]
    checks = [_check("ok", "sandbox", f"mode {found.mode}, {found.isolation}: own users, processes, mounts and network (none)")]
    words = {"enforced": "enforced", "rlimit": "per process only (rlimit)", "none": "not enforced"}
    for name, state in found.limits.items():
        checks.append(_check("ok" if state == "enforced" else "note", f"limit {name}", f"{LIMITS.get(name, name)}: {words[state]}"))
    return checks + [_check("note", "note", note) for note in found.notes]


def _tools() -> list[dict[str, Any]]:
    import importlib.util
    import shutil
    import subprocess

    from quarterdeck.sandbox import toolbox

    checks = []
    git = shutil.which("git")
    if git:
        said = subprocess.run([git, "--version"], capture_output=True, text=True, check=False, timeout=2).stdout.strip()
        checks.append(_check("ok", "git", said.removeprefix("git version ")))
    else:
        checks.append(_check("bad", "git", "not installed", "sudo apt-get install git"))
    if importlib.util.find_spec("pip") or shutil.which("pip"):
        checks.append(_check("ok", "pip", "fetches the dependencies of a project's tests"))
    else:
        checks.append(_check("note", "pip", "not installed: suites run without their dependencies", "python3 -m ensurepip --upgrade"))
    present = toolbox().modules
    missing = [name for name in EXTRAS if name not in present]
    if not missing:
        return [*checks, _check("ok", "analyzers", ", ".join(present))]
    absent = ", ".join(f"{name} ({EXTRAS[name]})" for name in missing)
    return [*checks, _check("note", "analyzers", f"not checked without: {absent}", "pip install 'quarterdeck[review]'")]


def _home(home: Path) -> list[dict[str, Any]]:
    import shutil

    from quarterdeck.config import load_config
    from quarterdeck.policy import load_bundle
    from quarterdeck.protocol.errors import QuarterdeckError
    from quarterdeck.store import open_store

    from ..words import size

    checks = []
    try:
        store = open_store(home)
        store.close()
        free = shutil.disk_usage(home).free
        low = free < 2 * 10**9
        checks.append(
            _check(
                "note" if low else "ok",
                "home",
                f"{home} is writable, {size(free)} free",
                "free at least 2 GB: `quarterdeck gc`" if low else "",
            )
        )
    except QuarterdeckError as error:
        checks.append(_check("bad", "home", error.message, error.hint))
    try:
        from pathlib import Path

        config = load_config(home)
        checks.append(
            _check(
                "ok",
                "configuration",
                "; ".join(f"{v.name} from {v.origin}" for v in config.values.values() if v.origin != "default") or "defaults",
            )
        )
        bundle = load_bundle(Path(config["policy"]).expanduser() if config["policy"] else None)
        checks.append(_check("ok", "policy", f"{bundle.name}, {len(bundle.policies)} policies, sha256 {bundle.digest[:12]}"))
    except QuarterdeckError as error:
        checks.append(_check("bad", "configuration", error.message, error.hint))
    return checks


def _models(home: Path) -> list[dict[str, Any]]:
    import os

    from quarterdeck.config import load_config
    from quarterdeck.models import providers_from
    from quarterdeck.protocol.errors import QuarterdeckError

    try:
        config = load_config(home)
        providers = providers_from(config.tables.get("providers", {}))
    except QuarterdeckError as error:
        return [_check("note", "models", error.message, error.hint)]
    keys = sorted({p.api_key_env for p in providers.values() if p.api_key_env})
    present = [k for k in keys if os.environ.get(k)]
    said = f"keys set: {', '.join(f'${k}' for k in present) or 'none'}"
    lacking = [k for k in keys if k not in present]
    return [_check("ok", "models", f"{said}; not set: {', '.join(f'${k}' for k in lacking) or 'none'}; a review needs no model")]
