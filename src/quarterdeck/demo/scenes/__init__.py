"""The demo's showing: a review and five scenes, each a real run of the runtime, each with the command that repeats it.

`play` orders them, `show` is what they share; `review`, `attack`, `agent`, `kill`, `ask` and `tamper` are one idea each.
"""

from __future__ import annotations

from .play import SCENES, main

__all__ = ["SCENES", "main"]
