"""`quarterdeck audit verify`: prove that no record was changed, removed or added behind the runtime's back (A21)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..face import Face
from ..options import Home, Json, NoColor
from ..words import clean, plural

if TYPE_CHECKING:
    from quarterdeck.audit import Problem


def add(app: typer.Typer) -> None:
    group = typer.Typer(help="The hash-chained log.\n\nExample: quarterdeck audit verify", no_args_is_help=True, rich_markup_mode=None)
    group.callback()(lambda: None)
    group.command("verify")(verify)
    app.add_typer(group, name="audit")


def verify(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="Only this run [all].")] = "",
    database: Annotated[
        Path | None, typer.Option("--database", metavar="FILE", help="A copy of the database; blobs are read from HOME.")
    ] = None,
    home: Home = None,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Check every record against its leaf, and every leaf against the one before it.

    Exit codes: 0 whole; 1 changed, and the run and the leaf are named; 2 could not be read.

    \b
    Examples:
      quarterdeck audit verify
      quarterdeck audit verify 3f2a91bc
      quarterdeck audit verify --database /backup/quarterdeck.db
    """
    import asyncio

    from quarterdeck.audit import verify_run
    from quarterdeck.store import Store, open_copy

    from ..reading import opened, resolve

    face = Face(home, json=json, no_color=no_color)

    async def check(store: Store) -> tuple[int, int, list[Problem]]:
        named = await resolve(store, run) if run else ""
        runs, leaves, problems = 0, 0, list["Problem"]()
        for one, expected, head, state in await store.heads():
            if named and one != named:
                continue
            rows = await store.audit_rows(one)
            problems += verify_run(one, rows, expected, head, state, await store.effect_states(one))
            runs, leaves = runs + 1, leaves + len(rows)
        return runs, leaves, problems

    async def main() -> tuple[int, int, list[Problem]]:
        if database is None:
            with opened(face.home) as store:
                return await check(store)
        copy = open_copy(database, face.home)
        try:
            return await check(copy)
        finally:
            copy.close()

    runs, leaves, problems = asyncio.run(main())
    shown = [{"run": p.run, "leaf": p.seq, "what": p.what} for p in problems]
    face.document({"schema": "quarterdeck.audit-verify/1", "ok": not problems, "runs": runs, "leaves": leaves, "problems": shown})
    for problem in problems:
        where = f"leaf {problem.seq}" if problem.seq >= 0 else "the run as a whole"
        face.out(face.style(f"{problem.run}, {where}: {clean(problem.what)}", "red"))
    if problems:
        face.out(f"The log was changed: {plural(len(problems), 'problem')} in {plural(len({p.run for p in problems}), 'run')}.")
        return 1
    face.out(face.style(f"whole: {plural(leaves, 'leaf').replace('leafs', 'leaves')} of {plural(runs, 'run')}", "green"))
    face.note("This detects any change that does not rewrite a run's whole chain; for that, keep a copy of the heads elsewhere.")
    return 0
