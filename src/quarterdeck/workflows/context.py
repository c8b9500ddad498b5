"""`ctx`: what a workflow's author may await. Every method returns a want; nothing happens until it is awaited."""

from __future__ import annotations

import os
import time
import typing
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import msgspec

from quarterdeck.protocol.actions import ActionRequest, EffectClass, Resource
from quarterdeck.protocol.canonical import canonical, digest, sha256
from quarterdeck.protocol.environment import Bind, Capabilities, Command, CommandResult, Limits, Toolbox
from quarterdeck.protocol.errors import BadInput

from .replay import Replay, Suspended, plain
from .steps import LocalSteps
from .wants import ActionWant, ChildWant, GatherWant, NoteWant, QuestionWant, SignalWant, StageWant, TimerWant, Want

P = ParamSpec("P")
T = TypeVar("T")


class BlobStore(Protocol):
    """Where big values are kept, by content."""

    def put(self, data: bytes) -> str: ...

    def get(self, digest: str) -> bytes: ...


class AgentResult(msgspec.Struct, frozen=True):
    """What an agent run ended with. `output` is the validated structure when a schema was given."""

    text: str = ""
    output: Any = None
    steps: int = 0
    run: str = ""
    finish: str = "done"
    """`done`, `limit` (out of steps) or `budget` (out of money); then `text` is the partial result."""


class Answer(msgspec.Struct, frozen=True):
    """A person's answer to `ctx.ask`."""

    verdict: str
    by: str = ""
    reason: str = ""

    @property
    def approved(self) -> bool:
        return self.verdict == "approve"


def _returns(function: Callable[..., Any]) -> Callable[[Any], Any]:
    """A converter from recorded JSON to what the function says it returns."""
    try:
        hint = typing.get_type_hints(function).get("return", Any)
    except (NameError, TypeError):
        hint = Any
    if hint is Any or hint is None or isinstance(hint, TypeVar):
        return lambda value: value
    return lambda value: msgspec.convert(value, hint)


def zones_of(path: str) -> tuple[str, ...]:
    """The policy zones of a path inside: workspace or outside, and ci-config."""
    inside = PurePosixPath("/workspace") in (PurePosixPath(path), *PurePosixPath(path).parents) and ".." not in path.split("/")
    zones = ["workspace" if inside else "outside"]
    if inside and any(part in path for part in ("/.github/", "/.gitlab-ci", "/.circleci/")):
        zones.append("ci-config")
    return tuple(zones)


