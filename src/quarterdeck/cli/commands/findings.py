"""`quarterdeck findings`: what reviews remembered of a repository, and what shall not be raised again (A19)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..face import Face
from ..options import Home, Json, NoColor, Reason
from ..words import clean, columns, one_line, when

Repo = Annotated[Path, typer.Option("--repo", metavar="PATH", help="The git repository.")]


def add(app: typer.Typer) -> None:
    group = typer.Typer(
        help="What reviews remember of a repository.\n\nExample: quarterdeck findings list", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list")(list_)
    group.command("dismiss")(dismiss)
    app.add_typer(group, name="findings")


def list_(repo: Repo = Path(), home: Home = None, json: Json = False, no_color: NoColor = False) -> int:
    """List the findings of earlier reviews of a repository, newest first, and which were dismissed.

    \b
    Example:
      quarterdeck findings list --repo ~/project
    """
    import asyncio

    from quarterdeck.workflows.review import scope_of

    from ..reading import opened

    face = Face(home, json=json, no_color=no_color)
    scope = scope_of(repo)

    async def read() -> list[dict[str, Any]]:
        with opened(face.home) as store:
            dismissed = {m.key: m for m in await store.recall("default", scope, "dismissed")}
            found = await store.recall("default", scope, "finding")
            return [
                {
                    "fingerprint": m.key, **m.body, "run": m.run, "at": m.at, "dismissed": m.key in dismissed,
                    "dismissed_by": dismissed[m.key].body.get("by", "") if m.key in dismissed else "",
                }
                for m in found
            ]  # fmt: skip

    found = asyncio.run(read())
    face.document({"schema": "quarterdeck.findings/1", "scope": scope, "findings": found})
    if not found:
        face.note("No findings are remembered of this repository.")
        return 0
    rows = [("FINGERPRINT", "SEVERITY", "WHERE", "RULE", "SEEN", "WHAT")]
    for one in found:
        what = ("(dismissed) " if one["dismissed"] else "") + one_line(str(one.get("message", "")), 80)
        where = clean(f"{one.get('path')}:{one.get('line')}")
        rows.append((one["fingerprint"], str(one.get("severity")), where, clean(str(one.get("rule"))), when(one["at"]), what))
    for line in columns(rows):
        face.out(line)
    return 0


def dismiss(
    fingerprint: Annotated[str, typer.Argument(metavar="FINGERPRINT", help="As the report and `findings list` name it, or its beginning.")],
    repo: Repo = Path(),
    reason: Reason = "",
    home: Home = None,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Do not raise a finding again in later reviews of this repository. It stays in the log of who said so.

    \b
    Example:
      quarterdeck findings dismiss 4be1f0c2 --reason "test data, not a key"
    """
    import asyncio

    from quarterdeck.app import Runtime
    from quarterdeck.workflows.review import scope_of

    from ..reading import existing_home

    face = Face(home, json=json, no_color=no_color)
    scope = scope_of(repo)

    async def main() -> str:
        async with Runtime(existing_home(face.home)) as runtime:
            known = {m.key: m.body for m in await runtime.store.recall("default", scope, "finding")}
            named = pick(fingerprint, list(known))
            await runtime.dismiss(scope, named, {"by": runtime.actor, "reason": reason, "message": known[named].get("message", "")})
            return named

    named = asyncio.run(main())
    face.document({"schema": "quarterdeck.dismissal/1", "fingerprint": named, "scope": scope, "reason": reason})
    face.out(f"{named} is dismissed: later reviews of this repository do not raise it.")
    return 0


def pick(text: str, known: list[str]) -> str:
    """The fingerprint that a person means. NotFound or BadInput."""
    from difflib import get_close_matches

    from quarterdeck.protocol.errors import BadInput, NotFound

    found = [k for k in known if k.startswith(text)] if text else []
    if text in known or len(found) == 1:
        return text if text in known else found[0]
    if found:
        raise BadInput(f"{text!r} means more than one finding: {', '.join(found[:4])}.", hint="Give more of it.", param="fingerprint")
    near = get_close_matches(text, known, 1)
    hint = f"Did you mean {near[0]}?" if near else "`quarterdeck findings list --repo PATH` shows them."
    raise NotFound(f"No review of this repository has found {text!r}.", hint=hint, param="fingerprint")
