"""`report verify`: a report on disk against the log of the run that made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from quarterdeck.protocol.errors import BadInput, NotFound

from .derive import derive
from .report import VerifyResult, verify


class Logs(Protocol):
    """Where runs' logs are (the store)."""

    async def records(self, run: str, after: int = -1, limit: int = 1_000_000) -> list[Any]: ...


async def verify_report(store: Logs, directory: Path) -> VerifyResult:
    """Derive every number and verdict of a report again from its artifacts, and compare their digests with the run's log.

    Raises BadInput when DIR holds no report, NotFound when its run is not in this HOME.
    """
    try:
        run = str(json.loads((directory / "artifacts" / "run.json").read_bytes())["run"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{directory} holds no report whose run can be told: {error}.", hint="Give the folder that `quarterdeck review` printed."
        ) from error
    records = await store.records(run)
    if not records:
        raise NotFound(f"The run {run} of this report is not in this HOME.", hint="Give the HOME that made it: --home DIR.")
    digests = {r.body["artifact"]: r.body["sha256"] for r in records if r.kind == "artifact"}
    return verify(directory, digests, derive)
