"""The figures at the end, and what to do next."""

from __future__ import annotations

import time

from quarterdeck.app import Runtime

from .measure import peak_memory, totals
from .review import Reviewed
from .show import Show


async def play(show: Show, reviewed: Reviewed, since: int, began: float) -> None:
    """Print what the whole showing came to. `since`: UTC microseconds, `began`: `time.monotonic()` of its start."""
    async with Runtime(config=show.config()) as runtime:
        sums = await totals(runtime.store, since)
    judged = reviewed.score
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in reviewed.seconds.items())
    show.say()
    show.say(
        f"findings: seeded {judged.seeded}, found {judged.found}, false {len(judged.false)}"
        f" (precision {judged.precision:.2f}, recall {judged.recall:.2f})"
    )
    show.say(f"seconds: {steps}; the whole demo {time.monotonic() - began:.1f}")
    show.say(f"peak memory: this process {_mega(peak_memory())}, the largest command in the sandbox {_mega(sums.largest_command)}")
    show.say(f"cost: {sums.cost / 1e6:.4f} USD; decisions: allow {sums.allow}, deny {sums.deny}, ask {sums.ask}")
    show.say(f"report: {reviewed.report / 'report.html'}")
    show.say("next:")
    show.say(f"  {show.command('trace', reviewed.run)}")
    show.say(f"  {show.command('report', 'verify', str(reviewed.report))}")
    show.say(f"  {show.program} review --repo YOUR-REPOSITORY")


def _mega(size: int) -> str:
    return f"{size / 2**20:.0f} MB"
