"""Feature codes: carried out and marked; deletion needs a key after the question."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import CallState, Do, Phase, QuestionStep
from recorder.domain import call_events
from recorder.domain.markers import Marker
from tests.unit.call.any_event import TYPES, any_event
from tests.unit.call.conversation import AT, DELETE, KEEP, DeletableConversation, deletable_plan


def test_writes_markers_of_pause_mark_and_resume() -> None:
    call = DeletableConversation()
    call.dial("pause", lasts=timedelta(seconds=120))
    assert call.markers("paused") == [{"seconds": "120"}]
    assert call.state.pause.is_active(call.now)
    call.dial("mark")
    call.dial("resume")
    assert not call.state.pause.is_active(call.now)
    assert len(call.markers("moment_marked")) == len(call.markers("resumed")) == 1
    assert call.end() is None


UNSEEN = {"since": AT, "state": "announced", "capturing": True, "other": "b"}
"""Of a reconnect while the call goes on."""

PAUSE = timedelta(seconds=20)


def test_reconciles_a_pause_with_the_switch() -> None:
    call = DeletableConversation()
    since = call.now - timedelta(seconds=3)
    for _ in range(2):
        call.feed(call_events.CallReconciled, paused=True, paused_at=since, lasts=PAUSE, **UNSEEN)
    assert call.markers("paused") == [{"seconds": "20", "seen": "later"}]
    assert [one.at for one in call.action_log if isinstance(one, Marker) and one.kind == "paused"] == [since]
    assert call.state.pause.until == since + PAUSE
    call.feed(call_events.CallReconciled, paused=False, **UNSEEN)
    assert call.markers("resumed") == [{"seen": "later"}]
    assert len(call.markers("paused")) == 1


def test_marks_a_pause_of_unknown_start() -> None:
    call = DeletableConversation()
    for _ in range(2):
        call.feed(call_events.CallReconciled, paused=True, lasts=PAUSE, **UNSEEN)
    assert call.markers("paused") == [{"seconds": "20", "began": "unknown", "seen": "later"}]


def test_marks_a_pause_that_is_over_if_it_began_unobserved() -> None:
    call = DeletableConversation()
    report = {**UNSEEN, "since": call.now - timedelta(seconds=5), "lasts": PAUSE}
    earlier, later = (call.now - timedelta(seconds=ago) for ago in (6, 4))
    call.feed(call_events.CallReconciled, paused_at=earlier, **report)
    assert call.markers("paused") == []
    call.feed(call_events.CallReconciled, paused_at=later, **report)
    assert call.markers("paused") == [{"seconds": "20", "seen": "later"}]
    assert call.markers("resumed") == [{"seen": "later"}]
    assert not call.state.pause.is_active(call.now)


def test_a_known_pause_that_is_over_is_not_marked_again() -> None:
    call = DeletableConversation()
    call.dial("pause", lasts=PAUSE)
    start = call.now
    call.now += PAUSE
    call.feed(call_events.CallReconciled, paused_at=start, **{**UNSEEN, "since": start, "lasts": PAUSE})
    assert len(call.markers("paused")) == 1
    assert call.markers("resumed") == []


@pytest.mark.parametrize("first", ["dialled", "seen later"])
def test_marks_a_second_pause_that_began_unobserved(first: str) -> None:
    call = DeletableConversation()
    if first == "dialled":
        call.dial("pause", lasts=PAUSE)
    else:
        call.feed(call_events.CallReconciled, paused=True, paused_at=call.now, lasts=PAUSE, **UNSEEN)
    call.now += PAUSE + timedelta(seconds=1)
    since = call.now
    call.feed(call_events.CallReconciled, paused=True, paused_at=since, lasts=PAUSE, **UNSEEN)
    assert call.markers("paused")[1:] == [{"seconds": "20", "seen": "later"}]
    assert call.state.pause.until == since + PAUSE


def test_a_pause_restarted_unobserved_lasts_from_its_restart() -> None:
    call = DeletableConversation()
    call.dial("pause", lasts=PAUSE)
    since = call.now + timedelta(seconds=5)
    call.now += timedelta(seconds=10)
    call.feed(call_events.CallReconciled, paused=True, paused_at=since, lasts=PAUSE, **UNSEEN)
    assert len(call.markers("paused")) == 2
    assert call.state.pause.until == since + PAUSE


def test_an_expired_pause_is_not_marked_as_resumed() -> None:
    call = DeletableConversation()
    call.dial("pause", lasts=PAUSE)
    call.now += PAUSE
    call.feed(call_events.CallReconciled, paused=False, **UNSEEN)
    assert call.markers("resumed") == []


def resumed(*markers: Marker) -> CallState:
    earlier = [Marker(AT, kind) for kind in ("recording_started", "announcement_finished")]
    bridged = Marker(AT, "bridged", {"party": "extension", "value": "200", "leg": "b"})
    return initial.resume(deletable_plan(), [*earlier, bridged, *markers], AT)


def test_resume_restores_the_pause() -> None:
    paused = Marker(AT, "paused", {"seconds": "20"})
    assert resumed(paused).pause.until == AT + PAUSE
    assert resumed(paused, Marker(AT, "resumed")).pause.until is None
    # Without a length the switch's report decides.
    before = resumed(Marker(AT, "paused", {"seen": "later"}))
    _, actions = step(
        before, call_events.CallReconciled(AT, paused=True, paused_at=AT, lasts=PAUSE, **UNSEEN)
    )
    assert [one.kind for one in actions if isinstance(one, Marker)][-1] == "paused"


def test_reconciles_a_pause_from_before_the_confirmation() -> None:
    state = initial.resume(deletable_plan(), [Marker(AT, "recording_started")], AT)
    now = AT + timedelta(seconds=5)
    report = call_events.CallReconciled(now, paused=True, paused_at=AT, lasts=PAUSE, bridged_at=AT, **UNSEEN)
    state, actions = step(state, report)
    assert state.phase is Phase.ANNOUNCED
    assert "paused" in [one.kind for one in actions if isinstance(one, Marker)]
    assert Do.PAUSE_TONE in actions


@pytest.mark.parametrize("leg", ["b", "c"])
def test_repeats_the_pause_tone_after_a_restart(leg: str) -> None:
    state = resumed(Marker(AT, "paused", {"seconds": "20"}))
    now = AT + timedelta(seconds=5)
    report = call_events.CallReconciled(now, paused=True, paused_at=AT, lasts=PAUSE, **UNSEEN)
    state, actions = step(state, report)
    assert Do.PAUSE_TONE in actions
    if leg == "c":
        state, actions = step(state, call_events.LegBridged(now, state="announced", other="c"))
        assert Do.PAUSE_TONE in actions


def test_deletes_once_the_colleague_confirms() -> None:
    call = DeletableConversation()
    call.ask_to_delete()
    assert Do.DELETE_ASK in call.action_log
    call.press("1", call_events.INTERNAL)
    assert call.state.phase is Phase.UNRECORDED
    orders = [one for one in call.action_log if isinstance(one, Do)]
    assert orders[-2:] == [Do.DELETED, Do.DISCARD]
    call.feed(call_events.RecordingStopped)
    assert call.end() == "deleted"


@pytest.mark.parametrize("key", ["2", "5", "*", "9"])
def test_any_other_key_cancels_deletion(key: str) -> None:
    call = DeletableConversation()
    call.ask_to_delete()
    call.press(key, call_events.INTERNAL)
    call.press("1", call_events.INTERNAL)
    assert call.state.phase is Phase.ANNOUNCED
    assert call.markers("deletion_cancelled") == [{}]
    assert call.end() is None


def test_external_party_cannot_confirm_deletion() -> None:
    call = DeletableConversation()
    call.ask_to_delete()
    call.press("1", call_events.EXTERNAL)
    assert call.state.phase is Phase.ANNOUNCED
    call.expire_timer()
    assert call.markers("deletion_cancelled") == [{}]


def test_a_key_before_the_end_of_the_question_confirms_nothing() -> None:
    call = DeletableConversation()
    call.dial("delete")
    call.feed(call_events.SoundStarted, leg=call_events.INTERNAL, sound=DELETE.question.path)
    call.press("1", call_events.INTERNAL)
    assert call.state.phase is Phase.ANNOUNCED


def test_a_question_that_was_cut_confirms_nothing() -> None:
    call = DeletableConversation()
    call.ask_to_delete(complete=False)
    call.press("1", call_events.INTERNAL)
    assert call.state.phase is Phase.ANNOUNCED


@pytest.mark.parametrize("what", ["hold", "their hold", "another colleague", "parted"])
def test_hold_or_another_party_cancels_deletion(what: str) -> None:
    call = DeletableConversation()
    call.ask_to_delete()
    if what == "another colleague":
        call.connect("c")
    elif what == "parted":
        call.feed(call_events.LegUnbridged)
    else:
        call.feed(
            call_events.HoldStarted, leg=call_events.INTERNAL if what == "hold" else call_events.EXTERNAL
        )
    call.press("1", call_events.INTERNAL)
    assert call.state.phase is Phase.ANNOUNCED
    assert call.markers("deletion_cancelled") == [{}]


def test_ignores_delete_where_the_line_does_not_allow_it() -> None:
    call = DeletableConversation(deletable=False)
    call.dial("delete")
    assert Do.DELETE_ASK not in call.action_log


def test_ignores_delete_during_a_hold() -> None:
    call = DeletableConversation()
    call.feed(call_events.HoldStarted)
    call.dial("delete")
    assert Do.DELETE_ASK not in call.action_log


def test_a_question_that_never_started_confirms_nothing() -> None:
    call = DeletableConversation()
    call.dial("delete")
    call.feed(call_events.SoundEnded, leg=call_events.INTERNAL, sound=DELETE.question.path, complete=True)
    assert call.state.question.step is QuestionStep.QUESTION
    call.press("1", call_events.INTERNAL)
    assert call.state.phase is Phase.ANNOUNCED


def test_an_unknown_code_changes_nothing() -> None:
    call = DeletableConversation()
    before = call.state
    call.dial("anything")
    assert call.state == before


def test_opens_one_question_at_a_time() -> None:
    call = DeletableConversation()
    call.dial_keep()
    call.dial("delete")
    assert Do.DELETE_ASK not in call.action_log
    call.play(KEEP.question)
    call.dial("delete")
    assert Do.DELETE_ASK not in call.action_log
    assert call.state.question.step is QuestionStep.ANSWER


def test_resume_discards_a_deleted_recording() -> None:
    """The daemon may have died between the key and the order to the switch."""
    markers = [
        Marker(AT, kind) for kind in ("recording_started", "announcement_finished", "bridged", "deleted")
    ]
    state = initial.resume(deletable_plan(), markers, AT)
    state, actions = step(state, call_events.CallReconciled(AT, since=AT, state="announced", capturing=True))
    assert {Do.STOP, Do.DISCARD} <= set(actions)
    state, _ = step(state, call_events.CallHungUp(AT, cause="NORMAL_CLEARING", hangup=True))
    state, actions = step(state, call_events.RecordingStopped(AT, hangup=True))
    assert (state.phase, state.reason) == (Phase.ENDED, "deleted")


@pytest.mark.parametrize("beep", ["", "both"])
def test_orders_the_beep_where_the_line_has_one(beep: str) -> None:
    call = DeletableConversation()
    assert Do.BEEP not in call.action_log
    call.state = replace(call.state, plan=replace(call.state.plan, beep=beep))
    call.connect("c")
    assert (Do.BEEP in call.action_log) == bool(beep)


def test_repeats_the_pause_tone_for_the_next_colleague() -> None:
    call = DeletableConversation()
    call.dial("pause", lasts=timedelta(seconds=20))
    call.connect("c")
    assert call.action_log.count(Do.PAUSE_TONE) == 1
    call.now += timedelta(seconds=20)
    call.connect("d")
    assert call.action_log.count(Do.PAUSE_TONE) == 1, "it has ended by itself"


EVENTS = any_event(
    types=tuple(each for each in TYPES if each is not call_events.ChannelGone),
    at=st.integers(0, 60_000).map(lambda ms: AT + timedelta(milliseconds=ms)),
    state=st.sampled_from(["", "announced"]),
    leg=st.sampled_from([call_events.EXTERNAL, call_events.INTERNAL, ""]),
    other=st.sampled_from(["", "b", "c"]),
    sound=st.sampled_from(["", DELETE.question.path, "/prompts/question.wav"]),
    complete=st.booleans(),
    hangup=st.booleans(),
    key=st.sampled_from("12*9"),
    code=st.sampled_from(call_events.CODES),
)


def likely(name: str, state: CallState) -> list[call_events.CallEvent]:
    if name == "code":
        return [call_events.CodeDialled(AT, code="delete", other="b")]
    if name == "1":
        return [call_events.KeyPressed(AT, key="1", leg=call_events.INTERNAL)]
    if name == "begins":
        return [call_events.SoundStarted(AT, state.question.sound, call_events.INTERNAL)]
    return [call_events.SoundEnded(AT, state.question.sound, call_events.INTERNAL, complete=True)]


@given(st.lists(st.sampled_from(["code", "begins", "heard", "1"]) | EVENTS, max_size=25))
@settings(max_examples=300, deadline=None)
def test_no_order_of_events_deletes_without_confirmation(moves: list[call_events.CallEvent | str]) -> None:
    state = DeletableConversation().state
    question_heard = False
    for move in moves:
        for event in likely(move, state) if isinstance(move, str) else [move]:
            before = state
            state, actions = step(before, event)
            if isinstance(event, call_events.CodeDialled) and Do.DELETE_ASK in actions:
                question_heard = False
            if (
                isinstance(event, call_events.SoundEnded)
                and event.leg == call_events.INTERNAL
                and event.sound == DELETE.question.path
            ):
                question_heard = question_heard or (event.complete and not event.hangup)
            if isinstance(event, call_events.CommandGiven) and Do.DELETED in actions:
                assert event.code == "delete"  # confirmed in the panel
                assert before.in_conversation
                assert before.question.step is QuestionStep.IDLE
            elif Do.DELETED in actions:
                assert isinstance(event, call_events.KeyPressed)
                assert (event.key, event.leg) == ("1", call_events.INTERNAL)
                assert question_heard, "confirmed before the end of the question"
                assert before.question.step is QuestionStep.ANSWER
