"""The redaction before the announcement and while it rings, gaps, clocks, and external parties."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.audio import redaction
from recorder.audio.encoded_take import GAP_REASONS, Gap, LocatedAnnouncement, Prompt
from recorder.audio.timeline import EXACT_MS, SURE_MS
from recorder.domain.markers import MARKER_KINDS, Marker
from recorder.spool.layout import Take
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
    with_data,
)


def test_redacts_left_until_the_bridge() -> None:
    plan = plan_redaction(take(NORMAL), sound(), FOUND)
    assert plan.left_until_ms == TALK_MS  # the bridge, moved with the announcement's end
    assert gaps(plan) == [
        (0, 10_300, "left", "before_announcement_end"),
        (*RINGING_SPAN, "both", "ringing"),
    ]
    assert plan.both == (RINGING_SPAN,)
    assert plan.drift_ms == 0


def test_nothing_from_before_a_measured_bridge_is_kept() -> None:
    """The switch writes the last frames of a queue's music after it has reported the connection."""
    call = measured(take(NORMAL), (14_200, 14_180), (20_000, 19_980))
    plan = plan_redaction(call, sound(), FOUND)
    assert plan.left_until_ms == 14_180 + EXACT_MS
    assert plan.both == ((10_300, plan.left_until_ms),)
    assert gaps(plan)[-1] == (10_300, plan.left_until_ms, "both", "ringing")
    assert next(marker.offset_ms for marker in plan.markers if marker.kind == "bridged") == 14_180


def test_bridge_at_an_uncertain_place_is_the_latest_one() -> None:
    """The switch wrote two seconds less than it took, before or after the bridge, which nobody measured."""
    away = [(11_000, "unobserved_from"), (14_200, "bridged"), (16_000, "unobserved_to")]
    call = measured(take([*NORMAL[:3], *away], 58_000), (11_000, 11_000), (16_000, 14_000))
    assert plan_redaction(call, sound(56_000), FOUND).left_until_ms == 14_000 + EXACT_MS


def test_hold_that_ends_as_they_are_connected_has_its_margin() -> None:
    markers = [*NORMAL, (14_220, "internal_hold"), (14_240, "internal_unhold")]
    call = measured(take(markers), (14_200, 14_200), (14_240, 14_240))
    plan = plan_redaction(call, sound(), FOUND)
    assert gaps(plan)[-2:] == [(10_300, 14_250, "both", "ringing"), (14_250, 14_290, "both", "hold")]


AT_PICKUP = [
    (-9000, "bridged"),
    (0, "recording_started"),
    (200, "announcement_started"),
    (10_200, "announcement_finished"),
]


def at_pickup(markers: list[tuple[int, str]]) -> Take:
    original = take(markers)
    return replace(original, start=replace(original.start, at_pickup=True))


def test_at_pickup_redacts_both_channels_before_the_announcement() -> None:
    plan = plan_redaction(at_pickup(AT_PICKUP), sound(), FOUND)
    assert plan.left_until_ms == 10_300
    assert plan.both == ((0, 300),)
    assert gaps(plan) == [
        (0, 300, "both", "before_announcement_end"),
        (300, 10_300, "left", "before_announcement_end"),
    ]
    samples = redaction.silence(np.ones((16_000, 2), np.int16), 0, 8000, plan)
    assert samples[:2400].max() == 0
    assert (samples[2400:, 0].max(), samples[2400:, 1].min()) == (0, 1)


def test_at_pickup_redacts_both_channels_without_an_announcement() -> None:
    plan = plan_redaction(at_pickup(AT_PICKUP), sound(), None)
    assert plan.left_until_ms == 11_200
    assert plan.both == ((0, 11_200),)


def test_times_count_from_a_restarted_recording() -> None:
    before = [(-5000, "recording_started"), (-4900, "announcement_started"), (-4000, "hold"),
              (-4000, "announcement_interrupted"), (-2000, "unhold")]  # fmt: skip
    call = at_pickup([AT_PICKUP[0], *before, *AT_PICKUP[1:]])
    plan = plan_redaction(call, sound(), FOUND)
    assert gaps(plan) == gaps(plan_redaction(at_pickup(AT_PICKUP), sound(), FOUND))
    assert plan.drift_ms == 0
    assert [marker.offset_ms for marker in plan.markers][:-2] == [0] * 7 + [300]


