"""The command `quarterdeck`: its commands, and what becomes of every error."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import typer
from typer.main import get_command

from quarterdeck.protocol.errors import QuarterdeckError

from .commands import (
    agent,
    approvals,
    audit,
    completion,
    demo,
    doctor,
    findings,
    gc,
    logs,
    models,
    policy,
    report,
    resume,
    review,
    run,
    runs,
    settings,
    trace,
)
from .face import Defaults, print_error, print_known
from .options import Home, NoColor

app = typer.Typer(
    name="quarterdeck",
    help="A self-hosted, governed runtime for AI agents.\n\nExample: quarterdeck review --repo . --base main",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for room in (
    review,
    run,
    agent,
    runs,
    trace,
    logs,
    resume,
    approvals,
    findings,
    report,
    audit,
    models,
    policy,
    doctor,
    settings,
    gc,
    demo,
    completion,
):
    room.add(app)


@app.callback()
def before(home: Home = None, no_color: NoColor = False) -> None:
    Defaults.home, Defaults.no_color = home, no_color


@app.command()
def version(json: bool = typer.Option(False, "--json", help="Print one JSON document on stdout, and nothing else.")) -> None:
    """Say which version this is.

    Example: quarterdeck version
    """
    import platform

    from quarterdeck import __version__

    if json:
        print(f'{{"version": "{__version__}", "python": "{platform.python_version()}"}}')
    else:
        print(f"quarterdeck {__version__} (Python {platform.python_version()})")


def main(argv: list[str] | None = None) -> None:
    """The entry point of the wheel. Exits the process."""
    sys.exit(run_command(sys.argv[1:] if argv is None else argv))


def run_command(args: list[str]) -> int:
    """Run one command line and return its exit code; no exception leaves."""
    wanted = "--json" in args
    try:
        code = get_command(app).main(args, prog_name="quarterdeck", standalone_mode=False)
        sys.stdout.flush()
        if code == 130:  # Typer's, for a Ctrl-C before anything began
            print("\nStopped.", file=sys.stderr)
        return code if isinstance(code, int) else 0
    except QuarterdeckError as error:
        print_known(error, json_wanted=wanted)
    except (KeyboardInterrupt, typer.Abort):
        print("\nStopped.", file=sys.stderr)
        return 130
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error)
        elif hasattr(error, "format_message"):  # what Typer raises for a wrong command line; its class is private
            print_error("Usage", *_usage(error), json_wanted=wanted)
        else:
            print_error(*_crash(error), json_wanted=wanted)
    return 2


def _usage(error: Exception) -> tuple[str, str]:
    """A wrong command line in words, with what was probably meant."""
    from difflib import get_close_matches

    message = str(error.format_message()).strip()  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "quarterdeck"
    wrong = re.search(r"'([^']*)' is not one of (.*)\.$", message)
    choices = [c.strip(" '") for c in wrong[2].split(",")] if wrong else []
    near = get_close_matches(wrong[1], choices, 1) if wrong else []
    message = message.replace("Value error, ", "")
    options = list(getattr(error, "possibilities", None) or ())
    if near:
        return message, f"Did you mean {near[0]!r}?"
    if options:
        return f"No such option: {error.option_name}", f"Did you mean {' or '.join(sorted(options))}?"  # type: ignore[attr-defined]
    return message, f"{path} --help"


def _crash(error: Exception) -> tuple[str, str, str]:
    """A defect: one line for the person, the traceback into a file."""
    import time
    import traceback

    from quarterdeck.config import default_home

    home = Defaults.home or default_home()
    text = "".join(traceback.format_exception(error))
    file = Path(home) / "crash" / f"{time.strftime('%Y%m%d-%H%M%S')}.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(text, encoding="utf-8")
        where = f"The traceback is in {file}; please report it."
    except OSError:
        sys.stderr.write(text)
        where = "Please report the traceback above."
    return type(error).__name__, f"Unexpected {type(error).__name__}: {error}", where
