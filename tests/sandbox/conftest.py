"""Environments for the sandbox's tests. The whole folder runs as whoever calls it; test_as_user.py runs it again as an ordinary user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sandbox_box import SMALL, Box

from quarterdeck.protocol.environment import EnvironmentSpec


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """A fresh environment with the default limits."""
    found = await Box(tmp_path / "home").create()
    yield found
    await found.delete()


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Box]:
    """A fresh environment with limits that a test can reach."""
    found = await Box(tmp_path / "home", EnvironmentSpec("small", limits=SMALL)).create()
    yield found
    await found.delete()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One environment for tests that only look."""
    found = Box(tmp_path_factory.mktemp("shared") / "home")
    asyncio.run(found.create())
    yield found
    asyncio.run(found.delete())