def test_markers_are_placed_from_the_nearest_located_prompt() -> None:
    plan = plan_redaction(take([*NORMAL, (30_000, "unbridged"), (60_000, "hangup")]), sound(), FOUND)
    assert [(marker.kind, marker.offset_ms) for marker in plan.markers] == [
        ("recording_started", 0),
        ("announcement_started", 300),
        ("announcement_finished", 10_300),
        ("bridged", 14_300),
        ("unbridged", 30_100),
        ("hangup", 60_000),
    ]


def test_late_end_of_announcement_is_no_reference_point() -> None:
    """The marker of a daemon that reconciled the call while it rang."""
    late = [NORMAL[0], NORMAL[1], (14_200, "bridged"), (16_000, "announcement_finished")]
    assert plan_redaction(take(late), sound(), FOUND).left_until_ms == TALK_MS


@pytest.mark.parametrize("late_ms", [1600, 3000])
def test_end_of_announcement_seen_later_is_no_reference_point(late_ms: int) -> None:
    """The daemon was away for seconds: its late marker is near enough to be taken for the end of the playing.
    The bridge would then be placed within the announcement, and speech while it rang would be kept."""
    markers = [Marker(START + timedelta(milliseconds=at), kind, {}) for at, kind in (*NORMAL[:2], NORMAL[3])]
    note_time = START + timedelta(milliseconds=10_200 + late_ms)
    later = replace(
        take(NORMAL), markers=(*markers, Marker(note_time, "announcement_finished", {"seen": "later"}))
    )
    assert plan_redaction(later, sound(), FOUND).left_until_ms == TALK_MS


def test_announcement_located_after_the_bridge_counts() -> None:
    late = plan_redaction(take(NORMAL), sound(), LocatedAnnouncement(20_000, 30_000, 1.0))
    assert late.left_until_ms >= 30_000
    assert gaps(late)[0] == (0, 30_000, "left", "before_announcement_end")


def test_announcement_that_started_twice() -> None:
    markers = [
        (0, "recording_started"),
        (200, "announcement_started"),
        (3000, "hold"),
        (3000, "announcement_interrupted"),
        (5000, "unhold"),
        (5100, "announcement_started"),
        (15_100, "announcement_finished"),
        (16_000, "bridged"),
    ]
    plan = plan_redaction(take(markers), sound(), LocatedAnnouncement(5300, 15_300, 1.0))
    assert gaps(plan) == [
        (0, 15_300, "left", "before_announcement_end"),
        (15_300, 16_500, "both", "ringing"),
    ]
    assert plan.both == ((15_300, 16_500),)  # the hold is earlier, and explained
    assert [m.offset_ms for m in plan.markers if m.kind == "announcement_started"] == [200, 5300]


def test_redacts_all_of_a_call_that_was_never_bridged() -> None:
    plan = plan_redaction(take(NORMAL[:3]), sound(), FOUND)
    assert plan.left_until_ms == LENGTH_MS
    assert gaps(plan)[-1] == (10_300, LENGTH_MS, "left", "ringing")


def test_unobserved_bridge_is_no_ringing() -> None:
    plan = plan_redaction(take([*NORMAL[:3], (11_000, "unobserved_from")], end_seen=False), sound(), FOUND)
    assert plan.left_until_ms == LENGTH_MS
    assert gaps(plan) == [
        (0, 10_300, "left", "before_announcement_end"),
        (10_300, 11_100, "left", "unobserved"),
        (11_100, LENGTH_MS, "both", "unobserved"),
    ]


def test_unobserved_time_before_the_bridge_is_no_ringing() -> None:
    """They may have talked then and been transferred: the switch knows only the last bridge."""
    away = [(12_000, "unobserved_from"), (20_000, "unobserved_to"), (17_000, "bridged"), (50_000, "bridged")]
    plan = plan_redaction(take([*NORMAL[:3], *away]), sound(), FOUND)
    assert plan.left_until_ms == 17_100 + SURE_MS
    assert gaps(plan) == [
        (0, 10_300, "left", "before_announcement_end"),
        (10_300, 12_100, "left", "ringing"),
        (12_100, 20_100, "both", "unobserved"),
    ]


def test_without_announcement_redacts_until_a_second_after_the_playback() -> None:
    plan = plan_redaction(take([*NORMAL[:3], (10_250, "bridged")]), sound(), None)
    assert gaps(plan) == [(0, 11_200, "left", "before_announcement_end")]


