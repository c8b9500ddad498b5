"""Runs inside an environment: tries every system call of argv's table and prints {name: errno name or "allowed"} as JSON."""

import ctypes
import errno
import json
import os
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)


def attempt(number, *args):
    ctypes.set_errno(0)
    padded = [ctypes.c_long(value) for value in (*args, 0, 0, 0, 0, 0, 0)[:6]]
    if libc.syscall(ctypes.c_long(number), *padded) >= 0:
        return "allowed"
    return errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))


def in_child(function):
    """Try in a child, for an allowed call may change the caller."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, function().encode())
        os._exit(0)
    os.close(write)
    said = os.read(read, 100).decode()
    os.waitpid(pid, 0)
    return said or "killed"


def family(number, protocol=0, kind=socket.SOCK_RAW):
    try:
        socket.socket(number, kind, protocol).close()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "allowed"


table = json.loads(sys.argv[1])
found = {name: in_child(lambda number=number: attempt(number)) for name, number in table["denied"].items()}
for name, args in table["special"].items():
    found[name] = in_child(lambda args=args: attempt(*args))
for name, number in table["families"].items():
    found[name] = family(number)
found["netlink route"] = family(16, 0)
found["netlink uevent"] = family(16, 15)
found["unix"] = family(1, 0, socket.SOCK_STREAM)
found["inet"] = family(2, 0, socket.SOCK_STREAM)
json.dump(found, sys.stdout)
