"""The store: the only SQL of the house. Schema, the hot-path statements, and blobs by content hash.

One file per owner: `runs` (log, leases, inbox), `effects`, `budgets`, `approvals`, `audit`, `outbox`, `memory`.
`open_store(home)` gives a `Store`; SQLite is the default database.
"""

from __future__ import annotations

from .store import Store, open_copy, open_store

__all__ = ["Store", "open_copy", "open_store"]
