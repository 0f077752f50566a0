"""A pause is where the zeros are; where there are none, nothing of it leaves the spool all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recorder.audio import redaction, wav
from recorder.audio.pause_redaction import Masked, masked, pauses
from recorder.spool.layout import Mark, Take
from tests.unit.audio.test_redaction import FOUND, NORMAL, START, gaps, take

RATE = 8000


def sound(folder: Path, *zeros: tuple[int, int], channels: tuple[int, ...] = (0, 1)) -> wav.Wav:
    """A minute of noise with zeros from … to … (ms)."""
    samples = np.random.default_rng(5).integers(-900, 900, (60 * RATE, 2)).astype(np.int16)
    samples[samples == 0] = 1
    for first, last in zeros:
        for channel in channels:
            samples[first * 8 : last * 8, channel] = 0
    soundfile.write(folder / "audio.wav", samples, RATE, subtype="PCM_16")
    return wav.inspect(folder / "audio.wav")


def mark(ms: int, kind: str, **data: str) -> Mark:
    return Mark(START + timedelta(milliseconds=ms), kind, data)


def paused(*marks: Mark) -> Take:
    made = take(NORMAL)
    return replace(made, marks=tuple(sorted((*made.marks, *marks), key=lambda each: each.at)))


PAUSE = mark(20_000, "paused", seconds="120")


def test_the_zeros_are_the_pause_to_the_millisecond(tmp_path: Path) -> None:
    made, file = paused(PAUSE, mark(25_000, "resumed")), sound(tmp_path, (20_350, 25_210))
    assert masked(made, file, FOUND) == (Masked(20_350, 25_210, silent=True),)
    plan = redaction.plan(made, file, FOUND, (), masked(made, file, FOUND))
    assert (20_350, 25_210, "both", "paused") in gaps(plan)
    assert plan.both == ((10_300, 14_300),), "only while it rang"


@pytest.mark.parametrize("channels", [(), (1,), (0,)])
def test_what_the_switch_did_not_mask_is_silenced(tmp_path: Path, channels: tuple[int, ...]) -> None:
    made, file = paused(PAUSE, mark(25_000, "resumed")), sound(tmp_path, (20_350, 25_210), channels=channels)
    (found,) = masked(made, file, FOUND)
    assert not found.silent
    plan = redaction.plan(made, file, FOUND, (), (found,))
    assert (20_100, 25_100, "both", "paused") in gaps(plan)
    samples = np.concatenate(list(wav.blocks(file, 1 << 16)))
    kept = redaction.silence(samples, 0, RATE, plan)
    assert not kept[20_100 * 8 : 25_100 * 8].any()
    assert (kept[25_100 * 8 :] == samples[25_100 * 8 :]).all()


@pytest.mark.parametrize("zeros", [(20_100, 46_000), (25_000, 50_100)])
def test_a_pause_that_is_masked_only_in_part_is_silenced_whole(
    tmp_path: Path, zeros: tuple[int, int]
) -> None:
    """The rest may be the card number."""
    made = paused(PAUSE, mark(50_000, "resumed"))
    file = sound(tmp_path, zeros)
    assert masked(made, file, FOUND) == (Masked(20_100, 50_000, silent=False),)


def test_it_ends_by_itself_after_the_seconds_that_the_switch_said(tmp_path: Path) -> None:
    made = paused(mark(20_000, "paused", seconds="10"))
    assert masked(made, sound(tmp_path, (20_100, 30_400)), FOUND) == (Masked(20_100, 30_400, silent=True),)


def test_it_ends_with_the_call(tmp_path: Path) -> None:
    made, file = paused(PAUSE), sound(tmp_path, (20_100, 60_000))
    assert masked(made, file, FOUND) == (Masked(20_100, 60_000, silent=True),)


def test_paused_once_more_it_lasts_from_then_on() -> None:
    marks = [mark(0, "paused", seconds="10"), mark(6000, "paused", seconds="10"), mark(15_500, "resumed")]
    (found,) = pauses(marks, START + timedelta(seconds=60))
    assert (found.begin, found.end) == (marks[0].at, marks[2].at)


def test_two_pauses_are_two(tmp_path: Path) -> None:
    made = paused(
        PAUSE, mark(25_000, "resumed"), mark(30_000, "paused", seconds="120"), mark(33_000, "resumed")
    )
    file = sound(tmp_path, (20_100, 25_100), (30_100, 33_100))
    assert [(each.start_ms, each.end_ms) for each in masked(made, file, FOUND)] == [
        (20_100, 25_100),
        (30_100, 33_100),
    ]


@pytest.mark.parametrize(
    ("marks", "zeros"),
    [
        # Paused while nobody watched, and seen when the daemon came back; then ended by the code.
        ([mark(18_000, "unobserved_from"), mark(30_000, "unobserved_to"),
          mark(30_000, "paused", seen="later"), mark(35_000, "resumed")], (20_200, 35_100)),
        # Paused, and over when the daemon came back.
        ([PAUSE, mark(22_000, "unobserved_from"), mark(40_000, "unobserved_to"),
          mark(40_000, "resumed", seen="later")], (20_100, 31_000)),
    ],
)  # fmt: skip
def test_what_was_only_seen_later_is_found_in_the_sound(
    tmp_path: Path, marks: list[Mark], zeros: tuple[int, int]
) -> None:
    assert masked(paused(*marks), sound(tmp_path, zeros), FOUND) == (Masked(*zeros, silent=True),)


AWAY = (mark(18_000, "unobserved_from"), mark(24_000, "unobserved_to"))


def test_one_that_was_seen_later_ends_by_itself_and_the_talk_after_it_is_kept(tmp_path: Path) -> None:
    made = paused(*AWAY, mark(20_000, "paused", seconds="12", seen="later"))
    file = sound(tmp_path, (20_600, 32_400))
    (found,) = masked(made, file, FOUND)
    assert found == Masked(20_600, 32_400, silent=True)
    plan = redaction.plan(made, file, FOUND, (), (found,))
    assert [gap for gap in gaps(plan) if gap[0] >= 20_000] == [(20_600, 32_400, "both", "paused")]
    samples = np.concatenate(list(wav.blocks(file, 1 << 16)))
    kept = redaction.silence(samples, 0, RATE, plan)
    assert (kept[32_400 * 8 :] == samples[32_400 * 8 :]).all()


@pytest.mark.parametrize("zeros", [(20_600, 26_000), (26_000, 32_400), (5_000, 5_100)])
def test_one_that_was_seen_later_and_is_not_whole_is_silenced_as_long_as_it_can_have_been(
    tmp_path: Path, zeros: tuple[int, int]
) -> None:
    made = paused(*AWAY, mark(20_000, "paused", seconds="12", seen="later"))
    assert masked(made, sound(tmp_path, zeros), FOUND) == (Masked(20_100, 32_100, silent=False),)


def test_one_whose_beginning_nobody_knows_is_silenced_from_when_nobody_watched(tmp_path: Path) -> None:
    """The zeros may be of less than all of it; after its seconds it is over in any case."""
    made = paused(*AWAY, mark(24_000, "paused", seconds="12", began="unknown", seen="later"))
    assert masked(made, sound(tmp_path, (20_600, 32_400)), FOUND) == (Masked(18_100, 36_000, silent=False),)


def test_an_earlier_one_that_nobody_saw_is_not_taken_for_it(tmp_path: Path) -> None:
    made = paused(
        mark(15_000, "unobserved_from"), mark(31_000, "unobserved_to"),
        mark(30_000, "paused", seconds="10", seen="later"), mark(33_000, "resumed"),
    )  # fmt: skip
    assert masked(made, sound(tmp_path, (16_000, 26_000), (30_500, 33_100)), FOUND) == (
        Masked(30_500, 33_100, silent=True),
    )


def test_a_note_is_a_marker_and_no_gap(tmp_path: Path) -> None:
    made, file = paused(mark(20_000, "moment_marked")), sound(tmp_path)
    plan = redaction.plan(made, file, FOUND, (), masked(made, file, FOUND))
    assert [gap for gap in gaps(plan) if gap[0] >= 14_300] == []
    assert [each.offset_ms for each in plan.markers if each.kind == "moment_marked"] == [20_100]


def test_a_pause_is_never_looked_for_in_the_announcement(tmp_path: Path) -> None:
    """Whoever came back saw that it was paused, and nobody had watched since the announcement began: what is
    silenced then leaves the announcement whole, or nobody would hear that it was said."""
    unwatched = mark(FOUND.end_ms - 800, "unobserved_from")
    made = paused(unwatched, mark(20_000, "unobserved_to"), mark(20_000, "paused", seen="later"))
    (found,) = masked(made, sound(tmp_path, (5_000, 6_500)), FOUND)
    assert found == Masked(FOUND.end_ms, 60_000, silent=False)
