"""A6, A31: JUnit XML written by the reviewed code is read without trust."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quarterdeck.workflows.review.model import TestCase
from quarterdeck.workflows.review.suites import JUnitError, parse, write
from quarterdeck.workflows.review.suites.junit import MAX_BYTES, MAX_ID, MAX_MESSAGE

SAMPLE = b"""<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="5">
<testcase classname="t.a" name="one" time="0.5"/>
<testcase classname="t.a" name="two"><failure message="assert 0">Traceback</failure></testcase>
<testcase classname="t.a" name="three"><skipped type="pytest.skip" message="later"/></testcase>
<testcase classname="" name="t.b"><error message="collection failure">ImportError</error></testcase>
<testcase classname="t.a" name="one"><error message="teardown"/></testcase>
</testsuite></testsuites>"""


def test_reads_every_outcome_in_order_and_numbers_repeated_ids() -> None:
    cases = parse(SAMPLE)
    assert [(c.id, c.outcome) for c in cases] == [
        ("t.a::one", "passed"),
        ("t.a::two", "failed"),
        ("t.a::three", "skipped"),
        ("t.b", "error"),
        ("t.a::one#2", "error"),
    ]
    assert cases[0].seconds == 0.5 and cases[1].message == "assert 0\nTraceback"


def test_a_cut_off_file_gives_its_complete_tests() -> None:
    """A31: partial XML."""
    with pytest.raises(JUnitError) as error:
        parse(SAMPLE[: SAMPLE.index(b"later")])
    assert [c.id for c in error.value.cases] == ["t.a::one", "t.a::two"]


BOMB = b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">%s]><testsuites><testcase name="&j;"/></testsuites>""" % b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)
)


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        (BOMB, "document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuites/>', "document type"),
        (b"", "empty"),
        (b"   ", "empty"),
        (b"<html/>", "not JUnit"),
        (b"<testsuites>" + b"<a>" * 1000, "too deeply"),
        (b'<?xml version="1.0" encoding="no-such-code"?><testsuites/>', "malformed"),
        (b"<testsuites>\x00</testsuites>", "malformed"),
        (b" " * (MAX_BYTES + 1), "larger"),
    ],
)
def test_harmful_or_broken_xml_is_refused_with_its_reason(xml: bytes, why: str) -> None:
    with pytest.raises(JUnitError, match=why):
        parse(xml)


def test_sizes_are_bounded() -> None:
    case = f'<testcase classname="{"c" * 9000}" name="n"><failure message="{"m" * 90_000}">{"x" * 90_000}</failure></testcase>'
    (found,) = parse(f"<testsuite>{case}</testsuite>".encode())
    assert len(found.id) <= MAX_ID and len(found.message) <= MAX_MESSAGE


def test_many_equal_ids_take_linear_time() -> None:
    cases = parse(b"<testsuite>" + b'<testcase classname="a" name="b"/>' * 50_000 + b"</testsuite>")
    assert cases[-1].id == "a::b#50000" and len({c.id for c in cases}) == 50_000


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for xml in (data, b"<testsuites>" + data + b"</testsuites>", SAMPLE[:200] + data):
        try:
            parse(xml)
        except JUnitError:
            continue


@given(st.integers(0, len(SAMPLE)), st.binary(min_size=1, max_size=6))
def test_a_changed_file_is_read_or_refused(at: int, data: bytes) -> None:
    try:
        parse(SAMPLE[:at] + data + SAMPLE[at + len(data) :])
    except JUnitError as error:
        assert all(isinstance(c, TestCase) for c in error.cases)


CASES = st.builds(
    TestCase,
    st.text(min_size=1, max_size=30),
    st.sampled_from(["passed", "failed", "error", "skipped"]),
    st.floats(0, 1e6),
    st.text(max_size=60),
)


@given(st.lists(CASES, max_size=8))
def test_what_is_written_is_read_again(cases: list[TestCase]) -> None:
    """Ids that XML cannot carry are escaped once; from then on the round trip is exact."""
    once = parse(write(cases))
    assert [c.outcome for c in once] == [c.outcome for c in cases] and len({c.id for c in once}) == len(cases)
    again = parse(write(once))
    assert [(c.id, c.outcome, c.seconds) for c in again] == [(c.id, c.outcome, c.seconds) for c in once]


def test_plain_ids_survive_exactly() -> None:
    ids = ["a.b::c[x::y]", "t::<&>\"'", "t::a b", "t::tab\tline\nend", "alone", "t::ü€𝄞", "a::b#2", "::x"]
    assert [c.id for c in parse(write([TestCase(i, "passed") for i in ids]))][:7] == ids[:7]
