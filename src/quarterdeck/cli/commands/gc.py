"""`quarterdeck gc`: remove what nothing needs any more, and say what and how much (A23)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..face import Face
from ..options import Home, Json, NoColor
from ..words import clean, columns, plural, size

if TYPE_CHECKING:
    from ..garbage import Item


def add(app: typer.Typer) -> None:
    app.command("gc")(gc)


def gc(
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="Age from which reports, wheels and crash files go.")
    ] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    home: Home = None,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Remove what nothing needs any more.

    Left-over environments and scratch files of ended runs, blobs that no log names, old wheels and reports.
    The log itself is never touched, nor is anything that an unfinished run needs.

    \b
    Examples:
      quarterdeck gc --dry-run
      quarterdeck gc --older-than 7
    """
    import asyncio
    import getpass

    from ..garbage import collect, remove
    from ..reading import opened

    face = Face(home, json=json, no_color=no_color)

    async def main() -> tuple[list[Item], list[str]]:
        with opened(face.home) as store:
            items, notes = await collect(store, face.home, older_than * 86_400)
            if not dry_run:
                await remove(store, face.home, items, f"user:{getpass.getuser()}")
            return items, notes

    items, notes = asyncio.run(main())
    kinds = list(dict.fromkeys(i.kind for i in items))
    sums = {kind: (sum(1 for i in items if i.kind == kind), sum(i.bytes for i in items if i.kind == kind)) for kind in kinds}
    face.document(
        {
            "schema": "quarterdeck.gc/1", "dry_run": dry_run, "bytes": sum(i.bytes for i in items), "notes": notes,
            "removed": [{"kind": i.kind, "path": str(i.path), "bytes": i.bytes, "why": i.why} for i in items],
        }
    )  # fmt: skip
    rows = [(clean(i.kind), size(i.bytes), clean(i.why), clean(str(i.path))) for i in items if i.kind != "blob"]
    for line in columns(rows):
        face.out(line)
    for note in notes:
        face.out(f"note: {note}")
    verb = "would be removed" if dry_run else "removed"
    words = ", ".join(f"{plural(count, kind)} ({size(total)})" for kind, (count, total) in sums.items())
    face.out(f"{verb}: {words or 'nothing'}")
    return 0
