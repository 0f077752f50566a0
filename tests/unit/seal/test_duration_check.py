"""When a recording's sound is not as long as its call, and nothing in its manifest says why."""

from __future__ import annotations

import pytest

from recorder.seal.duration_check import unexplained_ms

MINUTE = 60_000


def body(drift: int, *, duration: int = MINUTE, gaps=(), holds=()) -> dict:
    markers = [
        {"at": f"2026-11-25T09:00:{second:02}.000Z", "kind": kind}
        for begin, end in holds
        for second, kind in ((begin, "hold"), (end, "unhold"))
        if second is not None
    ]
    gap_list = [
        {"start_ms": start, "end_ms": end, "channel": "both", "reason": "write_error"} for start, end in gaps
    ]
    return {
        "drift_ms": drift, "duration_ms": duration, "gaps": gap_list, "markers": markers,
        "ended_at": "2026-11-25T09:01:00.000Z",
    }  # fmt: skip


@pytest.mark.parametrize("drift", [0, 300, -300, 1190, -1170])
def test_two_percent_is_no_mismatch(drift: int) -> None:
    assert unexplained_ms(body(drift)) == 0


@pytest.mark.parametrize("drift", [1300, -1300, 60_000, -30_000])
def test_mismatch_in_either_direction(drift: int) -> None:
    assert unexplained_ms(body(drift)) == drift


def test_short_call_has_an_absolute_threshold() -> None:
    assert unexplained_ms(body(300, duration=4000)) == 0


def test_gap_at_the_end_explains_a_mismatch() -> None:
    assert unexplained_ms(body(9000, gaps=[(MINUTE, MINUTE + 9000)])) == 0
    assert unexplained_ms(body(12_000, gaps=[(MINUTE - 500, MINUTE + 9000)])) == 3000


def test_hold_explains_missing_audio() -> None:
    assert unexplained_ms(body(9000, holds=[(10, 20)])) == 0
    assert unexplained_ms(body(15_000, holds=[(10, 20)])) == 5000
    assert unexplained_ms(body(-15_000, holds=[(10, 20)])) == -15_000


def test_overlapping_holds_count_once_and_an_open_hold_lasts_to_the_end() -> None:
    assert unexplained_ms(body(30_000, holds=[(10, None), (12, 18), (None, 20)])) == 20_000
    assert unexplained_ms(body(30_000, holds=[(40, None)])) == 10_000
