"""`quarterdeck run FILE.py:WORKFLOW`: everybody's own workflow, with the same progress, resume and trace (A22)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..face import Face
from ..options import Budget, Home, Json, Model, NoColor, Policy, Quiet

if TYPE_CHECKING:
    from quarterdeck.app import Runtime


def add(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    target: Annotated[str, typer.Argument(metavar="FILE.py[:WORKFLOW]", help="The file, and which of its workflows.")],
    value: Annotated[str, typer.Option("--input", metavar="JSON|@FILE", help="The workflow's input.")] = "",
    model: Model = "",
    policy: Policy = None,
    budget: Budget = None,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> int:
    """Run a workflow of your own. The same command again goes on with an unfinished run of the same input.

    Exit codes: 0 completed (or the `exit_code` that its result names), 2 failed, 3 waits for an approval.

    \b
    Examples:
      quarterdeck run hello.py
      quarterdeck run flows.py:nightly --input '{"branch": "main"}'
      quarterdeck run flows.py:triage --input @issue.json --model ollama/NAME
    """
    from quarterdeck.app import request_key
    from quarterdeck.protocol.errors import BadInput

    from ..driving import check_model, drive_command, flags_of, origin_of
    from ..known import pick, split_target

    face = Face(home, json=json, quiet=quiet, no_color=no_color)
    file, name = split_target(target)
    file = file.absolute()
    work, tools = pick(file, name)
    given = read_input(value)
    if given is not None and not work.takes_input:
        raise BadInput(f"The workflow {work.name} takes no input.", hint="Leave --input out, or give it a second parameter.", param="input")

    async def begin(runtime: Runtime) -> tuple[str, bool]:
        chosen = check_model(runtime, model or work.model)
        runtime.functions.add(tools)
        origin = origin_of(runtime) | {"file": str(file)}
        started = await runtime.start(
            work, given, key=request_key("run", str(file), work.name, given, chosen, runtime.gate.bundle), model=chosen, origin=origin
        )
        face.note(f"{'run' if started[1] else 'resuming unfinished run'} {started[0]}: {work.name}")
        return started

    return drive_command(face, begin, flags_of(policy=policy, budget=budget))


def read_input(text: str) -> Any:
    """`--input`: JSON, or `@FILE` with JSON. BadInput says where it is wrong."""
    import json as encoding

    from quarterdeck.protocol.errors import BadInput

    if not text:
        return None
    try:
        return encoding.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--input: {text[1:]} cannot be read: {error}.", hint="Give JSON, or @FILE.", param="input") from error
    except ValueError as error:
        raise BadInput(f"--input is not JSON: {error}.", hint="Text needs quotes of its own: --input '\"text\"'", param="input") from error
