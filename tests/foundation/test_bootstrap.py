"""`tools/bootstrap` says what it will do before it does it, and does nothing the second time. (A25)"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from house_source import ROOT

TOOLS = ("bash", "sha256sum", "cut", "readlink", "basename", "sed", "grep", "id", "dirname", "cat", "flock", "rm", "tail", "tee", "env")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that bootstrap reads, in a folder of their own."""
    folder = tmp_path / "a project"
    (folder / "tools").mkdir(parents=True)
    for name in ("pyproject.toml", "constraints.txt", "tools/bootstrap"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A PATH with the base system's commands and this Python, but without git, bubblewrap, sudo."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    (folder / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    command(folder, "apt-get", "exit 100")
    return folder


def command(folder: Path, name: str, script: str) -> None:
    (folder / name).unlink(missing_ok=True)  # never write through a link: it leads to the real command
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def bootstrap(checkout: Path, path: Path | str, purpose: str = "demo", **env: str) -> subprocess.CompletedProcess[str]:
    argv = [str(checkout / "tools/bootstrap"), purpose]
    return subprocess.run(argv, env={"PATH": str(path), "LC_ALL": "C", **env}, capture_output=True, text=True, check=False)


def test_a25_says_first_what_it_installs_and_no_sudo_prints_the_commands(checkout: Path, bare: Path) -> None:
    run = bootstrap(checkout, bare, NO_SUDO="1")
    lines = run.stdout.splitlines()
    review = (ROOT / "constraints.txt").read_text().partition("# extra: dev")[0].count("==")
    assert run.returncode == 2, run.stderr
    assert lines[0].startswith(f"Quarterdeck will install: {review} Python packages into {checkout}/.venv")
    assert lines[0].endswith("Debian packages: bubblewrap git.")
    assert any("bubblewrap: makes the sandbox" in line for line in lines), "why it is needed"
    sudo = "" if os.geteuid() == 0 else "sudo "
    assert lines[-2:] == [f"  {sudo}apt-get update", f"  {sudo}apt-get install -y --no-install-recommends bubblewrap git"]
    assert not (checkout / ".venv").exists(), "nothing was made"


def test_a_failing_apt_names_the_command(checkout: Path, bare: Path) -> None:
    command(bare, "sudo", 'exec "$@"')
    run = bootstrap(checkout, bare)
    assert run.returncode == 2
    assert "this failed: " in run.stderr and "apt-get update" in run.stderr


def test_without_apt_the_packages_are_named(checkout: Path, bare: Path) -> None:
    (bare / "apt-get").unlink()
    run = bootstrap(checkout, bare)
    assert run.returncode == 2
    assert "no apt-get" in run.stderr and "bubblewrap git" in run.stderr


def test_a_missing_venv_module_is_a_debian_package(checkout: Path, bare: Path) -> None:
    """Debian ships Python without ensurepip until python3-venv is there."""
    real = (bare / "python3").readlink()
    command(bare, "python3", f'case "$*" in *ensurepip*) exit 1;; *) exec {real} "$@";; esac')
    run = bootstrap(checkout, bare, NO_SUDO="1")
    assert run.returncode == 2
    assert "-venv" in run.stdout.splitlines()[-1]


def test_an_old_python_is_refused_with_the_fix(checkout: Path, bare: Path) -> None:
    command(bare, "python3", "exit 1")
    run = bootstrap(checkout, bare)
    assert run.returncode == 2
    assert "no Python >= 3.11" in run.stderr
    run = bootstrap(checkout, bare, PYTHON="python3")
    assert "PYTHON=python3 is not a Python >= 3.11" in run.stderr


def ready(checkout: Path, purpose: str) -> None:
    """What a finished installation leaves behind, as far as the quick check looks."""
    scripts = checkout / ".venv/bin"
    scripts.mkdir(parents=True)
    (scripts / "python").symlink_to(sys.executable)
    (scripts / "quarterdeck").symlink_to(sys.executable)
    data = f"{checkout}\n".encode() + (checkout / "pyproject.toml").read_bytes() + (checkout / "constraints.txt").read_bytes()
    digest = subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout.split()[0].decode()
    (checkout / ".venv/.quarterdeck-ready").write_text(f"{digest} {purpose}\n")


@pytest.mark.parametrize(
    ("made", "asked", "quick"), [("demo", "demo", True), ("test", "demo", True), ("test", "test", True), ("demo", "test", False)]
)
def test_the_second_call_does_nothing(checkout: Path, bare: Path, made: str, asked: str, quick: bool) -> None:
    ready(checkout, made)
    command(bare, "bwrap", "exit 0")
    command(bare, "git", "exit 0")
    command(bare, "python3", "exit 1")  # a call that goes on stops here
    run = bootstrap(checkout, bare, asked)
    assert (run.returncode == 0 and not run.stdout and not run.stderr) is quick


def test_a_changed_dependency_is_noticed(checkout: Path, bare: Path) -> None:
    ready(checkout, "test")
    command(bare, "bwrap", "exit 0")
    command(bare, "git", "exit 0")
    command(bare, "python3", "exit 1")
    with (checkout / "constraints.txt").open("a") as file:
        file.write("new==1.0\n")
    assert bootstrap(checkout, bare, "test").returncode == 2


def test_no_network_is_said_with_the_fix(checkout: Path, bare: Path) -> None:
    """pip finds no index: an address that refuses at once stands for the missing network."""
    command(bare, "bwrap", "exit 0")
    command(bare, "git", "exit 0")
    run = bootstrap(
        checkout, bare, PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="0", PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="", HOME=str(bare)
    )
    assert run.returncode == 2
    assert "pip could not get a package" in run.stderr and "index-url" in run.stderr
