"""Verify a run's chain: every record is what its leaf committed to, every leaf follows the one before, none is missing.

This proves that nothing was changed by somebody who did not rewrite the whole chain. Who can rewrite every leaf of the
database is detected only against a checkpoint kept elsewhere, which a later part brings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from quarterdeck.protocol.leaf import GENESIS, Row, commitment, leaf_hash

LEDGER_OF = {"done": "done", "failed": "failed", "cancelled": "failed", "denied": "failed", "unknown": "unknown", "not_begun": "not_begun"}


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with one leaf (or with the run as a whole, `seq` -1)."""

    run: str
    seq: int
    what: str


def verify_run(
    run: str, rows: Sequence[Row], expected: int, head: str, state: str, effects: Iterable[tuple[int, int, str]] = ()
) -> list[Problem]:
    """Return every problem of a run; none means that its records are what was committed.

    `expected`, `head` and `state` are the run's row: how many records, the last hash, its state. `effects` are the ledger's
    rows (action, attempt, state), compared with the outcomes in the log.
    """
    problems: list[Problem] = []
    previous = GENESIS
    for position, row in enumerate(rows):
        if row.seq != position:
            problems.append(Problem(run, position, f"leaf {position} is missing"))
            break
        found = _leaf(row, previous)
        problems += [Problem(run, row.seq, what) for what in found]
        previous = row.hash or ""
    if len(rows) != expected:
        problems.append(Problem(run, -1, f"the run has {expected} records, the chain {len(rows)} leaves"))
    elif previous != head:
        problems.append(Problem(run, len(rows) - 1, "the chain does not end in the head that the run names"))
    return problems or _consistency(run, rows, state, effects)


def _leaf(row: Row, previous: str) -> list[str]:
    if row.leaf is None or row.hash is None:
        return [f"record {row.seq} has no leaf"]
    wrong = []
    if leaf_hash(row.leaf.encode("utf-8", "surrogatepass")) != row.hash:
        wrong.append("the leaf was changed: its hash does not fit")
    try:
        fields: dict[str, Any] = json.loads(row.leaf)
    except ValueError:
        return [*wrong, "the leaf is not JSON"]
    if fields.get("prev") != previous:
        wrong.append("the leaf does not follow the one before it")
    if row.kind is None:
        return [*wrong, "the record of this leaf is gone"]
    shown = {"run": row.run, "seq": row.seq, "at": row.at, "epoch": row.epoch, "kind": row.kind}
    wrong += [f"the record's {name} is not the leaf's" for name, value in shown.items() if fields.get(name) != value]
    if row.data is None or row.salt is None:
        wrong.append("the record's body is gone")
    else:
        try:
            same = commitment(row.salt, row.data) == fields.get("commitment")
        except ValueError:
            same = False
        if not same:
            wrong.append("the record's body was changed: it is not what the leaf commits to")
    return wrong


def _consistency(run: str, rows: Sequence[Row], state: str, effects: Iterable[tuple[int, int, str]]) -> list[Problem]:
    """What lies outside the log must agree with it: the run's state and the ledger's outcomes."""
    problems: list[Problem] = []
    bodies = [(row.seq, row.kind, json.loads(row.data or b"{}")) for row in rows]
    ended = [(seq, body["state"]) for seq, kind, body in bodies if kind == "run.completed"]
    if ended and ended[-1][1] != state:
        problems.append(Problem(run, ended[-1][0], f"the run's row says {state}, its log {ended[-1][1]}"))
    outcomes = {
        (b["action"], b["attempt"]): (seq, LEDGER_OF[b["state"]]) for seq, kind, b in bodies if kind == "action.completed" and b["attempt"]
    }
    for action, attempt, found in effects:
        seq, said = outcomes.get((action, attempt), (action, ""))
        if said and said != found:
            problems.append(Problem(run, seq, f"the ledger says {found} of attempt {action}.{attempt}, the log {said}"))
    return problems
