"""Limits hold as far as the capabilities claim, and the host stays whole. A16, A31."""

# A test may block its own loop.
# ruff: noqa: ASYNC240
from __future__ import annotations

import os
from pathlib import Path

from sandbox_box import SMALL, Box

from quarterdeck.sandbox import detect

MB = 1 << 20


async def test_memory_hog_is_ended_and_the_environment_survives(small: Box) -> None:
    result = await small.py("x = bytearray(1 << 30)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint('allocated')", timeout_s=60)
    assert "allocated" not in result.stdout.text
    if detect().limits["memory"] == "enforced":
        assert result.state == "oom"
    else:
        assert result.state == "exited" and "MemoryError" in result.stderr.text
    assert await small.out("echo usable") == "usable"


async def test_memory_of_many_processes_counts_together(small: Box) -> None:
    hog = "import os,time\nfor _ in range(5):\n  if not os.fork():\n    x = b'x' * (90 << 20); time.sleep(30); os._exit(0)\n"
    result = await small.py(hog + "os._exit(os.wait()[1] != 0)", timeout_s=25)
    assert result.state == "oom", (result.state, result.stderr.text)
    assert await small.out("echo usable") == "usable"


async def test_processes_are_limited(small: Box) -> None:
    script = """
import os, time
n = 0
try:
    while n < 500:
        if os.fork() == 0:
            time.sleep(30); os._exit(0)
        n += 1
except OSError as error:
    print(n, error.errno, flush=True)
os.kill(0, 9)
"""
    result = await small.py(script, timeout_s=30)
    assert detect().limits["pids"] in ("enforced", "rlimit")
    count, number = result.stdout.text.split()
    assert 30 <= int(count) <= SMALL.pids and number == "11"


async def test_a31_a_fork_bomb_is_contained_and_ended(small: Box) -> None:
    result = await small.sh(":(){ :|:& };: ; while :; do sleep 0.2; done", timeout_s=1.5)
    assert result.state == "timeout"
    assert await small.out("echo usable") == "usable"
    left = await small.py("import os; print(sum(p.isdigit() for p in os.listdir('/proc')))")
    assert int(left.stdout.text) < 8


async def test_cpu_share(small: Box) -> None:
    result = await small.py(
        "import os,time\nos.fork()\nend = time.time() + 1.5\nwhile time.time() < end: pass\nos.wait() if os.getpid() > 0 and 0 else None"
    )
    share = result.cpu_s / result.duration_s
    if detect().limits["cpu"] == "enforced":
        assert share < SMALL.cpu + 0.25
    else:
        assert detect().limits["cpu"] == "none" and any("cpu" in note for note in detect().notes)


async def test_disk_and_memory_folders_are_limited(small: Box) -> None:
    for folder, limit in (("/workspace", SMALL.workspace_bytes), ("/tmp", SMALL.tmp_bytes), ("/dev/shm", SMALL.tmp_bytes)):
        result = await small.sh(f"head -c 64M /dev/zero > {folder}/big; stat -c %s {folder}/big; rm {folder}/big")
        assert "No space left" in result.stderr.text, folder
        assert int(result.stdout.text) <= limit
    for folder in ("/run", "/", "/dev", "/root"):
        result = await small.sh(f"head -c 64M /dev/zero > {folder}/big; rm -f {folder}/big")
        assert "No space" in result.stderr.text or "Read-only" in result.stderr.text, folder


async def test_open_files(small: Box) -> None:
    result = await small.py("f = []\ntry:\n  while 1: f.append(open('/dev/null'))\nexcept OSError: print(len(f))")
    assert int(result.stdout.text) <= SMALL.open_files
    assert not (await small.sh(f"ulimit -n {SMALL.open_files + 1}")).ok


async def test_limits_are_not_raised_from_inside(small: Box) -> None:
    assert not (await small.sh("renice -n -5 $$")).ok
    assert not (await small.sh("chrt -f 1 true")).ok
    assert not (await small.sh("mkdir /sys/fs/cgroup/x")).ok


async def test_control_groups_are_removed_with_the_environment(tmp_path: Path) -> None:
    from quarterdeck.sandbox import plan

    box = await Box(tmp_path / "home").create()
    assert (await box.sh("sleep 1000 & true")).ok
    groups = [Path(folder) for folder in plan.groups().values()]
    assert bool(groups) == (detect().limits["pids"] == "enforced")
    name = plan.make(box.spec, box.home, (), 1.0)["group"]
    assert all((folder / name).is_dir() for folder in groups)
    await box.delete()
    assert not any((folder / name).exists() for folder in groups)
    assert not list(Path("/sys/fs/cgroup").glob(f"*/quarterdeck-trial-{os.getpid()}"))
