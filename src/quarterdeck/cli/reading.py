"""Reading HOME without the runtime: a broken policy or configuration must not keep anybody from looking at the log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quarterdeck.protocol.errors import NotFound

if TYPE_CHECKING:
    from quarterdeck.protocol.records import Run
    from quarterdeck.store import Store


def existing_home(home: Path) -> Path:
    """`home` if it holds a database; NotFound otherwise. Looking creates nothing."""
    from quarterdeck.store.store import DATABASE

    if not (home / DATABASE).exists():
        raise NotFound(
            f"There are no runs in {home} yet.", hint="Start one with `quarterdeck review`, or name another HOME with --home DIR."
        )
    return home


@contextlib.contextmanager
def opened(home: Path) -> Iterator[Store]:
    """The store of an existing HOME."""
    from quarterdeck.store import open_store

    store = open_store(existing_home(home))
    try:
        yield store
    finally:
        store.close()


def live(run: Run) -> bool:
    """Whether a process drives this run now."""
    import time

    from quarterdeck.kernel.lease import proven_dead

    return bool(run.owner) and run.lease_until > time.time_ns() // 1000 and not proven_dead(run.owner or "")


async def resolve(store: Store, text: str) -> str:
    """The run that a person means; NotFound with what they may have meant."""
    from difflib import get_close_matches

    try:
        return await store.resolve(text)
    except NotFound as error:
        recent = [r.id for r in await store.runs(200)]
        near = get_close_matches(text, [*recent, *(r[-len(text) :] for r in recent)], 1, 0.7) if len(text) > 3 else []
        if not near:
            raise
        raise NotFound(error.message, hint=f"Did you mean {near[0]}? `quarterdeck runs` lists them.", param="run") from error


async def root_and_submission(store: Store, text: str) -> tuple[str, dict[str, Any]]:
    """The root of the tree that the named run belongs to, and the body of the root's first record."""
    root = (await store.run(await resolve(store, text))).root
    records = await store.records(root, -1, 1)
    return root, records[0].body if records else {}
