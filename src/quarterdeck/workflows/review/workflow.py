"""The review of a pull request, in seven durable stages. This file is the example to copy for a workflow of your own.

A workflow awaits only `ctx` objects: host code runs in steps, commands in the sandbox, and every raw output is kept as
an artifact. What the report claims is derived from the artifacts alone (`derive.py`), here and in `report verify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from quarterdeck import __version__
from quarterdeck.protocol.errors import ActionFailed
from quarterdeck.workflows import Context, workflow

from . import conventions, derive
from .analyzers import ANALYZERS, FINDINGS_FORMAT, instructions
from .analyzers.trees import BASE, HEAD
from .evidence import Evidence, dismissals, merged, raw_name, raw_run, result, review_task, run_facts, tickets
from .handover import hand_over
from .host import Ready, Request, fetch_wheels, read_source, write_docs
from .model import Finding, NotChecked, Plan, RawRun, TestReport
from .report import ModelFindings, build, encode
from .suites import Job, next_plan
from .summary import diff_excerpt, from_model, model_prompt, template_summary
from .tickets import ticket_intents


@workflow(name="review", version="1", role="reviewer")
async def review(ctx: Context, value: Any) -> dict[str, Any]:
    """Review the change that `value` (a `Request`) names, and publish a report."""
    request = msgspec.convert(value, Request)
    ready = await ctx.stage("intake", intake, request)
    found = await ctx.stage("review", analyze, ready)
    tested = await ctx.stage("tests", run_tests, ready)
    styled = await ctx.stage("conventions", check_conventions, ready)
    findings = [*found.findings, *found.from_model]
    summary = await ctx.stage("summary", summarize, ready, findings, tested.tests)
    documented = await ctx.stage("documentation", document, request, ready)
    parts = [Evidence(ready.files), found, tested, styled, summary, documented]
    published: dict[str, Any] = await ctx.stage(
        "report", publish, request, ready, [*findings, *styled.findings], tested.tests, merged(parts)
    )
    return published


async def keep(ctx: Context, files: dict[str, str], name: str, value: object) -> None:
    """Keep `value` (or bytes) as an artifact, and note its digest."""
    files[name] = await ctx.artifact(name, value if isinstance(value, bytes) else encode(value), "application/json")


async def intake(ctx: Context, request: Request) -> Ready:
    """Read git on the host, fetch wheels, and put both trees into a fresh computer without network."""
    scratch = f"{request.home}/runs/{ctx.run}/scratch"
    source = await ctx.retried_step("read git", read_source, request, scratch)
    houses = await ctx.retried_step("fetch dependencies", fetch_wheels, source.base, source.head, request.home)
    toolbox, limits = await ctx.toolbox(), await ctx.limits()
    host = await ctx.environment(limits=limits, binds=(*toolbox.binds, *houses.binds))
    await ctx.unpack(f"{scratch}/base.tar", BASE)
    await ctx.unpack(f"{scratch}/head.tar", HEAD)
    await ctx.shell(["mkdir", "-p", "/workspace/scratch"], name="make scratch", effect="idempotent")
    files: dict[str, str] = {}
    await keep(ctx, files, "change.json", source.change)
    await keep(ctx, files, "diff.patch", source.diff)
    await keep(ctx, files, "habits.json", source.habits)
    return Ready(source, houses, toolbox, host, files, limits)


async def run_plan(ctx: Context, plan: Plan) -> RawRun:
    """Run one planned command in the sandbox and keep what it said, verbatim."""
    ran = await ctx.shell(
        plan.argv, name=plan.name, cwd=plan.cwd, env=plan.env, timeout=plan.timeout_s, output_bytes=plan.stream_bytes, effect="idempotent"
    )
    output = b""
    if plan.output:
        try:
            output = await ctx.read(plan.output, max_bytes=plan.output_bytes, name=f"read {plan.name}")
        except ActionFailed:
            output = b""  # the command did not come to write it, and its state says why
    raw = raw_run(plan, ran, output)
    await ctx.artifact(raw_name(raw), encode(raw), "application/json")
    return raw


async def run_plans(ctx: Context, plans: Sequence[Plan], files: dict[str, str]) -> list[RawRun]:
    """Run several at once. Their artifacts are named by content, so the digests follow from the runs."""
    runs: list[RawRun] = await ctx.gather(*[run_plan(ctx, plan) for plan in plans])
    files |= {raw_name(run): derive.digest_of(run) for run in runs}
    return runs


async def analyze(ctx: Context, ready: Ready) -> Evidence:
    """Real analyzers in the sandbox, and a model that may only read, if there is one."""
    source, files = ready.source, dict[str, str]()
    planned = [a.plan(source.change, ready.toolbox, source.settings) for a in ANALYZERS]
    missing = [p for p in planned if isinstance(p, NotChecked)]
    runs = await run_plans(ctx, [plan for p in planned if not isinstance(p, NotChecked) for plan in p], files)
    findings, lacking = derive.analysis(runs, missing, source.change, source.settings)
    await keep(ctx, files, "findings.json", findings)
    evidence = Evidence(files, tuple(findings), not_checked=tuple(lacking))
    return await review_by_model(ctx, ready, evidence) if ctx.model else evidence


async def review_by_model(ctx: Context, ready: Ready, evidence: Evidence) -> Evidence:
    """Ask an agent with read-only tools; what it says counts only where the diff bears it out."""
    source, files = ready.source, dict(evidence.files)
    task, look = review_task(source.change, source.diff), ("read_file", "list_files", "search")
    try:
        answer = await ctx.agent(
            task, name="model review", instructions=instructions(), tools=look, output=FINDINGS_FORMAT, role="review-agent"
        )
    except ActionFailed as error:
        return evidence.lacking("review by a model", f"{ctx.model}: {error.message}")
    if answer.finish != "done":
        return evidence.lacking("review by a model", f"{ctx.model} was cut short ({answer.finish}).")
    await keep(ctx, files, derive.MODEL_RAW, answer.output)
    kept, dropped, reasons = derive.model_findings(encode(answer.output), source.change, source.diff)
    await keep(ctx, files, "model/findings.json", ModelFindings(tuple(kept), dropped, tuple(reasons), ctx.model))
    return msgspec.structs.replace(evidence, files=files, from_model=tuple(kept))


async def run_tests(ctx: Context, ready: Ready) -> Evidence:
    """The project's own suite, on base and head side by side."""
    source, files = ready.source, dict[str, str]()
    suites = derive.Suites(source.base, source.head, ready.houses.base, ready.houses.head, ready.toolbox.python)
    jobs = [suites.job(side, source.settings, source.change) for side in ("base", "head")]
    base, head = await ctx.gather(*[ctx.stage(job.side, run_side, job) for job in jobs])
    files |= {raw_name(run): derive.digest_of(run) for run in (*base, *head)}
    report = derive.tests(suites, [*base, *head], source.change, source.settings)
    await keep(ctx, files, derive.SUITES, suites)
    await keep(ctx, files, "tests.json", report)
    return Evidence(files, tests=report)


