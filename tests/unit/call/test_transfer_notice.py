"""The party at the other end: marked, notified once, and never external."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import Do, Finish, Phase
from recorder.domain.call_events import (
    EXTERNAL,
    INTERNAL,
    CallHungUp,
    CallReconciled,
    ConferenceEnded,
    DeadlinePassed,
    HoldEnded,
    HoldStarted,
    LegBridged,
    LegChecked,
    RecordingStopped,
)
from recorder.domain.call_plan import ALONE, BOTH, OPT_OUT
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from tests.unit.call.recorded_call import AT, FIRST, SECOND, RecordedCall, plan, reconcile, resumed


def test_a_transfer_marks_both_parties() -> None:
    call = RecordedCall(plan(None))
    call.transfer("c", SECOND)
    assert call.kinds[-3:] == ["bridged", "unbridged", "bridged"]
    assert call.markers("unbridged") == [{"party": "extension", "value": "200"}]
    assert call.markers("bridged")[1] == {"party": "extension", "value": "300", "leg": "c"}
    assert call.count(Do.NOTIFY) == 0
    assert call.state.internal.party == SECOND


def test_marks_a_departure_that_the_switch_did_not_report() -> None:
    call = RecordedCall(plan(None))
    call.connect("c", SECOND)
    call.unbridge("b")  # reported late, of a party who has left
    assert call.kinds[-2:] == ["unbridged", "bridged"]
    assert call.state.internal.leg == "c"
    call.unbridge("c")
    assert call.markers("unbridged")[-1] == {"party": "extension", "value": "300"}
    assert call.state.internal.leg == ""


@pytest.mark.parametrize("how", [ALONE, BOTH])
@pytest.mark.parametrize("at_pickup", [False, True])
def test_transfer_target_hears_the_notice(how: str, at_pickup: bool) -> None:
    call = RecordedCall(plan(how, at_pickup))
    call.transfer("c", SECOND)
    assert call.action_log[-1] is Do.NOTIFY
    call.start_notice()
    call.end_notice()
    assert call.markers("transfer_notice_started") == [{"how": how}]
    assert call.kinds[-2:] == ["transfer_notice_started", "transfer_notice_finished"]
    assert call.state.transfer.target is None
    assert call.state.timer.deadline is None


@pytest.mark.parametrize("at_pickup", [False, True])
def test_first_party_is_not_notified_and_nobody_twice(at_pickup: bool) -> None:
    """Neither after a transfer back, nor after a hold."""
    call = RecordedCall(plan(at_pickup=at_pickup))
    assert call.count(Do.NOTIFY) == 0
    call.transfer("c", SECOND)
    call.start_notice()
    call.end_notice()
    call.transfer("b", FIRST)  # back on the same leg
    call.transfer("d", FIRST)  # back by a new call to the same number
    call.transfer("c", SECOND)
    call.transfer("e", SECOND)
    call.feed(HoldStarted)
    call.feed(HoldEnded)
    call.feed(HoldStarted, leg=INTERNAL)
    call.feed(HoldEnded, leg=INTERNAL)
    assert call.count(Do.NOTIFY) == 1
    assert call.count(Do.CHECK_TARGET) == (1 if at_pickup else 2)


def test_withheld_numbers_are_notified_each_time() -> None:
    call = RecordedCall()
    call.transfer("c", Party("withheld", ""))
    call.start_notice()
    call.end_notice()
    call.transfer("d", Party("withheld", ""))
    assert call.count(Do.NOTIFY) == 2


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (lambda call: call.end_notice(timedelta(seconds=1)), "stopped"),
        (lambda call: call.end_notice(complete=False), "stopped"),
        (lambda call: call.end_notice(hangup=True), "stopped"),
        (lambda call: call.unbridge(), "left"),
        (lambda call: call.connect("d", Party("extension", "400")), "left"),
        (lambda call: call.feed(CallHungUp, hangup=True), "left"),
        (lambda call: call.feed(HoldStarted), "hold"),
        (lambda call: call.feed(HoldStarted, leg=INTERNAL), "hold"),
        (lambda call: call.feed(CallReconciled, since=AT, state="announced", capturing=True, other="c",
                                party=SECOND), "unobserved"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("started", [True, False])
def test_a_notice_not_heard_whole_does_not_count(cut: object, why: str, started: bool) -> None:
    call = RecordedCall()
    call.transfer("c", SECOND)
    if started:
        call.start_notice()
    elif why == "stopped":
        call.now = call.state.timer.deadline or call.now
        call.feed(DeadlinePassed)
    cut(call)  # type: ignore[operator]
    assert call.markers("transfer_notice_interrupted") == [{"reason": why}]
    assert "transfer_notice_finished" not in call.kinds
    assert call.state.transfer.target is None or not call.state.transfer.target.sound


@pytest.mark.parametrize("side", [EXTERNAL, INTERNAL])
def test_repeats_the_notice_after_a_hold(side: str) -> None:
    call = RecordedCall()
    call.transfer("c", SECOND)
    call.start_notice()
    call.feed(HoldStarted, leg=side)
    call.end_notice()  # it plays on unheard
    assert "transfer_notice_finished" not in call.kinds
    call.feed(HoldEnded, leg=side)
    call.start_notice()
    call.end_notice()
    assert call.kinds.count("transfer_notice_finished") == 1
    assert call.count(Do.NOTIFY) == 2


def test_notifies_nobody_during_a_hold() -> None:
    call = RecordedCall()
    call.feed(HoldStarted)
    call.transfer("c", SECOND)
    assert call.count(Do.NOTIFY) == 0
    call.feed(HoldEnded)
    assert call.count(Do.NOTIFY) == 1


def test_checks_a_transfer_target_despite_a_hold() -> None:
    call = RecordedCall()
    call.unbridge()
    call.connect("c", SECOND)
    call.feed(HoldStarted)
    call.feed(LegChecked, other="c", external=True)
    assert call.state.recording.over


def test_a_short_hold_during_the_check_does_not_notify_early() -> None:
    call = RecordedCall()
    call.unbridge()
    call.connect("c", SECOND)
    call.feed(HoldStarted)
    call.feed(HoldEnded)
    assert call.count(Do.NOTIFY) == 0
    call.feed(LegChecked, other="c")
    assert call.count(Do.NOTIFY) == 1


def test_notifies_nobody_after_the_recording() -> None:
    call = RecordedCall()
    call.transfer("c", Party("e164", "+32470123456"), external=True)
    call.connect("d", SECOND)
    call.feed(HoldStarted)
    call.feed(HoldEnded)
    assert call.count(Do.NOTIFY) == 0


def test_notifies_nobody_in_an_unrecorded_call() -> None:
    state, _ = initial.arrive(replace(plan(), mode=OPT_OUT), AT)
    for event in (
        LegBridged(AT, party=FIRST, other="b", state="announcing"),
        LegBridged(AT, party=SECOND, other="c", state="unrecorded"),
        LegChecked(AT, other="c", external=True),
    ):
        state, actions = step(state, event)
        assert not {Do.CHECK_TARGET, Do.NOTIFY} & set(actions)
    assert state.phase is Phase.UNRECORDED


def test_a_transfer_to_an_external_number_ends_the_recording() -> None:
    call = RecordedCall()
    call.transfer("c", Party("e164", "+32470123456"), external=True)
    assert call.action_log[-2:] == [Marker(call.now, "transferred_externally"), Do.STOP]
    assert call.count(Do.NOTIFY) == 0
    call.feed(RecordingStopped)
    finish = call.action_log[-1]
    assert isinstance(finish, Finish)
    assert finish.reason is None
    assert finish.at == call.now
    assert call.state.phase is Phase.ENDED


def test_a_call_forwarded_externally_is_not_recorded() -> None:
    """Nobody informed the other party; also where the daemon was away when they were connected."""
    first = RecordedCall(checked=False)
    for call in (first, resumed(first)):
        if call is not first:
            assert reconcile(call, "b", FIRST)[-1] is Do.CHECK_TARGET
        call.feed(LegChecked, other="b", external=True)
        assert call.action_log[-3:] == [Marker(call.now, "transferred_externally"), Do.STOP, Do.DISCARD]
        call.feed(RecordingStopped)
        call.feed(CallHungUp)
        finish = call.action_log[-1]
        assert isinstance(finish, Finish)
        assert finish.reason == "forwarded_externally"


def test_announced_on_answer_the_first_party_may_be_external() -> None:
    call = RecordedCall(plan(at_pickup=True))
    assert call.count(Do.CHECK_TARGET) == 0
    assert reconcile(call, "b", FIRST) == []


def test_marks_the_end_of_a_conference() -> None:
    call = RecordedCall()
    call.unbridge()
    call.feed(ConferenceEnded, state="announced")
    call.connect("c", SECOND)
    assert call.kinds[-3:] == ["unbridged", "conference_left", "bridged"]


def test_ignores_the_check_of_a_leg_that_left() -> None:
    call = RecordedCall()
    call.unbridge()
    call.connect("c", SECOND)
    call.unbridge()
    call.connect("b", FIRST)
    call.feed(LegChecked, other="c", external=True)
    assert not call.state.recording.over
    assert call.count(Do.NOTIFY) == 0


# --- after a reconnect


@pytest.mark.parametrize("at_pickup", [False, True])
@pytest.mark.parametrize("restart", [False, True])
def test_notifies_a_party_who_came_unobserved(at_pickup: bool, restart: bool) -> None:
    call = RecordedCall(plan(at_pickup=at_pickup))
    call = resumed(call) if restart else call
    actions = [
        one for one in reconcile(call, "c", SECOND) if not isinstance(one, Marker) or "ann" not in one.kind
    ]
    left, marker, *orders = actions
    assert isinstance(left, Marker)
    assert isinstance(marker, Marker)
    assert (left.kind, dict(left.data)) == (
        "unbridged", {"party": "extension", "value": "200", "seen": "later"},
    )  # fmt: skip
    assert (marker.kind, marker.at, dict(marker.data)["leg"]) == ("bridged", AT, "c")
    assert orders == [Do.CHECK_TARGET]
    call.feed(LegChecked, other="c")
    assert call.action_log[-1] is Do.NOTIFY


@pytest.mark.parametrize("restart", [False, True])
def test_a_known_party_is_not_marked_again(restart: bool) -> None:
    call = RecordedCall()
    call.transfer("c", SECOND)
    call.start_notice()
    call.end_notice()
    call = resumed(call) if restart else call
    assert reconcile(call, "c", SECOND) == [Do.CHECK_TARGET]
    assert call.state.internal.leg == "c"
    call.feed(LegChecked, other="c")
    call.transfer("b", FIRST)
    assert call.count(Do.NOTIFY) == (0 if restart else 1)


def test_a_party_without_a_leg_in_its_marker_is_not_marked_again() -> None:
    markers = [
        Marker(AT, "announcement_finished"),
        Marker(AT, "bridged", {"party": FIRST.kind, "value": FIRST.value}),
    ]
    call = RecordedCall()
    call.state, call.action_log = initial.resume(plan(), markers, AT), []
    assert reconcile(call, "b", FIRST) == [Do.CHECK_TARGET]
    assert call.state.internal.leg == "b"


@pytest.mark.parametrize("restart", [False, True])
def test_marks_a_party_who_left_unobserved(restart: bool) -> None:
    call = RecordedCall()
    call = resumed(call) if restart else call
    (left,) = reconcile(call, "", None)
    assert isinstance(left, Marker)
    assert left.kind == "unbridged"
    assert call.state.internal.leg == ""


def test_resume_does_not_repeat_a_started_notice() -> None:
    call = RecordedCall()
    call.transfer("c", SECOND)
    call.start_notice()
    call = resumed(call)
    untold, look = reconcile(call, "c", SECOND)
    assert look is Do.CHECK_TARGET
    assert untold == Marker(call.now, "transfer_notice_interrupted", {"reason": "unobserved"})
    call.feed(LegChecked, other="c")
    call.feed(HoldStarted)
    call.feed(HoldEnded)
    assert call.count(Do.NOTIFY) == 0


def test_resume_notifies_a_party_who_had_just_come() -> None:
    call = RecordedCall()
    call.unbridge()
    call.connect("c", SECOND)
    call = resumed(call)
    assert reconcile(call, "c", SECOND) == [Do.CHECK_TARGET]
    call.feed(LegChecked, other="c")
    assert call.action_log[-1] is Do.NOTIFY


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("captures", [False, True])
def test_reconcile_ends_a_recording_that_was_to_end(restart: bool, captures: bool) -> None:
    call = RecordedCall()
    call.transfer("c", Party("e164", "+32470123456"), external=True)
    call = resumed(call) if restart else call
    call.feed(CallReconciled, since=AT, state="announced", capturing=captures)
    if captures:
        assert call.action_log[-1] is Do.STOP
        call.feed(RecordingStopped)
    assert isinstance(call.action_log[-1], Finish)
    assert call.action_log[-1].reason is None
