"""A report appears as a whole or not at all, and never over somebody else's files (A12)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import report_sample as sample

from quarterdeck.protocol.errors import BadInput
from quarterdeck.workflows.review.report import OUTPUTS, verify, write

ONE, TWO = sample.rich(1), sample.rich(2)


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def expected(artifacts: sample.Artifacts) -> dict[str, bytes]:
    return {f"artifacts/{n}": b for n, b in artifacts.items()} | sample.built(artifacts)


def test_writes_exactly_the_files_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "report"
    write(target, ONE, sample.built(ONE))
    assert tree(target) == expected(ONE)
    assert [p.name for p in target.parent.iterdir()] == ["report"]
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_former_report_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path / "r", ONE, sample.built(ONE))
    fewer = sample.empty()
    write(tmp_path / "r", fewer, sample.built(fewer))
    assert tree(tmp_path / "r") == expected(fewer)
    assert [p.name for p in tmp_path.iterdir()] == ["r"]
    assert verify(tmp_path / "r", None, sample.derive).ok


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    write(tmp_path / "r", ONE, sample.built(ONE))
    assert tree(tmp_path / "r") == expected(ONE)


def test_a_relative_path_with_one_part_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("out"), ONE, sample.built(ONE))
    assert tree(tmp_path / "out") == expected(ONE)


def foreign(kind: str, target: Path) -> None:
    if kind == "file":
        target.write_text("mine")
    elif kind == "link":
        (target.parent / "real").mkdir()
        target.symlink_to(target.parent / "real")
    elif kind == "report and notes":
        write(target, ONE, sample.built(ONE))
        (target / "notes.txt").write_text("mine")
    else:
        target.mkdir()
        (target / {"folder": "thesis.tex", "other json": "report.json"}[kind]).write_text('{"schema": "somebody else\'s"}')


@pytest.mark.parametrize("kind", ["file", "link", "folder", "other json", "report and notes"])
def test_foreign_files_are_never_touched(tmp_path: Path, kind: str) -> None:
    foreign(kind, tmp_path / "r")
    before = tree(tmp_path)
    with pytest.raises(BadInput) as refused:
        write(tmp_path / "r", TWO, sample.built(TWO))
    assert refused.value.hint and tree(tmp_path) == before


def test_a_failure_leaves_the_former_report(tmp_path: Path) -> None:
    write(tmp_path / "r", ONE, sample.built(ONE))
    with pytest.raises(OSError):
        write(tmp_path / "r", TWO | {"raw": b"x"}, sample.built(TWO))  # a file where a folder must be
    assert tree(tmp_path / "r") == expected(ONE)
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_failed_rename_puts_the_former_report_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "r", ONE, sample.built(ONE))
    real = os.rename

    def rename(self: Path, target: Path) -> Path:
        if ".new-" in self.name:
            raise OSError("disk full")
        real(self, target)
        return Path(target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "r", TWO, sample.built(TWO))
    assert tree(tmp_path / "r") == expected(ONE)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_names_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput):
        write(tmp_path / "r", ONE | {name: b"x"}, sample.built(ONE))
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_set_of_outputs_is_refused(tmp_path: Path) -> None:
    some = {n: b for n, b in sample.built(ONE).items() if n != OUTPUTS[0]}
    with pytest.raises(BadInput):
        write(tmp_path / "r", ONE, some)
