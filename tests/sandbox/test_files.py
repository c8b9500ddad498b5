"""Files go in and out through the agent: names are resolved inside, and nothing hangs. A16, A30."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import pytest
from sandbox_box import Box

from quarterdeck.protocol.errors import BadInput, SandboxError


async def read(box: Box, path: str, most: int = 1 << 20) -> bytes:
    return await box.driver.read(box.permit("file.read"), box.id, path, most)


async def write(box: Box, path: str, data: bytes, mode: int = 0o644) -> None:
    await box.driver.write(box.permit("file.write"), box.id, path, data, mode)


async def test_write_and_read_back(box: Box) -> None:
    data = bytes(range(256)) * 20_000
    await write(box, "/workspace/deep/er/file", data, 0o750)
    assert await read(box, "/workspace/deep/er/file", len(data)) == data
    assert await box.out("stat -c '%a %U' deep/er/file") == "750 agent"
    await write(box, "relative", b"")
    assert await read(box, "relative") == b""
    await write(box, "relative", b"again")
    assert await read(box, "/workspace/relative", 5) == b"again"
    assert await box.out("ls -A /workspace") == "deep\nrelative"


async def test_reading_what_is_no_file_fails_at_once_and_says_why(box: Box) -> None:
    await box.out("mkfifo fifo; mkdir folder; ln -s loop loop; head -c 2000 /dev/zero > big; chmod 0 /workspace/big2 2>/dev/null; true")
    began = time.monotonic()
    for path, why in (
        ("absent", "No such file"),
        ("fifo", "not a regular file"),
        ("folder", "not a regular file"),
        ("loop", "symbolic links"),
        ("/dev/zero", "not a regular file"),
        ("/dev/tty", "cannot read"),
        ("big", "cannot read big: it has more than 1999 bytes"),
        ("a\0b", "NUL"),
    ):
        with pytest.raises((SandboxError, BadInput), match=why):
            await read(box, path, 1999)
    assert time.monotonic() - began < 20
    for path in ("/usr/x", "folder", "fifo/x", "/proc/x"):
        with pytest.raises(SandboxError, match="cannot write"):
            await write(box, path, b"x")
    await write(box, "fifo", b"replaced, not followed")
    assert await read(box, "fifo") == b"replaced, not followed"


async def test_a30_a_symlink_out_of_the_tree_reaches_nothing_of_the_host(box: Box, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("CANARY")
    await box.out(f"ln -s {canary} link; ln -s /proc/1/root/{canary} root; ln -s ../../../../../../{canary} up; ln -s /etc/shadow shadow")
    for name in ("link", "root", "up", "shadow"):
        with pytest.raises(SandboxError):
            await read(box, name)
    await write(box, "link", b"inside")
    assert canary.read_text() == "CANARY"


def archive(path: Path, entries: list[tuple[str, bytes | str, int]], mode: str = "w") -> Path:
    """Write a tar file: bytes make a file, text a symlink; 0 is a plain type, else a tarfile type."""
    with tarfile.open(path, mode) as tar:
        for name, content, bits in entries:
            member = tarfile.TarInfo(name)
            member.mode, member.uid, member.uname = bits, 12345, "somebody"
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.type = tarfile.SYMTYPE
                member.linkname = content
                tar.addfile(member)
    return path


async def unpack(box: Box, path: Path, target: str = "/workspace/repo") -> None:
    await box.driver.unpack(box.permit("file.write"), box.id, path, target)


async def test_unpack_keeps_files_modes_and_symlinks(box: Box, tmp_path: Path) -> None:
    entries: list[tuple[str, bytes | str, int]] = [
        ("a/run.sh", b"#!/bin/sh\necho ran\n", 0o755),
        ("a/data", b"x", 0o600),
        ("a/link", "data", 0o777),
        ("a/away", "/etc/hostname", 0o777),
        ("a/up", "../../..", 0o777),
        ("caf\u00e9 \udcff", b"odd", 0o644),
        ("big", b"z" * 3_000_000, 0o644),
    ]
    for number, mode in enumerate(("w", "w:gz", "w:xz")):
        path = archive(tmp_path / f"t{number}.tar", entries, mode)
        await unpack(box, path, f"/workspace/{number}")
        assert await box.out(f"cd {number}; a/run.sh; readlink a/link a/away a/up; stat -c %a a/data; cat caf*; stat -c %s big") == (
            "ran\ndata\n/etc/hostname\n../../..\n600\nodd3000000"
        )
    assert await box.out("stat -c %U 0/a/data") == "agent"


async def test_a30_hostile_archives_stay_inside(box: Box, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    depth = "../" * 12
    entries: list[tuple[str, bytes | str, int]] = [
        (f"{depth}{outside}/climbed", b"x", 0o644),
        (f"{outside}/absolute", b"x", 0o644),
        ("link", str(outside), 0o777),
        ("ok", b"fine", 0o4755),
    ]
    await unpack(box, archive(tmp_path / "hostile.tar", entries))
    assert list(outside.iterdir()) == []
    assert await box.out("cat repo/ok; stat -c %a repo/ok") == "fine755"
    with tarfile.open(tmp_path / "device.tar", "w") as tar:
        device = tarfile.TarInfo("device")
        device.type, device.devmajor, device.devminor = tarfile.BLKTYPE, 254, 0
        tar.addfile(device)
    await unpack(box, tmp_path / "device.tar", "/workspace/device")
    assert await box.out("ls device") == ""


async def test_a_broken_or_too_large_archive_is_an_error(small: Box, tmp_path: Path) -> None:
    (tmp_path / "broken.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(SandboxError, match="tar"):
        await unpack(small, tmp_path / "broken.tar")
    whole = archive(tmp_path / "whole.tar", [("big", b"z" * (20 << 20), 0o644)])
    with pytest.raises(SandboxError, match="No space left"):
        await unpack(small, whole)
    (tmp_path / "cut.tar").write_bytes(whole.read_bytes()[: 1 << 20])
    with pytest.raises(SandboxError, match="tar"):
        await unpack(small, tmp_path / "cut.tar", "/tmp/cut")
    with pytest.raises(BadInput):
        await unpack(small, tmp_path / "absent.tar")
    assert await small.out("echo usable") == "usable"
