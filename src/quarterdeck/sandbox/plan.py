"""From an EnvironmentSpec to the plan that the shim executes."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import marshal
import os
import platform
import py_compile
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from quarterdeck.protocol.environment import Bind, EnvironmentSpec
from quarterdeck.protocol.errors import HostCannotIsolate

from . import seccomp
from .shim import cgroups
from .toolbox import interpreter
from .view import HOME, build, isolation

HERE = Path(__file__).resolve().parent
INSIDE = "/opt/quarterdeck/inside"
BOOT = "import sys;sys.path.append({folder!r});from {module} import main;main({arguments})"
BASE_ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": HOME,
    "USER": "agent",
    "LOGNAME": "agent",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "TMPDIR": "/tmp",
    "TERM": "dumb",
}
FREE_UIDS = (0x70000000, 268_304_384)
"""First and count of the uids that neither people, services nor containers use: https://systemd.io/UIDS-GIDS/."""
CORE_OFF = 1
"""RLIMIT_CORE 1 also stops dumps into a pipe, which the kernel would hand to a program that runs as host root; 0 would not."""


def host_uid(name: str) -> int | None:
    """The host uid of root's environment `name`, its own; None for an ordinary user, who keeps his."""
    if os.geteuid() != 0:
        return None
    first, count = FREE_UIDS
    free = [(first, count)]
    with open("/proc/self/uid_map") as file:  # noqa: PTH123
        ranges = [tuple(int(field) for field in line.split()) for line in file]
    if not any(start <= first and start + length >= first + count for start, _, length in ranges):
        start, _, length = max(ranges, key=lambda found: found[2])  # root of a container: the upper half of what it has
        free = [(start + length // 2, length // 2 - 1)]
    base, size = free[0]
    if size < 1:
        raise HostCannotIsolate(
            "this root's user namespace has no second uid, so an environment would have to run as root",
            hint="start the container with a range of subordinate uids, or run quarterdeck as an ordinary user",
        )
    return base + int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % size


@functools.cache
def bwrap() -> str:
    """The path of bubblewrap; prefers /usr/bin/bwrap, for which distributions ship an AppArmor profile."""
    found = "/usr/bin/bwrap" if Path("/usr/bin/bwrap").exists() else shutil.which("bwrap")
    return os.path.realpath(found) if found else ""


@functools.cache
def groups() -> dict[str, str]:
    """Where control groups can be made: {controller: folder}, each measured by making one and moving a process into it."""
    return {controller: folder for controller, folder in cgroups.parents().items() if _holds(controller, folder)}


def _holds(controller: str, folder: str) -> bool:
    group = cgroups.Group(f"quarterdeck-trial-{os.getpid()}", {controller: folder})
    try:
        group.make(1 << 30, 100, 1.0)
        with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as trial:
            group.add(trial.pid)
    except OSError:
        return False
    finally:
        group.remove(time.monotonic() + 0.5)
    return True


def kernel() -> tuple[int, int]:
    major, minor = platform.release().split(".")[:2]
    return int(major), int("".join(digit for digit in minor if digit.isdigit()))


def process_limits(spec: EnvironmentSpec) -> dict[int, int]:
    """RLIMIT numbers to values, set by the agent on itself and so on everything inside."""
    limits = {resource.RLIMIT_NOFILE: spec.limits.open_files, resource.RLIMIT_CORE: CORE_OFF}
    have = groups()
    if "pids" not in have and kernel() >= (5, 14):  # since then the count is per user namespace, before it was per host user
        limits[resource.RLIMIT_NPROC] = spec.limits.pids
    if "memory" not in have:
        # RLIMIT_AS would break programs that reserve address space (node, go, sanitizers); this counts what is writable.
        limits[resource.RLIMIT_DATA] = spec.limits.memory_bytes
    return limits


def make(spec: EnvironmentSpec, home: Path, masks: Sequence[str], idle_s: float) -> dict[str, Any]:
    """Build the plan. Raises SandboxError for binds that cannot be shown."""
    compile_ahead()
    name = f"quarterdeck-{hashlib.sha256(f'{home}/{spec.id}'.encode()).hexdigest()[:16]}"
    uid = host_uid(name)
    python, own = interpreter()
    binds = (*own, Bind(str(HERE / "inside"), INSIDE), *spec.binds)
    view = build(spec, binds, (str(home), *masks, *spec.masks), staging=uid is not None)
    boot = BOOT.format(folder=str(Path(INSIDE).parent), module="inside.agent", arguments=f"3,{process_limits(spec)!r}")
    return {
        "bwrap": bwrap(),
        "args": [os.fsencode(arg) for arg in (*isolation(), *view.args)],
        "command": [python, "-I", "-S", "-c", boot],
        "data": [seccomp.program(platform.machine()), *view.data],
        "uid": uid,
        "stage": view.stage,
        "env": {**BASE_ENV, **spec.env},
        "limits": msgspec.to_builtins(spec.limits),
        "group": name,
        "groups": groups(),
        "idle_s": idle_s,
    }


def shim_command(module: str, arguments: str) -> list[str]:
    """The command that runs a module of the shim on the host, isolated from site-packages and environment."""
    return [interpreter()[0], "-I", "-S", "-c", BOOT.format(folder=str(HERE), module=f"shim.{module}", arguments=arguments)]


@functools.cache
def compile_ahead() -> None:
    """Compile what runs outside this interpreter, once; else every start would compile it again. Failing is only slow."""
    for path in (*(HERE / "inside").glob("*.py"), *(HERE / "shim").glob("*.py")):
        compiled = Path(importlib.util.cache_from_source(str(path)))
        if not compiled.exists() or compiled.stat().st_mtime < path.stat().st_mtime:
            try:
                py_compile.compile(str(path), quiet=2)
            except OSError:
                return


def to_bytes(plan: dict[str, Any]) -> bytes:
    """The plan as the shim reads it: marshal, since importing json would delay bubblewrap's start by 7 ms."""
    return marshal.dumps(plan)
