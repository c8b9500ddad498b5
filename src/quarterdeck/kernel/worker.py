"""The worker: owns runs, asks their deciders what is wanted, and does it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from quarterdeck.protocol.canonical import digest
from quarterdeck.protocol.errors import LostLease, QuarterdeckError, StoreError, out_of_space
from quarterdeck.protocol.ids import new_id
from quarterdeck.protocol.records import ENDED, Message, NewRecord, NewRun, Record, Run
from quarterdeck.protocol.writes import InboxDone, OpenApproval, SendMessage, Write
from quarterdeck.store import Store

from .action import Actions
from .decider import Child, Command, Decider, Do, End, Note, Question, Timer
from .handle import Handle, Observer, Progress
from .lease import Leases, owner_name, proven_dead
from .log import Key

DeciderFactory = Callable[[Handle], Decider]
POLL_S = 0.1
CANCELLED = End("cancelled", error={"type": "Cancelled", "message": "cancelled on request", "hint": ""})


def _ignore_record(run: Run, record: Record) -> None:
    return None


def _ignore_progress(run: str, event: Mapping[str, Any]) -> None:
    return None


class Worker:
    """Drives runs of this process. `factories` make the decider of a run by its kind."""

    def __init__(
        self, store: Store, actions: Actions, factories: Mapping[str, DeciderFactory], *, lease_s: float = 10.0,
        observe: Observer = _ignore_record, progress: Progress = _ignore_progress,
        ended: Callable[[Run], Awaitable[None]] | None = None,
    ) -> None:  # fmt: skip
        self.store, self.actions, self.factories = store, actions, factories
        self.observe, self.progress, self.ended = observe, progress, ended
        self.owner = owner_name()
        self.leases = Leases(store, lease_s)
        self.handles: dict[str, Handle] = {}
        self._draining = False

    # --- claiming

    async def claim(self, *, run: str | None = None, root: str | None = None) -> Run | None:
        """Take one claimable run. Leases of processes proven dead need not run out."""
        dead = [o for o in await self.store.owners() if o != self.owner and proven_dead(o)]
        return await self.store.claim(self.owner, self.leases.lease_us, dead, run=run, root=root)

    async def run_tree(self, root: str) -> Run:
        """Drive `root` and its children until it ends, waits for a person, or belongs to somebody else. Returns its row."""
        self.leases.start()
        tasks: set[asyncio.Task[None]] = set()
        try:
            while not self._draining:
                while (run := await self.claim(root=root)) is not None:
                    tasks.add(asyncio.create_task(self.drive(run)))
                done = {t for t in tasks if t.done()}
                tasks -= done
                for task in done:
                    task.result()
                row = await self.store.run(root)
                if not tasks and (row.state in ENDED or await self._nothing_due(root)):
                    return row
                if tasks:
                    await asyncio.wait(tasks, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
                else:
                    await asyncio.sleep(POLL_S)
            return await self.store.run(root)
        finally:
            await self._hand_back(tasks)
            self.leases.stop()

    async def _nothing_due(self, root: str) -> bool:
        """Whether no run of the tree can go on without somebody else: all wait for people, or another process has them."""
        for run in await self.store.tree(root):
            if run.state in ENDED or run.kind in ("operator", "system"):
                continue
            if run.wake_at is not None and (run.owner is None or run.wake_at > 0):
                return False
        return True

    async def _hand_back(self, tasks: set[asyncio.Task[None]]) -> None:
        for handle in self.handles.values():
            handle.stopping = handle.stopping or "drain"
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)

    def drain(self) -> None:
        """Stop after what is running was handed back: commands go on in their environments and are collected later."""
        self._draining = True

    # --- driving one run

    async def drive(self, run: Run) -> None:
        """Drive an owned run until it ends, waits or is lost."""
        handle = await Handle.open(self.store, run, self.observe, self.progress)
        task = asyncio.current_task()
        assert task is not None
        self.handles[run.id] = handle
        self.leases.hold(run.id, run.epoch, lambda: handle.lose(task))
        flight: dict[Key, asyncio.Task[None]] = {}
        decider: Decider | None = None
        try:
            try:
                decider = self.factories[run.kind](handle)
            except QuarterdeckError as error:  # its code, model or tools are not here: nothing is lost, it waits until they are
                await self._read_inbox(handle)
                if handle.log.cancelling:
                    await self._finish(handle, CANCELLED)
                else:
                    await self._park(handle, f"stuck: {error.message} {error.hint}".strip())
                return
            await self._loop(handle, decider, flight)
        except LostLease:
            pass
        except asyncio.CancelledError:
            await self._stop_flight(flight)
            if handle.stopping == "lost":
                return
            if self.leases.holds(run.id):
                await asyncio.shield(self.store.release(run.id, run.epoch, wake_at=0))
            raise
        except StoreError as error:
            # The disk or the database, not the work: it is handed back, and whoever resumes it goes on from what was kept.
            await self._stop_flight(flight)
            if not await self._still_mine(run):
                return
            raise out_of_space(error) or error from error
        except Exception as error:
            # The worker's own failure must not strand the run: it ends as failed, and says so.
            await self._stop_flight(flight)
            message = {"type": type(error).__name__, "message": str(error), "hint": "This is a defect of Quarterdeck; please report it."}
            with contextlib.suppress(LostLease):
                await self._finish(handle, End("failed", error=message))
            raise
        finally:
            await self._stop_flight(flight)
            if decider is not None:
                decider.close()
            self.leases.drop(run.id)
            self.handles.pop(run.id, None)

    async def _still_mine(self, run: Run) -> bool:
        """Hand a run back. False if it was another's already, so that a refusal is no error."""
        self.leases.drop(run.id)
        with contextlib.suppress(StoreError):
            await self.store.release(run.id, run.epoch, wake_at=0)
        return (await self.store.run(run.id)).epoch == run.epoch

    async def _loop(self, handle: Handle, decider: Decider, flight: dict[Key, asyncio.Task[None]]) -> None:
        while True:
            await self._read_inbox(handle)
            if handle.log.cancelling and handle.stopping != "cancel":
                handle.stopping = "cancel"
                for flying in flight.values():
                    flying.cancel()
            for key in [k for k, t in flight.items() if t.done()]:
                flight.pop(key).result()
            if handle.stopping == "cancel" and not flight:
                await self._finish(handle, CANCELLED)
                return
            commands = [] if handle.stopping == "cancel" else decider.advance(handle.log)
            end = next((c for c in commands if isinstance(c, End)), None)
            if end is not None:
                await self._stop_flight(flight)
                await self._finish(handle, end)
                return
            if await self._note(handle, commands):
                continue
            wakes = [w for w in [await self._take(handle, c, flight) for c in commands] if w is not None]
            if flight:
                await asyncio.wait(flight.values(), timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
            elif handle.stopping != "cancel" and not self._progressed(handle, commands) and await self._wait(handle, commands, wakes):
                return

    async def _note(self, handle: Handle, commands: list[Command]) -> bool:
        """Write what needs no doing; several in one commit."""
        notes = [NewRecord(c.kind, c.body) for c in commands if isinstance(c, Note)]
        if notes:
            await handle.append(notes)
        return bool(notes)

    async def _take(self, handle: Handle, command: Command, flight: dict[Key, asyncio.Task[None]]) -> int | None:
        """Begin one command. Returns when to wake for it, if it is a timer."""
        match command:
            case Do(request):
                key = (request.name, request.occurrence)
                entry = handle.log.entry(*key)
                parked = entry is not None and entry.approval and entry.attempt == 0 and entry.answer is None
                if key not in flight and not parked:
                    flight[key] = asyncio.create_task(self.actions.perform(handle, request))
            case Timer():
                return await self._timer(handle, command)
            case Question():
                await self._question(handle, command)
            case Child():
                await self._child(handle, command)
        return None

    def _progressed(self, handle: Handle, commands: list[Command]) -> bool:
        """Whether a command has got its outcome since `commands` were named."""
        keys = [(c.name, c.occurrence) for c in commands if isinstance(c, (Timer, Question, Child))]
        entries = [handle.log.entries.get(k) for k in keys]
        return any(e is not None and e.outcome is not None for e in entries)

    async def _timer(self, handle: Handle, timer: Timer) -> int | None:
        entry = handle.log.entry(timer.name, timer.occurrence)
        now = time.time_ns() // 1000
        if entry is None:
            body = {"name": timer.name, "occurrence": timer.occurrence, "digest": timer.digest, "until": now + int(timer.seconds * 1e6)}
            await handle.append([NewRecord("timer.set", body)])
            entry = handle.log.entry(timer.name, timer.occurrence)
        assert entry is not None
        until: int = entry.body["until"]
        if entry.outcome is None and until <= now:
            await handle.append([NewRecord("timer.fired", {"name": timer.name, "occurrence": timer.occurrence})])
            return None
        return until

    async def _question(self, handle: Handle, asked: Question) -> None:
        if handle.log.entry(asked.name, asked.occurrence) is not None:
            return
        approval = new_id("appr")
        expires = time.time_ns() // 1000 + self.actions.approval_us
        body = {
            "approval": approval, "name": asked.name, "occurrence": asked.occurrence, "action": None, "role": asked.role,
            "question": asked.question, "digest": asked.digest, "expires_at": expires,
        }  # fmt: skip
        write = OpenApproval(approval, -1, asked.role, digest([handle.run.id, asked.digest]), asked.question, expires)
        await handle.append([NewRecord("approval.requested", body)], writes=[write])

    async def _child(self, handle: Handle, child: Child) -> None:
        """Submit the child. Its id is in the log first, so that a crash between the two commits submits it once."""
        entry = handle.log.entry(child.name, child.occurrence)
        run = handle.run
        if entry is None:
            body = {"name": child.name, "occurrence": child.occurrence, "digest": child.digest, "run": new_id("run")}
            await handle.append([NewRecord("child.submitted", body)])
            entry = handle.log.entries[(child.name, child.occurrence)]
        child_id = str(entry.body["run"])
        if entry.outcome is not None or child_id in self.handles:
            return
        new = NewRun(
            id=child_id, kind=child.kind, name=child.run_name, input=child.input, actor=run.actor, project=run.project, parent=run.id,
            root=run.root, environment=run.environment, labels=handle.labels,
        )  # fmt: skip
        body = {
            "kind": child.kind, "name": child.run_name, "input": child.input, "actor": run.actor, "role": child.role,
            "trust": handle.log.submitted.get("trust", "fork"), "labels": list(handle.labels), "parent": run.id,
        }  # fmt: skip
        await self.store.submit(new, body)

    async def _read_inbox(self, handle: Handle) -> None:
        """Turn messages into records, once."""
        messages = await self.store.messages(handle.run.id, handle.inbox_done)
        if not messages:
            return
        records = [_record_of(m) for m in messages]
        done = messages[-1].n + 1
        await handle.append(records, writes=[InboxDone(done)])
        handle.inbox_done = done

    async def _wait(self, handle: Handle, commands: list[Command], wakes: list[int]) -> bool:
        """Nothing can be done: become a row (law 9). False if the wait is so short that staying is cheaper."""
        if wakes and min(wakes) - time.time_ns() // 1000 < 2_000_000:
            await asyncio.sleep(POLL_S)
            return False
        waiting = _waiting_for(handle, commands)
        wake_at = min(wakes) if wakes else None
        await self._park(handle, waiting, wake_at)
        return True

    async def _park(self, handle: Handle, waiting: str, wake_at: int | None = None) -> None:
        await handle.append([NewRecord("run.waiting", {"for": waiting})], state="waiting", waiting=waiting, wake_at=wake_at)
        self.leases.drop(handle.run.id)
        await self.store.release(handle.run.id, handle.run.epoch)

    async def _stop_flight(self, flight: dict[Key, asyncio.Task[None]]) -> None:
        for task in flight.values():
            task.cancel()
        if flight:
            await asyncio.gather(*flight.values(), return_exceptions=True)
            flight.clear()

    async def _finish(self, handle: Handle, end: End) -> None:
        body = {"state": end.state, "result": end.result, "error": end.error}
        writes: list[Write] = []
        run = handle.run
        if run.parent is not None:
            writes.append(SendMessage(run.parent, "child.completed", {"run": run.id, **body}, f"child:{run.id}"))
        for child in handle.log.children.values():
            if child.outcome is None and end.state == "cancelled":
                writes.append(
                    SendMessage(child.body["run"], "cancel", {"by": run.id, "reason": "its parent was cancelled"}, f"cancel:{run.id}")
                )
        self.leases.drop(run.id)  # an ended run has no owner; renewing it would look like losing it
        await handle.append([NewRecord("run.completed", body)], state=end.state, writes=writes)
        if self.ended is not None:
            try:
                await self.ended(run)
            except Exception as error:  # the run has ended well or badly already; what could not be cleaned up is told, not thrown
                self.progress(run.id, {"kind": "cleanup", "error": f"{type(error).__name__}: {error}"})


def _waiting_for(handle: Handle, commands: list[Command]) -> str:
    for command in commands:
        match command:
            case Do(request):
                entry = handle.log.entry(request.name, request.occurrence)
                if entry is not None and entry.approval:
                    return f"approval {entry.approval}"
            case Question():
                entry = handle.log.entry(command.name, command.occurrence)
                if entry is not None:
                    return f"approval {entry.approval}"
            case Timer():
                return "timer"
            case Child():
                return "child"
    return next((c.what for c in commands if hasattr(c, "what")), "nothing")


def _record_of(message: Message) -> NewRecord:
    kinds = {"cancel": "run.cancelling", "signal": "signal.received"}
    return NewRecord(kinds.get(message.kind, message.kind), {**message.body, "n": message.n})
