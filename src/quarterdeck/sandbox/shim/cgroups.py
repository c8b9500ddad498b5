"""Control groups, version 1 and 2: where they are writable they enforce memory, processes and processor time of an environment."""

# pathlib and contextlib are not used: importing them costs milliseconds of every cold start.
# ruff: noqa: PTH103, PTH106, PTH110, PTH112, PTH123
from __future__ import annotations

import os
import time

ROOT = "/sys/fs/cgroup"
PERIOD_US = 100_000
CONTROLLERS = ("memory", "pids", "cpu")


def own_groups(text: str) -> dict[str, str]:
    """Parse /proc/self/cgroup into {controller: path}; the key "" is version 2's."""
    groups = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            groups[name] = path
    return groups


def parents() -> dict[str, str]:
    """Return {controller: folder} where this process may make groups; absent ones cannot be enforced."""
    with open("/proc/self/cgroup") as file:
        groups = own_groups(file.read())
    found = {}
    for name in CONTROLLERS:
        if name not in groups:
            continue
        for base in (f"{ROOT}/{name}", f"{ROOT}/cpu,cpuacct"):
            folder = base + groups[name].rstrip("/")
            folder = folder if os.path.isdir(folder) else base  # inside a container the path is the outer one
            if os.path.exists(f"{folder}/cgroup.procs") and os.access(folder, os.W_OK):
                found[name] = folder
                break
    return found or _unified(groups.get("", "/"))


def ancestors(path: str) -> list[str]:
    """The folders above a version 2 group, nearest first; the group itself holds processes, so it cannot hand controllers down."""
    parts = [part for part in path.split("/") if part]
    return ["/".join([ROOT, *parts[:depth]]) for depth in range(max(len(parts) - 1, 0), -1, -1)]


def _unified(path: str) -> dict[str, str]:
    """Version 2: the nearest ancestor that we own and that hands its controllers down (a delegated slice, or the root)."""
    if not os.path.exists(f"{ROOT}/cgroup.controllers"):
        return {}
    for folder in ancestors(path):
        if os.access(folder, os.W_OK) and os.access(f"{folder}/cgroup.procs", os.W_OK):
            handed = _hand_down(folder)
            if handed:
                return dict.fromkeys(handed, folder)
    return {}


def _hand_down(folder: str) -> list[str]:
    control = f"{folder}/cgroup.subtree_control"
    for name in CONTROLLERS:
        try:
            _write(control, f"+{name}")
        except OSError:
            continue
    try:
        with open(control) as file:
            handed = file.read().split()
    except OSError:
        return []
    return [name for name in CONTROLLERS if name in handed]


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _read_number(path: str, field: str) -> int:
    try:
        with open(path) as file:
            for line in file:
                name, _, value = line.partition(" ")
                if name == field:
                    return int(value)
    except OSError:
        pass
    return 0


class Group:
    """One environment's groups: a folder per hierarchy (version 1) or a single one (version 2)."""

    def __init__(self, name: str, under: dict[str, str]) -> None:
        self.unified = bool(under) and os.path.exists(f"{next(iter(under.values()))}/cgroup.controllers")
        self.folders = {controller: f"{folder}/{name}" for controller, folder in under.items()}

    def make(self, memory: int, pids: int, cpu: float) -> None:
        """Make the groups and set their limits (bytes, processes, cores). Raises OSError."""
        quota = max(1000, int(cpu * PERIOD_US))
        one = {
            "memory": [("memory.limit_in_bytes", str(memory)), ("memory.memsw.limit_in_bytes", str(memory))],
            "pids": [("pids.max", str(pids))],
            "cpu": [("cpu.cfs_period_us", str(PERIOD_US)), ("cpu.cfs_quota_us", str(quota))],
        }
        two = {
            "memory": [("memory.max", str(memory)), ("memory.swap.max", "0")],
            "pids": [("pids.max", str(pids))],
            "cpu": [("cpu.max", f"{quota} {PERIOD_US}")],
        }
        for folder in dict.fromkeys(self.folders.values()):
            os.makedirs(folder, exist_ok=True)
        for controller, folder in self.folders.items():
            for name, value in (two if self.unified else one)[controller]:
                if os.path.exists(f"{folder}/{name}"):  # swap accounting may be compiled out
                    _write(f"{folder}/{name}", value)

    def add(self, pid: int) -> None:
        """Move a process into the groups; children that it has already stay where they are."""
        for folder in dict.fromkeys(self.folders.values()):
            _write(f"{folder}/cgroup.procs", str(pid))

    def oom_kills(self) -> int:
        """How many processes the kernel has killed here for want of memory."""
        folder = self.folders.get("memory")
        if folder is None:
            return 0
        return _read_number(f"{folder}/memory.events" if self.unified else f"{folder}/memory.oom_control", "oom_kill")

    def remove(self, deadline: float) -> bool:
        """Kill what is left and remove the groups; False if something is still there at `deadline` (monotonic seconds)."""
        left = list(dict.fromkeys(self.folders.values()))
        while True:
            left = [folder for folder in left if not _remove(folder)]
            if not left or time.monotonic() > deadline:
                return not left
            for folder in left:
                _kill_all(folder)
            time.sleep(0.005)


def _remove(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _kill_all(folder: str) -> None:
    try:
        with open(f"{folder}/cgroup.procs") as file:
            for pid in file.read().split():
                os.kill(int(pid), 9)
    except OSError:
        pass
