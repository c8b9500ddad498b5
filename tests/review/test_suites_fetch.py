"""A7: wheels are fetched outside once, from the index the user configured, and installed inside without network."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from quarterdeck.workflows.review.suites import Wanted, fetch
from quarterdeck.workflows.review.suites.wheelhouse import INSIDE, _environment


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that refuses every connection: port 9 of the loopback. Other sources of wheels are switched off."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)


def test_the_second_time_needs_no_network(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    first = fetch(Wanted(("iniconfig>=2",), ()), tmp_path)
    assert first.missing == () and not first.cached, first.log
    assert [w.split("-")[0] for w in first.wheels] == ["iniconfig"] and first.install == ("iniconfig>=2",)
    assert first.bind is not None and first.bind.target == f"{INSIDE}/{first.name}" and Path(first.bind.source, first.wheels[0]).is_file()
    request.getfixturevalue("no_network")
    second = fetch(Wanted(("iniconfig>=2",), ()), tmp_path)
    assert second.cached and second.wheels == first.wheels and second.path == first.path
    other = fetch(Wanted(("iniconfig>=2", "pluggy"), ()), tmp_path)
    assert not other.cached and "could not be reached" in other.missing[0]
    assert not list(tmp_path.glob(".tmp-*")), "an unreachable index must leave nothing behind"


def test_what_cannot_be_had_is_named_and_the_rest_is_there(tmp_path: Path) -> None:
    house = fetch(Wanted(("iniconfig", "quarterdeck-no-such-project-0f3a", "pluggy"), ()), tmp_path)
    assert house.install == ("iniconfig", "pluggy") and {w.split("-")[0] for w in house.wheels} == {"iniconfig", "pluggy"}
    assert len(house.missing) == 1 and house.missing[0].startswith("quarterdeck-no-such-project-0f3a could not be had")
    assert fetch(Wanted(("iniconfig", "quarterdeck-no-such-project-0f3a", "pluggy"), ()), tmp_path).cached


def test_a_broken_cache_entry_is_fetched_again(tmp_path: Path) -> None:
    house = fetch(Wanted(("iniconfig",), ()), tmp_path)
    Path(house.path, house.wheels[0]).unlink()
    again = fetch(Wanted(("iniconfig",), ()), tmp_path)
    assert not again.cached and Path(again.path, again.wheels[0]).is_file()


def test_concurrent_runs_end_with_one_usable_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        houses = list(pool.map(lambda _: fetch(Wanted(("iniconfig",), ()), tmp_path), range(3)))
    assert len({h.path for h in houses}) == 1 and not list(tmp_path.glob(".tmp-*"))
    assert all(Path(h.path, w).is_file() for h in houses for w in h.wheels)


def test_no_pip_is_said_with_the_way_out(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    house = fetch(Wanted(("iniconfig",), ()), tmp_path / "cache", str(bare))
    assert house.bind is None and "pip is not installed" in house.missing[0] and "ensurepip" in house.missing[0]


def test_an_environment_without_pip_uses_the_one_that_python_carries(tmp_path: Path) -> None:
    """Environments made by uv have no pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    bundled = subprocess.run([tmp_path / "v/bin/python", "-c", "import ensurepip"], check=False).returncode == 0
    house = fetch(Wanted(("iniconfig",), ()), tmp_path / "cache", str(tmp_path / "v/bin/python"))
    assert bool(house.wheels) == bundled


def test_pip_sees_only_the_settings_that_name_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A7: companies' mirrors, proxies and certificates are kept; requirements and targets from the environment are not."""
    keep = {"PIP_INDEX_URL": "u", "HTTPS_PROXY": "p", "SSL_CERT_FILE": "c", "no_proxy": "n", "PIP_CERT": "d"}
    drop = {
        "PIP_REQUIREMENT": "r",
        "PIP_TARGET": "t",
        "PIP_NO_BINARY": ":all:",
        "PYTHONPATH": "x",
        "AWS_SECRET_ACCESS_KEY": "s",
        "PIP_EDITABLE": "e",
    }
    for name, value in (keep | drop).items():
        monkeypatch.setenv(name, value)
    environment = _environment()
    assert keep.items() <= environment.items() and not set(drop) & set(environment)


def test_nothing_of_a_package_is_built_or_run_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A7: an index that offers only a source distribution offers nothing."""
    links, trap = tmp_path / "links", tmp_path / "trap"
    source = tmp_path / "evil-1.0"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(trap)!r}, 'w')\nfrom setuptools import setup\nsetup(name='evil', version='1.0')\n")
    (source / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: evil\nVersion: 1.0\n")
    links.mkdir()
    subprocess.run(["tar", "czf", links / "evil-1.0.tar.gz", "-C", tmp_path, "evil-1.0"], check=True)
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    house = fetch(Wanted(("evil",), ()), tmp_path / "cache")
    assert house.missing and not trap.exists() and house.wheels == ()
