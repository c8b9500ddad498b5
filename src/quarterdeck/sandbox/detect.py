"""What this host can isolate, measured by one trial start, and the exact fix where it cannot."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from pathlib import Path

from quarterdeck.protocol.environment import Capabilities, Enforcement, EnvironmentSpec
from quarterdeck.protocol.errors import HostCannotIsolate

from . import plan, seccomp

OLDEST = (0, 7)
"""bubblewrap 0.7 brought --size, which limits the workspace."""
APPARMOR = """abi <abi/4.0>,
include <tunables/global>
profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
  include if exists <local/bwrap>
}"""
SYSCTLS = {
    "kernel/unprivileged_userns_clone": "sudo sysctl -w kernel.unprivileged_userns_clone=1",
    "user/max_user_namespaces": "sudo sysctl -w user.max_user_namespaces=15000",
}
TRIAL_S = 5
NOTHING: dict[str, Enforcement] = dict.fromkeys(("memory", "pids", "cpu", "disk", "time", "files"), "none")


def detect() -> Capabilities:
    """Measure once per process (about 0.1 s). Mode D: nothing can run here; `notes` are the cause and the exact fix."""
    try:
        return _measure()
    except HostCannotIsolate as error:  # not remembered: the next call sees what was fixed
        return Capabilities(mode="D", isolation="none", limits=NOTHING, notes=(error.message, error.hint))


@functools.cache
def _measure() -> Capabilities:
    fields = _trial()
    groups = plan.groups()
    root = os.geteuid() == 0
    processes: Enforcement = "enforced" if "pids" in groups else "rlimit" if plan.kernel() >= (5, 14) else "none"
    limits: dict[str, Enforcement] = {
        "memory": "enforced" if "memory" in groups else "rlimit",
        "pids": processes,
        "cpu": "enforced" if "cpu" in groups else "none",
        "disk": "enforced",
        "time": "enforced",
        "files": "rlimit",
    }
    return Capabilities(mode="A" if root else "C", isolation="namespaces", limits=limits, notes=_notes(root, limits, fields))


def require() -> None:
    """Raise HostCannotIsolate, with the exact fix, if this host is in mode D."""
    found = detect()
    if found.mode == "D":
        raise HostCannotIsolate(found.notes[0], hint=found.notes[1])


def _notes(root: bool, limits: dict[str, Enforcement], fields: dict[str, str]) -> tuple[str, ...]:
    if root:
        notes = [f"started by root: each environment runs as a host uid of its own (the trial: {fields['Uid']}), never as host root"]
    else:
        notes = ["started by an ordinary user: one uid, so nothing inside can become another user"]
    missing = [name for name in ("memory", "pids", "cpu") if limits[name] != "enforced"]
    if missing:
        fix = "mount a writable cgroup file system" if root else "systemd-run --user --scope -p Delegate=yes quarterdeck ..."
        notes.append(f"no writable control group for {', '.join(missing)}; to have them enforced: {fix}")
    if limits["memory"] == "rlimit":
        notes.append("memory: RLIMIT_DATA per process, and a check twice a second of all together")
    if limits["cpu"] == "none":
        notes.append("cpu: not limited; commands share the processors with everybody")
    return tuple(notes)


def _trial() -> dict[str, str]:
    """Start an environment and look at its first process from outside. Raises HostCannotIsolate."""
    _static_checks()
    trial = plan.make(EnvironmentSpec(id="trial"), Path("/nonexistent"), (), 1.0)
    wire = plan.to_bytes(trial)
    try:
        done = subprocess.run(plan.shim_command("trial", ""), input=wire, capture_output=True, timeout=TRIAL_S, check=False, env={})
    except subprocess.TimeoutExpired as error:
        raise _diagnose(f"the trial did not end within {TRIAL_S} s") from error
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if not lines or lines[0] != "ok":
        raise _diagnose(" ".join(lines) or done.stderr.decode("utf-8", "replace")[-400:])
    fields = dict(line.split(" ", 1) for line in lines[1:])
    wanted = {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    wrong = [f"{name} is {fields.get(name)}" for name, value in wanted.items() if fields.get(name) != value]
    if wrong or fields.get("Uid") == "0":
        message = f"a trial environment kept rights: {', '.join(wrong) or 'host uid 0'}"
        raise HostCannotIsolate(message, hint="report this as a bug, with the output of: quarterdeck doctor")
    return fields


def _static_checks() -> None:
    if sys.platform != "linux":
        raise HostCannotIsolate(
            f"{platform.system()} has no Linux namespaces",
            hint="run quarterdeck in a Linux virtual machine: on macOS `brew install lima && limactl start template://debian-12 && lima`",
        )
    if platform.machine() not in seccomp.ARCHITECTURES:
        raise HostCannotIsolate(f"no system call filter for {platform.machine()}", hint="use an x86_64 or aarch64 machine")
    if not plan.bwrap():
        raise HostCannotIsolate("bubblewrap (bwrap) is not installed", hint="sudo apt-get install bubblewrap")
    said = subprocess.run([plan.bwrap(), "--version"], capture_output=True, text=True, check=False).stdout.split()
    version = tuple(int(part) for part in said[-1].split(".")[:2]) if said and said[-1][:1].isdigit() else (0, 0)
    if version < OLDEST:
        message = f"bubblewrap {said[-1] if said else '?'} is older than 0.7"
        raise HostCannotIsolate(message, hint="install bubblewrap 0.7 or newer (Debian 12 and Ubuntu 24.04 have it)")


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def _diagnose(said: str) -> HostCannotIsolate:
    """Name the cause of a failed trial, most specific first."""
    for name, fix in SYSCTLS.items():
        if _sysctl(name) == "0":
            return HostCannotIsolate(f"user namespaces are switched off ({name.replace('/', '.')} is 0): {said}", hint=fix)
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return HostCannotIsolate(
            f"AppArmor forbids user namespaces to bubblewrap: {said}",
            hint=f"write this to /etc/apparmor.d/bwrap, then run `sudo apparmor_parser -r /etc/apparmor.d/bwrap`:\n{APPARMOR}",
        )
    if said.startswith("launcher:"):
        return HostCannotIsolate(
            f"root's launcher failed: {said}", hint="run quarterdeck as an ordinary user, or give root CAP_SYS_ADMIN and CAP_SETUID"
        )
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists() or "container" in os.environ:
        return HostCannotIsolate(
            f"inside a container that forbids namespaces: {said}",
            hint="run on the host, or start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
            "--security-opt systempaths=unconfined",
        )
    hint = "try `bwrap --unshare-all --ro-bind / / --proc /proc true` by hand, as an ordinary user"
    return HostCannotIsolate(f"a trial environment did not start: {said}", hint=hint)
