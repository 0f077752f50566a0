"""Times of a call are corrected where a clock was wrong, and stay in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recorder.clock import HIDDEN_BOOT_ID, Uptime
from recorder.seal.clock_correction import correct_times
from recorder.seal.manifest import UncorrectedTimes
from recorder.spool.layout import Take

from .recording import NOW, START, UPTIME, make_encoded

ENDED = START + timedelta(seconds=70)
BRIDGED = START + timedelta(seconds=9)
NOBODY_KNOWS = (
    None,
    Uptime(HIDDEN_BOOT_ID, 1000.0),
    Uptime("another start", 1000.0),
    Uptime("this start", 1301.0),
)


@pytest.fixture
def take(tmp_path: Path) -> Take:
    return make_encoded(tmp_path / "take").take


def started(take: Take, at: datetime, uptime: Uptime | None = None) -> Take:
    """The take with another start, and its uptime then."""
    return replace(take, start=replace(take.start, started_at=at, uptime=uptime or take.start.uptime))


def test_correct_clock_changes_nothing(take: Take) -> None:
    times = correct_times(take, NOW, UPTIME)
    assert (times.started_at, times.bridged_at, times.ended_at) == (START, BRIDGED, ENDED)
    assert (times.sealed_at, times.kept_from, times.uncorrected) == (NOW, START, None)


def test_times_are_to_the_millisecond(take: Take) -> None:
    micro = timedelta(microseconds=7)
    odd = replace(started(take, START + micro), end=replace(take.end, ended_at=ENDED + micro))
    times = correct_times(odd, NOW + micro, UPTIME)
    assert (times.started_at, times.ended_at, times.sealed_at) == (START, ENDED, NOW)
    assert times.uncorrected is None


def test_call_without_a_bridge_has_no_such_time(take: Take) -> None:
    assert correct_times(replace(take, markers=()), NOW, UPTIME).bridged_at is None


@pytest.mark.parametrize("uptime", NOBODY_KNOWS)
def test_retention_counts_from_the_seal_where_the_age_is_unknown(take: Take, uptime: Uptime | None) -> None:
    unknown = replace(take, start=replace(take.start, uptime=uptime))
    times = correct_times(unknown, NOW, UPTIME)
    assert (times.started_at, times.kept_from, times.uncorrected) == (START, NOW, None)
    assert correct_times(take, NOW, None).kept_from == NOW
    hidden_boot = replace(take, start=replace(take.start, uptime=Uptime(HIDDEN_BOOT_ID, 1000.0)))
    assert correct_times(hidden_boot, NOW, Uptime(HIDDEN_BOOT_ID, 1300.0)).kept_from == NOW


@pytest.mark.parametrize(("seconds", "corrected"), [(60, False), (61, True), (86_400 * 40, True)])
def test_start_by_a_slow_clock_is_moved_by_the_uptime(take: Take, seconds: int, corrected: bool) -> None:
    slow = started(take, START - timedelta(seconds=seconds))
    times = correct_times(slow, NOW, UPTIME)
    assert times.started_at == (START if corrected else START - timedelta(seconds=seconds))
    assert times.kept_from == times.started_at
    assert times.ended_at == ENDED, "the switch's clock was right"
    assert times.uncorrected == (
        UncorrectedTimes(START - timedelta(seconds=seconds), ENDED) if corrected else None
    )


def test_end_by_the_same_slow_clock_moves_with_the_start(take: Take) -> None:
    days = timedelta(days=40)
    slow = started(replace(take, end=replace(take.end, ended_at=ENDED - days)), START - days)
    slow = replace(slow, markers=tuple(replace(marker, at=marker.at - days) for marker in take.markers))
    times = correct_times(slow, NOW, UPTIME)
    assert (times.started_at, times.bridged_at, times.ended_at) == (START, BRIDGED, ENDED)
    assert times.uncorrected == UncorrectedTimes(START - days, ENDED - days)


@pytest.mark.parametrize("uptime", [UPTIME, None])
def test_start_in_the_future_is_moved_before_the_seal(take: Take, uptime: Uptime | None) -> None:
    days = timedelta(days=40)
    fast = started(replace(take, end=replace(take.end, ended_at=ENDED + days)), START + days)
    times = correct_times(fast, NOW, uptime)
    length = timedelta(seconds=70)
    assert times.started_at == (START if uptime else NOW - length)
    assert times.ended_at == times.started_at + length
    assert times.kept_from == NOW, "a clock that was ahead shortens nothing"
    assert times.uncorrected == UncorrectedTimes(START + days, ENDED + days)


def test_end_before_a_start_in_the_future_gives_no_negative_length(take: Take) -> None:
    times = correct_times(started(take, NOW + timedelta(seconds=1)), NOW, None)
    assert (times.started_at, times.bridged_at, times.ended_at) == (NOW, NOW, NOW)


def test_end_after_the_seal_is_cut_at_it(take: Take) -> None:
    late = replace(take, end=replace(take.end, ended_at=NOW + timedelta(days=1)))
    times = correct_times(late, NOW, UPTIME)
    assert (times.started_at, times.ended_at) == (START, NOW)
    assert times.uncorrected == UncorrectedTimes(START, NOW + timedelta(days=1))


def test_end_before_the_start_is_put_at_the_start(take: Take) -> None:
    early = replace(take, end=replace(take.end, ended_at=START - timedelta(hours=1)))
    times = correct_times(early, NOW, UPTIME)
    assert (times.started_at, times.bridged_at, times.ended_at) == (START, START, START)


def test_seal_at_the_moment_of_the_start(take: Take) -> None:
    times = correct_times(started(take, NOW), NOW, Uptime("this start", 1000.0))
    assert (times.started_at, times.kept_from, times.ended_at) == (NOW, NOW, NOW)
