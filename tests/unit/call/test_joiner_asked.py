"""Who joins is asked where the line says so: no yes from nothing, and nobody recorded without one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.audio.transfer_redaction import unagreed
from recorder.call import initial, transfer_consent
from recorder.call.remote_commands import BUSY, refusal
from recorder.call.state import Do, Finish, QuestionStep, WriteMark
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
    KeyPressed,
    LegChecked,
    LegUnbridged,
    Participant,
    ParticipantLeft,
    ParticipantsJoined,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    SupervisorHeard,
    SupervisorsJoined,
)
from recorder.domain.call_plan import (
    ALONE,
    BOTH,
    NOTICE,
    OPT_IN,
    OPT_OUT,
    CallPlan,
    DeleteScript,
    KeepScript,
    Script,
    Speech,
    TransferNoticeScript,
)
from recorder.domain.line_policy import PromptSound, TransferNotice
from recorder.domain.parties import Party
from recorder.spool.layout import CallEnd, CallStart, Mark, Take
from tests.unit.call.test_joining import AT, FIRST, SECOND, SENTENCE, TOLD, Call, back, resumed

THIRD = Party("extension", "400")
REFUSED = Speech("/prompts/refused.wav", timedelta(seconds=1))
SAID = Speech("/prompts/said.wav", timedelta(seconds=2))
KEEP = KeepScript(SAID, SAID, SAID, SAID, SAID)
DELETE = DeleteScript(SAID, SAID)
MODES = pytest.mark.parametrize("mode", [OPT_IN, OPT_OUT])


def script(how: str = ALONE) -> Script:
    return Script(
        TOLD,
        SAID,
        REFUSED,
        keep=KEEP,
        delete=DELETE,
        transfer_notice=TransferNoticeScript(SENTENCE, how, REFUSED),
    )


class Asked(Call):
    """A caller who agreed, or did not refuse, speaks with the first colleague, whose leg is ``b``."""

    def __init__(self, mode: str = OPT_IN, how: str = ALONE) -> None:
        answer = "yes" if mode == OPT_IN else "none"
        notes = [
            WriteMark("recording_started", AT),
            WriteMark("announcement_finished", AT),
            WriteMark("question_answered", AT, (("question", "recording"), ("answer", answer))),
            WriteMark("bridged", AT, (("party", FIRST.kind), ("value", FIRST.value), ("leg", "b"))),
        ]
        self.now, self.done = AT, list(notes)
        self.state = initial.resume(CallPlan(mode, (script(how),)), notes, AT)
        self.tell(CallReconciled, since=AT, state="announced", capturing=True, other="b", party=FIRST,
                  bridged_at=AT)  # fmt: skip
        self.tell(LegChecked, other="b")

    def asked(self) -> None:
        self.begins()
        self.hears()

    def press(self, key: str, leg: str = INTERNAL, **more: object) -> None:
        self.tell(KeyPressed, key=key, leg=leg, **more)

    def waits(self) -> None:
        assert self.state.timer.deadline is not None
        self.now = max(self.now, self.state.timer.deadline - timedelta(milliseconds=100))
        self.tell(DeadlinePassed)

    def is_over(self, answer: str, key: str = "") -> None:
        """It ends there, and was kept till then."""
        assert self.notes("transfer_question_refused") == [
            {"answer": answer, **({"key": key} if key else {})}
        ]
        assert self.orders(Do.STOP) == 1
        assert self.state.recording.over
        assert self.state.transfer.target is None
        self.tell(RecordingStopped)
        finish = self.done[-1]
        assert isinstance(finish, Finish)
        assert finish.reason is None

    def goes_on(self, answer: str) -> None:
        assert [each["answer"] for each in self.notes("transfer_question_answered")] == [answer]
        assert not self.state.recording.over
        assert self.state.transfer.target is None
        assert self.state.timer.deadline is None


def joiner(mode: str = OPT_IN, how: str = ALONE) -> Asked:
    """A second colleague is asked."""
    call = Asked(mode, how)
    call.transfer("c", SECOND)
    assert call.done[-1] is Do.TELL
    return call


@MODES
def test_the_first_and_who_agreed_are_not_asked(mode: str) -> None:
    call = Asked(mode)
    assert call.orders(Do.TELL) == 0
    call.transfer("c", SECOND)
    call.asked()
    assert call.notes("transfer_notice_started") == [{"how": ALONE, "asks": mode}]
    if mode == OPT_IN:
        call.press("1")
    else:
        call.waits()
    call.goes_on("yes" if mode == OPT_IN else "none")
    call.transfer("b", FIRST)
    call.transfer("d", SECOND)
    assert call.orders(Do.TELL) == 1
    assert "transfer_notice_finished" not in call.kinds


def test_a_yes_counts_only_after_the_questions_end() -> None:
    call = joiner()
    call.press("1")
    call.begins()
    call.press("1")
    call.hears()
    assert "transfer_question_answered" not in call.kinds
    call.press("1", leg=EXTERNAL)
    call.press("1", other="somebody else's")
    assert "transfer_question_answered" not in call.kinds, "theirs alone"
    call.press("1")
    call.goes_on("yes")


@MODES
@pytest.mark.parametrize("when", ["ordered", "playing", "after"])
def test_a_no_counts_whenever_it_is_pressed(mode: str, when: str) -> None:
    call = joiner(mode)
    if when != "ordered":
        call.begins()
    if when == "after":
        call.hears()
    call.press("2")
    assert call.done[-1] is Do.REFUSED
    assert call.state.transfer.refuser == "c"
    call.is_over("no", "2")


def test_silence_is_no_yes() -> None:
    call = joiner()
    call.asked()
    call.waits()
    call.is_over("none")


def test_in_opt_out_silence_goes_on() -> None:
    call = joiner(OPT_OUT)
    call.asked()
    call.waits()
    call.goes_on("none")


def test_a_silence_that_is_noticed_late_is_none() -> None:
    """The daemon slept: a 2 may lie unread."""
    call = joiner(OPT_OUT)
    call.asked()
    assert call.state.timer.deadline is not None
    call.now = call.state.timer.deadline + timedelta(seconds=3)
    call.tell(DeadlinePassed)
    assert "transfer_question_answered" not in call.kinds
    call.press("2")
    call.is_over("no", "2")


@MODES
def test_a_key_that_means_nothing_asks_once_more(mode: str) -> None:
    call = joiner(mode)
    call.asked()
    call.press("7")
    assert call.done[-1] is Do.TELL
    call.press("7")  # while it plays
    call.asked()
    call.press("1" if mode == OPT_OUT else "#")
    call.is_over("unclear", "1" if mode == OPT_OUT else "#")


@pytest.mark.parametrize("leave", [
    lambda call: call.part(),
    lambda call: call.connect("d", THIRD),
])  # fmt: skip
@MODES
def test_who_leaves_has_not_agreed(mode: str, leave: object) -> None:
    call = joiner(mode)
    call.begins()
    leave(call)  # type: ignore[operator]
    if mode == OPT_IN:
        assert call.orders(Do.REFUSED) == 0, "to nobody"
        call.is_over("left")
    else:
        assert call.notes("transfer_notice_interrupted") == [{"reason": "left"}]
        assert not call.state.recording.over


@MODES
def test_the_end_of_the_call_is_no_answer(mode: str) -> None:
    for end in (LegUnbridged, CallHungUp):
        call = joiner(mode)
        call.begins()
        call.tell(end, ending=True)
        assert call.notes("transfer_notice_interrupted") == [{"reason": "left"}]
        assert "transfer_question_refused" not in call.kinds


@MODES
@pytest.mark.parametrize("side", [EXTERNAL, INTERNAL])
@pytest.mark.parametrize("heard", [True, False])
def test_after_a_hold_they_are_asked_from_the_beginning(mode: str, side: str, heard: bool) -> None:
    call = joiner(mode)
    call.begins()
    if heard:
        call.hears()
    call.tell(HoldStarted, leg=side)
    call.press("1")
    assert not {"transfer_question_answered", "transfer_question_refused"} & set(call.kinds)
    call.tell(HoldEnded, leg=side)
    call.asked()
    call.press("2")
    call.is_over("no", "2")


@MODES
def test_what_was_cut_is_asked_again_in_a_moment_and_not_for_ever(mode: str) -> None:
    call = joiner(mode)
    call.begins()
    call.hears(timedelta(seconds=1))
    assert call.orders(Do.TELL) == 1, "it may be a transfer that cut it"
    call.waits()
    assert call.orders(Do.TELL) == 2
    call.waits()  # it never begins
    call.waits()
    assert call.orders(Do.TELL) == 3
    call.begins()
    call.hears(complete=False)
    call.is_over("unasked")


@MODES
def test_no_other_question_is_open_meanwhile(mode: str) -> None:
    call = Asked(mode)
    call.part()
    call.connect("c", SECOND)
    for _ in range(2):
        for code in ("keep", "delete"):
            call.tell(CodeDialled, code=code, other="c")
        assert call.state.question.step is QuestionStep.IDLE
        assert refusal(call.state, "delete") == BUSY
        call.tell(LegChecked, other="c")
    call.asked()
    call.press("1" if mode == OPT_IN else "2")
    if mode == OPT_IN:
        call.tell(CodeDialled, code="keep", other="c")
        assert call.state.question.step is QuestionStep.QUESTION


@MODES
@pytest.mark.parametrize("how", [ALONE, BOTH])
def test_a_third_one_is_asked_by_what_they_hear_themselves(mode: str, how: str) -> None:
    call = Asked(mode, how)
    call.tell(ParticipantsJoined, participants=(Participant("r", THIRD),))
    call.tell(LegChecked, other="r")
    assert call.done[-1] is Do.TELL
    # The colleague hears it where it is said to both, and maybe sooner: that is no question to the third one.
    call.tell(SoundStarted, leg=INTERNAL, sound=SENTENCE.path)
    call.tell(SoundEnded, leg=INTERNAL, sound=SENTENCE.path, complete=True)
    assert call.kinds[-1] == "participant_joined"
    call.asked()
    assert call.kinds[-2:] == ["transfer_notice_started", "transfer_question_finished"]
    call.press("1")
    call.press("2", leg=EXTERNAL)
    assert call.kinds[-1] == "transfer_question_finished", "nobody else's key answers it"
    if mode == OPT_IN:
        call.press("1", other="r")
    else:
        call.waits()
    answer = {"answer": "yes", "key": "1"} if mode == OPT_IN else {"answer": "none"}
    assert call.notes("transfer_question_answered") == [{**answer, "in": "conference", "leg": "r"}]
    assert not call.state.recording.over
    assert call.state.transfer.target is None


@MODES
@pytest.mark.parametrize("deed", ["2", "goes", "cut", "hold"])
def test_a_third_one_does_not_answer_yes(mode: str, deed: str) -> None:
    call = Asked(mode)
    call.tell(ParticipantsJoined, participants=(Participant("r", THIRD),))
    call.tell(LegChecked, other="r")
    call.begins()
    if deed == "2":
        call.press("2", other="r")
        assert call.notes("transfer_question_refused") == [
            {"answer": "no", "key": "2", "in": "conference", "leg": "r"}
        ]
        assert call.done[-3:] == [Do.STOP, Do.CUT_JOINER, Do.REFUSED]
        assert call.state.transfer.refuser == "r"
    elif deed == "goes":
        call.tell(ParticipantLeft, other="r")
        assert call.state.recording.over is (mode == OPT_IN)
        assert call.kinds[-1] == "participant_left"
    elif deed == "cut":
        for _ in range(transfer_consent.CUT - 1):
            call.hears(timedelta(milliseconds=300))
            call.waits()  # a moment, then once more
            call.begins()
        assert call.orders(Do.TELL) == transfer_consent.CUT
        call.hears(timedelta(milliseconds=300))
        assert call.notes("transfer_question_refused")[-1]["answer"] == "unasked"
    else:
        call.tell(HoldStarted, leg=INTERNAL)
        assert call.state.transfer.target is None
        call.tell(HoldEnded, leg=INTERNAL)
        assert call.state.transfer.target is not None
        assert call.orders(Do.TELL) == 2


@MODES
def test_a_supervisor_who_is_heard_cannot_be_asked_and_ends_it(mode: str) -> None:
    """Their keys say who hears them."""
    call = Asked(mode)
    call.tell(CodeDialled, code="keep", other="b")
    call.tell(SupervisorsJoined, supervisors=(Participant("r", THIRD),))
    call.tell(SupervisorHeard, other="r", heard_by="external", lane="right")
    call.tell(LegChecked, other="r")
    assert call.kinds[-2:] == ["keep_question_interrupted", "transfer_question_refused"]
    assert call.notes("transfer_question_refused") == [{"answer": "unasked", "in": "conference", "leg": "r"}]
    assert call.done[-2:] == [Do.STOP, Do.REFUSED]
    assert call.state.transfer.refuser == "r"


@MODES
def test_in_a_room_each_is_asked_in_their_turn(mode: str) -> None:
    call = Asked(mode)
    call.part("b")
    call.tell(ConferenceJoined, conference="room", participants=(Participant("b", FIRST),))
    call.tell(LegChecked, other="b")
    for leg, party in (("c", SECOND), ("d", THIRD)):
        heard = frozenset({SENTENCE.path})  # of another call's question
        call.tell(ParticipantsJoined, participants=(Participant(leg, party, heard),))
        call.tell(LegChecked, other=leg)
    for leg in ("c", "d"):
        assert call.state.transfer.target is not None
        assert call.state.transfer.target.leg == leg
        call.asked()
        if mode == OPT_IN:
            call.press("1", other=leg)
        else:
            call.waits()
    assert [each["leg"] for each in call.notes("transfer_question_answered")] == ["c", "d"]
    assert call.orders(Do.TELL) == 2


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("heard", [True, False])
def test_nothing_that_nobody_watched_is_a_yes(restart: bool, heard: bool) -> None:
    call = joiner()
    call.begins()
    if heard:
        call.hears()
    if restart:
        made = resumed(call)
        call.state, call.done = made.state, made.done
    back(call, "c", SECOND)
    call.is_over("unobserved")


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("room", [True, False])
def test_nor_a_silence_in_opt_out(restart: bool, room: bool) -> None:
    call = Asked(OPT_OUT)
    if room:
        call.part()
        call.tell(ConferenceJoined, conference="room", participants=(Participant("c", SECOND),))
        call.tell(LegChecked, other="c")
    else:
        call.transfer("c", SECOND)
    call.asked()
    if restart:
        made = resumed(call)
        call.state, call.done = made.state, made.done
    there, leg, party = ((Participant("c", SECOND),), "", None) if room else ((), "c", SECOND)
    before = call.orders(Do.TELL)
    call.tell(CallReconciled, since=call.now, state="announced", capturing=True, other=leg, party=party,
              bridged_at=AT, participants=there, conference="room" if room else "")  # fmt: skip
    assert call.notes("transfer_notice_interrupted")[0]["reason"] == "unobserved"
    call.tell(LegChecked, other=leg)
    assert call.orders(Do.TELL) == before + 1
    call.asked()
    call.press("2", other="c")
    assert call.state.recording.over


def test_a_refusal_is_remembered() -> None:
    call = joiner()
    call.press("2")
    later = resumed(call)
    later.tell(CallReconciled, since=AT, state="announced", capturing=True, other="c")
    assert later.done[-1] is Do.STOP
    assert later.orders(Do.TELL) == 0


def test_an_answer_is_remembered() -> None:
    call = joiner()
    call.asked()
    call.press("1")
    later = resumed(call)
    assert back(later, "c", SECOND) == [Do.LOOK]
    later.tell(LegChecked, other="c")
    assert later.orders(Do.TELL) == 0


def test_a_line_that_only_announces_asks_nobody() -> None:
    call = Call(CallPlan(NOTICE, (script(),)))
    call.transfer("c", SECOND)
    call.begins()
    call.hears()
    assert call.kinds[-1] == "transfer_notice_finished"


# --- whatever happens

DEEDS = st.sampled_from(
    ["to b", "to c", "to d", "part", "began", "heard", "cut", "1", "2", "7", "caller 1", "later", "hold",
     "unhold", "away", "restart", "third", "third goes", "third 1", "keep"]
)  # fmt: skip
PARTIES = {"b": FIRST, "c": SECOND, "d": THIRD, "r": Party("extension", "500")}


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([OPT_IN, OPT_OUT]), st.lists(DEEDS, max_size=30))
def test_no_order_of_events_keeps_a_word_of_who_did_not_agree(mode: str, deeds: list[str]) -> None:
    call = Asked(mode)
    call.now += timedelta(seconds=1)
    spoke: list[tuple[str, datetime, datetime]] = []
    agreed = {"b"}
    refused: set[str] = set()
    for deed in deeds:
        since, there = (
            call.now,
            {call.state.internal.leg, *(one.leg for one in call.state.conference.participants)} - {""},
        )
        before = len(call.done)
        telling = call.state.transfer.target
        heard = telling is not None and telling.heard
        call.now += timedelta(milliseconds=400)
        act(call, deed)
        new = [one for one in call.done[before:] if isinstance(one, WriteMark)]
        for note in new:
            if note.kind == "transfer_question_answered":
                assert heard
                assert telling is not None
                if dict(note.data)["answer"] == "yes":
                    assert deed == ("third 1" if telling.leg == "r" else "1")
                else:
                    assert (mode, deed) == (OPT_OUT, "later")
                agreed.add(telling.leg)
            elif note.kind == "transfer_question_refused" and telling is not None:
                refused.add(telling.leg)
        if call.state.recording.over:
            break
        spoke += [(leg, since, call.now) for leg in there]
    notes = [one for one in call.done if isinstance(one, WriteMark)]
    kept_of_nobody = tuple(unagreed(taken(mode, notes, call.now)))
    for leg, since, _until in spoke:
        if leg in agreed if mode == OPT_IN else leg not in refused:
            continue
        # Between two events: what the events themselves are placed with is another's business.
        a_moment = since + timedelta(milliseconds=350)
        assert any(start <= a_moment and (end is None or a_moment <= end) for start, end in kept_of_nobody), (
            leg,
            since,
            notes,
        )
    if call.state.recording.over:
        assert call.orders(Do.STOP) >= 1
        assert "transfer_question_refused" in call.kinds


def act(call: Asked, deed: str) -> None:
    colleague = call.state.internal.leg
    match deed.split():
        case ["to", leg]:
            call.connect(leg, PARTIES[leg])
            call.tell(LegChecked, other=leg)
        case ["part"] if colleague:
            call.part(colleague)
        case ["began"]:
            call.begins()
        case ["heard"]:
            call.hears()
        case ["cut"]:
            call.hears(timedelta(seconds=1))
        case ["1" | "2" | "7" as key] if colleague:
            call.press(key, other=colleague)
        case ["caller", key]:
            call.press(key, leg=EXTERNAL)
        case ["later"] if call.state.timer.deadline is not None:
            call.waits()
        case ["hold" | "unhold" as what]:
            call.tell(HoldStarted if what == "hold" else HoldEnded, leg=INTERNAL)
        case ["away"]:
            back(call, colleague, PARTIES.get(colleague))
        case ["restart"]:
            made = resumed(call)
            call.state, call.done = made.state, made.done
            back(
                call,
                colleague if (colleague := made.state.internal.last_seen) else "",
                PARTIES.get(colleague),
            )
        case ["third"] if colleague:
            call.tell(ParticipantsJoined, participants=(Participant("r", PARTIES["r"]),))
            call.tell(LegChecked, other="r")
        case ["third", "goes"]:
            call.tell(ParticipantLeft, other="r")
        case ["third", key] if any(one.leg == "r" for one in call.state.conference.participants):
            call.press(key, other="r")
        case ["keep"] if colleague:
            call.tell(CodeDialled, code="keep", other=colleague)


def taken(mode: str, notes: list[WriteMark], ended: datetime) -> Take:
    sound = PromptSound("said", "0" * 64, 1000)
    start = CallStart(
        "r", "t", "l", "1", "inbound", "n", "a", Party("withheld", ""), AT, ("opus",), None, mode=mode,
        transfer_notice=TransferNotice(ALONE, sound, sound),
    )  # fmt: skip
    marks = tuple(Mark(note.at, note.kind, dict(note.data)) for note in notes)
    return Take(Path("/nowhere"), start, marks, CallEnd("recorded", None, ended, None))


def test_a_line_that_does_not_ask_blanks_nothing() -> None:
    call = joiner()
    notes = [one for one in call.done if isinstance(one, WriteMark)]
    take = taken(OPT_IN, notes, call.now)
    assert list(unagreed(take))
    told = replace(take.start, transfer_notice=TransferNotice(ALONE, PromptSound("said", "0" * 64, 1000)))
    assert not list(unagreed(replace(take, start=told)))
