"""What a colleague dials: it is done or marked, and nothing is destroyed but by a key after the question."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import CallState, Do, Phase, QuestionStep, WriteMark
from recorder.domain.call_events import (
    CODES,
    EXTERNAL,
    INTERNAL,
    CallEvent,
    CallHungUp,
    CallReconciled,
    ChannelGone,
    CodeDialled,
    CommandGiven,
    HoldStarted,
    KeyPressed,
    LegBridged,
    LegUnbridged,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
)
from recorder.domain.call_plan import CallPlan, DeleteScript
from tests.unit.call.any_event import TYPES, any_event
from tests.unit.call.test_consent import AT, KEEP, Call, plan, speech

DELETE = DeleteScript(speech("delete"), speech("deleted"))


def allowed() -> CallPlan:
    made = plan(KEEP)
    return replace(made, scripts=tuple(replace(one, delete=DELETE) for one in made.scripts))


class Talk(Call):
    """A call on a line that lets colleagues have it destroyed, or not."""

    def __init__(self, deletable: bool = True) -> None:
        super().__init__(KEEP)
        if deletable:
            self.state = replace(self.state, plan=allowed())

    def code(self, code: str, **more: object) -> None:
        self.tell(CodeDialled, code=code, other="b", **more)

    def is_asked(self, *, complete: bool = True) -> None:
        self.code("delete")
        self.tell(SoundStarted, leg=INTERNAL, sound=DELETE.question.path)
        self.now += DELETE.question.length
        self.tell(SoundEnded, leg=INTERNAL, sound=DELETE.question.path, complete=complete)


def test_a_pause_a_note_and_the_end_of_the_pause_are_marked() -> None:
    call = Talk()
    call.code("pause", lasts=timedelta(seconds=120))
    assert call.notes("paused") == [{"seconds": "120"}]
    assert call.state.pause.is_active(call.now)
    call.code("note")
    call.code("resume")
    assert not call.state.pause.is_active(call.now)
    assert len(call.notes("moment_marked")) == len(call.notes("resumed")) == 1
    assert call.ends() is None


UNSEEN = {"since": AT, "state": "announced", "capturing": True, "other": "b"}
"""The daemon is back with the call."""

PAUSE = timedelta(seconds=20)


def test_what_it_was_paused_for_while_nobody_watched_is_asked_of_the_switch() -> None:
    call = Talk()
    began = call.now - timedelta(seconds=3)
    for _ in range(2):
        call.tell(CallReconciled, paused=True, paused_at=began, lasts=PAUSE, **UNSEEN)
    assert call.notes("paused") == [{"seconds": "20", "seen": "later"}]
    assert [one.at for one in call.done if isinstance(one, WriteMark) and one.kind == "paused"] == [began]
    assert call.state.pause.until == began + PAUSE
    call.tell(CallReconciled, paused=False, **UNSEEN)
    assert call.notes("resumed") == [{"seen": "later"}]
    assert len(call.notes("paused")) == 1


def test_where_the_switch_does_not_say_since_when_it_is_paused_that_is_said() -> None:
    call = Talk()
    for _ in range(2):
        call.tell(CallReconciled, paused=True, lasts=PAUSE, **UNSEEN)
    assert call.notes("paused") == [{"seconds": "20", "began": "unknown", "seen": "later"}]


@pytest.mark.parametrize("first", ["dialled", "seen later"])
def test_a_pause_that_nobody_saw_begin_is_another_than_one_that_ended_by_itself(first: str) -> None:
    call = Talk()
    if first == "dialled":
        call.code("pause", lasts=PAUSE)
    else:
        call.tell(CallReconciled, paused=True, paused_at=call.now, lasts=PAUSE, **UNSEEN)
    call.now += PAUSE + timedelta(seconds=1)
    began = call.now
    call.tell(CallReconciled, paused=True, paused_at=began, lasts=PAUSE, **UNSEEN)
    assert call.notes("paused")[1:] == [{"seconds": "20", "seen": "later"}]
    assert call.state.pause.until == began + PAUSE


def test_a_pause_that_was_begun_anew_while_nobody_watched_lasts_from_then_on() -> None:
    call = Talk()
    call.code("pause", lasts=PAUSE)
    began = call.now + timedelta(seconds=5)
    call.now += timedelta(seconds=10)
    call.tell(CallReconciled, paused=True, paused_at=began, lasts=PAUSE, **UNSEEN)
    assert len(call.notes("paused")) == 2
    assert call.state.pause.until == began + PAUSE


def test_a_pause_that_ended_by_itself_while_nobody_watched_was_not_gone_on_with() -> None:
    call = Talk()
    call.code("pause", lasts=PAUSE)
    call.now += PAUSE
    call.tell(CallReconciled, paused=False, **UNSEEN)
    assert call.notes("resumed") == []


def resumed_with(*notes: WriteMark) -> CallState:
    told = [WriteMark(kind, AT) for kind in ("recording_started", "announcement_finished")]
    bridged = WriteMark("bridged", AT, (("party", "extension"), ("value", "200"), ("leg", "b")))
    return initial.resume(allowed(), [*told, bridged, *notes], AT)


def test_a_daemon_that_comes_back_knows_that_it_is_paused_and_for_how_long() -> None:
    paused = WriteMark("paused", AT, (("seconds", "20"),))
    assert resumed_with(paused).pause.until == AT + PAUSE
    assert resumed_with(paused, WriteMark("resumed", AT)).pause.until is None
    # By an Accord of before: the switch says.
    before = resumed_with(WriteMark("paused", AT, (("seen", "later"),)))
    _, actions = step(before, CallReconciled(AT, paused=True, paused_at=AT, lasts=PAUSE, **UNSEEN))
    assert [one.kind for one in actions if isinstance(one, WriteMark)][-1] == "paused"


def test_one_that_was_dialled_before_it_was_written_down_that_they_were_told() -> None:
    state = initial.resume(allowed(), [WriteMark("recording_started", AT)], AT)
    now = AT + timedelta(seconds=5)
    watched = CallReconciled(now, paused=True, paused_at=AT, lasts=PAUSE, bridged_at=AT, **UNSEEN)
    state, actions = step(state, watched)
    assert state.phase is Phase.ANNOUNCED
    assert "paused" in [one.kind for one in actions if isinstance(one, WriteMark)]
    assert Do.PAUSE_TONE in actions


@pytest.mark.parametrize("leg", ["b", "c"])
def test_who_is_there_or_comes_after_a_restart_in_a_pause_is_reminded_of_it(leg: str) -> None:
    state = resumed_with(WriteMark("paused", AT, (("seconds", "20"),)))
    now = AT + timedelta(seconds=5)
    watched = CallReconciled(now, paused=True, paused_at=AT, lasts=PAUSE, **UNSEEN)
    state, actions = step(state, watched)
    assert Do.PAUSE_TONE in actions
    if leg == "c":
        state, actions = step(state, LegBridged(now, state="announced", other="c"))
        assert Do.PAUSE_TONE in actions


def test_the_colleague_confirms_and_it_is_destroyed() -> None:
    call = Talk()
    call.is_asked()
    assert Do.DELETE_ASK in call.done
    call.presses("1", INTERNAL)
    assert call.state.phase is Phase.UNRECORDED
    orders = [one for one in call.done if isinstance(one, Do)]
    assert orders[-2:] == [Do.DELETED, Do.DISCARD]
    call.tell(RecordingStopped)
    assert call.ends() == "deleted"


@pytest.mark.parametrize("key", ["2", "5", "*", "9"])
def test_any_other_key_lets_it_go_on(key: str) -> None:
    call = Talk()
    call.is_asked()
    call.presses(key, INTERNAL)
    call.presses("1", INTERNAL)
    assert call.state.phase is Phase.ANNOUNCED
    assert call.notes("deletion_cancelled") == [{}]
    assert call.ends() is None


def test_the_outside_party_cannot_confirm() -> None:
    call = Talk()
    call.is_asked()
    call.presses("1", EXTERNAL)
    assert call.state.phase is Phase.ANNOUNCED
    call.waits()
    assert call.notes("deletion_cancelled") == [{}]


def test_a_key_before_the_end_of_the_question_confirms_nothing() -> None:
    call = Talk()
    call.code("delete")
    call.tell(SoundStarted, leg=INTERNAL, sound=DELETE.question.path)
    call.presses("1", INTERNAL)
    assert call.state.phase is Phase.ANNOUNCED


def test_a_question_that_was_cut_confirms_nothing() -> None:
    call = Talk()
    call.is_asked(complete=False)
    call.presses("1", INTERNAL)
    assert call.state.phase is Phase.ANNOUNCED


@pytest.mark.parametrize("what", ["hold", "their hold", "another colleague", "parted"])
def test_what_comes_between_drops_it(what: str) -> None:
    call = Talk()
    call.is_asked()
    if what == "another colleague":
        call.connect("c")
    elif what == "parted":
        call.tell(LegUnbridged)
    else:
        call.tell(HoldStarted, leg=INTERNAL if what == "hold" else EXTERNAL)
    call.presses("1", INTERNAL)
    assert call.state.phase is Phase.ANNOUNCED
    assert call.notes("deletion_cancelled") == [{}]


def test_a_line_that_does_not_allow_it_asks_nothing() -> None:
    call = Talk(deletable=False)
    call.code("delete")
    assert Do.DELETE_ASK not in call.done


def test_one_question_at_a_time() -> None:
    call = Talk()
    call.dials()
    call.code("delete")
    assert Do.DELETE_ASK not in call.done
    call.hears(KEEP.question)
    call.code("delete")
    assert Do.DELETE_ASK not in call.done
    assert call.state.question.step is QuestionStep.ANSWER


def test_a_daemon_that_comes_back_does_not_keep_what_was_to_be_destroyed() -> None:
    """It may have died between the key and the order to the switch."""
    told = [
        WriteMark(kind, AT) for kind in ("recording_started", "announcement_finished", "bridged", "deleted")
    ]
    state = initial.resume(allowed(), told, AT)
    state, actions = step(state, CallReconciled(AT, since=AT, state="announced", capturing=True))
    assert {Do.STOP, Do.DISCARD} <= set(actions)
    state, _ = step(state, CallHungUp(AT, cause="NORMAL_CLEARING", ending=True))
    state, actions = step(state, RecordingStopped(AT, ending=True))
    assert (state.phase, state.reason) == (Phase.ENDED, "deleted")


@pytest.mark.parametrize("beep", ["", "both"])
def test_a_beep_is_ordered_where_the_line_says_so(beep: str) -> None:
    call = Talk()
    assert Do.BEEP not in call.done
    call.state = replace(call.state, plan=replace(call.state.plan, beep=beep))
    call.connect("c")
    assert (Do.BEEP in call.done) == bool(beep)


def test_who_takes_a_paused_call_over_is_reminded_of_it() -> None:
    call = Talk()
    call.code("pause", lasts=timedelta(seconds=20))
    call.connect("c")
    assert call.done.count(Do.PAUSE_TONE) == 1
    call.now += timedelta(seconds=20)
    call.connect("d")
    assert call.done.count(Do.PAUSE_TONE) == 1, "it has ended by itself"


EVENTS = any_event(
    types=tuple(each for each in TYPES if each is not ChannelGone),
    at=st.integers(0, 60_000).map(lambda ms: AT + timedelta(milliseconds=ms)),
    state=st.sampled_from(["", "announced"]),
    leg=st.sampled_from([EXTERNAL, INTERNAL, ""]),
    other=st.sampled_from(["", "b", "c"]),
    sound=st.sampled_from(["", DELETE.question.path, "/prompts/question.wav"]),
    complete=st.booleans(),
    ending=st.booleans(),
    key=st.sampled_from("12*9"),
    code=st.sampled_from(CODES),
)


def likely(name: str, state: CallState) -> list[CallEvent]:
    if name == "code":
        return [CodeDialled(AT, code="delete", other="b")]
    if name == "1":
        return [KeyPressed(AT, key="1", leg=INTERNAL)]
    if name == "begins":
        return [SoundStarted(AT, state.question.sound, INTERNAL)]
    return [SoundEnded(AT, state.question.sound, INTERNAL, complete=True)]


@given(st.lists(st.sampled_from(["code", "begins", "heard", "1"]) | EVENTS, max_size=25))
@settings(max_examples=300, deadline=None)
def test_no_order_of_events_destroys_without_the_colleagues_word(moves: list[CallEvent | str]) -> None:
    state = Talk().state
    heard = False
    for move in moves:
        for event in likely(move, state) if isinstance(move, str) else [move]:
            before = state
            state, actions = step(before, event)
            if isinstance(event, CodeDialled) and Do.DELETE_ASK in actions:
                heard = False
            if (
                isinstance(event, SoundEnded)
                and event.leg == INTERNAL
                and event.sound == DELETE.question.path
            ):
                heard = heard or (event.complete and not event.ending)
            if isinstance(event, CommandGiven) and Do.DELETED in actions:
                assert event.code == "delete"  # asked back where it was asked, and on a line that allows it
                assert before.talking
                assert before.question.step is QuestionStep.IDLE
            elif Do.DELETED in actions:
                assert isinstance(event, KeyPressed)
                assert (event.key, event.leg) == ("1", INTERNAL)
                assert heard, "they had not heard the question to its end"
                assert before.question.step is QuestionStep.ANSWER
