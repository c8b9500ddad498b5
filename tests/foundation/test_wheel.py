"""The built wheel, installed in an empty environment far from the checkout, is the whole product. (A24, A33)"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from house_source import ROOT, tracked
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def run(*argv: str | Path, cwd: Path, **env: str) -> str:
    """Run a command as a user far from the checkout would: no PYTHONPATH, its own HOME. Returns its standard output."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "QUARTERDECK"))}
    done = subprocess.run([str(part) for part in argv], cwd=cwd, env={**clean, **env}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", out, ROOT, cwd=out)
    return next(out.glob("quarterdeck-*.whl"))


def needed(name: str, extra: str, seen: set[str]) -> Iterator[metadata.Distribution]:
    """Every distribution that `name[extra]` needs on this interpreter, itself left out."""
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": wanted}) for wanted in ("", extra)):
            continue
        if (key := canonicalize_name(requirement.name)) not in seen:
            seen.add(key)
            yield metadata.distribution(key)
            yield from needed(key, next(iter(requirement.extras), ""), seen)


def copy_distribution(distribution: metadata.Distribution, target: Path) -> None:
    """Install a distribution as pip would, from the files that the test environment already has: no network, no second build."""
    scripts = Path(sys.executable).parent
    for entry in distribution.files or []:
        source = Path(os.path.normpath(str(distribution.locate_file(entry))))
        if source.suffix == ".pyc" or not source.is_file():
            continue
        if source.parent == scripts:
            data = source.read_bytes().replace(f"#!{scripts}/".encode(), f"#!{target}/bin/".encode(), 1)
            (target / "bin" / source.name).write_bytes(data)
            (target / "bin" / source.name).chmod(0o755)
        else:
            place = target / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages" / str(entry)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(source.read_bytes())
            place.chmod(source.stat().st_mode)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that holds the wheel and what its extra `review` needs, nothing else."""
    target = tmp_path_factory.mktemp("installed") / "env"
    venv.create(target, with_pip=False, symlinks=True)
    for distribution in needed("quarterdeck", "review", {"quarterdeck"}):
        copy_distribution(distribution, target)
    options = ("-q", "--no-deps", "--no-index", "--no-compile")
    run(sys.executable, "-m", "pip", "--python", target / "bin/python", "install", *options, wheel, cwd=target)
    return target / "bin"


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    """Policies, schemas and the scripts that run inside the sandbox are files too; a wheel that lacks one fails far from here."""
    ours = {str(path.relative_to(ROOT / "src")) for path in tracked() if path.is_relative_to(ROOT / "src")}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == ours
    assert "quarterdeck/py.typed" in names


def test_the_wheel_names_its_licence_and_its_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    info = next(name for name in archive.namelist() if name.endswith("/METADATA")).removesuffix("METADATA")
    assert b"License-Expression: Apache-2.0" in archive.read(info + "METADATA")
    assert archive.read(info + "licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert b"quarterdeck = quarterdeck.cli:main" in archive.read(info + "entry_points.txt")


def test_the_installed_package_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import quarterdeck; print(quarterdeck.__file__)", cwd=tmp_path)
    assert where.startswith(str(installed.parent))


def test_the_installed_command_says_its_version(installed: Path, tmp_path: Path) -> None:
    assert metadata.version("quarterdeck") in run(installed / "quarterdeck", "version", cwd=tmp_path)


def test_the_installed_doctor_and_hello_work(installed: Path, tmp_path: Path) -> None:
    """A22, A33: with nothing of the checkout but the example itself, copied."""
    home = {"QUARTERDECK_HOME": str(tmp_path / "home")}
    assert "ready:" in run(installed / "quarterdeck", "doctor", cwd=tmp_path, **home)
    source = (ROOT / "examples" / "hello.py").read_text("utf-8")
    assert len(source.splitlines()) <= 15
    (tmp_path / "hello.py").write_text(source)
    assert run(installed / "python", "hello.py", cwd=tmp_path, **home) == "Hello, reader, from inside.\n"
    assert run(installed / "quarterdeck", "run", "-q", "hello.py", cwd=tmp_path, **home) == "Hello, you, from inside.\n"


def test_the_installed_review_reviews(installed: Path, tmp_path: Path) -> None:
    """A33: the analyzers are those of the installed environment; a clean change of a Python project without tests passes."""
    repo, home = tmp_path / "repo", {"QUARTERDECK_HOME": str(tmp_path / "home")}
    repo.mkdir()
    git = ("git", "-C", repo)
    run(*git, "init", "-q", "-b", "main", cwd=tmp_path)
    for number, (branch, text) in enumerate((("main", "X = 1\n"), ("feature", "X = 1\nY = 2\n"))):
        run(*git, "checkout", "-q", "-B", branch, cwd=tmp_path)
        (repo / "calc.py").write_text(text)
        run(*git, "add", "calc.py", cwd=tmp_path)
        run(*git, "commit", "-q", "-m", f"feat: step {number}", cwd=tmp_path)
    report = tmp_path / "report"
    said = run(installed / "quarterdeck", "review", "--repo", repo, "--out", report, cwd=tmp_path, **home)
    assert "pass:" in said
    checked = {entry["what"] for entry in json.loads((report / "report.json").read_bytes())["not_checked"]}
    assert not checked & {"ruff", "bandit", "secrets", "complexity", "unsafe", "risky"}
    assert "holds" in run(installed / "quarterdeck", "report", "verify", report, cwd=tmp_path, **home)


@pytest.mark.slow
def test_pip_installs_the_wheel_with_what_it_needs(wheel: Path, tmp_path: Path) -> None:
    """As a user does it: from the configured package index, with the pinned versions."""
    venv.create(tmp_path / "env", with_pip=True)
    pip = (tmp_path / "env/bin/python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt")
    run(*pip, f"{wheel}[review]", cwd=tmp_path)
    assert metadata.version("quarterdeck") in run(tmp_path / "env/bin/quarterdeck", "version", cwd=tmp_path)
    run(*pip, "--upgrade", "--force-reinstall", "--no-deps", wheel, cwd=tmp_path)
    run(tmp_path / "env/bin/python", "-m", "pip", "uninstall", "-q", "-y", "quarterdeck", cwd=tmp_path)
    assert not (tmp_path / "env/bin/quarterdeck").exists()
