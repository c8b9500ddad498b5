"""GitHub's `pull_request` payload, of which only names are taken. A payload is written by whoever opened the request."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec

from ...protocol.errors import BadInput

MAX_EVENT = 32 << 20
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_Ref = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class _Side(msgspec.Struct):
    ref: _Ref
    sha: str


class _Pull(msgspec.Struct):
    base: _Side
    head: _Side
    number: int = 0


class _Event(msgspec.Struct):
    pull_request: _Pull
    number: int = 0


class PullRequest(msgspec.Struct, frozen=True):
    """The refs of one pull request."""

    number: int
    base_ref: str
    base_sha: str
    head_ref: str
    head_sha: str


def read_event(path: Path) -> PullRequest:
    """Read a payload file. Raises BadInput when it is unreadable, too big, or not a `pull_request` event."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_EVENT + 1)
    except OSError as error:
        raise BadInput(f"The event file {path} cannot be read: {error.strerror}.", hint="Give GITHUB_EVENT_PATH.", param="event") from error
    hint = "Give the JSON that GitHub writes to GITHUB_EVENT_PATH for a pull_request event."
    if len(data) > MAX_EVENT:
        raise BadInput(f"The event file {path} is larger than {MAX_EVENT >> 20} MB.", hint=hint, param="event")
    try:
        event = msgspec.json.decode(data, type=_Event)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadInput(f"The event file {path} is not a pull_request payload: {error}.", hint=hint, param="event") from error
    pull = event.pull_request
    for side, sha in (("base", pull.base.sha), ("head", pull.head.sha)):
        if not _SHA.fullmatch(sha):
            raise BadInput(f"pull_request.{side}.sha in {path} is not a commit id: {sha[:80]!r}.", hint=hint, param="event")
    return PullRequest(
        number=pull.number or event.number,
        base_ref=pull.base.ref,
        base_sha=pull.base.sha,
        head_ref=pull.head.ref,
        head_sha=pull.head.sha,
    )
