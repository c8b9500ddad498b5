"""The agent inside: pid 1 of an environment, started by the host as ``python -I -S``; the standard library's cheapest modules only.

It owns no truth. The host's shim sends one datagram per job together with file descriptors: a specification, stdin, stdout,
stderr and a status pipe. The agent hands each job to a *minder*, a child subreaper that starts the command, writes its wait
status straight into the status pipe, and is busy until the last descendant is gone; so a job's daemons are always found under
its minder. A spare minder waits for the next job, so that no fork delays it. As pid 1 the agent can neither be killed nor
stopped from inside, and as it is not dumpable nobody inside can open its memory or descriptors.
"""

# pathlib and contextlib are not used: importing them costs milliseconds of every cold start.
# ruff: noqa: PTH123, PTH208
from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import resource
import select
import struct

from .minder import PR_SET_DUMPABLE, STATUS, mind, prctl, receive

HEADER = struct.Struct("<cI")
"""Kind (S: spawn, K: kill) and the job's number."""
KILL_PASSES = 40
FREEZE_AFTER = 4


def processes() -> dict[int, int]:
    """Return {pid: parent} of every process inside that is not a zombie."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue
        if state not in (b"Z", b"X"):
            found[int(name)] = int(parent)
    return found


def below(root: int, parents: dict[int, int]) -> set[int]:
    """Return the descendants of `root`."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    stack = [root]
    while stack:
        for child in children.get(stack.pop(), ()):
            if child not in found:
                found.add(child)
                stack.append(child)
    return found


class Minder:
    """A minder as pid 1 sees it. `job` 0: it is idle."""

    def __init__(self, pid: int, sock: _socket.socket) -> None:
        self.pid, self.sock, self.job = pid, sock, 0
        self.deaf = False
        """Its socket has ended, so it is no longer polled."""


class Agent:
    """The loop of pid 1."""

    def __init__(self, sock: _socket.socket, oom: int) -> None:
        self.sock = sock
        self.oom = oom
        self.calm = int(os.pread(oom, 16, 0))
        self.minders: dict[int, Minder] = {}
        """By the descriptor of their sockets."""
        self.poll = select.poll()

    def run(self, wake: int) -> None:
        """Serve until the shim closes its end."""
        self.poll.register(self.sock.fileno(), select.POLLIN)
        self.poll.register(wake, select.POLLIN)
        self.spare()
        while True:
            for fd, _ in self.poll.poll():
                if fd == wake:
                    os.read(wake, 4096)
                    self.reap()
                elif fd in self.minders:
                    self.hear(self.minders[fd])
                elif fd == self.sock.fileno() and not self.receive():
                    return

    def receive(self) -> bool:
        data, fds = receive(self.sock)
        if not data:
            return False
        kind, job = HEADER.unpack(data)
        if kind == b"S":
            self.assign(job, fds)
        else:
            for minder in list(self.minders.values()):
                if minder.job == job:
                    self.kill(minder.pid)
        for fd in fds:
            os.close(fd)
        return True

    def assign(self, job: int, fds: list[int]) -> None:
        """Hand the job to an idle minder; one that died meanwhile is replaced."""
        for _ in range(2):
            minder = self.spare()
            if minder is None:
                break
            minder.job = job
            try:
                minder.sock.sendmsg([b"J"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))])
            except OSError:
                continue
            return
        os.write(fds[3], b"quarterdeck: cannot start a process: none is left\n")
        os.write(fds[4], STATUS.pack(126 << 8, 0.0, 0.0, 0))

    def hear(self, minder: Minder) -> None:
        """A minder says that its job is over and that nothing is left of it; or it is gone, which `reap` sees to."""
        try:
            said = minder.sock.recv(1)
        except OSError:
            said = b""
        if said and not any(other.job == 0 for other in self.minders.values()):
            minder.job = 0
            return
        self.poll.unregister(minder.sock.fileno())
        if said:  # one spare is enough
            self.minders.pop(minder.sock.fileno()).sock.close()
        else:
            minder.deaf = True

    def spare(self) -> Minder | None:
        """Return an idle minder, a new one if there is none; None if no process is left for it."""
        for minder in self.minders.values():
            if minder.job == 0 and not minder.deaf:
                return minder
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        os.write(self.oom, b"%d" % max(500, self.calm))  # the kernel's out-of-memory killer shall take a job before pid 1
        try:
            pid = os.fork()
        except OSError:
            return None
        finally:
            if os.getpid() == 1:
                os.write(self.oom, b"%d" % self.calm)
        if pid == 0:
            try:
                os.closerange(3, theirs.fileno())
                os.closerange(theirs.fileno() + 1, 65536)
                mind(theirs)
            finally:
                os._exit(70)
        theirs.close()
        minder = Minder(pid, ours)
        self.minders[ours.fileno()] = minder
        self.poll.register(ours.fileno(), select.POLLIN)
        return minder

    def reap(self) -> None:
        """Collect every zombie; after a minder's violent death also end the processes that it leaves."""
        violent = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            for fd, minder in list(self.minders.items()):
                if minder.pid == pid:
                    violent = violent or status != 0
                    del self.minders[fd]
                    if not minder.deaf:
                        self.poll.unregister(fd)
                    minder.sock.close()
        if violent:
            self.kill(0)

    def kill(self, minder_pid: int) -> None:
        """End all descendants of a minder (0: everything that no living minder owns), also those that fork faster than we look."""
        frozen = False
        for attempt in range(KILL_PASSES):
            found = self.victims(minder_pid)
            if not found:
                break
            if attempt == FREEZE_AFTER:
                frozen = send(-1, _signal.SIGSTOP)  # atomic for the whole namespace: from here nothing forks
            for pid in found:
                send(pid, _signal.SIGKILL)
        if frozen:
            send(-1, _signal.SIGCONT)
        elif minder_pid:
            send(minder_pid, _signal.SIGCONT)  # the job may have stopped it

    def victims(self, minder_pid: int) -> set[int]:
        parents = processes()
        if minder_pid:
            found = below(minder_pid, parents)
            # A minder without children runs a file operation itself, or has not started its command yet.
            return found or ({minder_pid} & parents.keys())
        owned = {os.getpid()}
        for minder in self.minders.values():
            owned |= {minder.pid} | below(minder.pid, parents)
        return parents.keys() - owned


def send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def main(fd: int, limits: dict[int, int]) -> None:
    """Entrance: `fd` is the socket to the shim, `limits` maps RLIMIT numbers to hard limits."""
    os.umask(0o022)
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(3, fd)
    os.closerange(fd + 1, 65536)
    for number, value in limits.items():
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
    oom = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    prctl(PR_SET_DUMPABLE, 0)
    os.set_inheritable(fd, False)
    read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    _signal.signal(_signal.SIGINT, _signal.SIG_IGN)
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    _signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    sock = _socket.socket(fileno=fd)
    if sock.recv(1) != b"G":  # until then the shim puts this process under its limits, so it must have no children
        return
    sock.send(b"R")
    Agent(sock, oom).run(read)