@pytest.mark.parametrize(
    "markers",
    [
        [(14_200, "bridged")],
        [(200, "announcement_started"), (14_200, "bridged")],
        [(200, "announcement_started"), (3000, "announcement_interrupted"), (14_200, "bridged")],
        [(200, "announcement_started"), (9000, "announcement_finished"), (9001, "announcement_started")],
    ],
)
def test_without_announcement_and_finished_playback_redacts_everything(
    markers: list[tuple[int, str]],
) -> None:
    plan = plan_redaction(take(markers), sound(), None)
    assert plan.left_until_ms == LENGTH_MS
    assert gaps(plan) == [(0, LENGTH_MS, "left", "before_announcement_end")]


def test_missing_end_is_a_gap_with_its_reason() -> None:
    assert gaps(plan_redaction(take(NORMAL, 61_500), sound(header_broken=True), FOUND))[-1] == (
        60_000,
        61_600,
        "both",
        "repair",
    )
    assert gaps(plan_redaction(take(NORMAL, 70_000), sound(), FOUND))[-1] == (
        60_000,
        70_100,
        "both",
        "write_error",
    )
    faxed = with_data(take([*NORMAL, (70_000, "recording_stopped")], 70_000), "recording_stopped", fax="t38")
    assert gaps(plan_redaction(faxed, sound(), FOUND))[-1] == (60_000, 70_100, "both", "fax")
    assert len(gaps(plan_redaction(take(NORMAL, 60_800), sound(), FOUND))) == 2
    assert plan_redaction(take(NORMAL, 70_000), sound(), FOUND).drift_ms == 10_000


@pytest.mark.parametrize(
    ("away", "since"),
    [
        ([(40_000, "unobserved_from")], 40_100),
        ([(40_000, "unobserved_from"), (90_000, "unobserved_to")], 40_100),
        ([], 14_300),  # gone at the daemon's next start: unobserved since the last marker
    ],
)
def test_unobserved_end_is_where_the_audio_ends(away: list[tuple[int, str]], since: int) -> None:
    """The time at which the daemon came back proves nothing about the call."""
    plan = plan_redaction(take([*NORMAL, *away], 90_000, end_seen=False), sound(), FOUND)
    assert gaps(plan)[-1] == (since, LENGTH_MS, "both", "unobserved")
    assert plan.drift_ms == 0


def test_killed_switch_lost_two_seconds_at_most() -> None:
    plan = plan_redaction(take(NORMAL, 90_000, end_seen=False), sound(header_broken=True), FOUND)
    assert gaps(plan)[-1] == (60_000, 62_000, "both", "repair")
    plan = plan_redaction(take(NORMAL, 60_700, end_seen=False), sound(header_broken=True), FOUND)
    assert gaps(plan)[-1] == (60_000, 60_800, "both", "repair")


def test_end_observed_after_an_absence_counts() -> None:
    away = [(40_000, "unobserved_from"), (45_000, "unobserved_to"), (70_000, "hangup")]
    plan = plan_redaction(take([*NORMAL, *away], 90_000), sound(), FOUND)
    assert gaps(plan)[-1] == (60_000, 70_100, "both", "write_error")


def test_recording_ended_by_a_full_disk_lacks_its_end() -> None:
    """However small a share of the call that is. Without the marker, a stop is the call's end."""
    markers = [*NORMAL, (LENGTH_MS, "recording_stopped"), (LENGTH_MS + 1500, "hangup")]
    call = take(markers, LENGTH_MS + 1500)
    assert gaps(plan_redaction(call, sound(), FOUND))[2:] == []
    cut = tuple(
        replace(marker, data={"full": "disk"}) if marker.kind == "recording_stopped" else marker
        for marker in call.markers
    )
    plan = plan_redaction(replace(call, markers=cut), sound(), FOUND)
    assert gaps(plan)[2:] == [(LENGTH_MS, LENGTH_MS + 1500 + 100, "both", "write_error")]
    assert plan.drift_ms == 1500


def test_drift_is_measured_to_the_end_of_the_recording() -> None:
    markers = [*NORMAL, (60_000, "recording_stopped"), (60_200, "hangup")]
    assert plan_redaction(take(markers, 95_000), sound(), FOUND).drift_ms == 0
    assert plan_redaction(take([*NORMAL, (60_200, "hangup")], 95_000), sound(), FOUND).drift_ms == 200


