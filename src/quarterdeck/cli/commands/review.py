"""`quarterdeck review`: a pull request goes in, a governed, evidence-backed report comes out (A1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..face import Face
from ..options import Budget, Home, Json, Model, NoColor, Policy, Quiet

if TYPE_CHECKING:
    from quarterdeck.app import Runtime

Level = Literal["low", "medium", "high"]


def add(app: typer.Typer) -> None:
    app.command("review")(review)


def review(
    repo: Annotated[Path, typer.Option("--repo", metavar="PATH", help="The git repository.")] = Path(),
    base: Annotated[
        str, typer.Option("--base", metavar="REF", help="What it is compared with [its merge base with the default branch].")
    ] = "",
    head: Annotated[str, typer.Option("--head", metavar="REF", help="What is reviewed [HEAD].")] = "",
    model: Model = "",
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where the report goes [HOME/runs/RUN/report].")] = None,
    policy: Policy = None,
    budget: Budget = None,
    fail_on: Annotated[Level | None, typer.Option("--fail-on", help="Exit 1 for findings of this severity or above [high].")] = None,
    event: Annotated[
        Path | None, typer.Option("--event", metavar="FILE", help="GitHub's pull_request payload: gives the refs, nothing is fetched.")
    ] = None,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> int:
    """Review a change, and report with evidence.

    Analyzers, its own tests on base and head, conventions and documentation; what could not be checked is said.

    Exit codes: 0 pass; 1 findings at or above --fail-on, or newly failing tests; 2 could not run; 3 waits for an approval.
    The same command again finds an unfinished review and goes on with it.

    \b
    Examples:
      quarterdeck review
      quarterdeck review --repo ~/project --base main --head feature
      quarterdeck review --model openai/NAME --budget 0.50 --fail-on medium
      quarterdeck review --event "$GITHUB_EVENT_PATH" --out report --json
    """
    from quarterdeck.app import request_key
    from quarterdeck.workflows.review import prepare
    from quarterdeck.workflows.review import review as work

    from ..driving import check_model, drive_command, flags_of, origin_of

    face = Face(home, json=json, quiet=quiet, no_color=no_color)

    async def begin(runtime: Runtime) -> tuple[str, bool]:
        chosen = check_model(runtime, model)
        value = prepare(
            repo, base=base or None, head=head or None, event=event, out=out, fail_on=fail_on, model=chosen, home=face.home
        )  # fmt: skip
        key = request_key("review", {k: v for k, v in value.items() if k != "out"}, runtime.gate.bundle)
        started = await runtime.start(
            work, value, key=key, model=chosen, labels=("untrusted:pr",), trust="operator", origin=origin_of(runtime)
        )
        face.note(f"{'review' if started[1] else 'resuming unfinished review'} {started[0]}: {value['span']['label']}")
        return started

    return drive_command(face, begin, flags_of(policy=policy, budget=budget))
