"""A minder: the process that starts a job's command, tells the host how it ended, and stays until nothing is left of it."""

# pathlib is not used: importing it costs milliseconds of every cold start.
from __future__ import annotations

import _ctypes
import _signal  # type: ignore[import-not-found]
import _socket
import marshal
import os
import resource
import struct

PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
STATUS = struct.Struct("<iddq")
"""Wait status, user seconds, system seconds, peak resident bytes."""
MAX_FDS = 5

_prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]


def prctl(option: int, value: int) -> None:
    """Call prctl(2). The low-level module is used since importing `ctypes` costs 4 ms."""
    if _ctypes.call_function(_prctl, (option, value, 0, 0, 0)) != 0:
        raise OSError(f"prctl {option} failed")


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
    except Exception as error:
        what = f"{os.fsdecode(spec['argv'][0])!r} in {os.fsdecode(spec['cwd'])!r}: " if spec["kind"] == "exec" else ""
        os.write(2, f"quarterdeck: {what}{getattr(error, 'strerror', None) or error or type(error).__name__}\n".encode("utf-8", "replace"))
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
