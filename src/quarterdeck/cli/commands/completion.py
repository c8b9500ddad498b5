"""`quarterdeck completion`: the shell script that completes commands and options."""

from __future__ import annotations

from typing import Literal

import typer


def add(app: typer.Typer) -> None:
    @app.command()
    def completion(shell: Literal["bash", "zsh", "fish"] = typer.Argument(help="The shell that you type in.")) -> None:
        """Print the script that completes commands and options in your shell.

        Example: source <(quarterdeck completion bash)
        """
        from typer._completion_shared import get_completion_script

        print(get_completion_script(prog_name="quarterdeck", complete_var="_QUARTERDECK_COMPLETE", shell=shell))
