"""Audit leaves: one for every record, committed with it, hash-chained within its run.

A leaf is canonical JSON `{v, run, seq, at, epoch, kind, about, commitment, prev}`. `commitment` is
SHA-256(salt || body): the body can be erased later without breaking the chain. `hash` is SHA-256(0x00 || leaf), as
RFC 9162 hashes leaves.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from .canonical import canonical

GENESIS = "0" * 64
ABOUT = ("action", "attempt", "state", "approval", "verdict", "by", "artifact", "sha256", "name", "occurrence")
"""Fields of a body that are no free text and stay readable in the leaf."""


def commitment(salt: str, body: bytes) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + body).hexdigest()


def leaf(run: str, seq: int, at: int, epoch: int, kind: str, body: dict[str, Any], committed: str, prev: str) -> bytes:
    """Return the leaf's bytes."""
    about = {k: body[k] for k in ABOUT if isinstance(body.get(k), (str, int))}
    decision = body.get("decision")
    if isinstance(decision, dict):
        about["decision"] = {k: decision.get(k) for k in ("effect", "policies", "bundle")}
    return canonical(
        {"v": 1, "run": run, "seq": seq, "at": at, "epoch": epoch, "kind": kind, "about": about, "commitment": committed, "prev": prev}
    )


def leaf_hash(data: bytes) -> str:
    return hashlib.sha256(b"\x00" + data).hexdigest()


class Row(msgspec.Struct, frozen=True):
    """A leaf beside the record that it commits to, as they are stored. `data` None: the body's blob is gone."""

    run: str
    seq: int
    epoch: int | None
    kind: str | None
    at: int | None
    salt: str | None
    data: bytes | None
    leaf: str | None
    hash: str | None
