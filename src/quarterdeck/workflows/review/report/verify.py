"""`quarterdeck report verify DIR`: is this report what the run recorded, and does all of it follow from the artifacts?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from quarterdeck.protocol.canonical import sha256
from quarterdeck.protocol.errors import QuarterdeckError

from . import data
from .build import render
from .data import OUTPUTS, Deriver
from .document import document
from .folder import Folder
from .inputs import contradictions, read
from .words import short

ARTIFACTS = "artifacts/"
LOGGED_OUTPUT = "out/"
"""Prefix under which the run's log knows the report's own files."""


class VerifyResult(msgspec.Struct, frozen=True):
    """`problems` names each file that is wrong and how; `checked` counts the files whose bytes were compared."""

    ok: bool
    problems: list[str]
    checked: int
    against_log: bool
    """False when no log was at hand: then the report is only proved to agree with itself."""


def verify(directory: Path, log_digests: Mapping[str, str] | None, derive: Deriver) -> VerifyResult:
    """Check a report directory. Never raises for anything that lies in it.

    `log_digests` maps artifact name to SHA-256 as the run's log recorded them, the report's files as `out/NAME`.
    """
    folder = Folder(directory)
    problems = list(folder.problems)
    artifacts = {n.removeprefix(ARTIFACTS): b for n, b in folder.files.items() if n.startswith(ARTIFACTS)}
    outputs = {n: b for n, b in folder.files.items() if not n.startswith(ARTIFACTS)}
    problems += [f"{n}: not a file of a report" for n in sorted(outputs.keys() - set(OUTPUTS))]
    problems += [f"{n}: missing" for n in OUTPUTS if n not in outputs]
    if log_digests is not None:
        recorded = {_place(name): digest for name, digest in log_digests.items()}
        problems += _against_log(folder.files, recorded)
    try:
        problems += _again(artifacts, outputs, derive)
    except Exception as error:  # the artifacts are hostile: whatever they provoke is a finding about them
        problems.append(f"the report cannot be derived again: {type(error).__name__}: {error}")
    unique = list(dict.fromkeys(problems))
    return VerifyResult(not unique, unique, len(folder.files), log_digests is not None)


def _place(name: str) -> str:
    """Where a logged artifact lies in the directory."""
    return name.removeprefix(LOGGED_OUTPUT) if name.startswith(LOGGED_OUTPUT) else ARTIFACTS + name


def _against_log(files: Mapping[str, bytes], recorded: Mapping[str, str]) -> list[str]:
    problems = []
    for name in sorted(files.keys() | recorded.keys()):
        if name not in files:
            problems.append(f"{name}: missing, but the run's log records it")
        elif name not in recorded:
            problems.append(f"{name}: unknown to the run's log")
        elif sha256(files[name]) != recorded[name]:
            problems.append(f"{name}: changed: the run's log says SHA-256 {short(recorded[name])}…, here {short(sha256(files[name]))}…")
    return problems


def _again(artifacts: Mapping[str, bytes], outputs: Mapping[str, bytes], derive: Deriver) -> list[str]:
    """Do what `build` does, but name every contradiction, and compare byte for byte."""
    if data.RUN not in artifacts:
        return [f"{ARTIFACTS}{data.RUN}: missing"]
    try:
        inputs = read(artifacts)
        wrong = contradictions(inputs, derive(artifacts), artifacts)
        if wrong:
            return [f"{ARTIFACTS}{artifact}: {sentence}" for artifact, sentence in wrong]
        expected = render(document(artifacts, inputs), artifacts)
    except QuarterdeckError as error:
        return [error.message]
    return [f"{n}: {_difference(expected[n], outputs[n])}" for n in OUTPUTS if n in outputs and outputs[n] != expected[n]]


def _difference(expected: bytes, found: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), min(len(expected), len(found)))
    return f"does not follow from the artifacts: first difference at byte {at} (line {expected.count(10, 0, at) + 1})"
