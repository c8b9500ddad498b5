"""Whatever a server sends, the folds give well-formed events or one of the errors that become a clear message (A18)."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from quarterdeck.models.chat_stream import ChatFold
from quarterdeck.models.client import _SHAPE_ERRORS
from quarterdeck.models.responses import Broken, ResponsesFold
from quarterdeck.protocol.models import Completed, ModelEvent, Usage
from quarterdeck.testing import Call, Reply, chat_events, responses_events

TURN = Reply(text="Hello there", reasoning="Why?", calls=(Call("f", {"x": 1}), Call("g", {"y": "ü"})), piece=4)
CHAT = [event for event in chat_events(TURN, {"stream_options": {"include_usage": True}}) if isinstance(event, dict)]
RESPONSES = responses_events(TURN, {})
_JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=3), st.just([]), st.just({}), st.just([3]), st.just({"a": [None]})
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, child in inner for path in paths(child, (*at, key)))]


def broken(events: list[dict[str, Any]], where: int, junk: Any) -> list[dict[str, Any]]:
    """Return a copy with one value anywhere replaced by junk."""
    copy = msgspec.json.decode(msgspec.json.encode(events))
    every = [path for path in paths(copy) if len(path) > 1]
    *way, last = every[where % len(every)]
    place = copy
    for key in way:
        place = place[key]
    place[last] = junk
    return copy


def run(fold: ChatFold | ResponsesFold, events: list[dict[str, Any]]) -> None:
    made: list[ModelEvent] = []
    try:
        for event in events:
            made += fold.feed(event)
        if not fold.complete:
            return
        made += fold.end()
    except (Broken, *_SHAPE_ERRORS):
        return
    assert msgspec.json.decode(msgspec.json.encode(made), type=list[ModelEvent]) == made, "what is recorded can be read again"
    assert isinstance(made[-1], Completed) and made[-1].finish in ("stop", "length", "tool_calls", "content_filter")


@given(st.integers(0, 10**6), _JUNK)
def test_a_broken_chat_stream(where: int, junk: Any) -> None:
    run(ChatFold(Usage(reported=False)), broken(CHAT, where, junk))


@given(st.integers(0, 10**6), _JUNK)
def test_a_broken_responses_stream(where: int, junk: Any) -> None:
    run(ResponsesFold(Usage(reported=False)), broken(RESPONSES, where, junk))


def test_the_unbroken_streams_are_complete() -> None:
    for fold, events in ((ChatFold(Usage()), CHAT), (ResponsesFold(Usage()), RESPONSES)):
        made = [one for event in events for one in fold.feed(event)]
        made += fold.end()
        assert fold.complete and isinstance(made[-1], Completed) and made[-1].usage.reported
