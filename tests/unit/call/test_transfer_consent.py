"""Consent of transfer targets: nobody is recorded without their own answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.audio.transfer_redaction import find_unconsented
from recorder.call import transfer_consent
from recorder.call.remote_commands import BUSY, refusal
from recorder.call.state import Do, QuestionStep
from recorder.domain.call_events import (
    EXTERNAL,
    INTERNAL,
    CallHungUp,
    CallReconciled,
    CodeDialled,
    ConferenceJoined,
    DeadlinePassed,
    HoldEnded,
    HoldStarted,
    LegChecked,
    LegUnbridged,
    Participant,
    ParticipantLeft,
    ParticipantsJoined,
    SoundEnded,
    SoundStarted,
    SupervisorHeard,
    SupervisorsJoined,
)
from recorder.domain.call_plan import ALONE, BOTH, NOTICE, OPT_IN, OPT_OUT, CallPlan
from recorder.domain.line_policy import TransferNotice
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from recorder.domain.sentences import TimedSentence
from recorder.spool.layout import CallEnd, CallStart, Take
from tests.unit.call.recorded_call import (
    AT,
    FIRST,
    SECOND,
    SENTENCE,
    ConsentCall,
    RecordedCall,
    consent_script,
    reconcile,
    resumed,
)

THIRD = Party("extension", "400")
MODES = pytest.mark.parametrize("mode", [OPT_IN, OPT_OUT])


def ask_second_colleague(mode: str = OPT_IN, how: str = ALONE) -> ConsentCall:
    """Return a call in which a second colleague is about to be asked."""
    call = ConsentCall(mode, how)
    call.transfer("c", SECOND)
    assert call.action_log[-1] is Do.NOTIFY
    return call


@MODES
def test_first_colleague_and_known_ones_are_not_asked(mode: str) -> None:
    call = ConsentCall(mode)
    assert call.count(Do.NOTIFY) == 0
    call.transfer("c", SECOND)
    call.play_question()
    assert call.markers("transfer_notice_started") == [{"how": ALONE, "asks": mode}]
    if mode == OPT_IN:
        call.press("1")
    else:
        call.expire_timer()
    call.assert_answered("yes" if mode == OPT_IN else "none")
    call.transfer("b", FIRST)
    call.transfer("d", SECOND)
    assert call.count(Do.NOTIFY) == 1
    assert "transfer_notice_finished" not in call.kinds


def test_a_yes_counts_only_after_the_question() -> None:
    call = ask_second_colleague()
    call.press("1")
    call.start_notice()
    call.press("1")
    call.end_notice()
    assert "transfer_question_answered" not in call.kinds
    call.press("1", leg=EXTERNAL)
    call.press("1", other="somebody else's")
    assert "transfer_question_answered" not in call.kinds, "only their own key counts"
    call.press("1")
    call.assert_answered("yes")


@MODES
@pytest.mark.parametrize("when", ["ordered", "playing", "after"])
def test_a_no_counts_at_any_time(mode: str, when: str) -> None:
    call = ask_second_colleague(mode)
    if when != "ordered":
        call.start_notice()
    if when == "after":
        call.end_notice()
    call.press("2")
    assert (Do.CUT_NOTICE in call.action_log) == (when == "playing")
    assert call.action_log[-1] is Do.REFUSED
    assert call.state.transfer.refuser == "c"
    call.assert_refused("no", "2")


def test_silence_in_opt_in_ends_the_recording() -> None:
    call = ask_second_colleague()
    call.play_question()
    call.expire_timer()
    call.assert_refused("none")


def test_silence_in_opt_out_goes_on() -> None:
    call = ask_second_colleague(OPT_OUT)
    call.play_question()
    call.expire_timer()
    call.assert_answered("none")


def test_a_late_timeout_is_no_silence() -> None:
    """The daemon slept, and a 2 may be waiting."""
    call = ask_second_colleague(OPT_OUT)
    call.play_question()
    assert call.state.timer.deadline is not None
    call.now = call.state.timer.deadline + timedelta(seconds=3)
    call.feed(DeadlinePassed)
    assert "transfer_question_answered" not in call.kinds
    call.press("2")
    call.assert_refused("no", "2")


@MODES
def test_a_meaningless_key_repeats_the_question_once(mode: str) -> None:
    call = ask_second_colleague(mode)
    call.play_question()
    call.press("7")
    assert call.action_log[-1] is Do.NOTIFY
    call.press("7")  # during the question
    call.play_question()
    call.press("1" if mode == OPT_OUT else "#")
    call.assert_refused("unclear", "1" if mode == OPT_OUT else "#")


@pytest.mark.parametrize("leave", [
    lambda call: call.unbridge(),
    lambda call: call.connect("d", THIRD),
])  # fmt: skip
@MODES
def test_leaving_is_no_consent(mode: str, leave: object) -> None:
    call = ask_second_colleague(mode)
    call.start_notice()
    leave(call)  # type: ignore[operator]
    if mode == OPT_IN:
        assert call.count(Do.REFUSED) == 0, "nobody is there to hear it"
        call.assert_refused("left")
    else:
        assert call.markers("transfer_notice_interrupted") == [{"reason": "left"}]
        assert not call.state.recording.over


@MODES
def test_hang_up_is_no_answer(mode: str) -> None:
    for end in (LegUnbridged, CallHungUp):
        call = ask_second_colleague(mode)
        call.start_notice()
        call.feed(end, hangup=True)
        assert call.markers("transfer_notice_interrupted") == [{"reason": "left"}]
        assert "transfer_question_refused" not in call.kinds


@MODES
@pytest.mark.parametrize("side", [EXTERNAL, INTERNAL])
@pytest.mark.parametrize("question_heard", [True, False])
def test_asks_from_the_beginning_after_a_hold(mode: str, side: str, question_heard: bool) -> None:
    call = ask_second_colleague(mode)
    call.start_notice()
    if question_heard:
        call.end_notice()
    call.feed(HoldStarted, leg=side)
    call.press("1")
    assert not {"transfer_question_answered", "transfer_question_refused"} & set(call.kinds)
    call.feed(HoldEnded, leg=side)
    call.play_question()
    call.press("2")
    call.assert_refused("no", "2")


@MODES
def test_repeats_a_cut_question_a_limited_number_of_times(mode: str) -> None:
    call = ask_second_colleague(mode)
    call.start_notice()
    call.end_notice(timedelta(seconds=1))
    assert call.count(Do.NOTIFY) == 1, "a transfer may have cut it"
    call.expire_timer()
    assert call.count(Do.NOTIFY) == 2
    call.expire_timer()  # the question never starts
    call.expire_timer()
    assert call.count(Do.NOTIFY) == 3
    call.start_notice()
    call.end_notice(complete=False)
    call.assert_refused("unasked")


@MODES
def test_no_other_question_is_open_meanwhile(mode: str) -> None:
    call = ConsentCall(mode)
    call.unbridge()
    call.connect("c", SECOND)
    for _ in range(2):
        for code in ("keep", "delete"):
            call.feed(CodeDialled, code=code, other="c")
        assert call.state.question.step is QuestionStep.IDLE
        assert refusal(call.state, "delete") == BUSY
        call.feed(LegChecked, other="c")
    call.play_question()
    call.press("1" if mode == OPT_IN else "2")
    if mode == OPT_IN:
        call.feed(CodeDialled, code="keep", other="c")
        assert call.state.question.step is QuestionStep.QUESTION


@MODES
@pytest.mark.parametrize("how", [ALONE, BOTH])
def test_third_party_answers_the_question_they_heard(mode: str, how: str) -> None:
    call = ConsentCall(mode, how)
    call.feed(ParticipantsJoined, participants=(Participant("r", THIRD),))
    call.feed(LegChecked, other="r")
    assert call.action_log[-1] is Do.NOTIFY
    # Where both hear the question, the colleague may hear it first: that does not ask the third party.
    call.feed(SoundStarted, leg=INTERNAL, sound=SENTENCE.path)
    call.feed(SoundEnded, leg=INTERNAL, sound=SENTENCE.path, complete=True)
    assert call.kinds[-1] == "participant_joined"
    call.play_question()
    assert call.kinds[-2:] == ["transfer_notice_started", "transfer_question_finished"]
    call.press("1")
    call.press("2", leg=EXTERNAL)
    assert call.kinds[-1] == "transfer_question_finished", "nobody else's key answers"
    if mode == OPT_IN:
        call.press("1", other="r")
    else:
        call.expire_timer()
    answer = {"answer": "yes", "key": "1"} if mode == OPT_IN else {"answer": "none"}
    assert call.markers("transfer_question_answered") == [{**answer, "in": "conference", "leg": "r"}]
    assert not call.state.recording.over
    assert call.state.transfer.target is None


@MODES
@pytest.mark.parametrize("move", ["2", "goes", "cut", "hold"])
def test_third_party_refuses_leaves_or_is_interrupted(mode: str, move: str) -> None:
    call = ConsentCall(mode)
    call.feed(ParticipantsJoined, participants=(Participant("r", THIRD),))
    call.feed(LegChecked, other="r")
    call.start_notice()
    if move == "2":
        call.press("2", other="r")
        assert call.markers("transfer_question_refused") == [
            {"answer": "no", "key": "2", "in": "conference", "leg": "r"}
        ]
        assert call.action_log[-3:] == [Do.STOP, Do.CUT_NOTICE, Do.REFUSED]
        assert call.state.transfer.refuser == "r"
    elif move == "goes":
        call.feed(ParticipantLeft, other="r")
        assert call.state.recording.over is (mode == OPT_IN)
        assert call.kinds[-1] == "participant_left"
    elif move == "cut":
        for _ in range(transfer_consent.MAX_CUTS - 1):
            call.end_notice(timedelta(milliseconds=300))
            call.expire_timer()  # the delay before the repetition
            call.start_notice()
        assert call.count(Do.NOTIFY) == transfer_consent.MAX_CUTS
        call.end_notice(timedelta(milliseconds=300))
        assert call.markers("transfer_question_refused")[-1]["answer"] == "unasked"
    else:
        call.feed(HoldStarted, leg=INTERNAL)
        assert call.state.transfer.target is None
        call.feed(HoldEnded, leg=INTERNAL)
        assert call.state.transfer.target is not None
        assert call.count(Do.NOTIFY) == 2


@MODES
def test_an_audible_supervisor_ends_the_recording(mode: str) -> None:
    """A supervisor's keys choose who hears them, so they cannot answer."""
    call = ConsentCall(mode)
    call.feed(CodeDialled, code="keep", other="b")
    call.feed(SupervisorsJoined, supervisors=(Participant("r", THIRD),))
    call.feed(SupervisorHeard, other="r", heard_by="external", lane="right")
    call.feed(LegChecked, other="r")
    assert call.kinds[-2:] == ["keep_question_interrupted", "transfer_question_refused"]
    assert call.markers("transfer_question_refused") == [
        {"answer": "unasked", "in": "conference", "leg": "r"}
    ]
    assert call.action_log[-2:] == [Do.STOP, Do.REFUSED]
    assert call.state.transfer.refuser == "r"


