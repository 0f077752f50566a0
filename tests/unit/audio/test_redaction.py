"""Which stretches are silent, and how each is explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.audio import missing_audio, redaction, timeline
from recorder.audio.encoded_take import GAP_REASONS, Gap, LocatedAnnouncement, Prompt
from recorder.audio.wav import Wav
from recorder.domain.line_policy import PromptSound, TransferNotice
from recorder.domain.parties import Party
from recorder.spool.layout import MARKS, CallEnd, CallStart, Mark, Take

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
LENGTH_MS = 60_000
FOUND = LocatedAnnouncement(300, 10_300, 1.0)
NORMAL = [
    (0, "recording_started"),
    (200, "announcement_started"),
    (10_200, "announcement_finished"),
    (14_200, "bridged"),
]
RANG = (10_300, 14_300)


def take(marks: list[tuple[int, str]], ended_ms: int = LENGTH_MS, seen: bool = True) -> Take:
    start = CallStart("r", "t", "l", "1", "inbound", "n", "c", Party("withheld", ""), START, ("opus",), None)
    if seen and not {"hangup", "recording_stopped"} & {kind for _, kind in marks}:
        marks = [*marks, (ended_ms, "hangup")]
    return Take(
        Path("/nowhere"),
        start,
        tuple(
            Mark(
                START + timedelta(milliseconds=ms), kind.split()[0], {"seen": "later"} if " " in kind else {}
            )
            for ms, kind in marks
        ),
        CallEnd("recorded", None, START + timedelta(milliseconds=ended_ms), None),
    )


def sound(length_ms: int = LENGTH_MS, broken: bool = False) -> Wav:
    return Wav(Path("/nowhere"), 8000, 44, length_ms * 8, broken)


def gaps(plan: redaction.RedactionPlan) -> list[tuple[int, int, str, str]]:
    return [(gap.start_ms, gap.end_ms, gap.channel, gap.reason) for gap in plan.gaps]


def test_an_ordinary_call() -> None:
    plan = redaction.plan(take(NORMAL), sound(), FOUND)
    assert plan.left_until_ms == 14_300  # the bridge, moved with the announcement's end
    assert gaps(plan) == [
        (0, 10_300, "left", "before_announcement_end"),
        (10_300, 14_300, "both", "ringing"),
    ]
    assert plan.both == ((10_300, 14_300),)
    assert plan.drift_ms == 0


AT_PICKUP = [
    (-9000, "bridged"),
    (0, "recording_started"),
    (200, "announcement_started"),
    (10_200, "announcement_finished"),
]


def told_together(marks: list[tuple[int, str]]) -> Take:
    made = take(marks)
    return replace(made, start=replace(made.start, at_pickup=True))


def test_told_together_the_one_who_answered_is_not_heard_before_it_either() -> None:
    plan = redaction.plan(told_together(AT_PICKUP), sound(), FOUND)
    assert plan.left_until_ms == 10_300
    assert plan.both == ((0, 300),)
    assert gaps(plan) == [
        (0, 300, "both", "before_announcement_end"),
        (300, 10_300, "left", "before_announcement_end"),
    ]
    samples = redaction.silence(np.ones((16_000, 2), np.int16), 0, 8000, plan)
    assert samples[:2400].max() == 0
    assert (samples[2400:, 0].max(), samples[2400:, 1].min()) == (0, 1)


def test_told_together_and_not_found_both_are_blank() -> None:
    plan = redaction.plan(told_together(AT_PICKUP), sound(), None)
    assert plan.left_until_ms == 11_200
    assert plan.both == ((0, 11_200),)


def test_a_recording_that_began_anew_counts_from_there() -> None:
    before = [(-5000, "recording_started"), (-4900, "announcement_started"), (-4000, "hold"),
              (-4000, "announcement_interrupted"), (-2000, "unhold")]  # fmt: skip
    made = told_together([AT_PICKUP[0], *before, *AT_PICKUP[1:]])
    plan = redaction.plan(made, sound(), FOUND)
    assert gaps(plan) == gaps(redaction.plan(told_together(AT_PICKUP), sound(), FOUND))
    assert plan.drift_ms == 0
    assert [mark.offset_ms for mark in plan.markers][:-2] == [0] * 7 + [300]


def test_marks_are_placed_from_the_nearest_prompt_that_was_found() -> None:
    plan = redaction.plan(take([*NORMAL, (30_000, "unbridged"), (60_000, "hangup")]), sound(), FOUND)
    assert [(marker.kind, marker.offset_ms) for marker in plan.markers] == [
        ("recording_started", 0),
        ("announcement_started", 300),
        ("announcement_finished", 10_300),
        ("bridged", 14_300),
        ("unbridged", 30_100),
        ("hangup", 60_000),
    ]


def test_an_end_that_was_noted_late_moves_nothing() -> None:
    """By a daemon that took the call over while it rang."""
    late = [NORMAL[0], NORMAL[1], (14_200, "bridged"), (16_000, "announcement_finished")]
    assert redaction.plan(take(late), sound(), FOUND).left_until_ms == 14_300


@pytest.mark.parametrize("late_ms", [1600, 3000])
def test_an_end_that_was_noted_soon_after_it_moves_nothing_either(late_ms: int) -> None:
    """A daemon was away for seconds: what it noted then is no end of the playing that was found, though it
    would be near enough; the bridge would lie in the announcement, and all that they said while it rang
    would be kept."""
    marks = [Mark(START + timedelta(milliseconds=at), kind, {}) for at, kind in (*NORMAL[:2], NORMAL[3])]
    noted = START + timedelta(milliseconds=10_200 + late_ms)
    later = replace(take(NORMAL), marks=(*marks, Mark(noted, "announcement_finished", {"seen": "later"})))
    assert redaction.plan(later, sound(), FOUND).left_until_ms == 14_300


def test_an_announcement_that_was_found_after_the_bridge_counts() -> None:
    late = redaction.plan(take(NORMAL), sound(), LocatedAnnouncement(20_000, 30_000, 1.0))
    assert late.left_until_ms >= 30_000
    assert gaps(late)[0] == (0, 30_000, "left", "before_announcement_end")


def test_an_announcement_that_started_twice() -> None:
    marks = [
        (0, "recording_started"),
        (200, "announcement_started"),
        (3000, "hold"),
        (3000, "announcement_interrupted"),
        (5000, "unhold"),
        (5100, "announcement_started"),
        (15_100, "announcement_finished"),
        (16_000, "bridged"),
    ]
    plan = redaction.plan(take(marks), sound(), LocatedAnnouncement(5300, 15_300, 1.0))
    assert gaps(plan) == [
        (0, 15_300, "left", "before_announcement_end"),
        (15_300, 16_200, "both", "ringing"),
    ]
    assert plan.both == ((15_300, 16_200),)  # the hold lies before, and is explained
    assert [m.offset_ms for m in plan.markers if m.kind == "announcement_started"] == [200, 5300]


def test_a_call_that_was_never_bridged_is_blank() -> None:
    plan = redaction.plan(take(NORMAL[:3]), sound(), FOUND)
    assert plan.left_until_ms == LENGTH_MS
    assert gaps(plan)[-1] == (10_300, LENGTH_MS, "left", "ringing")


def test_a_bridge_that_nobody_saw_is_not_called_ringing() -> None:
    plan = redaction.plan(take([*NORMAL[:3], (11_000, "unobserved_from")], seen=False), sound(), FOUND)
    assert plan.left_until_ms == LENGTH_MS
    assert gaps(plan) == [
        (0, 10_300, "left", "before_announcement_end"),
        (10_300, 11_100, "left", "unobserved"),
        (11_100, LENGTH_MS, "both", "unobserved"),
    ]


def test_what_nobody_saw_before_the_bridge_is_not_called_ringing() -> None:
    """They may have talked then, and have been transferred: the switch knows the last bridge only."""
    away = [(12_000, "unobserved_from"), (20_000, "unobserved_to"), (17_000, "bridged"), (50_000, "bridged")]
    plan = redaction.plan(take([*NORMAL[:3], *away]), sound(), FOUND)
    assert plan.left_until_ms == 17_100
    assert gaps(plan) == [
        (0, 10_300, "left", "before_announcement_end"),
        (10_300, 12_100, "left", "ringing"),
        (12_100, 20_100, "both", "unobserved"),
    ]


def test_not_found_is_blank_until_a_second_after_the_playback() -> None:
    plan = redaction.plan(take([*NORMAL[:3], (10_250, "bridged")]), sound(), None)
    assert gaps(plan) == [(0, 11_200, "left", "before_announcement_end")]


@pytest.mark.parametrize(
    "marks",
    [
        [(14_200, "bridged")],
        [(200, "announcement_started"), (14_200, "bridged")],
        [(200, "announcement_started"), (3000, "announcement_interrupted"), (14_200, "bridged")],
        [(200, "announcement_started"), (9000, "announcement_finished"), (9001, "announcement_started")],
    ],
)
def test_not_found_and_never_finished_is_all_blank(marks: list[tuple[int, str]]) -> None:
    plan = redaction.plan(take(marks), sound(), None)
    assert plan.left_until_ms == LENGTH_MS
    assert gaps(plan) == [(0, LENGTH_MS, "left", "before_announcement_end")]


def test_two_phones_on_hold_are_one_gap() -> None:
    holds = [(20_000, "hold"), (21_000, "hold"), (22_000, "unhold"), (25_000, "unhold"), (26_000, "unhold")]
    plan = redaction.plan(take([*NORMAL, *holds, (59_000, "hold")]), sound(), FOUND)
    assert gaps(plan)[2:] == [(20_100, 24_800, "both", "hold"), (59_000, 60_000, "both", "hold")]
    assert plan.both == (RANG, (20_100, 24_800), (59_000, 60_000))


def test_a_hold_that_the_switch_left_out_of_the_audio_silences_nothing() -> None:
    """A phone on hold that sends nothing: what follows in the audio is the talk after it."""
    marks = [*NORMAL, (20_000, "hold"), (35_000, "unhold"), (40_000, "unbridged"), (75_000, "hangup")]
    plan = redaction.plan(take(marks), sound(), FOUND)
    assert plan.both == (RANG,)
    hold = next(gap for gap in plan.gaps if gap.reason == "hold")
    assert (hold.start_ms, hold.end_ms) == (20_100, 20_101)
    assert plan.drift_ms == 15_000
    assert {gap.reason for gap in plan.gaps} == {"before_announcement_end", "ringing", "hold"}
    assert next(m.offset_ms for m in plan.markers if m.kind == "unbridged") == 25_100


def filled(take: Take, sound: Wav, found: LocatedAnnouncement) -> tuple[Wav, LocatedAnnouncement]:
    """The sound with silence where the switch wrote nothing, as it is encoded."""
    missing = missing_audio.holes(timeline.times(take, sound, found), found)
    moved = missing_audio.found_later(found, missing)
    assert moved is not None
    return missing_audio.put_in(sound, missing), moved


def test_a_hold_that_was_put_in_is_as_long_as_it_was_and_all_later_places_are_right() -> None:
    marks = [*NORMAL, (20_000, "hold"), (35_000, "unhold"), (40_000, "unbridged"), (75_000, "hangup")]
    call = take(marks)
    whole, found = filled(call, sound(), FOUND)
    plan = redaction.plan(call, whole, found)
    hold = next(gap for gap in plan.gaps if gap.reason == "hold")
    assert (hold.start_ms, hold.end_ms, hold.channel) == (20_100, 35_100, "both")
    assert (whole.duration_ms, plan.drift_ms) == (LENGTH_MS + 15_000, 0)
    assert next(m.offset_ms for m in plan.markers if m.kind == "unbridged") == 40_100


def test_what_was_put_in_where_some_holds_are_in_the_audio_leaves_places_in_doubt() -> None:
    """One of two holds is in the audio and one is not: nobody knows which, so nothing more is silenced."""
    marks = [*NORMAL, (20_000, "hold"), (30_000, "unhold"), (40_000, "hold"), (50_000, "unhold")]
    call = take([*marks, (70_000, "hangup")])
    whole, found = filled(call, sound(), FOUND)
    plan = redaction.plan(call, whole, found)
    assert (plan.both, plan.drift_ms) == ((RANG,), -100)  # the announcement was found later
    assert [(g.start_ms, g.end_ms) for g in plan.gaps if g.reason == "hold"] == [
        (20_100, 30_100), (40_100, 50_100),
    ]  # fmt: skip


def test_what_was_found_whole_is_not_split_by_what_is_put_in() -> None:
    assert missing_audio.moved((1000, 2000), ((1000, 500), (2000, 700))) == (1500, 2500)
    asked = Prompt(0, "question", START + timedelta(seconds=40), 19_900, 25_000, 1.0)
    call = take([*NORMAL, (20_000, "hold"), (35_000, "unhold"), (75_000, "hangup")])
    missing = missing_audio.holes(timeline.times(call, sound(), FOUND, [asked]), FOUND, [asked])
    assert [at for at, _ in missing] == [19_900]
    assert missing_audio.prompts_later([asked], missing)[0].offset_ms == 19_900 + missing[0][1]


def test_where_only_some_holds_are_in_the_audio_nothing_is_silenced() -> None:
    marks = [
        *NORMAL,
        (20_000, "hold"),
        (30_000, "unhold"),
        (40_000, "hold"),
        (50_000, "unhold"),
        (70_000, "hangup"),
    ]
    plan = redaction.plan(take(marks), sound(), FOUND)
    assert plan.both == (RANG,)
    assert [gap.reason for gap in plan.gaps].count("hold") == 2


def test_a_hold_that_left_no_sound_keeps_no_other_from_being_silenced() -> None:
    """All that is missing is that hold: before and after it every place is known."""
    colleagues = [(20_000, "internal_hold"), (25_000, "internal_unhold")]
    theirs = [(30_000, "hold"), (40_000, "unhold")]
    later = [(50_000, "internal_hold"), (55_000, "internal_unhold"), (70_000, "hangup")]
    plan = redaction.plan(take([*NORMAL, *colleagues, *theirs, *later]), sound(), FOUND)
    assert plan.both == (RANG, (20_100, 24_800), (40_000, 44_700))
    assert [(g.start_ms, g.end_ms) for g in plan.gaps if g.reason == "hold"] == [
        (20_100, 24_800), (30_100, 30_101), (40_000, 44_700),
    ]  # fmt: skip
    # A full switch made up for what it was late: 0.8 s more than the hold explains, nobody knows where.
    plan = redaction.plan(take([*NORMAL, *colleagues, *theirs, *later]), sound(LENGTH_MS + 900), FOUND)
    assert plan.both == (RANG, (20_100 + 800, 25_100 - 800), (40_900 + 800, 45_900 - 800))


def test_a_hold_of_which_the_audio_has_nothing_is_still_named() -> None:
    marks = [*NORMAL, (20_000, "hold"), (30_000, "unhold"), (69_900, "hangup")]
    plan = redaction.plan(take(marks), sound(), FOUND)
    assert [(g.start_ms, g.end_ms) for g in plan.gaps if g.reason == "hold"] == [(20_100, 20_101)]


def test_a_hold_over_the_bridge_begins_with_the_talk() -> None:
    plan = redaction.plan(
        take([*NORMAL[:3], (13_000, "hold"), NORMAL[3], (16_000, "unhold")]), sound(), FOUND
    )
    assert gaps(plan) == [
        (0, 10_300, "left", "before_announcement_end"),
        (10_300, 14_300, "both", "ringing"),
        (14_300, 15_800, "both", "hold"),
    ]


WAITS = {
    "put on hold by a colleague": ([(20_000, "internal_hold"), (25_000, "internal_unhold")],
                                   [(20_100, 24_800, "hold")]),
    "twice": ([(20_000, "internal_hold"), (22_000, "internal_unhold"), (30_000, "internal_hold"),
               (33_000, "internal_unhold")], [(20_100, 21_800, "hold"), (30_100, 32_800, "hold")]),
    "to the end": ([(20_000, "internal_hold")], [(20_100, LENGTH_MS, "hold")]),
    "who then transfers": ([(20_000, "internal_hold"), (25_000, "unbridged"), (28_000, "bridged")],
                           [(20_100, 25_100, "hold"), (25_100, 27_800, "waiting")]),
    "who transfers, and the unhold comes first": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold"), (25_020, "unbridged"),
         (28_000, "bridged")],
        [(20_100, 25_120, "hold"), (25_120, 27_800, "waiting")]),
    "who transfers, and the unhold comes last": (
        [(20_000, "internal_hold"), (25_000, "unbridged"), (25_020, "internal_unhold"),
         (28_000, "bridged")],
        [(20_100, 25_100, "hold"), (25_100, 27_800, "waiting")]),
    "who is replaced by the next one at once": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold"), (25_020, "unbridged"),
         (25_060, "bridged")],
        [(20_100, 24_860, "hold")]),
    "who comes back and is transferred from": (
        [(20_000, "internal_hold"), (25_000, "internal_unhold"), (25_700, "unbridged"),
         (28_000, "bridged")],
        [(20_100, 24_800, "hold"), (25_800, 27_800, "waiting")]),
    "whose leaving is not told of": ([(20_000, "internal_hold"), (25_000, "bridged")],
                                     [(20_100, 24_800, "hold")]),
    "whose unhold nobody saw": ([(20_000, "internal_hold"), (22_000, "unobserved_from"),
                                 (25_000, "unobserved_to")], [(20_100, 21_800, "hold")]),
    "whose hold goes on when somebody watches again": (
        [(20_000, "internal_hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to"),
         (20_000, "internal_hold"), (28_000, "internal_unhold")], [(20_100, 27_800, "hold")]),
    "whose hold nobody saw begin": ([(20_000, "unobserved_from"), (25_000, "unobserved_to"),
                                     (22_000, "internal_hold"), (28_000, "internal_unhold")],
                                    [(22_100, 27_800, "hold")]),
    "both hold": ([(20_000, "internal_hold"), (21_000, "hold"), (23_000, "internal_unhold"),
                   (24_000, "unhold")], [(20_100, 23_800, "hold")]),
    "parked": ([(20_000, "unbridged"), (25_000, "bridged")], [(20_100, 24_800, "waiting")]),
    "written in the wrong order": ([(20_000, "unbridged"), (19_990, "bridged")], []),
    "and nobody comes back": ([(20_000, "unbridged")], []),
    "in a conference": ([(20_000, "unbridged"), (30_000, "conference_left"), (30_500, "bridged")], []),
    "while nobody watched": ([(20_000, "unbridged"), (21_000, "unobserved_from"), (24_000, "unobserved_to"),
                              (25_000, "bridged")], []),
    "their own that nobody saw end": ([(20_000, "hold"), (22_000, "unobserved_from"),
                                       (25_000, "unobserved_to")],
                                    [(20_100, 21_800, "hold")]),
    "their own that goes on when somebody watches again": (
        [(20_000, "hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to"), (28_000, "unhold")],
        [(20_100, 27_800, "hold")]),
    "their own that was over when somebody watched again": (
        [(20_000, "hold"), (22_000, "unobserved_from"), (25_000, "unobserved_to"), (25_000, "unhold later"),
         (30_000, "hold"), (33_000, "unhold")], [(20_100, 21_800, "hold"), (30_100, 32_800, "hold")]),
}  # fmt: skip


@pytest.mark.parametrize(("marks", "silent"), WAITS.values(), ids=WAITS)
def test_what_the_outside_party_says_while_it_waits_is_not_kept(
    marks: list[tuple[int, str]], silent: list[tuple[int, int, str]]
) -> None:
    plan = redaction.plan(take([*NORMAL, *marks]), sound(), FOUND)
    found = [gap for gap in gaps(plan) if gap[3] in ("hold", "waiting")]
    assert found == [(start, end, "both", reason) for start, end, reason in silent]
    kept = redaction.silence(np.ones((LENGTH_MS * 8, 2), np.int16), 0, 8000, plan)
    expected = np.ones((LENGTH_MS, 2), bool)
    expected[:10_300, 0] = expected[10_300:14_300] = False
    for start, end, _ in silent:
        expected[start:end] = False
    assert (kept.reshape(LENGTH_MS, 8, 2).all(axis=1) == expected).all()


def test_an_unobserved_stretch_with_a_hold_in_it() -> None:
    marks = [(20_000, "unobserved_from"), (22_000, "hold"), (23_000, "unhold"), (30_000, "unobserved_to")]
    plan = redaction.plan(take([*NORMAL, *marks]), sound(), FOUND)
    assert gaps(plan)[2:] == [
        (20_100, 22_100, "both", "unobserved"),
        (22_100, 22_800, "both", "hold"),
        (22_800, 30_100, "both", "unobserved"),
    ]
    assert plan.both == (RANG, (22_100, 22_800))  # what nobody watched is heard all the same


def test_what_is_missing_at_the_end() -> None:
    assert gaps(redaction.plan(take(NORMAL, 61_500), sound(broken=True), FOUND))[-1] == (
        60_000,
        61_600,
        "both",
        "repair",
    )
    assert gaps(redaction.plan(take(NORMAL, 70_000), sound(), FOUND))[-1] == (
        60_000,
        70_100,
        "both",
        "write_error",
    )
    faxed = with_data(take([*NORMAL, (70_000, "recording_stopped")], 70_000), "recording_stopped", fax="t38")
    assert gaps(redaction.plan(faxed, sound(), FOUND))[-1] == (60_000, 70_100, "both", "fax")
    assert len(gaps(redaction.plan(take(NORMAL, 60_800), sound(), FOUND))) == 2
    assert redaction.plan(take(NORMAL, 70_000), sound(), FOUND).drift_ms == 10_000


@pytest.mark.parametrize(
    ("away", "since"),
    [
        ([(40_000, "unobserved_from")], 40_100),
        ([(40_000, "unobserved_from"), (90_000, "unobserved_to")], 40_100),
        ([], 14_300),  # found gone at the daemon's next start: since its last mark nobody knows
    ],
)
def test_an_end_that_nobody_saw_is_where_the_sound_ends(away: list[tuple[int, str]], since: int) -> None:
    """The time at which the daemon came back says nothing about the call."""
    plan = redaction.plan(take([*NORMAL, *away], 90_000, seen=False), sound(), FOUND)
    assert gaps(plan)[-1] == (since, LENGTH_MS, "both", "unobserved")
    assert plan.drift_ms == 0


def test_a_switch_that_was_killed_has_lost_two_seconds_at_most() -> None:
    plan = redaction.plan(take(NORMAL, 90_000, seen=False), sound(broken=True), FOUND)
    assert gaps(plan)[-1] == (60_000, 62_000, "both", "repair")
    plan = redaction.plan(take(NORMAL, 60_700, seen=False), sound(broken=True), FOUND)
    assert gaps(plan)[-1] == (60_000, 60_800, "both", "repair")


def test_an_end_that_was_seen_after_an_absence_counts() -> None:
    away = [(40_000, "unobserved_from"), (45_000, "unobserved_to"), (70_000, "hangup")]
    plan = redaction.plan(take([*NORMAL, *away], 90_000), sound(), FOUND)
    assert gaps(plan)[-1] == (60_000, 70_100, "both", "write_error")


def test_a_recording_that_was_ended_for_want_of_room_lacks_its_end() -> None:
    """However little of a long call that is; and without our word for it a stop is the end of it."""
    marks = [*NORMAL, (LENGTH_MS, "recording_stopped"), (LENGTH_MS + 1500, "hangup")]
    call = take(marks, LENGTH_MS + 1500)
    assert gaps(redaction.plan(call, sound(), FOUND))[2:] == []
    cut = tuple(
        replace(mark, data={"full": "disk"}) if mark.kind == "recording_stopped" else mark
        for mark in call.marks
    )
    plan = redaction.plan(replace(call, marks=cut), sound(), FOUND)
    assert gaps(plan)[2:] == [(LENGTH_MS, LENGTH_MS + 1500 + 100, "both", "write_error")]
    assert plan.drift_ms == 1500


def test_the_clock_ends_with_the_recording() -> None:
    marks = [*NORMAL, (60_000, "recording_stopped"), (60_200, "hangup")]
    assert redaction.plan(take(marks, 95_000), sound(), FOUND).drift_ms == 0
    assert redaction.plan(take([*NORMAL, (60_200, "hangup")], 95_000), sound(), FOUND).drift_ms == 200


def test_a_clock_that_is_set_back_in_the_talk_silences_none_of_it() -> None:
    """By 40 s.  A hold after that is told and not silenced: where it is, nobody knows; marks keep the order
    in which they happened."""
    marks = [*NORMAL, (5_000, "hold"), (6_000, "unhold"), (20_000, "hangup"), (20_000, "recording_stopped")]
    plan = redaction.plan(take(marks), sound(), FOUND)
    assert plan.left_until_ms == 14_300
    assert plan.both == ()
    assert gaps(plan) == [(0, 10_300, "left", "before_announcement_end"), (10_300, 14_300, "left", "ringing")]
    assert [(mark.kind, mark.offset_ms) for mark in plan.markers][-4:] == [
        ("hold", 14_300),
        ("unhold", 14_300),
        ("hangup", 20_100),
        ("recording_stopped", 60_000),
    ]
    assert plan.drift_ms == -40_000


@pytest.mark.parametrize("found", [FOUND, None])
def test_a_clock_that_is_set_back_in_the_announcement_uncovers_nothing(
    found: LocatedAnnouncement | None,
) -> None:
    """Where the announcement is not found, no mark says any more until when the outside party had not been
    told: nothing of theirs is kept."""
    back = [(ms - (30_000 if ms > 200 else 0), kind) for ms, kind in NORMAL]
    plan = redaction.plan(take(back, 30_000), sound(), found)
    assert plan.left_until_ms == (14_200 if found else LENGTH_MS)
    assert plan.drift_ms == -30_000


def test_a_clock_that_is_set_back_while_it_rings_keeps_the_ringing_silent() -> None:
    """Nobody is connected before they have been told: so it was set back before that, and is put right."""
    marks = [*NORMAL[:3], (-25_800, "bridged")]
    assert redaction.plan(take(marks, 20_000), sound(), FOUND).left_until_ms == 14_200


def test_an_end_by_a_clock_that_is_behind_the_switchs() -> None:
    """The daemon was away when the call ended, and has only the machine's clock to say when it saw that."""
    away = [(-560_000, "unobserved_from"), (-540_000, "unobserved_to")]
    plan = redaction.plan(take([*NORMAL, *away], -540_000, seen=False), sound(), FOUND)
    assert plan.left_until_ms == 14_300
    assert gaps(plan)[-1] == (14_300, LENGTH_MS, "both", "unobserved")
    assert plan.drift_ms == -LENGTH_MS


