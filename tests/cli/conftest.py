"""A HOME and a folder with a file of workflows, for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_kit import FLOWS, Cli


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "flows.py").write_text(FLOWS)
    return Cli(folder, tmp_path / "home")
