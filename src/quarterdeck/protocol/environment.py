"""Environments: the sandboxed computers that commands run in, as data."""

from __future__ import annotations

from typing import Literal

import msgspec

Enforcement = Literal["enforced", "rlimit", "none"]


class Limits(msgspec.Struct, frozen=True):
    """Caps of one environment. Bytes, seconds, processes, cores."""

    memory_bytes: int = 2 << 30
    pids: int = 512
    cpu: float = 2.0
    workspace_bytes: int = 2 << 30
    tmp_bytes: int = 512 << 20
    open_files: int = 4096


class Bind(msgspec.Struct, frozen=True):
    """A host folder or file shown read-only inside at `target`."""

    source: str
    target: str


class EnvironmentSpec(msgspec.Struct, frozen=True):
    """What a driver makes. The workspace is `/workspace`; there is no network unless a later part brings one."""

    id: str
    limits: Limits = Limits()
    binds: tuple[Bind, ...] = ()
    env: dict[str, str] = {}
    masks: tuple[str, ...] = ()
    """Further host paths hidden inside, beside the driver's own list (homes, keys, runtime data)."""


class Command(msgspec.Struct, frozen=True):
    """One command. Exactly one of `argv` and `shell` is set; `shell` runs under `bash -c`."""

    argv: tuple[str, ...] = ()
    shell: str = ""
    cwd: str = "/workspace"
    env: dict[str, str] = {}
    stdin: bytes = b""
    timeout_s: float = 600.0
    output_bytes: int = 1 << 20
    """Per stream: the first and the last half of this are kept, what lies between is counted."""


class Captured(msgspec.Struct, frozen=True):
    """A capped stream: the first bytes, the last bytes and how many bytes there were in all."""

    head: bytes = b""
    tail: bytes = b""
    total: int = 0

    @property
    def omitted(self) -> int:
        return self.total - len(self.head) - len(self.tail)

    @property
    def data(self) -> bytes:
        """The stream, with a marker where bytes were left out."""
        if not self.omitted:
            return self.head + self.tail
        return self.head + f"\n... {self.omitted} bytes left out ...\n".encode() + self.tail

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


class CommandResult(msgspec.Struct, frozen=True):
    """What became of a command. `exited` carries `exit_code`; the other states say why there is none."""

    state: Literal["exited", "signaled", "timeout", "oom", "killed", "lost"]
    exit_code: int | None = None
    signal: int | None = None
    stdout: Captured = Captured()
    stderr: Captured = Captured()
    duration_s: float = 0.0
    cpu_s: float = 0.0
    max_rss_bytes: int = 0

    @property
    def ok(self) -> bool:
        return self.state == "exited" and self.exit_code == 0


class Capabilities(msgspec.Struct, frozen=True):
    """What a driver can do on this host, measured, not promised."""

    mode: Literal["A", "B", "C", "D"]
    isolation: str
    limits: dict[str, Enforcement]
    """Keys: memory, pids, cpu, disk, time, files."""
    notes: tuple[str, ...] = ()
    """What is not enforced and the exact fix, one sentence each."""


class Toolbox(msgspec.Struct, frozen=True):
    """The runtime's own tools as seen from inside: read-only, the same for base and head.

    Run a module of it as ``(python, "-I", "-S", "-c", run_module(site, name), *args)``; see `argv`.
    """

    python: str
    """The interpreter's path, valid inside."""
    site: str = "/opt/quarterdeck/site"
    """The runtime's site-packages."""
    bin: str = "/opt/quarterdeck/bin"
    """The runtime's scripts folder (ruff's binary lives there)."""
    modules: tuple[str, ...] = ()
    """Which of the known analyzers are importable or present: ruff, bandit, griffe, radon, yaml, coverage."""
    binds: tuple[Bind, ...] = ()
    """What an EnvironmentSpec must bind for the above to be true."""

    def argv(self, module: str, *args: str) -> tuple[str, ...]:
        """The command that runs `module` as `__main__` with only the standard library and the toolbox importable."""
        boot = (
            f"import sys,runpy;sys.path.append({self.site!r});"
            f"sys.argv=[{module!r}]+sys.argv[1:];runpy.run_module({module!r},run_name='__main__')"
        )
        return (self.python, "-I", "-S", "-c", boot, *args)
