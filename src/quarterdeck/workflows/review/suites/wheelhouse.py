"""Fetching dependencies outside the sandbox (A7): binary wheels only, by name, cached by what was asked for.

Nothing of theirs runs here: `pip download --only-binary=:all:` unpacks metadata and executes no package code. pip starts
isolated, in an empty folder, with requirement strings that were parsed and written anew, so that neither a path nor an
address nor an option of the reviewed repository can reach it. The user's own index, proxy and certificates are kept.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import Requirement

from quarterdeck.protocol.environment import Bind

from ..model import NotChecked
from ..scratch import Scratch
from .requirements import Requirements, canonical, read_requirement

FORMAT = 1
MAX_TRIES = 40
LOG_BYTES = 64_000
INSIDE = "/opt/quarterdeck/wheels"
_KEEP = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|CONFIG_FILE|RETRIES|TIMEOUT|DEFAULT_TIMEOUT"
    r"|KEYRING_PROVIDER|USE_FEATURE|USE_DEPRECATED|PREFER_BINARY|PRE|UPLOADED_PRIOR_TO)"
    r"|(SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC|HOME|PATH|USER|LOGNAME|LANG|LC_ALL|XDG_CONFIG_HOME|XDG_CONFIG_DIRS)"
    r"|(https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY"
)
_OFFLINE = re.compile(
    r"connection broken|connection (refused|reset|aborted|error)|NewConnectionError|(connect|read)timeout|ProxyError|SSLError|resolution",
    re.I,
)
_BACKENDS = {"hatchling": ("editables",), "pdm-backend": ("editables",), "setuptools": ("wheel",)}


class Wanted(msgspec.Struct, frozen=True):
    """Two sets that are resolved apart, since pins of the tests may not fit the build: `install` goes into the tests'
    environment, `build` is what pip needs beside it for building the project in isolation, pip itself included."""

    install: tuple[str, ...]
    build: tuple[str, ...] = ("pip",)


class Wheelhouse(msgspec.Struct, frozen=True):
    """A folder of wheels on the host. `install` could be had, as one consistent set; `missing` says what could not."""

    name: str
    path: str = ""
    wheels: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    log: str = ""
    cached: bool = False

    @property
    def pip(self) -> str:
        """The file name of pip's own wheel, which installs the others inside; empty when it is absent."""
        return next((w for w in self.wheels if re.match(r"pip-\d", w)), "")

    @property
    def bind(self) -> Bind | None:
        """What the sandbox must bind read-only; None when there is nothing to bind."""
        return Bind(self.path, f"{INSIDE}/{self.name}") if self.path else None

    @property
    def not_checked(self) -> tuple[NotChecked, ...]:
        return tuple(NotChecked("a dependency of the tests", m) for m in self.missing)


def _usable(requirement: str) -> str | None:
    """The requirement without its marker when the marker holds for this interpreter; None when it does not."""
    read = read_requirement(requirement)
    if not isinstance(read, Requirement):
        return None
    try:
        if read.marker is not None and not read.marker.evaluate({"extra": ""}):
            return None
    except (UndefinedEnvironmentName, ValueError):
        return None
    read.marker = None
    return str(read)


def wanted(requirements: Requirements, runner: str) -> Wanted:
    """What the tests of a project need under `runner`, the indispensable first. Markers are evaluated and dropped."""
    needs = ["coverage"] if runner == "unittest" else ["coverage", "pytest"]
    build = ["pip"]
    if requirements.installable:
        own = requirements.build or ("setuptools", "wheel")
        names = sorted({canonical(Requirement(b).name) for b in own})
        build += [*own, *(extra for name in names for extra in _BACKENDS.get(name, ()))]
    return Wanted(_all_usable((*needs, *requirements.runtime, *requirements.test)), _all_usable(build))


def _all_usable(requirements: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(u for u in map(_usable, requirements) if u is not None))


def digest(needs: Wanted, python: str) -> str:
    """The cache's key: the set as asked for, the interpreter and its platform."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}-{sys.platform}-{os.uname().machine}"
    text = json.dumps([FORMAT, sorted(needs.install), sorted(needs.build), python if python != sys.executable else version])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if _KEEP.fullmatch(k)}
    return {**kept, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}


_LEASHED = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Starts a command that is killed when this process dies, however that happens (PR_SET_PDEATHSIG)."""


