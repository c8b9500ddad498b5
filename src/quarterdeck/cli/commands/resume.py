"""`quarterdeck resume RUN` and `cancel RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..face import Face
from ..options import Home, Json, NoColor, Policy, Quiet, Reason, RunId

if TYPE_CHECKING:
    from quarterdeck.app import Runtime


def add(app: typer.Typer) -> None:
    app.command("resume")(resume)
    app.command("cancel")(cancel)


def resume(
    run: RunId,
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE.py", help="Where its workflow is now defined.")] = None,
    policy: Policy = None,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> int:
    """Go on with a run that was interrupted, or that waits. Finished steps are not run again.

    \b
    Examples:
      quarterdeck resume 3f2a91bc
      quarterdeck resume 3f2a91bc --file moved/flows.py
    """
    return resume_run(Face(home, json=json, quiet=quiet, no_color=no_color), run, file, policy)


def resume_run(face: Face, text: str, file: Path | None = None, policy: Path | None = None) -> int:
    """Resume the run that `text` names, with the policy that it was started with (or `policy`), and drive it to its end."""
    import asyncio

    from quarterdeck.protocol.records import ENDED

    from ..driving import drive_command, flags_of
    from ..known import make_known, origin_policy
    from ..reading import opened, root_and_submission

    async def look() -> tuple[str, Path | None]:
        with opened(face.home) as store:
            root, body = await root_and_submission(store, text)
            return root, policy or origin_policy(body)

    root, chosen = asyncio.run(look())

    async def begin(runtime: Runtime) -> tuple[str, bool]:
        row = await runtime.store.run(root)
        if row.state in ENDED:
            face.note(f"{root} has ended already ({row.state}).")
            return root, False
        _, body = await root_and_submission(runtime.store, root)
        make_known(runtime, body, file)
        for waiting in await runtime.store.tree(root):
            # A question wakes its run when it is answered; everything else looks again because a person says so.
            if waiting.state == "waiting" and not (waiting.waiting or "").startswith(("approval", "child", "timer")):
                await runtime.wake(waiting.id)
        face.note(f"resuming {root}: {row.name}")
        return root, False

    return drive_command(face, begin, flags_of(policy=chosen))


def cancel(run: RunId, reason: Reason = "", home: Home = None, json: Json = False, no_color: NoColor = False) -> int:
    """Ask a run to stop. A command that it runs is killed; what was done stays in the log.

    \b
    Example:
      quarterdeck cancel 3f2a91bc --reason "wrong branch"
    """
    import asyncio

    from quarterdeck.app import Runtime
    from quarterdeck.protocol.records import ENDED

    from ..driving import live_owner
    from ..reading import existing_home, root_and_submission

    face = Face(home, json=json, no_color=no_color)

    async def main() -> dict[str, object]:
        async with Runtime(existing_home(face.home)) as runtime:
            root, _ = await root_and_submission(runtime.store, run)
            await runtime.cancel(root, reason)
            holder = await live_owner(runtime.store, root)
            if holder is None:
                # Nobody drives it: this process ends it and its children, which needs none of their code.
                for _ in await runtime.store.tree(root):
                    await runtime.drive(root)
            row = await runtime.store.run(root)
            return {"run": root, "state": row.state, "driven_by": holder or ""}

    done = asyncio.run(main())
    face.document({"schema": "quarterdeck.cancel/1", "run": done["run"], "state": done["state"]})
    if done["state"] in ENDED:
        face.out(f"{done['run']} {done['state']}.")
    else:
        face.out(f"{done['run']} was asked to stop; process {str(done['driven_by']).split(':')[1]} ends it.")
    return 0
