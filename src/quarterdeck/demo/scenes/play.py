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
        show.say(f"stopped; what was begun is listed by: {show.command('runs')}")
        return 130
    if failures:
        show.say(f"failed: {', '.join(failures)}")
    return 1 if failures else 0


async def _showing(show: Show, parts: tuple[str, ...]) -> list[str]:
    """Play the parts. Returns what failed.

    The scenes are played at once, since each mostly waits, and shown one after another.
    """
    from . import closing, review

    began, since = time.monotonic(), time.time_ns() // 1000
    failed: list[str] = []
    reviewed = None
    if "review" in parts:
        try:
            reviewed = await review.play(show)
        except Exception as error:  # whatever it is, the scenes can still be shown
            failed.append("review")
            show.say(_why(error))
    scenes = [part for part in parts if part != "review"]
    playing = [asyncio.create_task(_scene(show, name)) for name in scenes]
    try:
        for name, task in zip(scenes, playing, strict=True):
            show.doing(f"scene {name} …")
            ok, lines = await task
            show.say()
            for line in lines:
                show.say(line)
            failed += [] if ok else [name]
    finally:
        for task in playing:
            task.cancel()
        await asyncio.gather(*playing, return_exceptions=True)
    if reviewed is not None:
        await closing.play(show, reviewed, since, began)
    return failed


async def _scene(show: Show, name: str) -> tuple[bool, list[str]]:
    """Play one scene. Returns whether it ended as it must, and its lines."""
    module = import_module(f"{__package__}.{name}")
    play: Scene = module.play
    first, last = f"{name}: {module.title(show)}", f"  again: {show.again(name)}"
    try:
        lines = [first, *(f"  {text}" for text in await play(show)), last]
        if len(lines) > MAX_LINES:
            raise SceneFailed(f"The scene has {len(lines)} lines, and {MAX_LINES} are allowed.")
        return True, lines
    except Exception as error:  # whatever it is, the other scenes can still be shown
        return False, [first, _why(error), last]


def _why(error: Exception) -> str:
    words = f"{error.message} {error.hint}".rstrip() if isinstance(error, QuarterdeckError) else f"{type(error).__name__}: {error}"
    return f"  FAILED: {words}"
