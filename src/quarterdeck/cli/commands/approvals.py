"""`quarterdeck approvals`: what runs ask of people, and the answers; from any process (A17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..face import Face
from ..options import Home, Json, NoColor, Quiet, Reason
from ..words import clean, columns, one_line, when

if TYPE_CHECKING:
    from quarterdeck.store.approvals import Approval

Id = Annotated[str, typer.Argument(metavar="ID", help="The approval's id, or its end.")]
NoResume = Annotated[bool, typer.Option("--no-resume", help="Only answer; do not go on with the run in this process.")]


def add(app: typer.Typer) -> None:
    group = typer.Typer(
        help="What runs ask of people, and the answers.\n\nExample: quarterdeck approvals list", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list")(list_)
    group.command("show")(show)
    group.command("approve")(approve)
    group.command("deny")(deny)
    app.add_typer(group, name="approvals")


def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also what is answered, used or expired.")] = False,
    home: Home = None,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """List open questions.

    \b
    Examples:
      quarterdeck approvals list
      quarterdeck approvals list --all --json
    """
    import asyncio

    from ..reading import opened

    face = Face(home, json=json, no_color=no_color)

    async def read() -> list[Approval]:
        with opened(face.home) as store:
            return await store.approvals(pending=not everything)

    found = asyncio.run(read())
    face.document({"schema": "quarterdeck.approvals/1", "approvals": [plain(a, face) for a in found]})
    if not found:
        face.note("Nothing waits for an answer.")
        return 0
    rows = [("APPROVAL", "STATE", "ROLE", "ASKED", "RUN", "WHAT")]
    rows += [(a.id, a.state, a.role, when(a.created_at), a.run, _what(a)) for a in found]
    for line in columns(rows):
        face.out(line)
    return 0


def _what(approval: Approval) -> str:
    from ..ending import question_lines

    return one_line("; ".join(question_lines(approval.question)[:2]), 100)


def plain(approval: Approval, face: Face) -> dict[str, Any]:
    """An approval as JSON."""
    fields = ("id", "run", "role", "state", "question", "created_at", "expires_at", "answered_at", "answered_by", "reason")
    commands = {v: face.command("approvals", v, approval.id) for v in ("approve", "deny")} if approval.state == "pending" else {}
    return {f: getattr(approval, f) for f in fields} | commands


def show(approval: Id, home: Home = None, json: Json = False, no_color: NoColor = False) -> int:
    """Show one question whole: what the answer is bound to.

    \b
    Example:
      quarterdeck approvals show 7d10c2aa
    """
    import asyncio

    from ..ending import question_lines
    from ..reading import opened

    face = Face(home, json=json, no_color=no_color)

    async def read() -> Approval:
        with opened(face.home) as store:
            return await find(store, approval)

    found = asyncio.run(read())
    face.document({"schema": "quarterdeck.approval/1", **plain(found, face)})
    face.out(f"{found.id}: {found.state}, asked of {found.role} by {found.run} at {when(found.created_at)}")
    for line in question_lines(found.question):
        face.out(f"  {line}")
    if found.answered_by:
        face.out(f"{found.state} by {clean(found.answered_by)} at {when(found.answered_at)}: {clean(found.reason or 'no reason given')}")
    if found.state == "pending":
        face.out(f"expires: {when(found.expires_at)}")
        face.out(f"approve: {face.command('approvals', 'approve', found.id)}")
        face.out(f"deny:    {face.command('approvals', 'deny', found.id)}")
    return 0


async def find(store: Any, text: str) -> Approval:
    """The approval that a person means; NotFound with what they may have meant."""
    from difflib import get_close_matches

    from quarterdeck.protocol.errors import NotFound

    try:
        found: Approval = await store.approval(text)
        return found
    except NotFound as error:
        ids = [a.id for a in await store.approvals(pending=False)]
        near = get_close_matches(text, [*ids, *(i[-len(text) :] for i in ids)], 1, 0.7) if len(text) > 3 else []
        hint = f"Did you mean {near[0]}?" if near else error.hint
        raise NotFound(error.message, hint=hint, param="approval") from error


def approve(
    approval: Id,
    reason: Reason = "",
    no_resume: NoResume = False,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> int:
    """Say yes. If no other process drives the run, this one goes on with it.

    \b
    Example:
      quarterdeck approvals approve 7d10c2aa --reason "looked at it"
    """
    return answer(Face(home, json=json, quiet=quiet, no_color=no_color), approval, "approve", reason, no_resume)


def deny(
    approval: Id,
    reason: Reason = "",
    no_resume: NoResume = False,
    home: Home = None,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> int:
    """Say no. If no other process drives the run, this one goes on with it; it learns of the no.

    \b
    Example:
      quarterdeck approvals deny 7d10c2aa --reason "not on main"
    """
    return answer(Face(home, json=json, quiet=quiet, no_color=no_color), approval, "deny", reason, no_resume)


def answer(face: Face, approval: str, verdict: str, reason: str, no_resume: bool) -> int:
    """Record the answer under the run's own policy, then go on with the run unless somebody else does."""
    import asyncio

    from quarterdeck.app import Runtime
    from quarterdeck.config import load_config
    from quarterdeck.protocol.errors import BadInput

    from ..driving import flags_of, live_owner
    from ..known import make_known, origin_policy
    from ..reading import opened, root_and_submission
    from .resume import resume_run

    async def main() -> tuple[str, str]:
        with opened(face.home) as store:
            found = await find(store, approval)
            root, body = await root_and_submission(store, found.run)
        async with Runtime(config=load_config(face.home, flags_of(policy=origin_policy(body)))) as runtime:
            await runtime.answer(found.id, verdict, reason)
            face.note(f"{found.id} {'approved' if verdict == 'approve' else 'denied'} by {runtime.actor}.")
            holder = await live_owner(runtime.store, root)
            if holder is not None:
                return root, f"Process {holder.split(':')[1]} goes on with {root}."
            try:
                make_known(runtime, body)
            except BadInput as error:
                return root, f"{root} is not resumed here: {error.message} {error.hint}"
        return root, f"go on with: {face.command('resume', root)}" if no_resume else ""

    root, elsewhere = asyncio.run(main())
    if not elsewhere:
        return resume_run(face, root)
    face.note(elsewhere)
    face.document({"schema": "quarterdeck.answer/1", "run": root, "verdict": verdict, "resumed": False})
    return 0