@MODES
def test_conference_participants_are_asked_in_turn(mode: str) -> None:
    call = ConsentCall(mode)
    call.unbridge("b")
    call.feed(ConferenceJoined, conference="room", participants=(Participant("b", FIRST),))
    call.feed(LegChecked, other="b")
    for leg, party in (("c", SECOND), ("d", THIRD)):
        sounds = frozenset({SENTENCE.path})  # another call's question
        call.feed(ParticipantsJoined, participants=(Participant(leg, party, sounds),))
        call.feed(LegChecked, other=leg)
    for leg in ("c", "d"):
        assert call.state.transfer.target is not None
        assert call.state.transfer.target.leg == leg
        call.play_question()
        if mode == OPT_IN:
            call.press("1", other=leg)
        else:
            call.expire_timer()
    assert [each["leg"] for each in call.markers("transfer_question_answered")] == ["c", "d"]
    assert call.count(Do.NOTIFY) == 2


@MODES
def test_known_participants_are_not_asked_on_another_leg(mode: str) -> None:
    """Whoever answered is known by their number, and nobody else is."""
    call = ConsentCall(mode)
    call.unbridge("b")
    call.feed(ConferenceJoined, conference="room", participants=(Participant("b", FIRST),))
    call.feed(LegChecked, other="b")
    for leg, party, questions in (("c", SECOND, 1), ("d", THIRD, 2), ("e", SECOND, 2), ("f", THIRD, 2)):
        call.feed(ParticipantsJoined, participants=(Participant(leg, party),))
        call.feed(LegChecked, other=leg)
        assert call.count(Do.NOTIFY) == questions
        if call.state.transfer.target is not None:
            call.play_question()
            if mode == OPT_IN:
                call.press("1", other=leg)
            else:
                call.expire_timer()
    assert [each["leg"] for each in call.markers("transfer_question_answered")] == ["c", "d"]


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("question_heard", [True, False])
def test_unobserved_time_ends_the_recording_in_opt_in(restart: bool, question_heard: bool) -> None:
    call = ask_second_colleague()
    call.start_notice()
    if question_heard:
        call.end_notice()
    call = resumed(call) if restart else call
    reconcile(call, "c", SECOND)
    call.assert_refused("unobserved")


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("room", [True, False])
def test_unobserved_time_repeats_the_question_in_opt_out(restart: bool, room: bool) -> None:
    call = ConsentCall(OPT_OUT)
    if room:
        call.unbridge()
        call.feed(ConferenceJoined, conference="room", participants=(Participant("c", SECOND),))
        call.feed(LegChecked, other="c")
    else:
        call.transfer("c", SECOND)
    call.play_question()
    call = resumed(call) if restart else call
    there, leg, party = ((Participant("c", SECOND),), "", None) if room else ((), "c", SECOND)
    before = call.count(Do.NOTIFY)
    call.feed(CallReconciled, since=call.now, state="announced", capturing=True, other=leg, party=party,
              bridged_at=AT, participants=there, conference="room" if room else "")  # fmt: skip
    assert call.markers("transfer_notice_interrupted")[0]["reason"] == "unobserved"
    call.feed(LegChecked, other=leg)
    assert call.count(Do.NOTIFY) == before + 1
    call.play_question()
    call.press("2", other="c")
    assert call.state.recording.over


