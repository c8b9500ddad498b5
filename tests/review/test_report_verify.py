"""`report verify`: every change, swap, removal and addition is caught, and nothing in the folder can hurt (A13, law 8)."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import report_sample as sample

from quarterdeck.protocol.canonical import sha256
from quarterdeck.workflows.review.report import OUTPUTS, Derived, VerifyResult, build, encode, verify, write

RICH = sample.rich()
BUILT = sample.built(RICH)
LOG = sample.digests(RICH, BUILT)
FILES = sorted([f"artifacts/{n}" for n in RICH] + list(OUTPUTS))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("written") / "report"
    write(root, RICH, BUILT)
    return root


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """A fresh copy: written durably once, because every sync costs milliseconds."""
    return shutil.copytree(written, tmp_path / "report")


def check(folder: Path, log: dict[str, str] | None = LOG) -> VerifyResult:
    return verify(folder, log, sample.derive)


def test_an_untouched_report_verifies(folder: Path) -> None:  # A13
    assert check(folder) == VerifyResult(True, [], len(FILES), True)
    assert check(folder, None) == VerifyResult(True, [], len(FILES), False)


def test_the_sample_has_every_kind_of_artifact() -> None:  # else the mutations below would prove less than they say
    assert len(FILES) == 25
    assert all(RICH.values()) and all(BUILT.values())


def flip(file: Path) -> None:
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 1
    file.write_bytes(body)


def grow(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")


def shrink(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def clear(file: Path) -> None:
    file.write_bytes(b"")


def other_run(file: Path) -> None:
    """Bring in the same file of another, equally valid report."""
    other = sample.rich(2)
    files = {f"artifacts/{n}": b for n, b in other.items()} | sample.built(other)
    file.write_bytes(files[file.as_posix().split("/report/", 1)[1]])


CHANGES: list[Callable[[Path], None]] = [flip, grow, shrink, clear, other_run, Path.unlink]


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", FILES)
def test_each_changed_or_removed_file_is_caught(folder: Path, name: str, change: Callable[[Path], None]) -> None:  # A13
    change(folder / name)
    result = check(folder)
    assert not result.ok and not check(folder, None).ok
    assert any(p.startswith(f"{name}: ") for p in result.problems), result.problems


@pytest.mark.parametrize("name", FILES)
def test_each_swap_with_a_neighbour_is_caught(folder: Path, name: str) -> None:  # A13
    one, two = folder / name, folder / FILES[(FILES.index(name) + 1) % len(FILES)]
    first, second = one.read_bytes(), two.read_bytes()
    if first == second:  # docs.patch is an artifact and an output
        return
    one.write_bytes(second)
    two.write_bytes(first)
    result = check(folder)
    assert not result.ok and not check(folder, None).ok
    assert sum(p.endswith("…") for p in result.problems) == 2


@pytest.mark.parametrize("name", ["artifacts/raw/extra.json", "artifacts/extra.txt", "extra.txt", "artifacts/more/x", "report.json.bak"])
def test_an_added_file_is_caught(folder: Path, name: str) -> None:  # A13
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(RICH["raw/ruff.json"])
    result = check(folder)
    assert not result.ok and not check(folder, None).ok
    assert any(p.startswith(f"{name}: ") for p in result.problems)


@pytest.mark.parametrize("name", FILES)
def test_each_file_behind_a_link_is_refused(folder: Path, name: str) -> None:  # A13
    target = folder.parent / "moved"
    (folder / name).rename(target)
    (folder / name).symlink_to(target)
    for log in (LOG, None):
        assert any(p.startswith(f"{name}: a symbolic link") for p in check(folder, log).problems)


def test_a_complete_forgery_passes_alone_but_not_against_the_log(folder: Path) -> None:  # A13: why the log matters
    forged = dict(RICH) | {"raw/bandit.json": sample.raw("bandit", [])}
    forged["findings.json"] = encode(sample.derive(forged).findings)
    shutil.rmtree(folder)
    write(folder, forged, sample.built(forged))
    assert check(folder, None).ok
    wrong = {p.split(":")[0] for p in check(folder).problems}
    assert {"artifacts/raw/bandit.json", "artifacts/findings.json", "report.json", "report.html"} <= wrong


@pytest.mark.parametrize("name", sorted(LOG))
def test_each_digest_of_the_log_is_compared(folder: Path, name: str) -> None:  # A13
    place = name.removeprefix("out/") if name.startswith("out/") else f"artifacts/{name}"
    assert any(p.startswith(f"{place}: changed") for p in check(folder, LOG | {name: sha256(b"")}).problems)
    fewer = {n: d for n, d in LOG.items() if n != name}
    assert any(p.startswith(f"{place}: unknown to the run's log") for p in check(folder, fewer).problems)


@pytest.mark.parametrize(
    ("name", "field"),
    [("findings.json", {"findings": ()}), ("tests.json", {"tests": None}), ("conventions.json", {"conventions": ()})],
)
def test_a_verdict_that_a_workflow_made_up_is_caught_though_every_digest_fits(folder: Path, name: str, field: Any) -> None:  # law 8
    def lie(artifacts: Any) -> Derived:
        honest = sample.derive(artifacts)
        return Derived(**({f: getattr(honest, f) for f in Derived.__struct_fields__} | field))

    told = {k: v for k, v in RICH.items() if k not in (name, "tickets.json", "dismissed.json")}
    if field != {"tests": None}:
        told[name] = encode([])
    outputs = build(told, sample.facts(), lie)
    shutil.rmtree(folder)
    write(folder, told, outputs)
    result = check(folder, sample.digests(told, outputs))
    assert [p.split(":")[0] for p in result.problems] == [f"artifacts/{name}"]


# hostile directories -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["missing", "file", "null\0byte", "loop"])
def test_what_is_no_directory_is_a_problem_not_an_exception(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    result = check(tmp_path / where)
    assert not result.ok and result.checked == 0


def test_linked_folders_are_not_followed(folder: Path) -> None:
    (folder / "artifacts").rename(folder.parent / "elsewhere")
    (folder / "artifacts").symlink_to(folder.parent / "elsewhere")
    result = check(folder)
    assert "artifacts: a symbolic link; refused" in result.problems and result.checked == len(OUTPUTS)


def test_special_files_do_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "artifacts" / "raw" / "pipe.json")
    (folder / "report.md").unlink()
    os.mkfifo(folder / "report.md")
    before = time.monotonic()
    problems = check(folder).problems
    assert {"artifacts/raw/pipe.json: not a regular file; refused", "report.md: not a regular file; refused"} <= set(problems)
    assert time.monotonic() - before < 30


def test_huge_files_are_not_read(folder: Path) -> None:
    os.truncate(folder / "report.md", 3 << 30)
    assert any(p.startswith("report.md: larger than") for p in check(folder).problems)


@pytest.mark.parametrize("name", [b"a\nb", b"\xff\xfe", b"-rf", b"..x", b"\x1b[2J", b"a b"])
def test_odd_names_are_shown_escaped(folder: Path, name: bytes) -> None:
    Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_bytes(b"x")  # noqa: PTH118
    problems = check(folder).problems
    assert problems and all(p.isprintable() and p.isascii() for p in problems if "not a name" in p)
    assert any("not a name that a report has" in p for p in problems)


def test_deep_and_empty_folders_are_named(folder: Path) -> None:
    (folder / "artifacts" / "a/b/c/d/e/f/g/h/i").mkdir(parents=True)
    (folder / "hollow").mkdir()
    problems = check(folder).problems
    assert any("nested too deeply" in p for p in problems) and any(p.startswith("hollow: an empty folder") for p in problems)


@pytest.mark.parametrize("body", [b"[" * 300_000, b"\xff" * 100, b'{"a":' * 50_000, b"null", b"1e999", b"-" + b"9" * 5000, b"<!ENTITY>"])
@pytest.mark.parametrize("name", ["run.json", "findings.json", "tests.json", "raw/ruff.json", "tests/head.xml", "tests/coverage.json"])
def test_hostile_content_is_a_problem_not_an_exception(folder: Path, name: str, body: bytes) -> None:
    (folder / "artifacts" / name).write_bytes(body)
    for log in (LOG, None):
        assert not check(folder, log).ok


def test_a_deriver_that_breaks_is_a_problem_not_an_exception(folder: Path) -> None:
    def broken(artifacts: Any) -> Derived:
        raise ZeroDivisionError("parser")

    assert verify(folder, LOG, broken).problems == ["the report cannot be derived again: ZeroDivisionError: parser"]
