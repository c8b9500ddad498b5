"""File operations, done inside by a minder: names are resolved here, so no symlink can lead to the host."""

# pathlib and contextlib are not used: importing them costs milliseconds of every cold start.
# ruff: noqa: PTH103, PTH104, PTH108, PTH112, PTH114, PTH118, PTH120
from __future__ import annotations

import os
import stat
import sys

CHUNK = 1 << 20


def run(spec: dict[str, object]) -> None:
    """Do `read` (to stdout), `write` (from stdin) or `unpack` (a tar file on stdin). Raises OSError with the reason."""
    kind, path = spec["kind"], spec["path"]
    assert isinstance(path, bytes)
    if kind == "read":
        most = spec["most"]
        assert isinstance(most, int)
        read(path, most)
    elif kind == "write":
        mode = spec["mode"]
        assert isinstance(mode, int)
        write(path, mode)
    else:
        unpack(path)


def read(path: bytes, most: int) -> None:
    """Copy a regular file to stdout; anything else (a FIFO, a device, a folder) is refused without waiting for it, as is a larger one."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise OSError("not a regular file")
    left = most
    while chunk := os.read(fd, CHUNK):
        left -= len(chunk)
        if left < 0:
            raise OSError(f"it has more than {most} bytes")
        view = memoryview(chunk)
        while view:
            view = view[os.write(1, view) :]


def write(path: bytes, mode: int) -> None:
    """Replace a file by stdin's content in one step, making its folders. A symlink at `path` is replaced, not followed."""
    folder = os.path.dirname(path) or b"."
    os.makedirs(folder, exist_ok=True)
    if os.path.isdir(path) and not os.path.islink(path):
        raise IsADirectoryError(21, "Is a directory")
    temporary = folder + b"/.quarterdeck-%d" % os.getpid()
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        while chunk := os.read(0, CHUNK):
            view = memoryview(chunk)
            while view:
                view = view[os.write(fd, view) :]
        os.fchmod(fd, mode & 0o777)
        os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def unpack(target: bytes) -> None:
    """Unpack a (compressed) tar file from stdin. Symlinks stay symlinks, wherever they point: whatever they reach is inside too.

    Left out and named on stderr: devices, and members whose names are absolute or climb out of the folder.
    """
    import tarfile

    folder = os.fsdecode(target)
    os.makedirs(folder, exist_ok=True)
    try:
        with tarfile.open(fileobj=os.fdopen(os.dup(0), "rb"), mode="r:*") as archive:
            if hasattr(tarfile, "fully_trusted_filter"):
                archive.extraction_filter = staticmethod(tarfile.fully_trusted_filter)
            late = []
            for member in archive:
                if member.isdev() or member.name.startswith("/") or ".." in member.name.split("/"):
                    print(f"quarterdeck: left out {member.name!r}", file=sys.stderr)
                    continue
                member.mode = member.mode & 0o777 | (0o700 if member.isdir() else 0o400)
                if member.isdir():
                    late.append(member)
                archive.extract(member, folder, set_attrs=not member.isdir(), numeric_owner=True)
            for member in reversed(late):  # times and modes of folders last: filling them would change them again
                archive.utime(member, os.path.join(folder, member.name))
                archive.chmod(member, os.path.join(folder, member.name))
    except (tarfile.TarError, EOFError) as error:
        raise OSError(f"not a usable tar file: {error}") from error
    sys.stderr.flush()
