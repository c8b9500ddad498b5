"""`quarterdeck report verify DIR`: is this report what its run recorded, and does all of it follow from the artifacts (A13)?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..face import Face
from ..options import Home, Json, NoColor
from ..words import clean

if TYPE_CHECKING:
    from quarterdeck.workflows.review.report import VerifyResult


def add(app: typer.Typer) -> None:
    group = typer.Typer(help="Reports of reviews.\n\nExample: quarterdeck report verify DIR", no_args_is_help=True, rich_markup_mode=None)
    group.callback()(lambda: None)  # keeps `verify` a command of its own although it is the only one
    group.command("verify")(verify)
    app.add_typer(group, name="report")


def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The report's folder, as `quarterdeck review` printed it.")],
    home: Home = None,
    json: Json = False,
    no_color: NoColor = False,
) -> int:
    """Derive every number and verdict of a report again from its artifacts, and compare their digests with the run's log.

    Exit codes: 0 it holds; 1 it does not, and each wrong file is named; 2 it could not be checked.

    \b
    Example:
      quarterdeck report verify ./report
    """
    import asyncio

    from quarterdeck.workflows.review import verify_report

    from ..reading import opened

    face = Face(home, json=json, no_color=no_color)

    async def main() -> VerifyResult:
        with opened(face.home) as store:
            return await verify_report(store, directory)

    found = asyncio.run(main())
    face.document({"schema": "quarterdeck.report-verify/1", "ok": found.ok, "problems": found.problems, "checked": found.checked})
    for problem in found.problems:
        face.out(face.style(f"wrong: {problem}", "red"))
    if found.ok:
        face.out(
            face.style(f"The report holds: {found.checked} files are what the run recorded, and every number follows from them.", "green")
        )
    else:
        face.out(f"{clean(str(directory))} does not hold.")
    return 0 if found.ok else 1
