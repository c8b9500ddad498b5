"""Identifiers: a wire prefix, an underscore, and a UUIDv7 in hex (sortable by creation time)."""

from __future__ import annotations

import os
import time


def uuid7_hex(now_ms: int | None = None) -> str:
    """Return a UUIDv7 (RFC 9562) as 32 hex digits; `now_ms` is Unix time in milliseconds."""
    millis = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    rand = int.from_bytes(os.urandom(10), "big")
    value = (millis & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (rand >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | rand & (1 << 62) - 1
    return f"{value:032x}"


def new_id(prefix: str) -> str:
    """Return a fresh id such as ``run_0190…``."""
    return f"{prefix}_{uuid7_hex()}"


def bare(identifier: str) -> str:
    """Return the part after the prefix: `resp_X`, `run_X` and `turn_X` of one run share it."""
    return identifier.rpartition("_")[2]
