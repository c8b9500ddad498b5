"""One byte of a copied database is changed, and the audit names the leaf."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quarterdeck.app import Runtime
from quarterdeck.protocol.errors import QuarterdeckError
from quarterdeck.protocol.leaf import Row
from quarterdeck.store.sqlite import copy_database
from quarterdeck.workflows import Context, workflow

from .show import SceneFailed, Show

VERDICT = re.compile(rb'"exit_code":(1)')
BEFORE = 80
"""A row's bytes before its body: an id, two numbers and a kind fit well."""
DIGIT = re.compile(rb"([0-9])")


@dataclass(frozen=True)
class Change:
    """One changed byte."""

    offset: int
    seq: int
    kind: str
    before: str
    after: str


def title(show: Show) -> str:
    return "one byte of a copied database is changed, and `audit verify` names the leaf"


@workflow(name="demo-verdict")
async def verdict(ctx: Context) -> dict[str, int]:
    """Something to tamper with, where no review ran before."""
    return {"exit_code": await ctx.step("judge", int, 1)}


async def play(show: Show) -> list[str]:
    """Copy, verify, change a byte, verify again."""
    async with Runtime(config=show.config()) as runtime:
        run = show.run
        if not run:
            run, _ = await runtime.start(verdict)
            await runtime.drive(run)
            await runtime.result(run)
        rows = await runtime.store.audit_rows(run)
    copy = show.folder / "copied.db"
    copy_database(show.home / "quarterdeck.db", copy)
    whole = await show.quarterdeck("audit", "verify", run, "--database", str(copy))
    if whole.code != 0:
        raise SceneFailed(f"The untouched copy must verify: {whole.told}")
    change = _tamper(copy, run, rows)
    found = await show.quarterdeck("audit", "verify", run, "--database", str(copy))
    named = [line.strip() for line in (found.out + "\n" + found.err).splitlines() if re.search(rf"\b{change.seq}\b", line)]
    if found.code == 0 or not named:
        raise SceneFailed(f"The changed byte in leaf {change.seq} was not named: {found.told}")
    return [
        f"the untouched copy: {(whole.out.strip().splitlines() or ['verified'])[-1].strip()}",
        f"byte {change.offset} of the copy, in record {change.seq} ({change.kind}): {change.before} became {change.after}",
        f"exit code {found.code}: {named[0]}",
    ]


def _tamper(copy: Path, run: str, rows: Sequence[Row]) -> Change:
    """Flip a verdict from 1 to 0 in the newest record of the run that has one, else some digit: in the file, behind SQLite's back."""
    data = bytearray(copy.read_bytes())
    for pattern in (VERDICT, DIGIT):
        for row in reversed(rows):
            seq, kind, body = row.seq, row.kind or "", row.data or b""
            match = pattern.search(body)
            place = _place(data, run.encode(), kind.encode(), body) if match else -1
            if match is None or place < 0:
                continue
            offset = place + match.start(1)
            old = body[match.start(1)]
            data[offset] = ord("0") if old != ord("0") else ord("1")
            copy.write_bytes(data)
            new = body[: match.start(1)] + bytes([data[offset]]) + body[match.start(1) + 1 :]
            around = slice(max(0, match.start() - (0 if pattern is VERDICT else 8)), match.end())
            return Change(offset, seq, kind, body[around].decode("utf-8", "replace"), new[around].decode("utf-8", "replace"))
    raise QuarterdeckError("No record of the run could be found in the copied file.")


def _place(data: bytearray, run: bytes, kind: bytes, body: bytes) -> int:
    """Where the row of this record keeps its body: right behind the run's id, two small numbers and the kind. -1: spread over pages."""
    place = data.find(body)
    while place >= 0:
        before = bytes(data[max(0, place - BEFORE) : place])
        if before.endswith(kind) and run in before:
            return place
        place = data.find(body, place + 1)
    return -1
