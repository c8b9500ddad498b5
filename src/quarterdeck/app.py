"""The composition root: the one file that knows every room, and puts them together as a `Runtime`."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from quarterdeck.agents import Agent, AgentLoop, Toolset
from quarterdeck.config import Config, default_home, load_config
from quarterdeck.identity import local_principal
from quarterdeck.kernel import Actions, Decider, Handle, Worker
from quarterdeck.kernel.facts import facts
from quarterdeck.kernel.handle import Observer, Progress
from quarterdeck.kernel.operator import Operator, open_own_run
from quarterdeck.memory import MemoryReader, MemoryWriter, build_context
from quarterdeck.outbox import Channel, FileChannel, Publisher
from quarterdeck.protocol.actions import ActionKey, ActionRequest, Outcome, Permit, Probe, Resource
from quarterdeck.protocol.canonical import digest
from quarterdeck.protocol.environment import Limits, Toolbox
from quarterdeck.protocol.errors import ActionFailed, BadInput, ConfigError, Denied, NotFound
from quarterdeck.protocol.ids import bare, new_id
from quarterdeck.protocol.ports import ActionContext, Driver, Executor
from quarterdeck.protocol.records import ENDED, NewRun, Record, Run
from quarterdeck.protocol.writes import AnswerApproval, Remember, SendMessage, SetCap
from quarterdeck.store import Store, open_store
from quarterdeck.tools import EnvironmentExecutor, FileReader, FileWriter, FunctionTool, FunctionTools, ShellExecutor
from quarterdeck.workflows import Context, Workflow
from quarterdeck.workflows.context import zones_of
from quarterdeck.workflows.replay import Replay
from quarterdeck.workflows.steps import LocalSteps

if TYPE_CHECKING:
    from quarterdeck.models import CheckReport, Models
    from quarterdeck.models.executor import ModelExecutor

T = TypeVar("T")
BYTES_PER_TOKEN = 3


def _no_record(run: Run, record: Record) -> None:
    return None


def _no_progress(run: str, event: Mapping[str, Any]) -> None:
    return None


class ToolRouter:
    """`tool.call` goes to whoever owns the resource's id."""

    def __init__(self, functions: Executor, owners: Mapping[str, Executor]) -> None:
        self._functions, self._owners = functions, owners

    def _owner(self, request: ActionRequest) -> Executor:
        prefix, colon, _ = request.resource.id.partition(":")
        return self._owners.get(prefix, self._functions) if colon else self._functions

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        return await self._owner(request).execute(permit, request, context)

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return await self._owner(request).probe(key, request, context)


