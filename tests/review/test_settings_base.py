"""The repository's own `[review]` table (A3: configuration comes from the base)."""

from __future__ import annotations

from pathlib import Path

import pytest
from repos import Link, Tree, build

from quarterdeck.workflows.review.model import Settings
from quarterdeck.workflows.review.repository import open_repository
from quarterdeck.workflows.review.settings import parse_settings, read_settings


def read(tmp_path: Path, base: Tree, head: Tree) -> tuple[Settings, tuple[str, ...]]:
    with open_repository(build(tmp_path, {"a": "1", **base}, {"a": "2", **head}, checkout=False)) as repo:
        return read_settings(repo, repo.range())


def test_a3_the_base_decides_and_the_head_cannot_loosen_its_own_review(tmp_path: Path) -> None:
    strict, loose = '[review]\nfail_on = "low"\nexclude = ["docs/*"]\n', '[review]\nfail_on = "high"\ntests = "true"\n'
    settings, notes = read(tmp_path / "1", {"quarterdeck.toml": strict}, {"quarterdeck.toml": loose})
    assert (settings.fail_on, settings.exclude, settings.tests, notes) == ("low", ("docs/*",), "", ())
    assert read(tmp_path / "2", {}, {"quarterdeck.toml": loose}) == (Settings(), ())


def test_a3_everything_but_review_is_refused_and_said() -> None:
    settings, notes = parse_settings(b'[policy]\nfile = "mine"\n[review]\nmax_complexity = 3\n[providers.x]\nbase_url = "http://x"\n')
    assert settings.max_complexity == 3
    assert len(notes) == 2 and "[policy]" in notes[0] and "[providers]" in notes[1] and "refused" in notes[0]


@pytest.mark.parametrize(
    "line",
    [
        'fail_on = "never"',
        "ticket_on = 3",
        "tests = ['x']",
        "test_timeout_s = 0",
        "test_timeout_s = nan",
        "test_timeout_s = true",
        "exclude = 'x'",
        "exclude = [1]",
        "max_complexity = 2.5",
        "max_complexity = true",
        "[review.extras]\nx = [1]",
    ],
)
def test_a3_bad_values_give_a_note_and_the_default(line: str) -> None:
    settings, notes = parse_settings(f"[review]\n{line}\n".encode())
    assert settings == Settings() and len(notes) == 1 and "must be" in notes[0]


def test_a3_misspelt_keys_get_a_suggestion() -> None:
    settings, notes = parse_settings(b"[review]\nfail_onn = 'low'\ntest_timeout_s = 5\n")
    assert settings.test_timeout_s == 5.0 and "did you mean fail_on?" in notes[0]


@pytest.mark.parametrize("data", [b"\xff", b"[review", b"review = 3\n", b"a = " + b"[" * 5000], ids=["bytes", "toml", "number", "deep"])
def test_a30_broken_files_are_said_and_defaults_used(data: bytes) -> None:
    settings, notes = parse_settings(data)
    assert settings == Settings() and notes and "\n" not in notes[0]


def test_a30_a_link_or_a_giant_is_not_read(tmp_path: Path) -> None:
    for i, content in enumerate((Link(b"/etc/passwd"), b"#" * 300_000)):
        settings, notes = read(tmp_path / str(i), {"quarterdeck.toml": content}, {})
        assert settings == Settings() and "not read" in notes[0]
