"""Pauses are located by their zeros; without zeros, all of the pause is redacted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.audio import redaction, wav
from recorder.audio.encoded_take import LocatedPause
from recorder.audio.pause_redaction import locate_pauses, read_pauses
from recorder.audio.timeline import locate_take
from recorder.domain.markers import Marker
from recorder.spool.layout import Take
from tests.unit.audio.marked_take import (
    FOUND,
    NORMAL,
    RINGING_SPAN,
    START,
    TALK_MS,
    gaps,
    plan_redaction,
    take,
)

RATE = 8000


def sound(folder: Path, *zeros: tuple[int, int], channels: tuple[int, ...] = (0, 1)) -> wav.Wav:
    """A minute of noise with zeros in these stretches (milliseconds)."""
    samples = np.random.default_rng(5).integers(-900, 900, (60 * RATE, 2)).astype(np.int16)
    samples[samples == 0] = 1
    for first, last in zeros:
        for channel in channels:
            samples[first * 8 : last * 8, channel] = 0
    soundfile.write(folder / "audio.wav", samples, RATE, subtype="PCM_16")
    return wav.inspect(folder / "audio.wav")


def marker(ms: int, kind: str, **data: str) -> Marker:
    return Marker(START + timedelta(milliseconds=ms), kind, data)


def paused(*markers: Marker) -> Take:
    original = take(NORMAL)
    return replace(original, markers=tuple(sorted((*original.markers, *markers), key=lambda each: each.at)))


def find_pauses(call: Take, file: wav.Wav) -> tuple[LocatedPause, ...]:
    return locate_pauses(locate_take(call, file, FOUND)).pauses


PAUSE = marker(20_000, "paused", seconds="120")


def test_pause_is_where_the_zeros_are(tmp_path: Path) -> None:
    pauses, file = paused(PAUSE, marker(25_000, "resumed")), sound(tmp_path, (20_350, 25_210))
    assert find_pauses(pauses, file) == (LocatedPause(20_350, 25_210, silent=True),)
    plan = plan_redaction(pauses, file, FOUND, (), find_pauses(pauses, file))
    assert (20_350, 25_210, "both", "paused") in gaps(plan)
    assert plan.both == (RINGING_SPAN,), "only ringing is redacted"


@pytest.mark.parametrize("channels", [(), (1,), (0,)])
def test_redacts_pause_without_zeros(tmp_path: Path, channels: tuple[int, ...]) -> None:
    pauses, file = (
        paused(PAUSE, marker(25_000, "resumed")),
        sound(tmp_path, (20_350, 25_210), channels=channels),
    )
    (found,) = find_pauses(pauses, file)
    assert not found.silent
    plan = plan_redaction(pauses, file, FOUND, (), (found,))
    assert (20_100, 25_100, "both", "paused") in gaps(plan)
    samples = np.concatenate(list(wav.read_blocks(file, 1 << 16)))
    redacted = redaction.silence(samples, 0, RATE, plan)
    assert not redacted[20_100 * 8 : 25_100 * 8].any()
    assert (redacted[25_100 * 8 :] == samples[25_100 * 8 :]).all()


@pytest.mark.parametrize("zeros", [(20_100, 46_000), (25_000, 50_100)])
def test_redacts_all_of_a_partially_masked_pause(tmp_path: Path, zeros: tuple[int, int]) -> None:
    """The rest may contain the card number."""
    pauses = paused(PAUSE, marker(50_000, "resumed"))
    file = sound(tmp_path, zeros)
    assert find_pauses(pauses, file) == (LocatedPause(20_100, 50_000, silent=False),)


def test_pause_ends_after_its_time_limit(tmp_path: Path) -> None:
    pauses = paused(marker(20_000, "paused", seconds="10"))
    assert find_pauses(pauses, sound(tmp_path, (20_100, 30_400))) == (
        LocatedPause(20_100, 30_400, silent=True),
    )


def test_pause_ends_with_the_call(tmp_path: Path) -> None:
    pauses, file = paused(PAUSE), sound(tmp_path, (20_100, 60_000))
    assert find_pauses(pauses, file) == (LocatedPause(20_100, 60_000, silent=True),)


def test_pausing_again_restarts_the_time_limit() -> None:
    markers = [
        marker(0, "paused", seconds="10"),
        marker(6000, "paused", seconds="10"),
        marker(15_500, "resumed"),
    ]
    (found,) = read_pauses(markers, START + timedelta(seconds=60))
    assert (found.begin, found.end) == (markers[0].at, markers[2].at)


def test_locates_two_pauses(tmp_path: Path) -> None:
    pauses = paused(
        PAUSE, marker(25_000, "resumed"), marker(30_000, "paused", seconds="120"), marker(33_000, "resumed")
    )
    file = sound(tmp_path, (20_100, 25_100), (30_100, 33_100))
    assert [(each.start_ms, each.end_ms) for each in find_pauses(pauses, file)] == [
        (20_100, 25_100),
        (30_100, 33_100),
    ]


@pytest.mark.parametrize(
    ("markers", "zeros"),
    [
        # Paused while unobserved, seen after the reconciliation, then ended by the code.
        ([marker(18_000, "unobserved_from"), marker(30_000, "unobserved_to"),
          marker(30_000, "paused", seen="later"), marker(35_000, "resumed")], (20_200, 35_100)),
        # Paused, and over at the reconciliation.
        ([PAUSE, marker(22_000, "unobserved_from"), marker(40_000, "unobserved_to"),
          marker(40_000, "resumed", seen="later")], (20_100, 31_000)),
    ],
)  # fmt: skip
def test_locates_pause_seen_later(tmp_path: Path, markers: list[Marker], zeros: tuple[int, int]) -> None:
    assert find_pauses(paused(*markers), sound(tmp_path, zeros)) == (LocatedPause(*zeros, silent=True),)


AWAY = (marker(18_000, "unobserved_from"), marker(24_000, "unobserved_to"))


def test_pause_seen_later_ends_by_itself(tmp_path: Path) -> None:
    pauses = paused(*AWAY, marker(20_000, "paused", seconds="12", seen="later"))
    file = sound(tmp_path, (20_600, 32_400))
    (found,) = find_pauses(pauses, file)
    assert found == LocatedPause(20_600, 32_400, silent=True)
    plan = plan_redaction(pauses, file, FOUND, (), (found,))
    assert [gap for gap in gaps(plan) if gap[0] >= 20_000] == [(20_600, 32_400, "both", "paused")]
    samples = np.concatenate(list(wav.read_blocks(file, 1 << 16)))
    redacted = redaction.silence(samples, 0, RATE, plan)
    assert (redacted[32_400 * 8 :] == samples[32_400 * 8 :]).all()


@pytest.mark.parametrize("zeros", [(20_600, 26_000), (26_000, 32_400), (5_000, 5_100)])
def test_redacts_partial_pause_seen_later_to_its_latest_end(tmp_path: Path, zeros: tuple[int, int]) -> None:
    pauses = paused(*AWAY, marker(20_000, "paused", seconds="12", seen="later"))
    assert find_pauses(pauses, sound(tmp_path, zeros)) == (LocatedPause(20_100, 32_100, silent=False),)


def test_redacts_pause_with_unknown_start_from_the_absence(tmp_path: Path) -> None:
    """The zeros may cover only part of it; it ends after its time limit in any case."""
    pauses = paused(*AWAY, marker(24_000, "paused", seconds="12", began="unknown", seen="later"))
    assert find_pauses(pauses, sound(tmp_path, (20_600, 32_400))) == (
        LocatedPause(18_100, 36_000, silent=False),
    )


def test_earlier_unobserved_pause_is_not_confused_with_it(tmp_path: Path) -> None:
    pauses = paused(
        marker(15_000, "unobserved_from"), marker(31_000, "unobserved_to"),
        marker(30_000, "paused", seconds="10", seen="later"), marker(33_000, "resumed"),
    )  # fmt: skip
    assert find_pauses(pauses, sound(tmp_path, (16_000, 26_000), (30_500, 33_100))) == (
        LocatedPause(30_500, 33_100, silent=True),
    )


def test_noted_moment_is_a_marker_and_no_gap(tmp_path: Path) -> None:
    pauses, file = paused(marker(20_000, "moment_marked")), sound(tmp_path)
    plan = plan_redaction(pauses, file, FOUND, (), find_pauses(pauses, file))
    assert [gap for gap in gaps(plan) if gap[0] >= TALK_MS] == []
    assert [each.offset_ms for each in plan.markers if each.kind == "moment_marked"] == [20_100]


def test_never_locates_a_pause_in_the_announcement(tmp_path: Path) -> None:
    """At the reconciliation it was paused, and nobody had watched since the announcement began: the redaction
    must leave the announcement whole."""
    unwatched = marker(FOUND.end_ms - 800, "unobserved_from")
    pauses = paused(unwatched, marker(20_000, "unobserved_to"), marker(20_000, "paused", seen="later"))
    (found,) = find_pauses(pauses, sound(tmp_path, (5_000, 6_500)))
    assert found == LocatedPause(FOUND.end_ms, 60_000, silent=False)
