"""The outbox: every delivery out of the house. A row first, then a delivery by a run of kind `system`, once per dedupe key."""

from __future__ import annotations

from .files import FileChannel
from .publish import Channel, Publisher

__all__ = ["Channel", "FileChannel", "Publisher"]
