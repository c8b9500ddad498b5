"""One wheel cache for all whole-review tests of a worker."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


@pytest.fixture
def home(tmp_path: Path, wheels: Path) -> Path:
    """A fresh HOME whose wheel cache is shared."""
    made = tmp_path / "home"
    (made / "cache").mkdir(parents=True)
    (made / "cache" / "wheels").symlink_to(wheels)
    return made
