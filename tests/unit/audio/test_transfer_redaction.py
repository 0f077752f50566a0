"""The redaction of participants who have not consented, and the gaps of transfer notices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recorder.audio import redaction
from recorder.audio.timeline import SURE_MS
from recorder.domain.line_policy import TransferNotice
from recorder.domain.sentences import TimedSentence
from recorder.spool.layout import Take
from tests.unit.audio.marked_take import (
    FOUND,
    LENGTH_MS,
    NORMAL,
    RINGING_SPAN,
    gaps,
    plan_redaction,
    sound,
    take,
    with_data,
)


@pytest.mark.parametrize(
    "last",
    ["transfer_notice_finished", "transfer_notice_interrupted", "unbridged", "hangup", "unobserved_from"],
)
def test_transfer_notice_is_a_gap_in_the_right_channel(last: str) -> None:
    markers = [
        *NORMAL,
        (20_000, "unbridged"),
        (21_000, "bridged"),
        (21_300, "transfer_notice_started"),
        (23_300, last),
    ]
    plan = plan_redaction(take(markers), sound(23_300 if last == "hangup" else LENGTH_MS), FOUND)
    ours = [gap for gap in gaps(plan) if gap[3] == "participant_notice"]
    assert [(end - start, channel) for start, end, channel, _ in ours] == [(2000, "right")] or (
        last == "hangup" and ours[0][2] == "right"
    )
    assert len(plan.both) == 2, "only ringing and waiting are redacted"


def test_transfer_notice_in_a_conference_is_no_gap() -> None:
    markers = [
        *NORMAL,
        (20_000, "participant_joined"),
        (20_300, "transfer_notice_started"),
        (22_300, "transfer_notice_finished"),
    ]
    plan = plan_redaction(
        with_data(take(markers), "transfer_notice_started", how="alone", leg="c", **{"in": "conference"}),
        sound(),
        FOUND,
    )
    assert not [gap for gap in gaps(plan) if gap[3] == "participant_notice"]


def test_redacts_from_the_arrival_of_an_external_participant() -> None:
    markers = [
        *NORMAL,
        (30_000, "participant_joined"),
        (30_400, "transferred_externally"),
        (30_600, "recording_stopped"),
    ]
    call = take(markers)
    plan = plan_redaction(with_data(call, "participant_joined", who="external"), sound(30_600), FOUND)
    (gap,) = (gap for gap in gaps(plan) if gap[3] == "transferred_externally")
    assert gap[0] == 30_000 - SURE_MS
    assert (gap[0], 30_600) in plan.both


def test_redacts_from_the_connection_with_an_external_party() -> None:
    """Neither was informed that their conversation with each other is recorded."""
    markers = [*NORMAL, (30_000, "unbridged"), (31_000, "bridged"), (31_200, "transferred_externally"),
             (31_400, "recording_stopped")]  # fmt: skip
    plan = plan_redaction(take(markers), sound(31_400), FOUND)
    (gap,) = (gap for gap in gaps(plan) if gap[3] == "transferred_externally")
    assert gap[1:3] == (31_400, "both")
    assert gap[0] == 31_000 - SURE_MS
    assert plan.both[:2] == ((gap[0], 31_400), RINGING_SPAN)
    assert plan.both[2] == (29_700, gap[0] + 2 * SURE_MS), "and the wait before"


def with_transfer_notice(original: Take, mode: str = "opt-in", asks: bool = True) -> Take:
    """The take of a line that asks participants for consent, with the legs in its markers."""
    sound = TimedSentence("said", "0" * 64, 1000)
    notice = TransferNotice("alone", sound, sound if asks else None)
    legs = iter("bcdefgh")
    markers = tuple(
        replace(one, data={"leg": next(legs)}) if one.kind == "bridged" else one for one in original.markers
    )
    return replace(
        original, markers=markers, start=replace(original.start, mode=mode, transfer_notice=notice)
    )


JOINED = [
    *NORMAL,
    (20_000, "unbridged"),
    (21_000, "bridged"),
    (21_300, "transfer_notice_started"),
    (23_300, "transfer_question_finished"),
]


def unconsented(plan: redaction.RedactionPlan) -> list[tuple[int, int]]:
    """The stretches of our side that are not kept; each is redacted in the right channel only."""
    ours = [gap for gap in plan.gaps if gap.reason == "no_participant_consent"]
    for gap in ours:
        assert gap.channel == "right"
        assert any(start <= gap.start_ms and gap.end_ms <= end for start, end in plan.right)
    return [(gap.start_ms, gap.end_ms) for gap in ours]


def test_redacts_a_participant_before_their_consent() -> None:
    call = take([*JOINED, (25_000, "transfer_question_answered")])
    plan = plan_redaction(with_transfer_notice(call), sound(), FOUND)
    # With a margin: events come some tenths of a second before or after their samples.
    assert plan.right == ((19_800, 25_400),)
    assert unconsented(plan) == [(21_400, 25_400)], "the wait has its own reason"
    samples = np.ones((LENGTH_MS * 8, 2), dtype=np.int16)
    redacted = redaction.silence(samples, 0, 8000, plan)
    assert not redacted[19_800 * 8 : 25_400 * 8, 1].any()
    assert redacted[25_400 * 8 :].all()
    assert redacted[21_400 * 8 : 25_400 * 8, 0].all(), "the external party consented earlier"
    later = 24_000 * 8
    assert np.array_equal(redaction.silence(samples[later:], later, 8000, plan), redacted[later:]), (
        "block by block"
    )
    for other in (with_transfer_notice(call, asks=False), with_transfer_notice(call, "notice")):
        assert plan_redaction(other, sound(), FOUND).right == ()


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
def test_redacts_a_participant_without_an_answer(
    mode: str, more: list[tuple[int, str]], right: tuple[int, int] | None
) -> None:
    plan = plan_redaction(with_transfer_notice(take([*JOINED, *more]), mode), sound(), FOUND)
    assert (plan.right[0] if plan.right else None) == right


@pytest.mark.parametrize("mode", ["opt-in", "opt-out"])
def test_redacts_a_participant_who_refused(mode: str) -> None:
    call = take([*JOINED, (25_000, "transfer_question_refused"), (25_200, "recording_stopped")])
    assert plan_redaction(with_transfer_notice(call, mode), sound(25_200), FOUND).right == ((19_700, 25_200),)


def test_redacts_our_side_while_unobserved_in_opt_in() -> None:
    call = take([*NORMAL, (20_000, "unobserved_from"), (30_000, "unobserved_to")])
    assert plan_redaction(with_transfer_notice(call), sound(), FOUND).right == ((19_800, 30_400),)
    assert unconsented(plan_redaction(with_transfer_notice(call), sound(), FOUND)) == [(19_800, 30_400)]
    assert plan_redaction(with_transfer_notice(call, "opt-out"), sound(), FOUND).right == ()


def test_clock_set_back_redacts_our_side_throughout() -> None:
    call = take([*JOINED, (25_000, "transfer_question_answered")])
    plan = plan_redaction(with_transfer_notice(call), sound(LENGTH_MS + 20_000), FOUND)
    assert plan.right == ((0, LENGTH_MS + 20_000),)
