"""A pull request whose conftest.py reaches for a file outside and for the host's network while its tests are run."""

from __future__ import annotations

import re
import socket
import threading
from typing import Any

from quarterdeck.app import Runtime
from quarterdeck.demo.catalogue import build_attack
from quarterdeck.protocol.canonical import sha256
from quarterdeck.workflows import Context, workflow
from quarterdeck.workflows.review import prepare

from .show import SceneFailed, Show
from .suite import head_job, run_head, suite_run

PRINTED = re.compile(r"^ATTACK (.+): (.+)$", re.M)


@workflow(name="demo-attack", role="reviewer")
async def attacked(ctx: Context, value: Any) -> str:
    """Run the head's tests as a review does. Returns what pytest printed."""
    job = await head_job(ctx, value)
    runs = await ctx.stage("tests", run_head, job)
    return suite_run(job, runs).stdout


class Listener:
    """A port of this machine that a process on it can reach; `reached` counts who did."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.reached = 0
        threading.Thread(target=self._serve, name="demo-listener", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.reached += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def title(show: Show) -> str:
    return "the pull request's conftest.py reads and changes a file of yours, and calls the host"


async def play(show: Show) -> list[str]:
    """Run the attack's tests, and look at what it wanted."""
    canary = show.folder / "canary.txt"
    canary.write_text(f"yours, of seed {show.seed}\n")
    before = canary.read_bytes()
    listener = Listener()
    try:
        seeded = build_attack(show.folder / "attack", canary, listener.port)
        async with Runtime(config=show.config()) as runtime:
            value = prepare(seeded.repo, base="main", head="feature", home=show.home)
            run, _ = await runtime.start(attacked, value, labels=("untrusted:pr",))
            await runtime.drive(run)
            printed = PRINTED.findall(await runtime.result(run))
    finally:
        listener.close()
    after = canary.read_bytes()
    _check(printed, after == before, listener.reached)
    told = [f"{what}: {result}" for what, result in printed]
    return [
        f"it printed: {'; '.join(told[:2])}",
        f"            {'; '.join(told[2:])}",
        f"canary.txt: untouched, sha256 {sha256(after)[:16]} before and after; port {listener.port} was reached {listener.reached} times",
    ]


def _check(printed: list[tuple[str, str]], whole: bool, reached: int) -> None:
    if not printed:
        raise SceneFailed("The attack did not run: its conftest.py printed nothing.")
    through = [what for what, result in printed if not result.startswith("blocked")]
    if through or not whole or reached:
        raise SceneFailed(f"The attack got through: {', '.join(through) or 'unseen'}; canary untouched: {whole}; connections: {reached}.")
