"""The head's conftest.py of test_hostile.py: it tries to reach what is not its own, and prints what it got. A31.

`CONFIG` is put in by the test: files to read, a port and an abstract socket of the host, and the process that drives the review.
"""

# ruff: noqa: B023, PTH119, PTH120, PTH123, PTH207, PTH208
import contextlib
import ctypes
import glob
import json
import os
import socket
import subprocess
import sys

CONFIG = {"files": [], "port": 0, "driver": 0}
GOT = {}
SHOWN = {"/var": {"lib", "run", "tmp"}, "/sys": {"devices"}}
"""What programs expect: empty folders, the number of processors."""


def attempt(name, action):
    """`action` answers what it got, or something false when it got nothing."""
    try:
        got = action()
        GOT[name] = f"GOT {got}" if got else "blocked: nothing there"
    except BaseException as error:
        GOT[name] = f"blocked: {type(error).__name__}"


def read(path):
    with open(path, "rb") as file:
        return file.read(200_000).decode("utf-8", "replace")


def write(path):
    with open(path, "ab") as file:
        file.write(b"changed")
    return "write"


def listing(path):
    interpreter = {*sys.base_prefix.split("/"), *sys.prefix.split("/"), *os.path.realpath(sys.executable).split("/")}
    return sorted(set(os.listdir(path)) - SHOWN.get(path, set()) - interpreter)


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as found:
        found.settimeout(2)
        found.connect(address)
        return "connection"


def canaries_of(pid):
    return [word for word in read(f"/proc/{pid}/environ").split("\0") if "CANARY" in word]


def others():
    """Processes that can be seen and whose environment holds a canary, or through whose root a wanted file is reached."""
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            found += canaries_of(os.path.basename(path))
        for wanted in CONFIG["files"]:
            try:
                found += [wanted] if read(f"{path}/root{wanted}") else []
            except OSError:
                continue
    return found


for wanted in CONFIG["files"]:
    attempt(f"read {wanted}", lambda: read(wanted))
    attempt(f"write {wanted}", lambda: write(wanted))
    attempt(f"link {wanted}", lambda: os.link(wanted, "/tmp/linked") or "link")
for folder in (
    "/root",
    "/home",
    "/var",
    "/mnt",
    "/srv",
    "/run",
    "/sys",
    os.path.dirname(CONFIG["files"][0] if CONFIG["files"] else "/mnt"),
):
    attempt(f"list {folder}", lambda: listing(folder))
attempt("own environment", lambda: [f"{k}={v}" for k, v in os.environ.items() if "CANARY" in k + v])
attempt("first environment", lambda: canaries_of(1))
attempt("other processes", others)
attempt("the driver's environment", lambda: canaries_of(CONFIG["driver"]))
attempt("the driver's memory", lambda: read(f"/proc/{CONFIG['driver']}/mem"))
attempt("tracing process 1", lambda: ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0)
attempt("IPv4 loopback", lambda: connect(socket.AF_INET, ("127.0.0.1", CONFIG["port"])))
attempt("IPv6 loopback", lambda: connect(socket.AF_INET6, ("::1", CONFIG["port"])))
attempt("another host", lambda: connect(socket.AF_INET, ("192.0.2.1", 53)))
attempt("abstract socket", lambda: connect(socket.AF_UNIX, f"\0canary-{CONFIG['port']}"))
attempt("a host's name", lambda: socket.getaddrinfo("example.org", 443))
attempt("becoming root", lambda: os.setuid(0) or "root")
attempt("mounting", lambda: subprocess.run(["mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True).returncode == 0)
attempt("new namespaces", lambda: subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("ATTEMPTS " + json.dumps(GOT))
