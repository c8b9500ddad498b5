"""`quarterdeck agent "TASK"`: an agent works on a copy of a repository in the sandbox and hands back a patch (A22)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..face import Face
from ..options import Budget, Home, Json, Model, NoColor, Policy, Quiet

if TYPE_CHECKING:
    from quarterdeck.app import Runtime


def add(app: typer.Typer) -> None:
    app.command("agent")(agent)


def agent(
    task: Annotated[str, typer.Argument(metavar="TASK", help="What it shall do, in words.")],
    repo: Annotated[Path, typer.Option("--repo", metavar="PATH", help="The git repository whose HEAD it gets a copy of.")] = Path(),
    model: Model = "",
    max_steps: Annotated[int, typer.Option("--max-steps", metavar="N", min=1, max=1000, help="Model calls at most.")] = 30,
    policy: Policy = None,
    budget: Budget = None,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> int:
    """Let an agent work on a copy of a repository.

    It works in the sandbox, without network, on a copy of HEAD. What it changed is a patch; you apply it.

    Exit codes: 0 done, 1 cut short by --max-steps or --budget, 2 failed, 3 waits for an approval.

    \b
    Examples:
      quarterdeck agent "make the failing test pass" --model ollama/NAME
      quarterdeck agent "add type hints to util.py" --repo ~/project --model openai/NAME --budget 0.50
    """
    from quarterdeck.app import request_key
    from quarterdeck.protocol.errors import ConfigError
    from quarterdeck.workflows.agent_task import agent_task, task_input

    from ..driving import check_model, drive_command, flags_of, origin_of

    face = Face(home, json=json, quiet=quiet, no_color=no_color)

    async def begin(runtime: Runtime) -> tuple[str, bool]:
        chosen = check_model(runtime, model)
        if not chosen:
            raise ConfigError("An agent needs a model.", hint="Give --model provider/name, or set `model` in quarterdeck.toml.")
        value = task_input(task, repo, max_steps=max_steps, home=face.home)
        started = await runtime.start(
            agent_task, value, key=request_key("agent", value, chosen, runtime.gate.bundle), model=chosen, origin=origin_of(runtime)
        )  # fmt: skip
        face.note(
            f"{'agent' if started[1] else 'resuming unfinished agent'} {started[0]}: {chosen} on {value['repo']} at {value['sha'][:12]}"
        )
        return started

    return drive_command(face, begin, flags_of(policy=policy, budget=budget))
