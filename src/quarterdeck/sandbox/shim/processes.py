"""Host processes by pid: which they are, what they hold, ending them."""

# pathlib and contextlib are not used: importing them costs milliseconds of every cold start.
# ruff: noqa: PTH123, PTH208, SIM105
from __future__ import annotations

import os


def start_time(pid: int) -> str:
    """The process's start in clock ticks: with the pid it names one process, not its successor. Empty if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def below(pid: int) -> list[int]:
    """The host pids of all descendants of `pid`."""
    found: list[int] = []
    stack = [pid]
    while stack:
        try:
            parent = stack.pop()
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as file:
                    children = [int(child) for child in file.read().split()]
                found += children
                stack += children
        except OSError:
            continue
    return found


def anonymous_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            _, resident, shared, *_ = (int(number) for number in file.read().split())
    except (OSError, ValueError):
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def kill(pid: int) -> None:
    if pid > 0:
        try:
            os.kill(pid, 9)
        except OSError:
            pass