def test_resume_keeps_the_refusal() -> None:
    call = ask_second_colleague()
    call.press("2")
    later = resumed(call)
    later.feed(CallReconciled, since=AT, state="announced", capturing=True, other="c")
    assert later.action_log[-1] is Do.STOP
    assert later.count(Do.NOTIFY) == 0


def test_resume_keeps_the_answer() -> None:
    call = ask_second_colleague()
    call.play_question()
    call.press("1")
    later = resumed(call)
    assert reconcile(later, "c", SECOND) == [Do.CHECK_TARGET]
    later.feed(LegChecked, other="c")
    assert later.count(Do.NOTIFY) == 0


def test_notice_mode_asks_nobody() -> None:
    call = RecordedCall(CallPlan(NOTICE, (consent_script(),)))
    call.transfer("c", SECOND)
    call.start_notice()
    call.end_notice()
    assert call.kinds[-1] == "transfer_notice_finished"


# --- any events in any order

MOVES = st.sampled_from(
    ["to b", "to c", "to d", "part", "began", "heard", "cut", "1", "2", "7", "caller 1", "later", "hold",
     "unhold", "away", "restart", "third", "third goes", "third 1", "keep"]
)  # fmt: skip
PARTIES = {"b": FIRST, "c": SECOND, "d": THIRD, "r": Party("extension", "500")}


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([OPT_IN, OPT_OUT]), st.lists(MOVES, max_size=30))
def test_no_order_of_events_keeps_speech_without_consent(mode: str, moves: list[str]) -> None:
    call = ConsentCall(mode)
    call.now += timedelta(seconds=1)
    speeches: list[tuple[str, datetime, datetime]] = []
    agreed = {"b"}
    refused: set[str] = set()
    for move in moves:
        since, there = (
            call.now,
            {call.state.internal.leg, *(one.leg for one in call.state.conference.participants)} - {""},
        )
        before = len(call.action_log)
        target = call.state.transfer.target
        question_heard = target is not None and target.question_heard
        call.now += timedelta(milliseconds=400)
        act(call, move)
        new = [one for one in call.action_log[before:] if isinstance(one, Marker)]
        for marker in new:
            if marker.kind == "transfer_question_answered":
                assert question_heard
                assert target is not None
                if dict(marker.data)["answer"] == "yes":
                    assert move == ("third 1" if target.leg == "r" else "1")
                else:
                    assert (mode, move) == (OPT_OUT, "later")
                agreed.add(target.leg)
            elif marker.kind == "transfer_question_refused" and target is not None:
                refused.add(target.leg)
        if call.state.recording.over:
            break
        speeches += [(leg, since, call.now) for leg in there]
    markers = [one for one in call.action_log if isinstance(one, Marker)]
    kept_of_nobody = tuple(find_unconsented(take_of(mode, markers, call.now)))
    for leg, since, _until in speeches:
        if leg in agreed if mode == OPT_IN else leg not in refused:
            continue
        # Between two events, because the place of an event itself is the redaction's own matter.
        a_moment = since + timedelta(milliseconds=350)
        assert any(start <= a_moment and (end is None or a_moment <= end) for start, end in kept_of_nobody), (
            leg,
            since,
            markers,
        )
    if call.state.recording.over:
        assert call.count(Do.STOP) >= 1
        assert "transfer_question_refused" in call.kinds


