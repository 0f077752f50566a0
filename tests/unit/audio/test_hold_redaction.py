"""The redaction of holds, and of the time in which the external party waits."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from recorder.audio import missing_audio, redaction, timeline
from recorder.audio.encoded_take import LocatedAnnouncement, Prompt
from recorder.audio.wav import Wav
from recorder.spool.layout import Take
from tests.unit.audio.marked_take import FOUND, LENGTH_MS, NORMAL, RINGING_SPAN, START, gaps, sound, take


def test_simultaneous_holds_are_one_gap() -> None:
    holds = [(20_000, "hold"), (21_000, "hold"), (22_000, "unhold"), (25_000, "unhold"), (26_000, "unhold")]
    plan = redaction.plan(take([*NORMAL, *holds, (59_000, "hold")]), sound(), FOUND)
    assert gaps(plan)[2:] == [(20_100, 24_800, "both", "hold"), (59_000, 60_000, "both", "hold")]
    assert plan.both == (RINGING_SPAN, (20_100, 24_800), (59_000, 60_000))


def test_hold_missing_in_the_audio_redacts_nothing() -> None:
    """A telephone that sends nothing on hold: in the audio, the conversation follows at once."""
    marks = [*NORMAL, (20_000, "hold"), (35_000, "unhold"), (40_000, "unbridged"), (75_000, "hangup")]
    plan = redaction.plan(take(marks), sound(), FOUND)
    assert plan.both == (RINGING_SPAN,)
    hold = next(gap for gap in plan.gaps if gap.reason == "hold")
    assert (hold.start_ms, hold.end_ms) == (20_100, 20_101)
    assert plan.drift_ms == 15_000
    assert {gap.reason for gap in plan.gaps} == {"before_announcement_end", "ringing", "hold"}
    assert next(m.offset_ms for m in plan.markers if m.kind == "unbridged") == 25_100


def fill_missing(take: Take, sound: Wav, found: LocatedAnnouncement) -> tuple[Wav, LocatedAnnouncement]:
    """The sound with silence inserted for what the switch did not write, as it is encoded."""
    missing = missing_audio.find_holes(timeline.locate_times(take, sound, found), found)
    moved = missing_audio.shift_announcement(found, missing)
    assert moved is not None
    return missing_audio.fill_holes(sound, missing), moved


def test_inserted_hold_has_its_length_and_keeps_later_offsets() -> None:
    marks = [*NORMAL, (20_000, "hold"), (35_000, "unhold"), (40_000, "unbridged"), (75_000, "hangup")]
    call = take(marks)
    whole, found = fill_missing(call, sound(), FOUND)
    plan = redaction.plan(call, whole, found)
    hold = next(gap for gap in plan.gaps if gap.reason == "hold")
    assert (hold.start_ms, hold.end_ms, hold.channel) == (20_100, 35_100, "both")
    assert (whole.duration_ms, plan.drift_ms) == (LENGTH_MS + 15_000, 0)
    assert next(m.offset_ms for m in plan.markers if m.kind == "unbridged") == 40_100


def test_inserted_silence_with_one_of_two_holds_redacts_nothing_more() -> None:
    """The audio contains one of two holds, and it is unknown which one: neither is redacted."""
    marks = [*NORMAL, (20_000, "hold"), (30_000, "unhold"), (40_000, "hold"), (50_000, "unhold")]
    call = take([*marks, (70_000, "hangup")])
    whole, found = fill_missing(call, sound(), FOUND)
    plan = redaction.plan(call, whole, found)
    assert (plan.both, plan.drift_ms) == ((RINGING_SPAN,), -100)  # the announcement was found 100 ms later
    assert [(g.start_ms, g.end_ms) for g in plan.gaps if g.reason == "hold"] == [
        (20_100, 30_100), (40_100, 50_100),
    ]  # fmt: skip


def test_inserted_silence_splits_no_located_prompt() -> None:
    assert missing_audio.shift_stretch((1000, 2000), ((1000, 500), (2000, 700))) == (1500, 2500)
    prompt = Prompt(0, "question", START + timedelta(seconds=40), 19_900, 25_000, 1.0)
    call = take([*NORMAL, (20_000, "hold"), (35_000, "unhold"), (75_000, "hangup")])
    missing = missing_audio.find_holes(timeline.locate_times(call, sound(), FOUND, [prompt]), FOUND, [prompt])
    assert [at for at, _ in missing] == [19_900]
    assert missing_audio.shift_prompts([prompt], missing)[0].offset_ms == 19_900 + missing[0][1]


def test_redacts_nothing_if_the_audio_has_only_some_holds() -> None:
    marks = [
        *NORMAL,
        (20_000, "hold"),
        (30_000, "unhold"),
        (40_000, "hold"),
        (50_000, "unhold"),
        (70_000, "hangup"),
    ]
    plan = redaction.plan(take(marks), sound(), FOUND)
    assert plan.both == (RINGING_SPAN,)
    assert [gap.reason for gap in plan.gaps].count("hold") == 2


def test_missing_hold_does_not_prevent_other_redactions() -> None:
    """Only that hold is missing: before and after it, every place is known."""
    colleagues = [(20_000, "internal_hold"), (25_000, "internal_unhold")]
    theirs = [(30_000, "hold"), (40_000, "unhold")]
    later = [(50_000, "internal_hold"), (55_000, "internal_unhold"), (70_000, "hangup")]
    plan = redaction.plan(take([*NORMAL, *colleagues, *theirs, *later]), sound(), FOUND)
    assert plan.both == (RINGING_SPAN, (20_100, 24_800), (40_000, 44_700))
    assert [(g.start_ms, g.end_ms) for g in plan.gaps if g.reason == "hold"] == [
        (20_100, 24_800), (30_100, 30_101), (40_000, 44_700),
    ]  # fmt: skip
    # A loaded switch caught up: 0.8 s more than the hold explains, at an unknown place.
    plan = redaction.plan(take([*NORMAL, *colleagues, *theirs, *later]), sound(LENGTH_MS + 900), FOUND)
    assert plan.both == (RINGING_SPAN, (20_100 + 800, 25_100 - 800), (40_900 + 800, 45_900 - 800))


def test_missing_hold_is_still_a_gap() -> None:
    marks = [*NORMAL, (20_000, "hold"), (30_000, "unhold"), (69_900, "hangup")]
    plan = redaction.plan(take(marks), sound(), FOUND)
    assert [(g.start_ms, g.end_ms) for g in plan.gaps if g.reason == "hold"] == [(20_100, 20_101)]


def test_hold_across_the_bridge_begins_with_the_conversation() -> None:
    plan = redaction.plan(
        take([*NORMAL[:3], (13_000, "hold"), NORMAL[3], (16_000, "unhold")]), sound(), FOUND
    )
    assert gaps(plan) == [
        (0, 10_300, "left", "before_announcement_end"),
        (10_300, 14_300, "both", "ringing"),
        (14_300, 15_800, "both", "hold"),
    ]


WAITING_SCENARIOS = {
    "one hold by a colleague": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold")],
        [(20_100, 24_800, "hold")]),
    "two holds by a colleague": (
        [(20_000, "internal_hold"), (22_000, "internal_unhold"), (30_000, "internal_hold"),
         (33_000, "internal_unhold")],
        [(20_100, 21_800, "hold"), (30_100, 32_800, "hold")]),
    "a hold until the end": (
        [(20_000, "internal_hold")],
        [(20_100, LENGTH_MS, "hold")]),
    "a hold, then a transfer": (
        [(20_000, "internal_hold"), (25_000, "unbridged"), (28_000, "bridged")],
        [(20_100, 25_100, "hold"), (25_100, 27_800, "waiting")]),
    "a transfer, the unhold before the unbridge": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold"), (25_020, "unbridged"),
         (28_000, "bridged")],
        [(20_100, 25_120, "hold"), (25_120, 27_800, "waiting")]),
    "a transfer, the unhold after the unbridge": (
        [(20_000, "internal_hold"), (25_000, "unbridged"), (25_020, "internal_unhold"),
         (28_000, "bridged")],
        [(20_100, 25_100, "hold"), (25_100, 27_800, "waiting")]),
    "a hold, then another colleague at once": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold"), (25_020, "unbridged"),
         (25_060, "bridged")],
        [(20_100, 24_860, "hold")]),
    "a hold, its end, then a transfer": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold"), (25_700, "unbridged"),
         (28_000, "bridged")],
        [(20_100, 24_800, "hold"), (25_800, 27_800, "waiting")]),
    "a hold, then a bridge without an unbridge": (
        [(20_000, "internal_hold"), (25_000, "bridged")],
        [(20_100, 24_800, "hold")]),
    "a hold with an unobserved end": (
        [(20_000, "internal_hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to")],
        [(20_100, 21_800, "hold")]),
    "a hold that continues after an absence": (
        [(20_000, "internal_hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to"),
         (20_000, "internal_hold"), (28_000, "internal_unhold")],
        [(20_100, 27_800, "hold")]),
    "a hold with an unobserved start": (
        [(20_000, "unobserved_from"), (25_000, "unobserved_to"), (22_000, "internal_hold"),
         (28_000, "internal_unhold")],
        [(22_100, 27_800, "hold")]),
    "holds by both sides": (
        [(20_000, "internal_hold"), (21_000, "hold"), (23_000, "internal_unhold"), (24_000, "unhold")],
        [(20_100, 23_800, "hold")]),
    "parked": (
        [(20_000, "unbridged"), (25_000, "bridged")],
        [(20_100, 24_800, "waiting")]),
    "marks in the wrong order": (
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
        [(20_100, 21_800, "hold")]),
    "the external party's hold that continues after an absence": (
        [(20_000, "hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to"), (28_000, "unhold")],
        [(20_100, 27_800, "hold")]),
    "the external party's hold that ended in an absence": (
        [(20_000, "hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to"),
         (25_000, "unhold later"), (30_000, "hold"), (33_000, "unhold")],
        [(20_100, 21_800, "hold"), (30_100, 32_800, "hold")]),
}  # fmt: skip


@pytest.mark.parametrize(("marks", "silent"), WAITING_SCENARIOS.values(), ids=WAITING_SCENARIOS)
def test_redacts_the_external_party_while_they_wait(
    marks: list[tuple[int, str]], silent: list[tuple[int, int, str]]
) -> None:
    plan = redaction.plan(take([*NORMAL, *marks]), sound(), FOUND)
    found = [gap for gap in gaps(plan) if gap[3] in ("hold", "waiting")]
    assert found == [(start, end, "both", reason) for start, end, reason in silent]
    redacted = redaction.silence(np.ones((LENGTH_MS * 8, 2), np.int16), 0, 8000, plan)
    expected = np.ones((LENGTH_MS, 2), bool)
    expected[:10_300, 0] = expected[10_300:14_300] = False
    for start, end, _ in silent:
        expected[start:end] = False
    assert (redacted.reshape(LENGTH_MS, 8, 2).all(axis=1) == expected).all()


def test_hold_within_an_unobserved_stretch() -> None:
    marks = [(20_000, "unobserved_from"), (22_000, "hold"), (23_000, "unhold"), (30_000, "unobserved_to")]
    plan = redaction.plan(take([*NORMAL, *marks]), sound(), FOUND)
    assert gaps(plan)[2:] == [
        (20_100, 22_100, "both", "unobserved"),
        (22_100, 22_800, "both", "hold"),
        (22_800, 30_100, "both", "unobserved"),
    ]
    assert plan.both == (RINGING_SPAN, (22_100, 22_800))  # an unobserved stretch is kept