async def run_side(ctx: Context, job: Job) -> list[RawRun]:
    """Command after command, each decided by what the ones before it did."""
    runs: list[RawRun] = []
    while (plan := next_plan(job, runs)) is not None:
        runs.append(await run_plan(ctx, plan))
    return runs


async def check_conventions(ctx: Context, ready: Ready) -> Evidence:
    """The repository's own rules and habits, from the base."""
    source, files = ready.source, dict[str, str]()
    plans, missing = conventions.plan(source.habits, source.change, ready.toolbox, source.settings)
    runs = await run_plans(ctx, plans, files)
    findings, lacking = derive.style(source.habits, source.change, runs, source.settings)
    await keep(ctx, files, "conventions.json", findings)
    return Evidence(files, tuple(findings), not_checked=(*missing, *lacking))


async def summarize(ctx: Context, ready: Ready, findings: list[Finding], tests: TestReport | None) -> Evidence:
    """What changed and why it matters: by the model if there is one, else from the facts."""
    change, evidence, files = ready.source.change, Evidence(), dict[str, str]()
    summary = template_summary(change, findings, tests)
    if ctx.model:
        prompt = model_prompt(change, diff_excerpt(ready.source.diff), findings, tests)
        try:
            answer = await ctx.agent(prompt, name="model summary", tools=(), max_steps=1, role="review-agent")
            summary = from_model(answer.text, ctx.model) if answer.text else summary
        except ActionFailed as error:
            evidence = evidence.lacking("summary by a model", f"{ctx.model}: {error.message}; the summary is made from the facts.")
    await keep(ctx, files, "summary.json", summary)
    return msgspec.structs.replace(evidence, files=files)


async def document(ctx: Context, request: Request, ready: Ready) -> Evidence:
    """A patch for the documentation; it is never applied by itself."""
    files: dict[str, str] = {}
    docs = await ctx.retried_step("write documentation", write_docs, request, ready.source.change)
    await keep(ctx, files, "docs.patch", docs.patch)
    await keep(ctx, files, "docs.json", {"facts": docs.facts, "not_checked": docs.not_checked})
    return Evidence(files, not_checked=tuple(docs.not_checked))


async def publish(
    ctx: Context, request: Request, ready: Ready, findings: list[Finding], tests: TestReport | None, evidence: Evidence
) -> dict[str, Any]:
    """Tickets into the outbox, findings into memory, and the report, each of whose sentences has its evidence."""
    source, files = ready.source, dict(evidence.files)
    settings = msgspec.structs.replace(source.settings, fail_on=request.fail_on or source.settings.fail_on)
    dismissed = dismissals(await ctx.recall("dismissed", source.scope))
    known = {d.fingerprint for d in dismissed}
    intents = ticket_intents([f for f in findings if f.fingerprint not in known], tests, settings)
    refused = await hand_over(ctx, source.scope, intents, findings)
    facts = run_facts(await ctx.facts(), ready.host, ready.limits, settings, source.notes, __version__)
    notes = [NotChecked("the change", n) for n in source.change.notes]
    await keep(ctx, files, "run.json", facts)
    await keep(ctx, files, "dismissed.json", dismissed)
    await keep(ctx, files, "tickets.json", tickets(intents))
    await keep(ctx, files, "not_checked.json", [*notes, *evidence.not_checked, *refused])
    outputs = build({name: ctx.load(digest) for name, digest in files.items()}, facts, derive.derive)
    written = {name: await ctx.artifact(f"out/{name}", data) for name, data in sorted(outputs.items())}
    folder = request.out or f"{request.home}/runs/{ctx.run}/report"
    await ctx.publish("report", {"directory": folder, "artifacts": files, "outputs": written}, name="publish report")
    return result(msgspec.json.decode(outputs["report.json"]), folder)
