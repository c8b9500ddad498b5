"""One trial start, for `detect`: does an environment start on this host, and what do its processes look like from outside?"""

# pathlib and contextlib are not used: importing them costs milliseconds of every cold start.
# ruff: noqa: PTH123
from __future__ import annotations

import marshal
import select
import sys
import time

from . import launch
from .processes import kill

TRIAL_S = 3.0
FIELDS = ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")


def main() -> None:
    """Read a plan from stdin; write `ok`, or the cause of the failure, and the agent's process fields as lines to stdout."""
    plan = marshal.load(sys.stdin.buffer)
    sandbox = launch.start(plan)
    init = sandbox.read_info()
    sandbox.agent.send(b"G")
    ready, _, _ = select.select([sandbox.agent.fileno()], [], [], TRIAL_S)
    good = bool(ready) and sandbox.agent.recv(64) == b"R"
    if not good:
        time.sleep(0.02)
        print(sandbox.complaint() or "the agent inside did not answer")
    else:
        print("ok")
        with open(f"/proc/{init}/status") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name in FIELDS:
                    print(name, value.split()[0])
    kill(init)
    kill(sandbox.pid)