class FactsExecutor:
    """`tool.call` on `runtime:facts`: what the run's own log says."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def execute(self, permit: Permit, request: ActionRequest, context: ActionContext) -> Outcome:
        await self._store.consume(permit, "tool.call")
        return Outcome("done", await facts(self._store, context.run))

    async def probe(self, key: ActionKey, request: ActionRequest, context: ActionContext) -> Probe:
        return Probe("unknown")


class Runtime:
    """Quarterdeck on one machine: store, gate, sandbox, models and a worker in this process.

    `observe(run, record)` sees every record after its commit; `progress(run, event)` sees what is not durable.
    Close it, or use it as an async context manager.
    """

    def __init__(
        self, home: Path | str | None = None, *, config: Config | None = None, observe: Observer = _no_record,
        progress: Progress = _no_progress, tools: Sequence[FunctionTool] = (), actor: str = "",
    ) -> None:  # fmt: skip
        from quarterdeck.policy import CedarGate, load_bundle

        self.config = config or load_config(Path(home) if home is not None else default_home())
        self.home = self.config.home
        self.actor = actor or local_principal()
        policy = self.config["policy"]
        self.gate = CedarGate(load_bundle(Path(policy).expanduser() if policy else None))
        self.store = open_store(self.home)
        self.observe, self.progress = observe, progress
        self.workflows: dict[str, Workflow] = {}
        self.functions = FunctionTools(self.store, tools)
        self.steps = LocalSteps(self.store)
        self.operator = Operator(self.store, self.gate, self.actor)
        self._driver: Driver | None = None
        self._models: Models | None = None
        self._model_executor: ModelExecutor | None = None
        self._worker: Worker | None = None

    # --- rooms that are only made when they are needed

    @property
    def driver(self) -> Driver:
        """The sandbox driver. Raises HostCannotIsolate with the exact fix."""
        if self._driver is None:
            from quarterdeck.sandbox import LocalDriver

            self._driver = LocalDriver(self.home, self.store)
        return self._driver

    @property
    def limits(self) -> Limits:
        """What an environment may use, from the settings of `[sandbox]`."""
        mega = {name: self.config[f"sandbox.{name}_mb"] << 20 for name in ("memory", "workspace", "tmp")}
        return Limits(
            memory_bytes=mega["memory"], workspace_bytes=mega["workspace"], tmp_bytes=mega["tmp"],
            pids=self.config["sandbox.pids"], cpu=self.config["sandbox.cpu"],
        )  # fmt: skip

    @property
    def models(self) -> Models:
        if self._models is None:
            from quarterdeck.models import Models, prices_from, providers_from

            tables = self.config.tables
            providers = providers_from(tables.get("providers", {}))
            self._models = Models(providers, self.store, prices_from(tables.get("prices", {})))
        return self._models

    def _executors(self) -> dict[Any, Executor]:
        from quarterdeck.models.executor import ModelExecutor
        from quarterdeck.workflows.review.report.channel import ReportChannel

        late: Any = _Late(lambda: self.driver)
        self._model_executor = ModelExecutor(_Late(lambda: self.models))
        channels: dict[str, Channel] = {
            "tickets": FileChannel(self.home / "outbox" / "tickets"),
            "files": FileChannel(self.home / "outbox" / "files"),
            "report": ReportChannel(self.store.blobs),
        }
        owners: dict[str, Executor] = {
            "step": self.steps, "environment": EnvironmentExecutor(late, self.limits), "runtime": FactsExecutor(self.store),
        }  # fmt: skip
        return {
            "shell.exec": ShellExecutor(late), "file.read": FileReader(late, self.store.blobs),
            "file.write": FileWriter(late, self.store.blobs),
            "tool.call": ToolRouter(self.functions, owners), "model.call": self._model_executor,
            "memory.read": MemoryReader(self.store, self.store), "memory.write": MemoryWriter(self.store),
            "output.publish": Publisher(self.store, channels),
        }  # fmt: skip

    @property
    def worker(self) -> Worker:
        if self._worker is None:
            actions = Actions(self.gate, self._executors(), approval_days=self.config["approval_days"])
            self._worker = Worker(
                self.store, actions, {"workflow": self._workflow_decider, "agent": self._agent_decider}, lease_s=self.config["lease_s"],
                observe=self.observe, progress=self.progress, ended=self._ended,
            )  # fmt: skip
        return self._worker

    # --- deciders

    def _workflow_decider(self, handle: Handle) -> Decider:
        found = self.workflows.get(handle.run.name)
        if found is None:
            raise NotFound(f"The workflow {handle.run.name!r} is not registered here.", hint="Resume it with the program that defines it.")
        model = (handle.log.submitted.get("model") or "") or found.model or self.config["model"]

        def start() -> Coroutine[Any, Any, Any]:
            context = Context(
                handle.run.id, handle.run.environment or "", replay, self.steps, self.store.blobs, model, _toolbox, self.limits
            )
            coroutine: Coroutine[Any, Any, Any] = found.start(context, handle.log.input)
            return coroutine

        replay = Replay(start)
        return replay

    def _agent_decider(self, handle: Handle) -> Decider:
        from quarterdeck.models.providers import split_model

        assert self._model_executor is not None
        asked = handle.log.input
        toolset = Toolset(asked["tools"], self.functions.tools, handle.run.environment or "", zones_of)
        profile = self.models.profile(asked["model"])
        room = (profile.context_window - asked["max_output_tokens"]) * BYTES_PER_TOKEN
        provider, _ = split_model(asked["model"], self.models.providers)
        return AgentLoop(toolset, build_context, self.models.estimate, self._model_executor.offer, room, provider.local)

    # --- starting and driving

    def register(self, *workflows: Workflow) -> None:
        for one in workflows:
            self.workflows[one.name] = one

    async def start(
        self, work: Workflow | Agent, value: Any = None, *, key: str = "", model: str = "", budget_usd: float | None = None,
        labels: Sequence[str] = (), trust: str = "operator", role: str = "", origin: Mapping[str, str] | None = None,
    ) -> tuple[str, bool]:  # fmt: skip
        """Submit a run. `key` makes it idempotent: an unfinished run with the same key is returned. Returns (run, created).

        `origin` says where its code and its policy lie, for whoever resumes it in another process.
        """
        if chosen := model or self.config["model"] or work.model:
            self.require_model(chosen)
        run = new_id("run")
        kind = "workflow" if isinstance(work, Workflow) else "agent"
        body: dict[str, Any] = {"actor": self.actor, "trust": trust, "labels": list(labels), "kind": kind, "name": work.name}
        if origin:
            body["origin"] = dict(origin)
        if isinstance(work, Workflow):
            self.register(work)
            body |= {"input": value, "role": role or work.role, "version": work.version, "source": work.source, "model": model}
        else:
            asked = work.input(str(value))
            asked["model"] = model or asked["model"] or self.config["model"]
            if not asked["model"]:
                raise ConfigError("No model was given.", hint="Use --model provider/name, or set `model` in quarterdeck.toml.")
            self.functions.add(t for t in work.tools if isinstance(t, FunctionTool))
            body |= {"input": asked, "role": role or work.role}
        new = NewRun(
            id=run, kind=kind, name=work.name, input=body["input"], actor=self.actor, environment=f"env_{bare(run)}", labels=tuple(labels)
        )
        cap = round(budget_usd * 1e6) if budget_usd is not None else self.config.micro_usd("budget_usd")
        await self._project_cap()
        return await self.store.submit(new, body, (self.actor, key) if key else None, cap)

    def require_model(self, model: str) -> None:
        """Raise ConfigError now for a model that no run could call: unknown provider, no key in the environment, no price."""
        from quarterdeck.models.providers import split_model

        provider, _ = split_model(model, self.models.providers)
        if provider.api_key_env and not os.environ.get(provider.api_key_env):
            raise ConfigError(
                f"The model {model} needs a key, and the environment variable {provider.api_key_env} is not set.",
                hint=f"export {provider.api_key_env}=…",
            )
        self.models.price(model)

    async def _project_cap(self) -> None:
        cap = self.config.micro_usd("project_budget_usd")
        if cap and (await self.store.account("project:default")).cap != cap:
            await self.operator.act("budget.set", {"scope": "project:default", "cap": cap}, [SetCap("project:default", cap)])

    async def drive(self, run: str) -> Run:
        """Drive a run and its children here until it ends, waits for a person, or is another process's. Returns its row."""
        row = await self.worker.run_tree((await self.store.run(run)).root)
        if row.state in ENDED:
            await self.deliver()
        return row

    async def result(self, run: str) -> Any:
        """The result of an ended run. ActionFailed carries its error."""
        ended = [r for r in await self.store.records(run) if r.kind == "run.completed"]
        if not ended:
            raise BadInput(f"Run {run} has not ended.", hint=f"quarterdeck resume {run}")
        body = ended[-1].body
        if body["state"] not in ("completed", "incomplete"):
            error = body["error"] or {}
            raise ActionFailed(f"Run {run} {body['state']}: {error.get('message', '')}", hint=error.get("hint", ""))
        return body["result"]

    def run(self, work: Workflow | Agent, value: Any = None, **options: Any) -> Any:
        """Start, drive to the end and return the result; for programs without an event loop of their own."""

        async def main() -> Any:
            run, _ = await self.start(work, value, **options)
            await self.drive(run)
            return await self.result(run)

        return self._sync(main())

    def _sync(self, work: Coroutine[Any, Any, T]) -> T:
        async def closing() -> T:
            try:
                return await work
            finally:
                await self.aclose()

        return asyncio.run(closing())

    # --- what people do

    async def answer(self, approval: str, verdict: str, reason: str = "") -> str:
        """Answer a question: `approve` or `deny`. Returns the run that asked. Denied, BadInput, NotFound."""
        found = await self.store.approval(approval)
        write = AnswerApproval(found.id, verdict, self.actor, reason)
        args = {"approval": found.id, "verdict": verdict, "reason": reason, "run": found.run, "digest": found.digest}
        await self.operator.act("approvals.answer", args, [write], {"needs": found.role})
        return found.run

    async def cancel(self, run: str, reason: str = "") -> None:
        """Ask a run to stop; a command that it runs is killed."""
        row = await self.store.run(run)
        if row.state in ENDED:
            raise BadInput(f"Run {run} has already ended ({row.state}).")
        write = SendMessage(run, "cancel", {"by": self.actor, "reason": reason}, f"cancel:{new_id('msg')}")
        await self.operator.act("run.cancel", {"run": run, "reason": reason}, [write])

    async def signal(self, run: str, name: str, body: Any = None, *, key: str = "") -> None:
        """Send what `ctx.signal(name)` waits for; signals with an equal `key` are one. BadInput if the run has ended."""
        row = await self.store.run(run)
        if row.state in ENDED:
            raise BadInput(f"Run {run} has already ended ({row.state}).")
        write = SendMessage(run, "signal", {"signal": name, "body": body}, f"signal:{key or new_id('msg')}")
        await self.operator.act("run.signal", {"run": run, "signal": name, "body": body}, [write])

    async def wake(self, run: str) -> None:
        """Have a waiting run look again (after its code or its policy was mended)."""
        write = SendMessage(run, "run.note", {"text": f"woken by {self.actor}"}, f"wake:{new_id('msg')}")
        await self.operator.act("run.wake", {"run": run}, [write])

    async def dismiss(self, scope: str, fingerprint: str, body: Mapping[str, Any]) -> None:
        """Remember that a finding of a repository shall not be raised again."""
        write = Remember(scope, "dismissed", fingerprint, dict(body), ())
        await self.operator.act("findings.dismiss", {"scope": scope, "fingerprint": fingerprint, **body}, [write])

    async def deliver(self) -> list[str]:
        """Send what waits in the outbox, each delivery an action of a run of kind `system`. Returns where they went."""
        waiting = await self.store.outbox(state="waiting")
        if not waiting:
            return []
        handle = await open_own_run(self.store, "system", self.actor)
        places: list[str] = []
        for count, row in enumerate(waiting):
            source = await self.store.run(row.run)  # what it carries, its delivery carries too
            handle.labels = tuple(sorted({*handle.labels, *source.labels}))
            args = {"channel": row.channel, "body": row.body, "dedupe_key": row.dedupe_key, "delivery": row.id}
            resource = Resource("Channel", row.channel, ("outbox",), {"kind": row.channel, "isPublic": False})
            request = ActionRequest("output.publish", "deliver", resource, args, count, "idempotent")
            await self.worker.actions.perform(handle, request)
            entry = handle.log.entry("deliver", count)
            if entry is not None and entry.outcome is not None and entry.outcome.state == "done":
                places.append(str(entry.outcome.result))
        await self.store.append(handle.run.id, handle.run.epoch, [], state="completed")
        return places

    async def check_model(self, name: str) -> CheckReport:
        """Ask a model for one streamed tool call, as a gated and paid action of a `system` run. ConfigError, Denied."""
        from quarterdeck.models.check import check_request
        from quarterdeck.models.checking import CheckExecutor
        from quarterdeck.models.providers import split_model

        local = split_model(name, self.models.providers)[0].local
        resource = Resource("Model", name, (), {"provider": name.partition("/")[0], "local": local})
        estimate = self.models.estimate(check_request(name))
        handle = await open_own_run(self.store, "system", self.actor, role="workflow")
        executor = CheckExecutor(self.models)
        await Actions(self.gate, {"model.call": executor}).perform(
            handle, ActionRequest("model.call", "models check", resource, {"model": name}, est_microusd=estimate)
        )
        await self.store.append(handle.run.id, handle.run.epoch, [], state="completed")
        if executor.report is None:
            error = handle.log.entries[("models check", 0)].outcome
            said = (error.error if error else None) or {"message": "it was not asked", "hint": ""}
            raise Denied(f"The model {name} was not asked: {said['message']}", hint=said["hint"])
        return executor.report

    # --- life

    async def _ended(self, run: Run) -> None:
        """Clean up after a run: its offers, its scratch files and its environment."""
        self.steps.forget(run.id)
        await asyncio.to_thread(shutil.rmtree, self.home / "runs" / run.id / "scratch", ignore_errors=True)
        if run.parent is None and run.environment and not self.config["keep_environments"]:
            folder = self.home / "environments" / run.environment
            if folder.exists():
                await self.driver.delete(run.environment)

    async def aclose(self) -> None:
        await self.operator.close()
        if self._models is not None:
            await self._models.aclose()
        self.store.close()

    async def __aenter__(self) -> Runtime:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def _toolbox() -> Toolbox:
    from quarterdeck.sandbox import toolbox

    return toolbox()


class _Late:
    """Stands for a room until somebody needs it: starting is cheap, and a missing sandbox only stops what needs one."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


def request_key(*parts: Any) -> str:
    """The key of an idempotent submission: equal work of an equal caller is one run while it is unfinished."""
    return digest(list(parts))