def act(call: ConsentCall, move: str) -> None:
    colleague = call.state.internal.leg
    match move.split():
        case ["to", leg]:
            call.connect(leg, PARTIES[leg])
            call.feed(LegChecked, other=leg)
        case ["part"] if colleague:
            call.unbridge(colleague)
        case ["began"]:
            call.start_notice()
        case ["heard"]:
            call.end_notice()
        case ["cut"]:
            call.end_notice(timedelta(seconds=1))
        case ["1" | "2" | "7" as key] if colleague:
            call.press(key, other=colleague)
        case ["caller", key]:
            call.press(key, leg=EXTERNAL)
        case ["later"] if call.state.timer.deadline is not None:
            call.expire_timer()
        case ["hold" | "unhold" as what]:
            call.feed(HoldStarted if what == "hold" else HoldEnded, leg=INTERNAL)
        case ["away"]:
            reconcile(call, colleague, PARTIES.get(colleague))
        case ["restart"]:
            copy = resumed(call)
            call.state, call.action_log = copy.state, copy.action_log
            reconcile(
                call,
                colleague if (colleague := copy.state.internal.last_seen) else "",
                PARTIES.get(colleague),
            )
        case ["third"] if colleague:
            call.feed(ParticipantsJoined, participants=(Participant("r", PARTIES["r"]),))
            call.feed(LegChecked, other="r")
        case ["third", "goes"]:
            call.feed(ParticipantLeft, other="r")
        case ["third", key] if any(one.leg == "r" for one in call.state.conference.participants):
            call.press(key, other="r")
        case ["keep"] if colleague:
            call.feed(CodeDialled, code="keep", other=colleague)


def take_of(mode: str, markers: list[Marker], ended: datetime) -> Take:
    sound = TimedSentence("said", "0" * 64, 1000)
    start = CallStart(
        "r", "t", "l", "1", "inbound", "n", "a", Party("withheld", ""), AT, ("opus",), None, mode=mode,
        transfer_notice=TransferNotice(ALONE, sound, sound),
    )  # fmt: skip
    return Take(Path("/nowhere"), start, tuple(markers), CallEnd("recorded", None, ended, None))


def test_redacts_nothing_on_a_line_that_does_not_ask() -> None:
    call = ask_second_colleague()
    markers = [one for one in call.action_log if isinstance(one, Marker)]
    take = take_of(OPT_IN, markers, call.now)
    assert list(find_unconsented(take))
    start = replace(take.start, transfer_notice=TransferNotice(ALONE, TimedSentence("said", "0" * 64, 1000)))
    assert not list(find_unconsented(replace(take, start=start)))