def test_clock_set_back_in_the_conversation_redacts_none_of_it() -> None:
    """By 40 s. A later hold is a gap without redaction, since its place is unknown; markers keep their
    order."""
    markers = [*NORMAL, (5_000, "hold"), (6_000, "unhold"), (20_000, "hangup"), (20_000, "recording_stopped")]
    plan = plan_redaction(take(markers), sound(), FOUND)
    assert plan.left_until_ms == TALK_MS
    assert plan.both == ()
    assert gaps(plan) == [(0, 10_300, "left", "before_announcement_end"), (*RINGING_SPAN, "left", "ringing")]
    assert [(marker.kind, marker.offset_ms) for marker in plan.markers][-4:] == [
        ("hold", 14_300),
        ("unhold", 14_300),
        ("hangup", 20_100),
        ("recording_stopped", 60_000),
    ]
    assert plan.drift_ms == -40_000


@pytest.mark.parametrize("found", [FOUND, None])
def test_clock_set_back_in_the_announcement_reveals_nothing(
    found: LocatedAnnouncement | None,
) -> None:
    """If the announcement is not found, no marker shows when the external party was informed: nothing of them
    is kept."""
    back = [(ms - (30_000 if ms > 200 else 0), kind) for ms, kind in NORMAL]
    plan = plan_redaction(take(back, 30_000), sound(), found)
    assert plan.left_until_ms == (14_200 + SURE_MS if found else LENGTH_MS)
    assert plan.drift_ms == -30_000


def test_clock_set_back_while_ringing_keeps_it_redacted() -> None:
    """Nobody is connected before the announcement, so the clock was set back before the bridge."""
    markers = [*NORMAL[:3], (-25_800, "bridged")]
    assert plan_redaction(take(markers, 20_000), sound(), FOUND).left_until_ms == 14_200 + SURE_MS


def test_end_by_a_clock_behind_the_switch() -> None:
    """The daemon was away when the call ended, and noted the end by the machine's clock only."""
    away = [(-560_000, "unobserved_from"), (-540_000, "unobserved_to")]
    plan = plan_redaction(take([*NORMAL, *away], -540_000, end_seen=False), sound(), FOUND)
    assert plan.left_until_ms == TALK_MS
    assert gaps(plan)[-1] == (14_300, LENGTH_MS, "both", "unobserved")
    assert plan.drift_ms == -LENGTH_MS


def test_redacts_blocks_of_any_size() -> None:
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
    st.lists(st.tuples(st.integers(-500, 70_000), st.sampled_from(sorted(MARKER_KINDS))), max_size=12).map(
        sorted
    ),
    st.one_of(st.none(), st.integers(0, 50_000).map(lambda at: LocatedAnnouncement(at, at + 10_000, 1.0))),
    st.integers(1, LENGTH_MS),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.integers(10_001, 50_000), st.integers(-500, 70_000)), max_size=4),
)
def test_every_redaction_has_exactly_one_reason(
    markers: list[tuple[int, str]],
    found: LocatedAnnouncement | None,
    length_ms: int,
    header_broken: bool,
    end_seen: bool,
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
    plan = plan_redaction(take(markers, end_seen=end_seen), sound(length_ms, header_broken), found, prompts)
    cover = {"left": np.zeros(length_ms, dtype=int), "right": np.zeros(length_ms, dtype=int)}
    for gap in plan.gaps:
        assert gap.reason in GAP_REASONS
        assert 0 <= gap.start_ms < gap.end_ms
        assert gap.end_ms <= length_ms or gap.start_ms == length_ms
        for side in ("left", "right") if gap.channel == "both" else (gap.channel,):
            cover[side][gap.start_ms : gap.end_ms] += 1
    assert all((lane <= 1).all() for lane in cover.values())  # no stretch has two reasons
    assert cover["left"][: plan.left_until_ms].all()  # no redaction is without a reason
    assert all(cover[side][start:end].all() for side in cover for start, end in plan.both)
    for prompt in prompts:  # each prompt is explained, in the right channel only
        assert cover["right"][prompt.offset_ms : prompt.end_ms].all()
        assert all(gap.channel == "right" for gap in plan.gaps if gap.reason == "prompt")
    if found is not None:
        assert plan.left_until_ms >= found.end_ms
    bridged = any(kind == "bridged" for _, kind in markers)
    assert bridged or plan.left_until_ms == length_ms
    assert len(plan.markers) == len(take(markers, end_seen=end_seen).markers)
    places = [marker.offset_ms for marker in plan.markers]
    assert places == sorted(places)
    assert all(0 <= place <= length_ms for place in places)
    assert plan.gaps == tuple(sorted(plan.gaps, key=lambda gap: (gap.start_ms, gap.channel)))
    assert isinstance(plan.gaps, tuple)
    assert all(isinstance(gap, Gap) for gap in plan.gaps)
