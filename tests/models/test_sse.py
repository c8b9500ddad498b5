"""The SSE parser: any chunking gives the same events (A18)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quarterdeck.models.sse import SSEEvent, SSEParser

# What a reference sees: text without line ends, in any script, with the empty and the colon-laden.
_LINE = st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
_EVENT = st.tuples(st.sampled_from(["", "delta", "ü"]), st.lists(_LINE, min_size=1, max_size=3))


def feed(data: bytes, cuts: list[int]) -> list[SSEEvent]:
    parser, events, start = SSEParser(), [], 0
    for cut in [*sorted(min(c, len(data)) for c in cuts), len(data)]:
        events += parser.feed(data[start:cut])
        start = cut
    return events


@given(
    st.lists(_EVENT, max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 400), max_size=30),
    st.booleans(),
    st.booleans(),
)
def test_every_chunking_gives_the_events_that_were_written(
    events: list[tuple[str, list[str]]], end: str, cuts: list[int], comments: bool, bom: bool
) -> None:
    written = "\ufeff" if bom else ""
    for name, lines in events:
        written += f": ping{end}" if comments else ""
        written += f"event: {name}{end}" if name else ""
        written += "".join(f"data: {line}{end}" for line in lines) + end
    expected = [SSEEvent(name, "\n".join(lines)) for name, lines in events]
    assert feed(written.encode(), cuts) == expected
    assert feed(written.encode(), list(range(len(written.encode())))) == expected


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20))
def test_arbitrary_bytes_never_break_it_and_chunking_never_matters(data: bytes, cuts: list[int]) -> None:
    assert feed(data, cuts) == feed(data, [])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"data:no space\n\n", [("", "no space")]),
        (b"data:  two\n\n", [("", " two")]),
        (b"data\n\n", [("", "")]),
        (b": only a comment\n\n", []),
        (b"event: named\n\ndata: x\n\n", [("", "x")]),
        (b"id: 1\nretry: 5\ndata: x\n\n", [("", "x")]),
        (b"data: a\ndata: b\r\ndata: c\r\r", [("", "a\nb\nc")]),
        (b"data: unfinished\n", []),
        (b"data: \xff\n\n", [("", "\ufffd")]),
        ("data: a\u2028b\x0bc\n\n".encode(), [("", "a\u2028b\x0bc")]),
    ],
)
def test_the_rules(raw: bytes, expected: list[tuple[str, str]]) -> None:
    assert SSEParser().feed(raw) == [SSEEvent(*one) for one in expected]


def test_an_endless_event_is_refused_and_endless_keepalives_are_not() -> None:
    parser = SSEParser(max_event_bytes=1000)
    for _ in range(100):
        assert parser.feed(b": keepalive, keepalive, keepalive\n\n") == []
        assert parser.feed(b": and without a blank line behind it\n") == []
    for _ in range(100):
        assert parser.feed(b"data: many small events are no large one\n\n")
    with pytest.raises(ValueError, match="larger than 1000 bytes"):
        for _ in range(100):
            parser.feed(b"data: xxxxxxxxxxxxxxxxxxxxxx\n")