def _run(argv: Sequence[str], cwd: Path, timeout_s: float) -> tuple[int, str]:
    """Run in a process group of its own, so that a timeout ends helpers too. Answers (exit code, both streams)."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _LEASHED, str(os.getpid()), *argv],
        cwd=cwd,
        env=_environment() | {"TMPDIR": str(cwd.parent)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
        return process.returncode, output.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return -9, output.decode("utf-8", "replace") + f"\nstopped after {timeout_s:.0f} s\n"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


_BUNDLED = """import ensurepip, pathlib, sysconfig
folders = [pathlib.Path(ensurepip.__file__).parent / "_bundled", pathlib.Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/nowhere")]
print(*sorted(str(wheel) for folder in folders for wheel in folder.glob("pip-*.whl")))
"""
"""Prints the wheels that ensurepip would install; Debian keeps them in a folder of its own."""


def _pip(python: str, cwd: Path) -> tuple[str, ...]:
    """How to start pip: the interpreter's own, else the one that ensurepip carries (environments made by uv have none)."""
    if _run([python, "-I", "-c", "import pip"], cwd, 60)[0] == 0:
        return (python, "-I", "-m", "pip")
    status, output = _run([python, "-I", "-c", _BUNDLED], cwd, 60)
    bundled = output.split()[-1:] if status == 0 else []
    return (python, "-I", f"{bundled[0]}/pip") if bundled else ()


class _Downloader:
    """Finds the largest part of the set that resolves together, by halving, within bounded tries and time."""

    def __init__(self, pip: Sequence[str], target: Path, http: Path, cwd: Path, timeout_s: float) -> None:
        self._head = [*pip, "download", "--only-binary=:all:", f"--cache-dir={http}", "--no-input", "--progress-bar=off", "--retries=2"]
        self._target, self._cwd = target, cwd
        self._deadline = time.monotonic() + timeout_s
        self.tries = 0
        self.log: list[str] = []
        self.have: list[str] = []
        self.missing: list[str] = []
        self.offline = False

    def _try(self, items: Sequence[str]) -> str:
        """Download `items` with what is there already. Answers the reason of a failure, or an empty string."""
        left = self._deadline - time.monotonic()
        if left <= 0 or self.tries >= MAX_TRIES or self.offline:
            return "the package index could not be reached" if self.offline else "the time for downloads was used up"
        self.tries += 1
        argv = [*self._head, f"--dest={self._target}", "--", *self.have, *items]
        status, output = _run(argv, self._cwd, left)
        self.log.append(f"$ pip download {' '.join(argv[argv.index('--') + 1 :])}\n{output}")
        if status == 0:
            return ""
        if "No space left on device" in output or "Disk quota exceeded" in output:  # no property of the set: nothing is cached
            raise OSError(errno.ENOSPC, "no room for the dependencies' wheels", str(self._target))
        if _OFFLINE.search(output):
            self.offline = True
            return "the package index could not be reached"
        errors = [line.removeprefix("ERROR: ").strip() for line in output.splitlines() if line.startswith("ERROR: ")]
        return (errors[-1] if errors else f"pip ended with status {status}")[:300]

    def add(self, items: Sequence[str]) -> None:
        if not items:
            return
        reason = self._try(items)
        if not reason:
            self.have.extend(items)
        elif len(items) == 1 or self.offline or self.tries >= MAX_TRIES or time.monotonic() >= self._deadline:
            self.missing.extend(f"{item} could not be had as a binary wheel: {reason}." for item in items)
        else:
            middle = len(items) // 2
            self.add(items[:middle])
            self.add(items[middle:])


def _cached(folder: Path) -> Wheelhouse | None:
    try:
        house = msgspec.json.decode((folder / "wheelhouse.json").read_bytes(), type=Wheelhouse)
    except (OSError, msgspec.DecodeError):
        return None
    if not all((folder / w).is_file() for w in house.wheels):
        return None
    return msgspec.structs.replace(house, path=str(folder), cached=True)


def _sweep(cache: Path) -> None:
    """Remove incomplete and broken sets of more than a week ago."""
    for stale in cache.glob(".tmp-*"):
        try:
            if time.time() - stale.stat().st_mtime > 7 * 86_400:
                shutil.rmtree(stale, ignore_errors=True)
        except OSError:
            continue


def _publish(house: Wheelhouse, built: Path, folder: Path, cache: Path) -> Wheelhouse:
    """Move the finished folder to its name. When another run was faster, its folder is used."""
    (built / "wheelhouse.json").write_bytes(msgspec.json.encode(house))
    for _ in range(3):
        try:
            built.rename(folder)
            break
        except OSError:
            other = _cached(folder)
            if other is not None:
                return msgspec.structs.replace(other, cached=False, log=house.log)
            # A folder without its record is broken: set it aside, then try again.
            folder.rename(Path(tempfile.mkdtemp(prefix=".tmp-", dir=cache)) / "broken")
    return msgspec.structs.replace(house, path=str(folder))


def fetch(needs: Wanted, cache: Path, python: str = sys.executable, *, timeout_s: float = 300.0) -> Wheelhouse:
    """Wheels for `needs` (see `wanted`) in a folder under `cache`; from the network only when it is not there.

    Never raises for what cannot be had: `Wheelhouse.missing` says it. A set that is incomplete because the index could
    not be reached, or time ran out, is usable but not cached. Safe to run concurrently. Raises OSError when `cache`
    cannot be written.
    """
    checked = Wanted(_all_usable(needs.install), _all_usable(needs.build))
    name = digest(checked, python)
    folder = cache / name
    if (known := _cached(folder)) is not None:
        return known
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(cache)
    with Scratch("part-", cache) as scratch:
        return _fetch(checked, python, name, cache, scratch.path, timeout_s)


def _fetch(needs: Wanted, python: str, name: str, cache: Path, scratch: Path, timeout_s: float) -> Wheelhouse:
    """Download into `scratch`, and move what came to its name in `cache`."""
    empty, built = scratch / "empty", scratch / "wheels"
    empty.mkdir()
    built.mkdir()
    built.chmod(0o755)
    pip = _pip(python, empty)
    if not pip:
        return Wheelhouse(name, missing=(f"pip is not installed for {python}, so nothing was downloaded (run: {python} -m ensurepip).",))
    download = _Downloader(pip, built, cache / "http", empty, timeout_s)
    download.add(needs.install)
    install, download.have = tuple(download.have), []
    download.add(needs.build)
    house = Wheelhouse(
        name=name,
        wheels=tuple(sorted(p.name for p in built.glob("*.whl"))),
        install=install,
        missing=tuple(download.missing),
        log="\n".join(download.log)[-LOG_BYTES:],
    )
    if not house.wheels:
        return house
    if download.offline or download.tries >= MAX_TRIES or any("was used up" in m for m in house.missing):
        house = msgspec.structs.replace(house, name=f"{name}-{scratch.name[5:]}")
        return _publish(house, built, cache / f".tmp-{house.name}", cache)
    return _publish(house, built, cache / name, cache)
