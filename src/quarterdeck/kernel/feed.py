"""The feed: committed records of a run in order, from history and then live, from any process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from quarterdeck.protocol.records import ENDED, Record
from quarterdeck.store import Store

FAST_S, PAGE = 0.025, 1000


async def feed(store: Store, run: str, after: int = -1, *, follow: bool = True) -> AsyncIterator[Record]:
    """Yield every record with seq > `after`; with `follow`, go on until the run has ended. A reader costs nobody else."""
    seen = -1
    while True:
        version = store.database.version()
        state = (await store.run(run)).state
        page = await store.records(run, after, PAGE)
        for record in page:
            after = record.seq
            yield record
        if len(page) == PAGE:
            continue
        if not follow or state in ENDED:
            return
        while version == seen:
            await asyncio.sleep(FAST_S)
            version = store.database.version()
        seen = version
