"""Which code belongs to a run: what we ship is known by name, a user's file by the `origin` that its submission names."""

from __future__ import annotations

import importlib.util
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quarterdeck.protocol.errors import BadInput, QuarterdeckError

if TYPE_CHECKING:
    from quarterdeck.app import Runtime
    from quarterdeck.tools import FunctionTool
    from quarterdeck.workflows import Workflow


def shipped(name: str) -> Workflow | None:
    """A workflow of Quarterdeck's own."""
    if name == "review":
        from quarterdeck.workflows.review import review

        return review
    if name == "agent-task":
        from quarterdeck.workflows.agent_task import agent_task

        return agent_task
    return None


def split_target(target: str) -> tuple[Path, str]:
    """`FILE.py:WORKFLOW`, or `FILE.py`."""
    file, colon, name = target.rpartition(":")
    return (Path(file), name) if colon and not name.endswith(".py") else (Path(target), "")


def load_file(file: Path) -> tuple[dict[str, Workflow], list[FunctionTool]]:
    """Run a Python file of the user's and return its workflows and tools. BadInput says what is wrong with it."""
    from quarterdeck.tools import FunctionTool
    from quarterdeck.workflows import Workflow

    if not file.is_file():
        near = get_close_matches(file.name, [p.name for p in file.parent.glob("*.py")] if file.parent.is_dir() else [], 1)
        raise BadInput(
            f"There is no file {file}.",
            hint=f"Did you mean {file.parent / near[0]}?" if near else "quarterdeck run FILE.py:WORKFLOW",
            param="file",
        )
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise BadInput(f"{file} is not a Python file.", hint="quarterdeck run FILE.py:WORKFLOW", param="file")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, module)
    sys.path.insert(0, str(file.parent))  # so that a workflow's file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except QuarterdeckError:
        raise
    except Exception as error:
        line = _line_of(error, file)
        raise BadInput(
            f"{file}{line} cannot be imported: {type(error).__name__}: {error}", hint=f"Try: python {file}", param="file"
        ) from error
    values = list(vars(module).values())
    return {v.name: v for v in values if isinstance(v, Workflow)}, [v for v in values if isinstance(v, FunctionTool)]


def _line_of(error: Exception, file: Path) -> str:
    """`:LINE` where the user's own file failed."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    import traceback

    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    return f":{lines[-1]}" if lines else ""


def pick(file: Path, name: str) -> tuple[Workflow, list[FunctionTool]]:
    """The workflow `name` of a file, or its only one."""
    found, tools = load_file(file)
    if not found:
        raise BadInput(f"{file} defines no workflow.", hint="Write `@workflow` above an `async def f(ctx, input): ...`.", param="workflow")
    wanted = name.replace("_", "-")
    if not name and len(found) == 1:
        return next(iter(found.values())), tools
    for known, work in found.items():
        if known in (name, wanted):
            return work, tools
    if not name:
        names = " or ".join(f"{file.name}:{n}" for n in found)
        raise BadInput(f"{file} defines more than one workflow.", hint=f"Say which: {names}", param="workflow")
    near = get_close_matches(wanted, list(found), 1)
    hint = f"Did you mean {file.name}:{near[0]}?" if near else f"It defines {', '.join(found)}."
    raise BadInput(f"{file} defines no workflow {name!r}.", hint=hint, param="workflow")


async def submitted(runtime: Any, root: str) -> dict[str, Any]:
    """The body of a run's first record."""
    records = await runtime.store.records(root, -1, 1)
    body: dict[str, Any] = records[0].body if records else {}
    return body


def make_known(runtime: Runtime, body: dict[str, Any], file: Path | None = None) -> None:
    """Register the code of a submitted run. BadInput when it cannot be told where it is."""
    name = str(body.get("name", ""))
    if body.get("kind") != "workflow":
        return
    work = shipped(name) if file is None else None
    if work is None:
        place = file or (Path(body["origin"]["file"]) if body.get("origin", {}).get("file") else None)
        if place is None:
            raise BadInput(
                f"The code of the workflow {name!r} is not known here: its run was started by a program of its own.",
                hint="Say where it is: quarterdeck resume RUN --file FILE.py", param="file",
            )  # fmt: skip
        work, tools = pick(place.absolute(), name)
        runtime.functions.add(tools)
    runtime.register(work)


def origin_policy(body: dict[str, Any]) -> Path | None:
    """The policy file that a run was started with: its decisions, and answers to its questions, are bound to it."""
    named = body.get("origin", {}).get("policy")
    return Path(named) if named else None
