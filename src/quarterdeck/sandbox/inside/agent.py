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

import _ctypes
import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import resource
import select
import struct

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
HEADER = struct.Struct("<cI")
"""Kind (S: spawn, K: kill) and the job's number."""
STATUS = struct.Struct("<iddq")
"""Wait status, user seconds, system seconds, peak resident bytes."""
MAX_FDS = 5
KILL_PASSES = 40
FREEZE_AFTER = 4

_prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]


def prctl(option: int, value: int) -> None:
    """Call prctl(2). The low-level module is used since importing `ctypes` costs 4 ms."""
    if _ctypes.call_function(_prctl, (option, value, 0, 0, 0)) != 0:
        raise OSError(f"prctl {option} failed")


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


def receive(sock: _socket.socket) -> tuple[bytes, list[int]]:
    """Receive one datagram and its descriptors."""
    data, ancillary, _, _ = sock.recvmsg(64, _socket.CMSG_SPACE(4 * MAX_FDS), _socket.MSG_CMSG_CLOEXEC)
    return data, [fd for _, _, raw in ancillary for (fd,) in struct.iter_unpack("i", raw[: len(raw) // 4 * 4])]


def mind(sock: _socket.socket) -> None:
    """The life of a minder: one job after the other, until pid 1 closes its end."""
    _signal.set_wakeup_fd(-1)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    while True:
        data, fds = receive(sock)
        if not data:
            os._exit(0)
        run_job(fds, null)
        sock.send(b"F")


def run_job(fds: list[int], null: int) -> None:
    """Run one job, report its end, and return when nothing is left of it."""
    spec_fd, stdin, stdout, stderr, status_fd = fds
    spec = marshal.loads(os.pread(spec_fd, os.fstat(spec_fd).st_size, 0))
    for number, fd in enumerate((stdin, stdout, stderr)):
        os.dup2(fd, number)
        os.close(fd)
    os.close(spec_fd)
    child = -1
    code = 0
    os.chdir("/workspace")
    try:
        child = start(spec) if spec["kind"] == "exec" else file_job(spec)
    except OSError as error:
        what = f"{os.fsdecode(spec['argv'][0])!r} in {os.fsdecode(spec['cwd'])!r}: " if spec["kind"] == "exec" else ""
        os.write(2, f"quarterdeck: {what}{error.strerror or error}\n".encode("utf-8", "replace"))
        code = 127 if isinstance(error, FileNotFoundError) else 126
    for number in (0, 1, 2):  # nobody shall wait for the end of a stream that only this process holds
        os.dup2(null, number)
    if child < 0:
        report(status_fd, code << 8, resource.getrusage(resource.RUSAGE_SELF))
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return
        if pid == child:
            report(status_fd, status, usage)


def report(status_fd: int, status: int, usage: resource.struct_rusage) -> None:
    os.write(status_fd, STATUS.pack(status, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024))
    os.close(status_fd)


def start(spec: dict[str, object]) -> int:
    """Start the job's command; posix_spawn (a vfork) keeps it cheap."""
    argv, env, cwd = spec["argv"], spec["env"], spec["cwd"]
    assert isinstance(argv, list) and isinstance(env, dict) and isinstance(cwd, bytes)
    os.chdir(cwd)
    os.environb[b"PATH"] = env.get(b"PATH", b"/usr/bin:/bin")  # what posix_spawnp searches
    ignored = [_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGINT, _signal.SIGCHLD]
    return os.posix_spawnp(argv[0], argv, env, setsid=True, setsigdef=ignored, setsigmask=[])


def file_job(spec: dict[str, object]) -> int:
    """Run a file operation in this process; it answers like a command, -1 stands for "no child"."""
    from . import files  # only here: most jobs are commands

    files.run(spec)
    return -1


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
