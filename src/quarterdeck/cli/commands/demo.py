"""`quarterdeck demo`: a pull request reviewed before your eyes, then five scenes (A27, A28)."""

from __future__ import annotations

from typing import Annotated

import typer

from ..face import Face
from ..options import Home


def add(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    seed: Annotated[int, typer.Option("--seed", metavar="N", envvar="DEMO_SEED", help="Which faults are planted; 7 has all kinds.")] = 7,
    model: Annotated[str, typer.Option("--model", metavar="PROVIDER/NAME", envvar="DEMO_MODEL", help="Use a real model.")] = "",
    scene: Annotated[str, typer.Option("--scene", metavar="NAME", help="Play only: review, attack, agent, kill, ask, tamper.")] = "",
    home: Home = None,
) -> int:
    """See it work: a review, then five scenes.

    Builds a repository with a faulty pull request, reviews it, then shows attack, agent, kill -9, ask and tamper.

    State lies in a HOME of its own (demo, beside the user's runs), unless --home names one.

    \b
    Examples:
      quarterdeck demo
      quarterdeck demo --seed 12
      quarterdeck demo --scene kill
      quarterdeck demo --model ollama/NAME
    """
    from importlib import import_module

    face = Face(home)
    # The demo is a face like this one and stands beside it; faces do not import each other.
    return int(import_module("quarterdeck.demo.scenes").main(face.home if face.named_home else None, seed, model, scene))