def test_blocks_are_silenced_whatever_their_size() -> None:
    plan = redaction.RedactionPlan(101, ((150, 160), (190, 250)), (), (), 0)
    whole = np.full((2000, 2), 9, dtype=np.int16)
    expected = whole.copy()
    expected[:808, 0] = 0
    expected[1200:1280] = 0
    expected[1520:2000] = 0
    for size in (1, 7, 160, 999, 5000):
        parts = [
            redaction.silence(whole[at : at + size], at, 8000, plan) for at in range(0, len(whole), size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert (whole == 9).all()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-500, 70_000), st.sampled_from(sorted(MARKS))), max_size=12).map(sorted),
    st.one_of(st.none(), st.integers(0, 50_000).map(lambda at: LocatedAnnouncement(at, at + 10_000, 1.0))),
    st.integers(1, LENGTH_MS),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.integers(10_001, 50_000), st.integers(-500, 70_000)), max_size=4),
)
def test_whatever_happens_every_silence_is_explained_once(
    marks: list[tuple[int, str]],
    found: LocatedAnnouncement | None,
    length_ms: int,
    broken: bool,
    seen: bool,
    played: list[tuple[int, int]],
) -> None:
    if found is not None and found.end_ms > length_ms:
        found = None
    starts = sorted({start // 2000: start for start, _ in played}.values())
    prompts = [
        Prompt(n, "question", START + timedelta(milliseconds=at), start, start + 2000, 1.0)
        for n, (start, (_, at)) in enumerate(zip(starts, played, strict=False))
        if start + 2000 <= length_ms and start >= (0 if found is None else found.end_ms)
        if n == 0 or start >= starts[n - 1] + 2000
    ]
    plan = redaction.plan(take(marks, seen=seen), sound(length_ms, broken), found, prompts)
    cover = {"left": np.zeros(length_ms, dtype=int), "right": np.zeros(length_ms, dtype=int)}
    for gap in plan.gaps:
        assert gap.reason in GAP_REASONS
        assert 0 <= gap.start_ms < gap.end_ms
        assert gap.end_ms <= length_ms or gap.start_ms == length_ms
        for side in ("left", "right") if gap.channel == "both" else (gap.channel,):
            cover[side][gap.start_ms : gap.end_ms] += 1
    assert all((lane <= 1).all() for lane in cover.values())  # no stretch has two reasons
    assert cover["left"][: plan.left_until_ms].all()  # no silence of ours has none
    assert all(cover[side][start:end].all() for side in cover for start, end in plan.both)
    for (
        prompt
    ) in prompts:  # every millisecond of it has a reason, and what the outside party said has no other
        assert cover["right"][prompt.offset_ms : prompt.end_ms].all()
        assert all(gap.channel == "right" for gap in plan.gaps if gap.reason == "prompt")
    if found is not None:
        assert plan.left_until_ms >= found.end_ms
    bridged = any(kind == "bridged" for _, kind in marks)
    assert bridged or plan.left_until_ms == length_ms
    assert len(plan.markers) == len(take(marks, seen=seen).marks)
    places = [marker.offset_ms for marker in plan.markers]
    assert places == sorted(places)
    assert all(0 <= place <= length_ms for place in places)
    assert plan.gaps == tuple(sorted(plan.gaps, key=lambda gap: (gap.start_ms, gap.channel)))
    assert isinstance(plan.gaps, tuple)
    assert all(isinstance(gap, Gap) for gap in plan.gaps)


@pytest.mark.parametrize(
    "last",
    ["transfer_notice_finished", "transfer_notice_interrupted", "unbridged", "hangup", "unobserved_from"],
)
def test_while_who_joined_is_told_the_right_channel_says_why(last: str) -> None:
    marks = [
        *NORMAL,
        (20_000, "unbridged"),
        (21_000, "bridged"),
        (21_300, "transfer_notice_started"),
        (23_300, last),
    ]
    plan = redaction.plan(take(marks), sound(23_300 if last == "hangup" else LENGTH_MS), FOUND)
    ours = [gap for gap in gaps(plan) if gap[3] == "transfer_notice"]
    assert [(end - start, channel) for start, end, channel, _ in ours] == [(2000, "right")] or (
        last == "hangup" and ours[0][2] == "right"
    )
    assert len(plan.both) == 2, "nothing is silenced for it, but that they rang and waited"


def with_data(made: Take, kind: str, **data: str) -> Take:
    """The take whose marks of a kind say this."""
    return replace(
        made, marks=tuple(replace(mark, data=data) if mark.kind == kind else mark for mark in made.marks)
    )


def test_in_a_room_the_others_are_heard_while_one_is_told() -> None:
    marks = [
        *NORMAL,
        (20_000, "participant_joined"),
        (20_300, "transfer_notice_started"),
        (22_300, "transfer_notice_finished"),
    ]
    plan = redaction.plan(
        with_data(take(marks), "transfer_notice_started", how="alone", leg="c", **{"in": "conference"}),
        sound(),
        FOUND,
    )
    assert not [gap for gap in gaps(plan) if gap[3] == "transfer_notice"]


def test_a_take_that_ends_with_somebody_outside_in_the_room_is_silent_from_when_they_came() -> None:
    marks = [
        *NORMAL,
        (30_000, "participant_joined"),
        (30_400, "transferred_outside"),
        (30_600, "recording_stopped"),
    ]
    made = take(marks)
    plan = redaction.plan(with_data(made, "participant_joined", who="external"), sound(30_600), FOUND)
    (gap,) = (gap for gap in gaps(plan) if gap[3] == "transferred_outside")
    assert 29_900 <= gap[0] <= 30_100
    assert (gap[0], 30_600) in plan.both


def test_a_take_that_ends_outside_is_silent_from_when_the_two_were_connected() -> None:
    """Neither of them was told that what they say to each other is recorded."""
    marks = [*NORMAL, (30_000, "unbridged"), (31_000, "bridged"), (31_200, "transferred_outside"),
             (31_400, "recording_stopped")]  # fmt: skip
    plan = redaction.plan(take(marks), sound(31_400), FOUND)
    (gap,) = (gap for gap in gaps(plan) if gap[3] == "transferred_outside")
    assert gap[1:3] == (31_400, "both")
    assert 30_900 <= gap[0] <= 31_100
    assert plan.both[:2] == ((gap[0], 31_400), RANG)
    assert plan.both[2] == (30_000, gap[0] - 300), "and while they waited"


def asking(made: Take, mode: str = "opt-in", asks: bool = True) -> Take:
    """The take of a line that asks who joins, with each leg's own marks."""
    sound = PromptSound("said", "0" * 64, 1000)
    said = TransferNotice("alone", sound, sound if asks else None)
    legs = iter("bcdefgh")
    marks = tuple(
        replace(one, data={"leg": next(legs)}) if one.kind == "bridged" else one for one in made.marks
    )
    return replace(made, marks=marks, start=replace(made.start, mode=mode, transfer_notice=said))


JOINS = [
    *NORMAL,
    (20_000, "unbridged"),
    (21_000, "bridged"),
    (21_300, "transfer_notice_started"),
    (23_300, "transfer_question_finished"),
]


def unasked(plan: redaction.RedactionPlan) -> list[tuple[int, int]]:
    """What of our side is not kept; each stretch is silenced, in the right channel alone."""
    ours = [gap for gap in plan.gaps if gap.reason == "no_participant_consent"]
    for gap in ours:
        assert gap.channel == "right"
        assert any(start <= gap.start_ms and gap.end_ms <= end for start, end in plan.right)
    return [(gap.start_ms, gap.end_ms) for gap in ours]


def test_what_who_joined_said_before_their_yes_is_not_kept() -> None:
    made = take([*JOINS, (25_000, "transfer_question_answered")])
    plan = redaction.plan(asking(made), sound(), FOUND)
    # A little more than that, for events come some tenths of a second before or after their samples.
    assert plan.right == ((19_800, 25_400),)
    assert unasked(plan) == [(19_800, 20_100), (20_800, 25_400)], "and while they waited, for that reason"
    samples = np.ones((LENGTH_MS * 8, 2), dtype=np.int16)
    kept = redaction.silence(samples, 0, 8000, plan)
    assert not kept[19_800 * 8 : 25_400 * 8, 1].any()
    assert kept[25_400 * 8 :].all()
    assert kept[21_100 * 8 : 25_400 * 8, 0].all(), "the outside party agreed long ago"
    later = 24_000 * 8
    assert np.array_equal(redaction.silence(samples[later:], later, 8000, plan), kept[later:]), "by blocks"
    for other in (asking(made, asks=False), asking(made, "notice")):
        assert redaction.plan(other, sound(), FOUND).right == ()


@pytest.mark.parametrize(
    ("mode", "more", "right"),
    [
        ("opt-in", [], (19_800, LENGTH_MS)),
        ("opt-in", [(25_000, "transfer_notice_interrupted")], (19_800, LENGTH_MS)),
        (
            "opt-in",
            [(25_000, "unbridged"), (26_000, "bridged"), (30_000, "transfer_question_answered")],
            (19_800, 25_400),
        ),
        ("opt-out", [(25_000, "transfer_question_answered")], None),
        ("opt-out", [], (19_800, LENGTH_MS)),
        ("opt-out", [(25_000, "unbridged")], (19_800, 25_400)),
    ],
)
def test_without_an_answer_it_is_not_kept(
    mode: str, more: list[tuple[int, str]], right: tuple[int, int] | None
) -> None:
    plan = redaction.plan(asking(take([*JOINS, *more]), mode), sound(), FOUND)
    assert (plan.right[0] if plan.right else None) == right


@pytest.mark.parametrize("mode", ["opt-in", "opt-out"])
def test_a_refusal_leaves_nothing_of_them(mode: str) -> None:
    made = take([*JOINS, (25_000, "transfer_question_refused"), (25_200, "recording_stopped")])
    assert redaction.plan(asking(made, mode), sound(25_200), FOUND).right == ((19_700, 25_200),)


def test_where_nobody_watched_one_may_have_come_whom_nobody_asked() -> None:
    made = take([*NORMAL, (20_000, "unobserved_from"), (30_000, "unobserved_to")])
    assert redaction.plan(asking(made), sound(), FOUND).right == ((19_800, 30_400),)
    assert unasked(redaction.plan(asking(made), sound(), FOUND)) == [(19_800, 30_400)]
    assert redaction.plan(asking(made, "opt-out"), sound(), FOUND).right == ()


def test_with_a_clock_that_was_set_back_it_is_not_known_where_it_is() -> None:
    made = take([*JOINS, (25_000, "transfer_question_answered")])
    plan = redaction.plan(asking(made), sound(LENGTH_MS + 20_000), FOUND)
    assert plan.right == ((0, LENGTH_MS + 20_000),)
