"""What every test stands on: no user's configuration, no real keys, no home but its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A noisy machine makes deadlines flaky, and CI must find the same examples as the author did.
settings.register_profile("quarterdeck", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("quarterdeck")

GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.invalid",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.invalid",
    "GIT_TERMINAL_PROMPT": "0",
}
PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "160", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
UNWANTED_SUFFIXES = ("_API_KEY", "_BASE_URL")


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment once per test process, before any test module is imported."""
    os.environ.update(GIT | PLAIN)
    for name in list(os.environ):
        if name not in GIT and (name.endswith(UNWANTED_SUFFIXES) or name.startswith(("QUARTERDECK_", "GIT_"))):
            del os.environ[name]
    os.umask(0o022)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh runtime HOME for each test, so that none sees another's state nor the user's."""
    home = tmp_path_factory.mktemp("home") / "quarterdeck"
    monkeypatch.setenv("QUARTERDECK_HOME", str(home))
    return home
