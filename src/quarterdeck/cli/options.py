"""The options that commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[Path | None, typer.Option("--home", metavar="DIR", help="Where all state lies [$QUARTERDECK_HOME, else ~/.quarterdeck].")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colour. NO_COLOR and a pipe do the same.")]
Model = Annotated[str, typer.Option("--model", metavar="PROVIDER/NAME", help="The model, e.g. openai/NAME or ollama/NAME.")]
Policy = Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="A Cedar policy that replaces the packaged one.")]
Budget = Annotated[float | None, typer.Option("--budget", metavar="USD", min=0.0, help="US dollars that this run may spend on models.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or its beginning or end.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the log.")]