class Context:
    """The workflow's side of a run."""

    def __init__(
        self, run: str, environment: str, replay: Replay, steps: LocalSteps, blobs: BlobStore, model: str = "",
        toolbox: Callable[[], Toolbox] | None = None, limits: Limits | None = None,
    ) -> None:  # fmt: skip
        self.run, self.environment_id, self.model = run, environment, model
        self._toolbox, self._limits = toolbox, limits or Limits()
        self._replay, self._steps, self._blobs = replay, steps, blobs

    def _alive(self) -> None:
        if self._replay.dropped:
            raise Suspended

    # --- structure

    def stage(
        self, name: str, function: Callable[Concatenate[Context, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> Want[T]:
        """A durable part: `function(ctx, *args)` is run once; when it has ended it is never entered again."""
        self._alive()
        return StageWant(name, lambda: function(self, *args, **kwargs), plain([args, kwargs]), _returns(function))

    def step(self, name: str, function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Want[T]:
        """Run local code once and keep its result. After a crash inside it the outcome is unknown: see `retried_step`."""
        return self._step(name, "never", function, args, kwargs)

    def retried_step(self, name: str, function: Callable[P, T | Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Want[T]:
        """Like `step`, for code that may safely run again after a crash (it reads, or repeating it changes nothing)."""
        return self._step(name, "idempotent", function, args, kwargs)

    def _step(
        self, name: str, effect: EffectClass, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Want[Any]:
        self._alive()
        shown = {"arguments": digest(plain([args, kwargs]))}
        resource = Resource("Tool", f"step:{name}", ("steps",), {"readOnly": effect == "read_only", "name": name})
        request = ActionRequest("tool.call", name, resource, shown, effect=effect)
        want: ActionWant[Any] = ActionWant(request, _returns(function))
        self._steps.offer(self.run, want, lambda: function(*args, **kwargs))
        return want

    def gather(self, *parts: Awaitable[Any]) -> Want[list[Any]]:
        """Await several at once, like `asyncio.gather`; all are waited for, then the first failure is raised."""
        self._alive()
        return GatherWant(parts)

    # --- the computer

    def toolbox(self) -> Want[Toolbox]:
        """The runtime's own tools as they are seen inside, when an environment binds `Toolbox.binds`."""
        self._alive()

        def body() -> dict[str, Any]:
            if self._toolbox is None:
                raise BadInput("This runtime has no toolbox.")
            return {"value": msgspec.to_builtins(self._toolbox())}

        return NoteWant("value", "toolbox", "toolbox", body, lambda value: msgspec.convert(value, Toolbox))

    def limits(self) -> Want[Limits]:
        """The caps that the operator's `[sandbox]` settings give an environment, as they were when this was first awaited."""
        self._alive()
        return NoteWant(
            "value", "limits", "limits", lambda: {"value": msgspec.to_builtins(self._limits)}, lambda value: msgspec.convert(value, Limits)
        )

    def facts(self) -> Want[dict[str, Any]]:
        """What the log says of this run until now: decisions, cost, tokens, stages, models (see `kernel.facts`)."""
        self._alive()
        resource = Resource("Tool", "runtime:facts", ("steps",), {"readOnly": True, "name": "runtime.facts"})
        return ActionWant(ActionRequest("tool.call", "facts", resource, {}, effect="read_only"), dict)

    def environment(
        self, *, limits: Limits | None = None, binds: Sequence[Bind] = (), env: Mapping[str, str] | None = None
    ) -> Want[Capabilities]:
        """Make this run's computer (once; the shell and file calls need it), and say what its host enforces.

        Without `limits` it gets those of the operator's `[sandbox]` settings.
        """
        self._alive()
        spec = {"limits": msgspec.to_builtins(limits), "binds": msgspec.to_builtins(tuple(binds)), "env": dict(env or {})}

        def made(value: Any) -> Capabilities:
            return msgspec.convert(value["capabilities"], Capabilities)

        resource = Resource("Tool", "environment:create", ("environment",), {"readOnly": False, "name": "environment.create"})
        return ActionWant(ActionRequest("tool.call", "environment", resource, spec, effect="idempotent"), made)

    def shell(
        self, command: str | Sequence[str], *, name: str = "shell", cwd: str = "/workspace", env: Mapping[str, str] | None = None,
        stdin: bytes = b"", timeout: float = 600.0, output_bytes: int = 1 << 20, effect: EffectClass = "never",
    ) -> Want[CommandResult]:  # fmt: skip
        """Run a command in this run's computer: a string under bash, or a list of arguments. `timeout` in seconds."""
        self._alive()
        argv = () if isinstance(command, str) else tuple(command)
        run = Command(argv, command if isinstance(command, str) else "", cwd, dict(env or {}), stdin, timeout, output_bytes)
        resource = Resource("Sandbox", self.environment_id)
        request = ActionRequest("shell.exec", name, resource, msgspec.to_builtins(run), effect=effect)
        return ActionWant(request, lambda value: msgspec.convert(value, CommandResult))

    def read(self, path: str, *, max_bytes: int = 64 << 20, name: str = "") -> Want[bytes]:
        """Read a file inside. ActionFailed if it is absent or bigger."""
        self._alive()
        resource = Resource("Path", path, zones_of(path), {"path": path})
        request = ActionRequest("file.read", name or f"read {path}", resource, {"path": path, "max_bytes": max_bytes}, effect="read_only")
        return ActionWant(request, lambda value: self._blobs.get(value["sha256"]))

    def write(self, path: str, data: bytes | str, *, mode: int = 0o644) -> Want[None]:
        """Write a file inside, making its folders."""
        self._alive()
        raw = data.encode() if isinstance(data, str) else data
        args = {"path": path, "sha256": self._blobs.put(raw), "bytes": len(raw), "mode": mode}
        resource = Resource("Path", path, zones_of(path), {"path": path})
        return ActionWant(ActionRequest("file.write", f"write {path}", resource, args, effect="idempotent"), lambda value: None)

    def unpack(self, archive: str, target: str) -> Want[None]:
        """Unpack a tar file of the host into a folder inside."""
        self._alive()
        resource = Resource("Path", target, zones_of(target), {"path": target})
        request = ActionRequest("file.write", f"unpack {target}", resource, {"archive": archive, "target": target}, effect="idempotent")
        return ActionWant(request, lambda value: None)

    # --- agents, people, time

    def agent(
        self, task: str, *, name: str = "agent", instructions: str = "", model: str = "", tools: Sequence[str] = ("shell", "read_file"),
        output: Mapping[str, Any] | None = None, max_steps: int = 30, role: str = "agent", max_output_tokens: int = 4096,
    ) -> Want[AgentResult]:  # fmt: skip
        """Let an agent work on `task` in this run's computer, as a child run. `output` is a JSON schema that its answer must fit."""
        self._alive()
        value = {
            "task": task, "instructions": instructions, "model": model or self.model, "tools": list(tools),
            "output": dict(output) if output else None, "max_steps": max_steps, "max_output_tokens": max_output_tokens,
        }  # fmt: skip
        if role in ("operator", "system"):
            raise BadInput(f"An agent cannot have the role {role!r}.", hint="Use `agent`, `review-agent` or a role of your own policy.")
        if not value["model"]:
            raise BadInput("ctx.agent needs a model.", hint="Give ctx.agent(..., model='provider/name') or start the run with --model.")
        return ChildWant(name, "agent", name, value, role, lambda result: msgspec.convert(result, AgentResult))

    def ask(self, question: str, *, role: str = "maintainer", **facts: Any) -> Want[Answer]:
        """Ask a person; the run becomes a row until they answer (`quarterdeck approvals`)."""
        self._alive()
        want = QuestionWant("ask", role, {"question": question, "facts": plain(facts)}, lambda got: msgspec.convert(got, Answer))
        return want

    def sleep(self, seconds: float) -> Want[None]:
        """Wait; for days if need be, at no cost."""
        self._alive()
        return TimerWant(seconds)

    def signal(self, name: str) -> Want[Any]:
        """Wait for the next signal `name`, and return its body."""
        self._alive()
        return SignalWant(name)

    def now(self) -> Want[int]:
        """The time when this was first awaited: UTC microseconds, the same at every replay."""
        self._alive()
        return NoteWant("value", "now", "now", lambda: {"value": time.time_ns() // 1000}, int)

    def random(self, size: int = 16) -> Want[str]:
        """Random bytes as hex, the same at every replay."""
        self._alive()
        return NoteWant("value", "random", size, lambda: {"value": os.urandom(size).hex()}, str)

    # --- evidence, memory, publication

    def artifact(self, name: str, data: bytes | str, media_type: str = "application/octet-stream") -> Want[str]:
        """Keep `data` as evidence under `name`; its SHA-256 is in the log. Returns the digest."""
        self._alive()
        raw = data.encode() if isinstance(data, str) else data
        body = {"artifact": name, "sha256": sha256(raw), "bytes": len(raw), "media_type": media_type}

        def keep() -> dict[str, Any]:
            self._blobs.put(raw)
            return body

        return NoteWant("artifact", f"artifact {name}", body, keep, lambda result: str(result["sha256"]))

    def load(self, digest: str) -> bytes:
        """Return what `artifact` kept under this digest. Not awaited: content named by its hash never changes."""
        return self._blobs.get(digest)

    def recall(self, kind: str, scope: str) -> Want[list[dict[str, Any]]]:
        """What earlier runs remembered: [{key, body, run, at, labels}], newest first."""
        self._alive()
        resource = Resource("Memory", scope, (), {"scope": "repository", "kind": kind})
        request = ActionRequest("memory.read", f"recall {kind}", resource, {"scope": scope, "kind": kind}, effect="read_only")
        return ActionWant(request, list)

    def remember(self, kind: str, scope: str, values: Mapping[str, Mapping[str, Any]]) -> Want[None]:
        """Remember values by key for later runs; an equal key is superseded."""
        self._alive()
        resource = Resource("Memory", scope, (), {"scope": "repository", "kind": kind})
        args = {"scope": scope, "kind": kind, "values": plain(values)}
        return ActionWant(ActionRequest("memory.write", f"remember {kind}", resource, args, effect="idempotent"), lambda value: None)

    def publish(self, channel: str, body: Mapping[str, Any], *, dedupe_key: str = "", name: str = "") -> Want[str]:
        """Put a delivery into the outbox of `channel`; equal keys go out once. Returns the delivery's id."""
        self._alive()
        plain_body = plain(body)
        args = {"channel": channel, "body": plain_body, "dedupe_key": dedupe_key or sha256(canonical(plain_body))}
        zone = "report" if channel == "report" else "outbox"
        resource = Resource("Channel", channel, (zone,), {"kind": channel, "isPublic": False})
        return ActionWant(ActionRequest("output.publish", name or f"publish {channel}", resource, args, effect="idempotent"), str)
