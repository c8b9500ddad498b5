"""The project's own test suite, run for base and head (A6, A7): which suite there is, what it needs, the commands that
run it, and what their output means. Everything is pure, except `fetch`, which downloads wheels outside the sandbox.

Flow: `discover` and `requirements` read a tree; `fetch(wanted(...))` brings wheels; `next_plan` names command after
command until it answers None; `compare` turns the runs of both sides into a TestReport.
"""

from .compare import SideRuns, compare
from .discover import Suite, discover
from .junit import JUnitError, parse, write
from .outcome import COMMAND_ID, INCOMPLETE_ID
from .plans import Job, Roots, blocked, next_plan, problems
from .requirements import Requirements, requirements
from .tree import FolderTree, MappingTree, TreeReader
from .wheelhouse import Wanted, Wheelhouse, fetch, wanted

__all__ = [
    "COMMAND_ID",
    "INCOMPLETE_ID",
    "FolderTree",
    "JUnitError",
    "Job",
    "MappingTree",
    "Requirements",
    "Roots",
    "SideRuns",
    "Suite",
    "TreeReader",
    "Wanted",
    "Wheelhouse",
    "blocked",
    "compare",
    "discover",
    "fetch",
    "next_plan",
    "parse",
    "problems",
    "requirements",
    "wanted",
    "write",
]
