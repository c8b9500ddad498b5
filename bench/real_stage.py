"""The review's tests stage alone, for several changes of one base: the base's suite runs once, each head's once (A29).

Intake, planning, sandbox, parsing and comparison are the review's own (`intake`, `read_source`, `run_side`,
`derive.tests`); what is left out are the analyzers, conventions, documentation and the report.
"""

from __future__ import annotations

from typing import Any

import msgspec

from quarterdeck.workflows import Context, workflow
from quarterdeck.workflows.review import derive
from quarterdeck.workflows.review.analyzers.trees import BASE, HEAD
from quarterdeck.workflows.review.host import Request, read_source
from quarterdeck.workflows.review.workflow import intake, run_side

FRESH = ["rm", "-rf", HEAD, "/workspace/scratch/head", "/workspace/scratch/venv-head"]


@workflow(name="tests-stage", version="1", role="reviewer")
async def tests_stage(ctx: Context, value: Any) -> list[dict[str, Any]]:
    """Answer a TestReport for each `Request` of the list. All have the same base."""
    requests = msgspec.convert(value, list[Request])
    ready = await ctx.stage("intake", intake, requests[0])
    scratch = f"{requests[0].home}/runs/{ctx.run}/scratch"
    base: Any = None
    reports = []
    for number, request in enumerate(requests):
        source = await ctx.retried_step(f"read git {number}", read_source, request, scratch)
        await ctx.shell(FRESH, name="remove the head before", effect="idempotent", cwd=BASE)
        await ctx.unpack(f"{scratch}/head.tar", HEAD)
        suites = derive.Suites(source.base, source.head, ready.houses.base, ready.houses.head, ready.toolbox.python)
        if base is None:
            base = await ctx.stage("base", run_side, suites.job("base", source.settings, source.change))
        head = await ctx.stage(f"head {number}", run_side, suites.job("head", source.settings, source.change))
        reports.append(msgspec.to_builtins(derive.tests(suites, [*base, *head], source.change, source.settings)))
    return reports
