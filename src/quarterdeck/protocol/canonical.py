"""One byte form for one value: what is hashed, compared and stored."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec


def canonical(value: Any) -> bytes:
    """Encode `value` (JSON data or msgspec structs) as UTF-8 JSON with sorted keys and no spaces."""
    plain = msgspec.to_builtins(value)
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical form of `value`."""
    return sha256(canonical(value))
