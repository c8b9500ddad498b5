"""An agent repairs a failing test in the sandbox. Without a model a script stands in for it, and the banner says so."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import msgspec

from quarterdeck.app import Runtime
from quarterdeck.demo.catalogue import Broken, build_broken
from quarterdeck.testing import ScriptedModel
from quarterdeck.workflows import Context, workflow
from quarterdeck.workflows.review import prepare
from quarterdeck.workflows.review.suites import Job, next_plan
from quarterdeck.workflows.review.suites.outcome import cases_of
from quarterdeck.workflows.review.workflow import run_plan

from .repair import script
from .show import SceneFailed, Show
from .suite import head_job, run_head, suite_run

TASK = (
    "One test of the project in `{project}` fails. Run the tests with `{command}`, find the bug in the sources, and repair it. "
    "Do not change the tests. Stop when all of them pass."
)


class Repair(msgspec.Struct, frozen=True):
    """What the run answers. `before` and `after`: tests by outcome."""

    before: dict[str, int]
    after: dict[str, int]
    diff: str
    said: str


@dataclass(frozen=True)
class Work:
    """What the log says that the agent did."""

    model_calls: int
    actions: dict[str, int]


@workflow(name="demo-repair", role="reviewer")
async def repaired(ctx: Context, value: Any) -> Repair:
    """Run the tests, let the agent work, run the tests again: what it says of itself counts for nothing."""
    job = await head_job(ctx, value)
    runs = await ctx.stage("tests before", run_head, job)
    before = suite_run(job, runs)
    project, python = job.tree, job.interpreter
    # -B: several edits within a second must not be answered from stale byte code.
    task = TASK.format(project=project, command=f"cd {project} && {python} -B -m pytest -q -p no:cacheprovider")
    answer = await ctx.agent(task, tools=("shell", "read_file", "write_file"), max_steps=40)
    plan = next_plan(job, [r for r in runs if r.name not in (job.name("run"), job.name("rerun"))])
    if plan is None:
        raise ValueError("the tests could not be prepared")
    after = await run_plan(ctx, plan)
    compare = ["diff", "-ruN", "--exclude=__pycache__", "/workspace/head", project]
    diff = await ctx.shell(compare, name="diff", effect="read_only")
    return Repair(_counts(job, before), _counts(job, after), diff.stdout.text, answer.text)


def _counts(job: Job, run: Any) -> dict[str, int]:
    outcomes = [case.outcome for case in cases_of(run, job.suite).cases]
    return {outcome: outcomes.count(outcome) for outcome in ("failed", "error", "passed") if outcome in outcomes}


def title(show: Show) -> str:
    if show.model:
        return f"{show.model}, a real model, repairs a failing test"
    return "SCRIPTED, no LLM: a script chooses each step from real tool output and repairs a failing test"


async def play(show: Show) -> list[str]:
    """Plant the seed's bug, let the agent repair it, and look at what it changed."""
    broken = build_broken(show.folder / "broken", show.seed)
    with ExitStack() as stack:
        model, providers = show.model, dict[str, dict[str, object]]()
        if not model:
            server = stack.enter_context(ScriptedModel(script))
            model, providers = "scripted/script", {"scripted": {"protocol": "chat", "base_url": server.base_url, "local": True}}
        async with Runtime(config=show.config(**providers)) as runtime:
            value = prepare(broken.repo, base="main~1", head="main", home=show.home)
            run, _ = await runtime.start(repaired, value, model=model, labels=("untrusted:pr",))
            await runtime.drive(run)
            repair = msgspec.convert(await runtime.result(run), Repair)
            work = await _work(runtime, run)
    lines = repair.diff.splitlines()
    changed = [line[1:].strip() for line in lines if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")]
    files = [line.split("\t")[0].removeprefix("+++ /workspace/scratch/head/") for line in lines if line.startswith("+++ ")]
    if not show.model:
        _check(broken, repair, files)
    did = ", ".join(f"{count} {what}" for what, count in work.actions.items())
    return [
        f"bug: {broken.test} fails; tests before: {_said(repair.before)}",
        f"did: {work.model_calls} model calls; {did}",
        f"changed {', '.join(files) or 'nothing'}: {' -> '.join(changed)[:140]}",
        f"tests after, run by the workflow and not by the agent: {_said(repair.after)}",
    ]


async def _work(runtime: Runtime, run: str) -> Work:
    calls, actions = 0, dict[str, int]()
    names = {"shell.exec": "commands", "file.read": "files read", "file.write": "edits"}
    for child in await runtime.store.tree(run):
        if child.kind != "agent":
            continue
        for record in await runtime.store.records(child.id):
            if record.kind == "action.requested":
                kind = record.body["request"]["kind"]
                calls += kind == "model.call"
                if kind in names:
                    actions[names[kind]] = actions.get(names[kind], 0) + 1
    return Work(calls, actions)


def _said(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "none ran"


def _check(broken: Broken, repair: Repair, files: list[str]) -> None:
    if set(repair.after) != {"passed"} or repair.before.get("failed") != 1:
        raise SceneFailed(f"The tests were {_said(repair.before)} before and {_said(repair.after)} after; the agent said: {repair.said}")
    if files != [broken.path]:
        raise SceneFailed(f"The agent changed {', '.join(files) or 'nothing'}, and the bug was in {broken.path}.")
