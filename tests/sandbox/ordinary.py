"""Runs a command as an ordinary user that exists for this test alone: ``python ordinary.py UID HOME PATH... -- COMMAND...``, by root.

Homes such as /root are closed to others, and the interpreter and the checkout may lie there. So this makes a mount namespace
of its own in which each PATH stays reachable while everything else of those homes is gone, and then becomes the user for ever.
"""

# ruff: noqa: PTH103, PTH112, PTH116, PTH120
import ctypes
import os
import sys

NEWNS, BIND, REC, PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000


def call(name, *args):
    if getattr(libc, name)(*args) != 0:
        raise OSError(ctypes.get_errno(), f"{name}{args!r}")


def closed_ancestor(path):
    """The topmost folder above `path` that others may not enter, or None."""
    found = None
    while path != "/":
        path = os.path.dirname(path)
        if not os.stat(path).st_mode & 0o001:
            found = path
    return found


libc = ctypes.CDLL(None, use_errno=True)
split = sys.argv.index("--")
uid, home, paths, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:split], sys.argv[split + 1 :]
call("unshare", NEWNS)
call("mount", None, b"/", None, ctypes.c_ulong(REC | PRIVATE), None)
opened = [(os.open(path, os.O_PATH), path, closed_ancestor(path)) for path in sorted(set(paths)) if closed_ancestor(path)]
for folder in sorted({ancestor for _, _, ancestor in opened}):
    call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(0), b"mode=755")
for fd, path, _ in opened:
    os.makedirs(path, exist_ok=True) if os.path.isdir(f"/proc/self/fd/{fd}") else None
    call("mount", os.fsencode(f"/proc/self/fd/{fd}"), os.fsencode(path), None, ctypes.c_ulong(BIND | REC), None)
os.closerange(3, 256)
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
os.umask(0o022)
os.chdir("/")
env = {name: value for name, value in os.environ.items() if not name.startswith(("SUDO", "XDG", "QUARTERDECK", "PYTEST"))}
os.execve(
    command[0], command, {**env, "HOME": home, "USER": "ordinary", "LOGNAME": "ordinary", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": home}
)
