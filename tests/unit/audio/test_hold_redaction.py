"""The redaction of holds, and of the time in which the external party waits."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from recorder.audio import missing_audio, redaction
from recorder.audio.encoded_take import Prompt
from recorder.audio.timeline import locate_take
from tests.unit.audio.marked_take import (
    FOUND,
    LENGTH_MS,
    NORMAL,
    RINGING_SPAN,
    START,
    TALK_MS,
    gaps,
    measured,
    plan_redaction,
    sound,
    take,
)


def test_simultaneous_holds_are_one_gap() -> None:
    holds = [(20_000, "hold"), (21_000, "hold"), (22_000, "unhold"), (25_000, "unhold"), (26_000, "unhold")]
    plan = plan_redaction(take([*NORMAL, *holds, (59_000, "hold")]), sound(), FOUND)
    assert gaps(plan)[2:] == [(19_800, 25_400, "both", "hold"), (58_700, 60_000, "both", "hold")]
    assert plan.both == (RINGING_SPAN, (19_800, 25_400), (58_700, 60_000))


def test_hold_missing_in_the_audio_redacts_only_its_edges() -> None:
    """A telephone that sends nothing on hold: in the audio, the conversation follows at once, and events may
    be early or late."""
    markers = [*NORMAL, (20_000, "hold"), (35_000, "unhold"), (40_000, "unbridged"), (75_000, "hangup")]
    plan = plan_redaction(take(markers), sound(), FOUND)
    assert plan.both == (RINGING_SPAN, (19_800, 20_400))
    hold = next(gap for gap in plan.gaps if gap.reason == "hold")
    assert (hold.start_ms, hold.end_ms) == (19_800, 20_400)
    assert plan.drift_ms == 15_000
    assert {gap.reason for gap in plan.gaps} == {"before_announcement_end", "ringing", "hold"}
    assert next(m.offset_ms for m in plan.markers if m.kind == "unbridged") == 25_100


def test_inserted_hold_has_its_length_and_keeps_later_offsets() -> None:
    markers = [*NORMAL, (20_000, "hold"), (35_000, "unhold"), (40_000, "unbridged"), (75_000, "hangup")]
    filled = missing_audio.fill(locate_take(take(markers), sound(), FOUND))
    plan = redaction.plan(filled)
    hold = next(gap for gap in plan.gaps if gap.reason == "hold")
    assert (hold.start_ms, hold.end_ms, hold.channel) == (19_800, 35_400, "both")
    assert (filled.sound.duration_ms, plan.drift_ms) == (LENGTH_MS + 15_000, 0)
    assert next(m.offset_ms for m in plan.markers if m.kind == "unbridged") == 40_100


@pytest.mark.parametrize(
    "stretches",
    [
        [(20_000, "hold"), (30_000, "unhold"), (40_000, "hold"), (50_000, "unhold")],
        [(20_000, "hold"), (30_000, "unhold"), (40_000, "unbridged"), (50_000, "bridged")],
    ],
)
def test_redacts_every_place_where_a_hold_may_be(stretches: list[tuple[int, str]]) -> None:
    """The audio contains one of two, and it is unknown which one: both may be up to ten seconds earlier."""
    call = take([*NORMAL, *stretches, (70_000, "hangup")])
    assert missing_audio.find_holes(locate_take(call, sound(), FOUND)) == ()
    plan = plan_redaction(call, sound(), FOUND)
    assert plan.both == (RINGING_SPAN, (TALK_MS, 30_400), (29_700, 50_400))


def test_inserted_silence_splits_no_located_prompt() -> None:
    assert missing_audio.shift_stretch((1000, 2000), ((1000, 500), (2000, 700))) == (1500, 2500)
    prompt = Prompt(0, "question", START + timedelta(seconds=40), 19_900, 25_000, 1.0)
    call = take([*NORMAL, (20_000, "hold"), (35_000, "unhold"), (75_000, "hangup")])
    located = locate_take(call, sound(), FOUND, (prompt,))
    ((at, length),) = missing_audio.find_holes(located)
    assert at == 19_900
    assert missing_audio.fill(located).prompts[0].offset_ms == 19_900 + length


def test_missing_hold_does_not_prevent_other_redactions() -> None:
    """Only that hold is missing: before and after it, every place is known."""
    colleagues = [(20_000, "internal_hold"), (25_000, "internal_unhold")]
    theirs = [(30_000, "hold"), (40_000, "unhold")]
    later = [(50_000, "internal_hold"), (57_000, "internal_unhold"), (70_000, "hangup")]
    plan = plan_redaction(take([*NORMAL, *colleagues, *theirs, *later]), sound(), FOUND)
    assert [(g.start_ms, g.end_ms) for g in plan.gaps if g.reason == "hold"] == [
        (19_800, 25_400), (29_800, 30_400), (39_700, 47_300),
    ]  # fmt: skip
    # A loaded switch caught up: 0.8 s more than the hold explains, at an unknown place.
    plan = plan_redaction(take([*NORMAL, *colleagues, *theirs, *later]), sound(LENGTH_MS + 900), FOUND)
    assert plan.both[1:] == ((20_600, 40_400), (TALK_MS, 25_400), (40_600, 57_400))


def test_measured_lengths_tell_a_park_without_music_from_a_hold() -> None:
    """Nothing was written while the call was parked; the later hold is in the audio."""
    markers = [(20_000, "unbridged"), (25_700, "bridged"), (40_000, "hold"), (46_000, "unhold")]
    call = measured(
        take([*NORMAL, *markers, (65_700, "hangup")]),
        (20_020, 20_000), (25_740, 20_020), (40_010, 34_290), (46_030, 40_310),
    )  # fmt: skip
    located = locate_take(call, sound(), FOUND)
    assert missing_audio.find_holes(located) == ((20_000, 5_700),)
    plan = redaction.plan(missing_audio.fill(located))
    assert [gap for gap in gaps(plan) if gap[3] in ("hold", "waiting", "write_error")] == [
        (19_930, 25_730, "both", "waiting"), (39_930, 46_030, "both", "hold"),
    ]  # fmt: skip
    assert plan.drift_ms == 0
    assert next(m.offset_ms for m in plan.markers if m.kind == "unhold") == 45_980


def test_measured_hold_that_is_missing_in_part() -> None:
    """The phone sent something for two of its six seconds."""
    markers = [(20_000, "hold"), (26_000, "unhold"), (40_000, "internal_hold"), (45_000, "internal_unhold")]
    call = measured(
        take([*NORMAL, *markers, (64_000, "hangup")]),
        (20_000, 20_000), (26_000, 22_000), (40_000, 36_000), (45_000, 41_000),
    )  # fmt: skip
    located = locate_take(call, sound(), FOUND)
    assert missing_audio.find_holes(located) == ((20_000, 4_000),)
    plan = redaction.plan(missing_audio.fill(located))
    assert [gap[:2] for gap in gaps(plan) if gap[3] == "hold"] == [(19_950, 26_050), (39_950, 45_050)]


def test_measured_hold_at_an_unknown_place_is_redacted_generously() -> None:
    """Two seconds are missing, more than the hold explains, and nobody watched from 15 s to 30 s."""
    markers = [
        (15_000, "unobserved_from"),
        (20_000, "hold"),
        (21_000, "unhold later"),
        (30_000, "unobserved_to"),
    ]
    call = measured(take([*NORMAL, *markers, (62_000, "hangup")]), (15_000, 15_000), (30_000, 28_000))
    plan = plan_redaction(call, sound(), FOUND)
    assert [gap[:2] for gap in gaps(plan) if gap[3] == "hold"] == [(17_950, 21_050)]


def test_audio_that_nothing_explains_is_a_gap_between_its_neighbours() -> None:
    """The switch wrote nothing for five seconds of the conversation."""
    markers = [(20_000, "moment_marked"), (40_000, "moment_marked"), (50_000, "hold"), (52_000, "unhold")]
    call = measured(
        take([*NORMAL, *markers, (65_000, "hangup")]),
        (20_000, 20_000), (40_000, 35_000), (50_000, 45_000), (52_000, 47_000),
    )  # fmt: skip
    located = locate_take(call, sound(), FOUND)
    assert missing_audio.find_holes(located) == ((35_000, 5_000),)
    plan = redaction.plan(missing_audio.fill(located))
    assert [gap for gap in gaps(plan) if gap[0] > TALK_MS] == [
        (35_000, 40_000, "both", "write_error"), (49_950, 52_050, "both", "hold"),
    ]  # fmt: skip
    assert plan.drift_ms == 0


@pytest.mark.parametrize(
    ("markers", "lengths", "explained"),
    [
        # The switch wrote nothing until it had connected the next colleague.
        (
            [(20_000, "internal_hold"), (25_000, "unbridged"), (25_100, "bridged")],
            [(20_000, 20_000), (25_000, 20_000), (25_100, 20_020)],
            [(19_950, 25_050, "both", "hold"), (25_050, 25_080, "both", "waiting")],
        ),
        (
            [(20_000, "unbridged"), (20_200, "bridged")],
            [(20_000, 20_000), (20_200, 20_020)],
            [(20_000, 20_180, "both", "waiting")],
        ),
    ],
)
def test_all_inserted_silence_has_a_reason(markers, lengths, explained) -> None:
    call = measured(take([*NORMAL, *markers, (65_000, "hangup")]), *lengths)
    plan = redaction.plan(missing_audio.fill(locate_take(call, sound(), FOUND)))
    assert [gap for gap in gaps(plan) if TALK_MS < gap[0] < 30_000] == explained


def test_lengths_are_no_points_if_a_clock_was_set_back() -> None:
    markers = [(20_000, "hold"), (25_000, "unhold")]
    call = measured(take([*NORMAL, *markers], 40_000), (20_000, 40_000), (25_000, 45_000))
    clock = locate_take(call, sound(), FOUND).clock
    assert clock.set_back_ms == 20_000
    assert not clock.measured


def test_missing_hold_is_still_a_gap() -> None:
    markers = [*NORMAL, (20_000, "hold"), (30_000, "unhold"), (69_900, "hangup")]
    plan = plan_redaction(take(markers), sound(), FOUND)
    assert [(g.start_ms, g.end_ms) for g in plan.gaps if g.reason == "hold"] == [(19_800, 20_400)]


def test_hold_across_the_bridge_begins_with_the_conversation() -> None:
    plan = plan_redaction(
        take([*NORMAL[:3], (13_000, "hold"), NORMAL[3], (16_000, "unhold")]), sound(), FOUND
    )
    assert gaps(plan) == [
        (0, 10_300, "left", "before_announcement_end"),
        (*RINGING_SPAN, "both", "ringing"),
        (TALK_MS, 16_400, "both", "hold"),
    ]


WAITING_SCENARIOS = {
    "one hold by a colleague": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold")],
        [(19_800, 25_400, "hold")]),
    "two holds by a colleague": (
        [(20_000, "internal_hold"), (22_000, "internal_unhold"), (30_000, "internal_hold"),
         (33_000, "internal_unhold")],
        [(19_800, 22_400, "hold"), (29_800, 33_400, "hold")]),
    "a hold until the end": (
        [(20_000, "internal_hold")],
        [(19_800, LENGTH_MS, "hold")]),
    "a hold, then a transfer": (
        [(20_000, "internal_hold"), (25_000, "unbridged"), (28_000, "bridged")],
        [(19_800, 25_400, "hold"), (25_400, 28_400, "waiting")]),
    "a transfer, the unhold before the unbridge": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold"), (25_020, "unbridged"),
         (28_000, "bridged")],
        [(19_800, 25_420, "hold"), (25_420, 28_400, "waiting")]),
    "a transfer, the unhold after the unbridge": (
        [(20_000, "internal_hold"), (25_000, "unbridged"), (25_020, "internal_unhold"),
         (28_000, "bridged")],
        [(19_800, 25_400, "hold"), (25_400, 28_400, "waiting")]),
    "a hold, then another colleague at once": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold"), (25_020, "unbridged"),
         (25_060, "bridged")],
        [(19_800, 25_400, "hold")]),
    "a hold, its end, then a transfer": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold"), (25_700, "unbridged"),
         (28_000, "bridged")],
        [(19_800, 25_400, "hold"), (25_500, 28_400, "waiting")]),
    "a hold, then a bridge without an unbridge": (
        [(20_000, "internal_hold"), (25_000, "bridged")],
        [(19_800, 25_400, "hold")]),
    "a hold with an unobserved end": (
        [(20_000, "internal_hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to")],
        [(19_800, 22_400, "hold")]),
    "a hold that continues after an absence": (
        [(20_000, "internal_hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to"),
         (20_000, "internal_hold"), (28_000, "internal_unhold")],
        [(19_800, 28_400, "hold")]),
    "a hold with an unobserved start": (
        [(20_000, "unobserved_from"), (25_000, "unobserved_to"), (22_000, "internal_hold"),
         (28_000, "internal_unhold")],
        [(21_800, 28_400, "hold")]),
    "holds by both sides": (
        [(20_000, "internal_hold"), (21_000, "hold"), (23_000, "internal_unhold"), (24_000, "unhold")],
        [(19_800, 24_400, "hold")]),
    "parked": (
        [(20_000, "unbridged"), (25_000, "bridged")],
        [(19_800, 25_400, "waiting")]),
    "markers in the wrong order": (
        [(20_000, "unbridged"), (19_990, "bridged")],
        []),
    "unbridged to the end": (
        [(20_000, "unbridged")],
        []),
    "unbridged for a conference": (
        [(20_000, "unbridged"), (30_000, "conference_left"), (30_500, "bridged")],
        []),
    "unbridged, then an absence": (
        [(20_000, "unbridged"), (21_000, "unobserved_from"), (24_000, "unobserved_to"),
         (25_000, "bridged")],
        []),
    "the external party's hold with an unobserved end": (
        [(20_000, "hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to")],
        [(19_800, 22_400, "hold")]),
    "the external party's hold that continues after an absence": (
        [(20_000, "hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to"), (28_000, "unhold")],
        [(19_800, 28_400, "hold")]),
    "the external party's hold that ended in an absence": (
        [(20_000, "hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to"),
         (25_000, "unhold later"), (30_000, "hold"), (33_000, "unhold")],
        [(19_800, 22_400, "hold"), (29_800, 33_400, "hold")]),
}  # fmt: skip


@pytest.mark.parametrize(("markers", "silent"), WAITING_SCENARIOS.values(), ids=WAITING_SCENARIOS)
def test_redacts_the_external_party_while_they_wait(
    markers: list[tuple[int, str]], silent: list[tuple[int, int, str]]
) -> None:
    plan = plan_redaction(take([*NORMAL, *markers]), sound(), FOUND)
    found = [gap for gap in gaps(plan) if gap[3] in ("hold", "waiting")]
    assert found == [(start, end, "both", reason) for start, end, reason in silent]
    redacted = redaction.silence(np.ones((LENGTH_MS * 8, 2), np.int16), 0, 8000, plan)
    expected = np.ones((LENGTH_MS, 2), bool)
    expected[:10_300, 0] = expected[10_300:TALK_MS] = False
    for start, end, _ in silent:
        expected[start:end] = False
    assert (redacted.reshape(LENGTH_MS, 8, 2).all(axis=1) == expected).all()


def test_hold_within_an_unobserved_stretch() -> None:
    markers = [(20_000, "unobserved_from"), (22_000, "hold"), (23_000, "unhold"), (30_000, "unobserved_to")]
    plan = plan_redaction(take([*NORMAL, *markers]), sound(), FOUND)
    assert gaps(plan)[2:] == [
        (20_100, 21_800, "both", "unobserved"),
        (21_800, 23_400, "both", "hold"),
        (23_400, 30_100, "both", "unobserved"),
    ]
    assert plan.both == (RINGING_SPAN, (21_800, 23_400))  # an unobserved stretch is kept
