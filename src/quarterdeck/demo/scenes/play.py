"""The order of the showing: the review, five scenes, the figures. Whatever fails is named, and the exit code says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path

from quarterdeck.protocol.errors import BadInput, QuarterdeckError

from .show import SceneFailed, Show, open_show

SCENES = ("attack", "agent", "kill", "ask", "tamper")
MAX_LINES = 6
Scene = Callable[[Show], Awaitable[list[str]]]


def main(home: Path | None, seed: int, model: str, scene: str = "") -> int:
    """Show the demo, or one scene of it. Returns 0, or 1 when a part of it failed. Raises BadInput for a scene that does not exist."""
    if scene and scene not in ("review", *SCENES):
        raise BadInput(f"There is no scene {scene!r}.", hint=f"There are: review, {', '.join(SCENES)}.", param="scene")
    what = f"its scene {scene}" if scene else "a pull request reviewed before your eyes, then five scenes"
    print(f"Quarterdeck's demo, seed {seed}: {what}. Model: {model or 'none'}; no server, no Docker.", flush=True)
    show = open_show(home, seed, model)
    try:
        failures = asyncio.run(_showing(show, (scene,) if scene else ("review", *SCENES)))
    except KeyboardInterrupt:
        show.say("stopped")
        return 130
    if failures:
        show.say(f"failed: {', '.join(failures)}")
    return 1 if failures else 0


async def _showing(show: Show, parts: tuple[str, ...]) -> list[str]:
    """Play the parts. Returns what failed."""
    from . import closing, review

    began, since = time.monotonic(), time.time_ns() // 1000
    failures: list[str] = []
    reviewed = None
    for number, part in enumerate(parts, 1):
        try:
            if part == "review":
                reviewed = await review.play(show)
            else:
                await _scene(show, part, number if len(parts) > 1 else 0)
        except QuarterdeckError as error:
            failures.append(part)
            show.say(f"  FAILED: {error.message} {error.hint}".rstrip())
    if reviewed is not None:
        await closing.play(show, reviewed, since, began)
    return failures


async def _scene(show: Show, name: str, number: int) -> None:
    module = import_module(f"{__package__}.{name}")
    play: Scene = module.play
    show.say()
    show.doing(f"scene {name} …")
    lines = [f"{name}: {module.title(show)}", *await play(show)]
    if len(lines) >= MAX_LINES:
        raise SceneFailed(f"The scene {name} has more than {MAX_LINES} lines.")
    for line in [*lines[:1], *(f"  {text}" for text in lines[1:]), f"  again: {show.again(name)}"]:
        show.say(line)
