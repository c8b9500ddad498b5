"""The shim's entrance and its operations. See the package's paragraph for what it is."""

# pathlib and contextlib are not used: importing them costs milliseconds of every cold start.
# ruff: noqa: PTH123
from __future__ import annotations

import _socket
import errno
import marshal
import os
import select
import struct
import sys
import time

from . import launch
from .loop import Loop
from .processes import anonymous_bytes, below, kill, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cgroups import Group
    from .job import Job
    from .server import Connection

AGENT_HEADER = struct.Struct("<cI")
FD_FIRST = 3
"""The connection of the server that started us: its create() waits there."""
START_S = 20.0
WATCHDOG_S = 0.5
EXIT_S = 1.2
CHECK_S = 30.0
"""How often an idle shim looks whether it is still wanted."""


class Shim:
    """Holds one environment."""

    def __init__(self, folder: str, plan: dict[str, Any], sandbox: launch.Sandbox) -> None:
        from .ledger import Ledger

        self.folder, self.plan, self.sandbox = folder, plan, sandbox
        self.loop = Loop()
        self.ledger = Ledger(folder, writable=True)
        self.jobs: dict[str, Job] = {}
        self.waiting: dict[str, list[Connection]] = {}
        self.starting: list[Connection] = []
        self.connections: set[Connection] = set()
        self.number = 0
        self.ready = False
        self.lost = ""
        """Why there is no living environment; empty while there is one."""
        self.group: Group | None = None
        self.idle_since = time.monotonic()
        self.watching_memory = False

    # --- the environment's life -------------------------------------------------------------------------------------

    def settle_in(self) -> None:
        """Put the started process under its limits, check law 5 on it, let it go, and listen to it."""
        if self.plan["groups"]:
            from .cgroups import Group

            self.group = Group(self.plan["group"], self.plan["groups"])
            limits = self.plan["limits"]
            self.group.make(limits["memory_bytes"], limits["pids"], limits["cpu"])
        init = self.sandbox.read_info()
        self._remember(init)
        if init:
            launch.check_not_root(init)
            # Moving a process may wait for an RCU grace period, so it happens while the agent's interpreter starts; the agent
            # has no child before it hears the G.
            if self.group:
                self.group.add(init)
            self.sandbox.agent.send(b"G")
        self.loop.watch(self.sandbox.agent.fileno(), select.EPOLLIN, lambda _: self._hear_agent())
        self.loop.watch(self.sandbox.pidfd, select.EPOLLIN, lambda _: self._sandbox_died())
        self.start_timer = self.loop.after(START_S, lambda: self.lose(f"the agent did not start within {START_S:.0f} s"))
        self.loop.after(min(self.plan["idle_s"], CHECK_S), self._check_idle)

    def _remember(self, init: int) -> None:
        """Leave on disk what a later server needs, beside the plan, to clean up after a dead shim: pids with start times."""
        with open(f"{self.folder}/remains", "w") as file:
            for name, pid in (("bwrap", self.sandbox.pid), ("init", init)):
                file.write(f"{name} {pid} {start_time(pid)}\n" if pid else "")

    def _hear_agent(self) -> None:
        """The agent says one thing, "R": ready. Anything else, or its end, loses the environment."""
        try:
            data = self.sandbox.agent.recv(64)
        except OSError:
            data = b""
        if data == b"R" and not self.ready:
            self.ready = True
            self.loop.cancel(self.start_timer)
            for connection in self.starting:
                connection.answer({"ok": True})
            self.starting.clear()
        else:
            self.lose("the agent inside ended" if not data else "the agent inside spoke out of turn")

    def _sandbox_died(self) -> None:
        self.lose("bubblewrap ended")

    def lose(self, why: str) -> None:
        """End everything inside and tell those who wait."""
        if self.lost:
            return
        complaint = "" if self.ready else self.sandbox.complaint()
        self.lost = f"{why}: {complaint}" if complaint else why
        self.end_sandbox()
        for connection in self.starting:
            connection.fail("SandboxError", f"the environment did not start: {self.lost}", "run: quarterdeck doctor")
        for job in list(self.jobs.values()):
            job.lose()

    def end_sandbox(self) -> None:
        """SIGKILL the namespace's init: the kernel ends all others inside, whatever state they are in, and bubblewrap follows."""
        for fd in (self.sandbox.agent.fileno(), self.sandbox.pidfd):
            self.loop.forget(fd)
        kill(self.sandbox.init or self.sandbox.pid)

    def _check_idle(self) -> None:
        left = self.plan["idle_s"] - (time.monotonic() - self.idle_since)
        if self.connections or self.jobs:
            left = self.plan["idle_s"]
        if not os.access(f"{self.folder}/plan", os.F_OK):  # removed behind our back: nobody can ask for us any more
            left = 0
        if left > 0:
            self.loop.after(min(left, CHECK_S), self._check_idle)
        else:
            self.lose("nobody asked for it for too long, or its folder is gone")
            self.loop.running = False

    def close(self) -> None:
        """The last act: nothing of the environment remains but its folder."""
        deadline = time.monotonic() + EXIT_S
        self.end_sandbox()
        ended, _, _ = select.select([self.sandbox.pidfd], [], [], EXIT_S / 2)
        if not ended:
            kill(self.sandbox.pid)
        if self.group:
            self.group.remove(deadline)

    # --- requests ---------------------------------------------------------------------------------------------------

    def adopt(self, sock: _socket.socket) -> None:
        """Serve one connection."""
        from .server import Connection

        connection = Connection(self.loop, sock, self.handle)
        self.connections.add(connection)
        connection.closed = self._closed

    def _closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self.idle_since = time.monotonic()
        for waiting in (self.starting, *self.waiting.values()):
            if connection in waiting:
                waiting.remove(connection)

    def handle(self, connection: Connection, request: dict[str, Any], body: bytes) -> None:
        """Do one request. Raises Refused."""
        from .server import Refused

        try:
            self._do(connection, request, body)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise Refused(
                "DiskFull", "The disk that holds the environment's ledger is full.", "Free space, then resume the run."
            ) from error

    def _do(self, connection: Connection, request: dict[str, Any], body: bytes) -> None:
        op = request["op"]
        if op in ("exec", "read", "write", "unpack"):
            self._begin(connection, request, body)
        elif op == "hello":
            self._hello(connection, request)
        elif op in ("probe", "wait"):
            self._look(connection, request)
        elif op == "kill":
            job = self.jobs.get(request["key"])
            if job is not None:
                self.stop(job, "killed")
            connection.answer({"ok": job is not None})
        elif op == "ping":
            connection.answer({"ok": not self.lost})
        elif op == "delete":
            self.loop.running = False

    def _hello(self, connection: Connection, request: dict[str, Any]) -> None:
        self._fence(request)
        self._alive()
        if self.ready:
            connection.answer({"ok": True})
        else:
            self.starting.append(connection)

    def _fence(self, request: dict[str, Any]) -> None:
        from .server import Refused

        if not self.ledger.fence(request["run"], request["epoch"]):
            message = f"run {request['run']} has a newer owner than epoch {request['epoch']}"
            raise Refused("LostLease", message, "stop; the newer owner goes on")

    def _alive(self) -> None:
        from .server import Refused

        if self.lost:
            raise Refused("EnvironmentLost", f"the environment is gone: {self.lost}", "start the work again; what was in it is lost")

    def _begin(self, connection: Connection, request: dict[str, Any], body: bytes) -> None:
        from .job import Job
        from .server import Refused

        self._fence(request)
        self._alive()
        key = request["key"]
        stdin = self._stdin(request, body)
        try:
            fresh = self.ledger.begin(key)
        except OSError:
            os.close(stdin)
            raise
        if not fresh:
            os.close(stdin)
            state = self.ledger.states[key]
            raise Refused("PermitRefused", f"{key} is {state} here: an attempt begins at most once", "probe it, or use a new attempt")
        self.number += 1
        job = Job(self.loop, self.number, key, request, self._finished)
        job.oom_before = self.group.oom_kills() if self.group else 0
        spec = self._spec(request)
        fds = job.fds(spec, stdin)
        self.jobs[key] = job
        self.waiting[key] = [connection]
        try:
            rights = struct.pack(f"{len(fds)}i", *fds)
            self.sandbox.agent.sendmsg([AGENT_HEADER.pack(b"S", job.number)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            heard = True
        except OSError:
            heard = False
        os.close(fds[0])
        os.close(stdin)
        job.watch(lambda job: self.stop(job, "timeout"))
        if not heard:
            self.lose("the agent inside does not answer")
        elif not self.group and not self.watching_memory:
            self.watching_memory = True
            self.loop.after(WATCHDOG_S, self._watch_memory)

    def _stdin(self, request: dict[str, Any], body: bytes) -> int:
        if request["op"] == "unpack":
            return os.open(request["archive"], os.O_RDONLY | os.O_CLOEXEC)
        return launch.memfd(body) if body else os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def _spec(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] == "exec":
            env = {os.fsencode(name): os.fsencode(value) for name, value in {**self.plan["env"], **request["env"]}.items()}
            return {"kind": "exec", "argv": [os.fsencode(arg) for arg in request["argv"]], "env": env, "cwd": os.fsencode(request["cwd"])}
        return {"kind": request["op"], "path": os.fsencode(request["path"]), "mode": request.get("mode", 0), "most": request.get("most", 0)}

    def stop(self, job: Job, reason: str) -> None:
        """End a job and all that it started; if the agent cannot do it in time, end the environment."""
        from .job import KILL_GRACE_S

        if job.ended:
            return
        job.reason = job.reason or reason
        try:
            self.sandbox.agent.send(AGENT_HEADER.pack(b"K", job.number))
        except OSError:
            self.lose("the agent inside does not answer")
        job.timers.append(self.loop.after(KILL_GRACE_S, lambda: self.lose(f"{job.key} could not be ended")))

    def _finished(self, job: Job) -> None:
        if self.group and self.group.oom_kills() > job.oom_before and job.result["exit_code"] != 0 and job.reason in ("", "lost"):
            job.result.update(state="oom", exit_code=None, signal=None)
        answer = self.ledger.end(job.key, job.result, job.streams).to_answer()
        del self.jobs[job.key]
        body = b"".join(job.streams)
        for connection in self.waiting.pop(job.key):
            connection.answer(answer, body)
        try:
            self.ledger.sync()  # behind the answer: who got it keeps it, and a crash of the host ends the environment anyway
        except OSError:
            return

    def _look(self, connection: Connection, request: dict[str, Any]) -> None:
        """`probe` and `wait`: what became of a key; a key that was never seen is forbidden for ever by a probe."""
        self._fence(request)
        key = request["key"]
        state = self.ledger.states.get(key)
        if key in self.jobs:
            if request["op"] == "wait":
                self.waiting[key].append(connection)
            else:
                connection.answer({"state": "running"})
        elif state == "ended":
            known = self.ledger.result(key)
            connection.answer(known[0].to_answer(), known[1]) if known else connection.answer({"state": "unknown"})
        elif state == "begun":
            connection.answer({"state": "unknown"})
        else:
            if state is None and request["op"] == "probe":
                self.ledger.forbid(key)
            connection.answer({"state": "not_begun"})

    # --- memory where no control group enforces it ----------------------------------------------------------------------

    def _watch_memory(self) -> None:
        """End the largest process when all together hold more than the limit (each alone is held by RLIMIT_DATA)."""
        self.watching_memory = bool(self.jobs) and not self.lost
        if not self.watching_memory:
            return
        sizes = {pid: anonymous_bytes(pid) for pid in below(self.sandbox.init)}
        if sum(sizes.values()) > self.plan["limits"]["memory_bytes"]:
            for job in self.jobs.values():
                job.reason = job.reason or "oom"
            kill(max(sizes, key=lambda pid: sizes[pid]))
        self.loop.after(WATCHDOG_S, self._watch_memory)


def main(folder: str) -> None:
    """Start and hold the environment of `folder` until it is deleted or nobody asks for it any more."""
    os.closerange(FD_FIRST + 1, 65536)
    os.set_inheritable(FD_FIRST, False)
    os.umask(0o077)
    os.chdir("/")
    import fcntl
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    lock = os.open(f"{folder}/shim.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.pwrite(lock, b"%d" % os.getpid(), 0)
    with open(f"{folder}/plan", "rb") as file:
        plan = marshal.load(file)
    sandbox = launch.start(plan)
    from .server import listen  # imported while bubblewrap starts

    shim = Shim(folder, plan, sandbox)
    shim.adopt(_socket.socket(fileno=FD_FIRST))
    try:
        shim.settle_in()
    except (OSError, RuntimeError, ValueError) as error:
        shim.lose(f"limits or law 5: {error}")
    listener = listen(folder)
    shim.loop.watch(listener.fileno(), select.EPOLLIN, lambda _: accept(shim, listener))
    try:
        shim.loop.run()
    finally:
        shim.close()
    os._exit(0)  # an orderly end of the interpreter would take 5 ms of every delete


def accept(shim: Shim, listener: _socket.socket) -> None:
    try:
        fd, _ = listener._accept()  # type: ignore[attr-defined]
    except OSError:
        return
    shim.adopt(_socket.socket(fileno=fd))


if __name__ == "__main__":
    main(sys.argv[1])
