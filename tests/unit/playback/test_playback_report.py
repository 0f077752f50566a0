"""A player's report is parsed strictly, bounded, and merged."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.playback.playback_report import MOST, merge_stretches, parse_report


def test_merges_stretches_and_cuts_them_at_the_end_of_the_sound() -> None:
    assert parse_report("0-5000,4000-7000,9000-9500", 9200) == [(0, 7000), (9000, 9200)]
    assert parse_report("5-5", 10) == []
    assert merge_stretches([(3, 4), (0, 1), (1, 2)]) == [(0, 2), (3, 4)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0-1,",
        "-1-2",
        "5-2",
        "0-1;2-3",
        "0-1 ",
        "٠-١",
        "0-12345678901",
        "9999-10000",
        "0-1," * 1000 + "0-1",
    ],
)
def test_refuses_malformed_reports(text: str) -> None:
    with pytest.raises(ValueError, match="stretch"):
        parse_report(text, 5000)


_STRETCHES = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)).map(sorted).map(tuple), max_size=400
)


@given(_STRETCHES)
def test_merging_loses_no_time_and_stays_small(stretches: list[tuple[int, int]]) -> None:
    found = merge_stretches(stretches)
    assert len(found) <= MOST
    assert all(before[1] < after[0] for before, after in pairwise(found))
    assert all(any(a <= begin and end <= b for a, b in found) for begin, end in stretches if begin < end)
    assert merge_stretches(found) == found


def test_joins_only_surplus_stretches() -> None:
    most = [(at * 10, at * 10 + 5) for at in range(MOST)]
    assert merge_stretches(most) == most
    one_more = [*most, (10 * MOST - 2, 10 * MOST + 1)]
    assert merge_stretches(one_more) == [*most[:-1], (10 * MOST - 10, 10 * MOST + 1)], (
        "across the shortest gap"
    )
