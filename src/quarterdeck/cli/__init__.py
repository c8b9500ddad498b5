"""The command line: a face that translates what a person types into calls of the runtime, and its log into text.

Each command file is one idea. `main.py` puts them together and turns every error into two lines and an exit code;
`driving.py` drives or follows a run, `ending.py` says how it ended, `progress.py` shows it meanwhile. Exit codes:
0 pass or done, 1 findings, newly failing tests or work cut short, 2 could not run, 3 waits for a person, 130 interrupted.
Whatever is heavy is imported inside a command: `quarterdeck --help` starts in 0.25 s.
"""

from __future__ import annotations

from .main import main

__all__ = ["main"]
