"""Harbor's tests made ready in a sandbox by the review's own first steps: its intake, its plans, its wheels."""

from __future__ import annotations

from typing import Any

import msgspec

from quarterdeck.protocol.errors import BadInput
from quarterdeck.workflows import Context
from quarterdeck.workflows.review import derive
from quarterdeck.workflows.review.host import Request
from quarterdeck.workflows.review.model import RawRun
from quarterdeck.workflows.review.suites import Job, next_plan, problems
from quarterdeck.workflows.review.workflow import intake, run_plan


async def head_job(ctx: Context, value: Any) -> Job:
    """Both trees into a fresh sandbox without network; answers what running the head's tests takes.

    Harbor's tests find its sources by themselves (`pythonpath`), so the project is not built and no coverage is measured: less to wait for.
    """
    ready = await ctx.stage("intake", intake, msgspec.convert(value, Request))
    source, houses = ready.source, ready.houses
    suites = derive.Suites(source.base, source.head, houses.base, houses.head, ready.toolbox.python)
    job = suites.job("head", source.settings, source.change)
    needs = msgspec.structs.replace(job.requirements, installable=False)
    return msgspec.structs.replace(job, requirements=needs, changed=())


async def run_head(ctx: Context, job: Job) -> list[RawRun]:
    """Run the plans of the head's tests, one after another."""
    runs: list[RawRun] = []
    while (plan := next_plan(job, runs)) is not None:
        runs.append(await run_plan(ctx, plan))
    return runs


def suite_run(job: Job, runs: list[RawRun]) -> RawRun:
    """The run of the suite itself. BadInput says why it never came to that."""
    for run in runs:
        if run.name == job.name("run"):
            return run
    why = "; ".join(f"{missing.what}: {missing.why}" for missing in problems(job, runs))
    raise BadInput(f"The tests could not be run: {why or 'nobody knows why'}", hint="Their wheels are fetched once, over the network.")
