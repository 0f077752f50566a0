"""The agreement in the call: a yes comes of a question that both heard, and of a key, or it is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.audio.keep_answers import questions
from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import Action, CallState, Do, Finish, Phase, QuestionStep, WriteMark
from recorder.domain.call_events import (
    EXTERNAL,
    INTERNAL,
    LEGS,
    CallEvent,
    CallHungUp,
    CallReconciled,
    ChannelGone,
    CodeDialled,
    CommandGiven,
    DeadlinePassed,
    FolderWritten,
    HoldStarted,
    KeyPressed,
    LegBridged,
    LegUnbridged,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    StateReported,
    VoiceChecked,
)
from recorder.domain.call_plan import NOTICE, CallPlan, KeepScript, Script, Speech
from recorder.domain.parties import Party
from recorder.spool.layout import Mark
from tests.unit.call.any_event import any_event

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
TOLD = Speech("/prompts/told.wav", timedelta(seconds=3))


def speech(name: str) -> Speech:
    return Speech(f"/prompts/{name}.wav", timedelta(seconds=4))


KEEP = KeepScript(speech("question"), speech("cue"), speech("yes"), speech("no"), speech("none"))
QUESTION = "/prompts/question.wav"
OWN_WORDS = replace(KEEP, question=None)
VOICE = (12_000, 12_400)
HEARD = {"voice_from_ms": "12000", "voice_to_ms": "12400"}


def plan(keep: KeepScript | None) -> CallPlan:
    return CallPlan(NOTICE, (Script(TOLD, keep=keep),))


class Call:
    """A call in which two speak, and the switch that plays to both what is ordered."""

    def __init__(self, keep: KeepScript | None = KEEP) -> None:
        self.now = AT
        self.done: list[Action] = []
        self.state, _ = initial.arrive(plan(keep), AT)
        self.tell(FolderWritten)
        self.tell(RecordingStarted, state="announcing")
        self.tell(PlaybackStarted, sound=TOLD.path)
        self.tell(PlaybackEnded, sound=TOLD.path, complete=True)
        self.tell(StateReported, state="announced")
        self.connect("b")
        assert self.state.phase is Phase.ANNOUNCED

    def tell(self, what: type[CallEvent], **more: object) -> None:
        self.now += timedelta(milliseconds=100)
        self.state, actions = step(self.state, what(self.now, **more))  # type: ignore[arg-type]
        self.done += actions

    def connect(self, leg: str) -> None:
        self.tell(LegBridged, party=Party("extension", "200"), other=leg, state="announced")

    def dials(self) -> None:
        self.tell(CodeDialled, code="keep", other="b")

    def begins(self, sound: Speech | None) -> None:
        assert sound is not None
        for leg in (INTERNAL, EXTERNAL):
            self.tell(SoundStarted, leg=leg, sound=sound.path)

    def hears(self, sound: Speech | None) -> None:
        assert sound is not None
        self.begins(sound)
        self.now += sound.length
        for leg in (EXTERNAL, INTERNAL):
            self.tell(SoundEnded, leg=leg, sound=sound.path, complete=True)

    def presses(self, key: str, leg: str = EXTERNAL) -> None:
        self.tell(KeyPressed, key=key, leg=leg)

    def confirms(self, voice: tuple[int, int] | None = VOICE) -> None:
        """The colleague says that they said yes; where the outside party is heard in the recording."""
        self.presses("1", INTERNAL)
        assert self.done[-1] is Do.KEEP_CHECK
        self.tell(VoiceChecked, voice=voice)

    def waits(self) -> None:
        assert self.state.timer.deadline is not None
        self.now = max(self.now, self.state.timer.deadline)
        self.tell(DeadlinePassed)

    def notes(self, kind: str) -> list[dict[str, str]]:
        return [dict(one.data) for one in self.done if isinstance(one, WriteMark) and one.kind == kind]

    def ends(self) -> str | None:
        self.tell(CallHungUp, cause="NORMAL_CLEARING", ending=True, state="announced")
        self.tell(RecordingStopped, ending=True)
        (finish,) = (one for one in self.done if isinstance(one, Finish))
        return finish.reason


@pytest.mark.parametrize(
    ("key", "answer", "order", "sound"),
    [("1", "yes", Do.KEEP_YES, KEEP.yes), ("2", "no", Do.KEEP_NO, KEEP.no)],
)
@pytest.mark.parametrize(("leg", "how"), [(EXTERNAL, "key"), (INTERNAL, "aloud")])
def test_a_key_of_either_side_answers(
    key: str, answer: str, order: Do, sound: Speech, leg: str, how: str
) -> None:
    call = Call()
    call.dials()
    assert call.done[-1] is Do.KEEP_ASK
    call.hears(KEEP.question)
    assert call.done[-1] is Do.KEEP_SINCE
    call.presses(key, leg)
    voice = HEARD if (leg, key) == (INTERNAL, "1") else {}
    if voice:
        call.tell(VoiceChecked, voice=VOICE)
    assert call.notes("keep_question_answered") == [{"answer": answer, "by": leg, "how": how, **voice}]
    assert call.done[-1] is order
    call.hears(sound)
    assert call.notes("keep_answer_confirmed") == [{"answer": answer}]
    assert call.state.question.step is QuestionStep.IDLE
    assert call.ends() is None


def test_a_key_before_the_question_s_end_does_not_count() -> None:
    call = Call()
    call.dials()
    call.begins(KEEP.question)
    call.presses("1")
    call.presses("1", INTERNAL)
    call.tell(SoundEnded, leg=EXTERNAL, sound="/prompts/question.wav", complete=True)
    call.presses("1")
    assert call.notes("keep_question_answered") == []
    call.tell(SoundEnded, leg=INTERNAL, sound="/prompts/question.wav", complete=True)
    call.waits()
    assert call.notes("keep_question_answered") == [{"answer": "none"}]
    assert call.state.keep_answer == "no"


@pytest.mark.parametrize(("leg", "how"), [(EXTERNAL, "key"), (INTERNAL, "aloud")])
def test_a_no_counts_while_it_is_asked(leg: str, how: str) -> None:
    call = Call()
    call.dials()
    call.begins(KEEP.question)
    call.presses("2", leg)
    assert call.notes("keep_question_answered") == [{"answer": "no", "by": leg, "how": how}]
    assert [one for one in call.done if isinstance(one, Do)][-2:] == [Do.KEEP_CUT, Do.KEEP_NO]
    for each in (INTERNAL, EXTERNAL):
        call.tell(SoundEnded, leg=each, sound="/prompts/question.wav", complete=False)
    call.hears(KEEP.no)
    assert call.notes("keep_answer_confirmed") == [{"answer": "no"}]
    assert (call.state.keep_answer, call.state.question.step) == ("no", QuestionStep.IDLE)
    assert not call.notes("keep_question_interrupted")


def test_a_no_counts_while_a_yes_is_told() -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.presses("1")
    call.begins(KEEP.yes)
    call.presses("1")
    call.presses("2", INTERNAL)
    call.presses("2")
    assert [one["answer"] for one in call.notes("keep_question_answered")] == ["yes", "no"]
    assert call.done.count(Do.KEEP_CUT) == 1
    call.hears(KEEP.no)
    assert call.state.keep_answer == "no"
    (one,) = questions(
        [Mark(one.at, one.kind, dict(one.data)) for one in call.done if isinstance(one, WriteMark)]
    )
    assert (one.answer, one.confirmed is not None) == ("no", True)


PAUSE = timedelta(seconds=60)


def pauses(call: Call, by: str = "code") -> None:
    if by == "code":
        call.tell(CodeDialled, code="pause", other="b", lasts=PAUSE)
    elif by == "panel":
        call.tell(CommandGiven, code="pause", by="panel", lasts=PAUSE)
    else:
        call.tell(CallReconciled, since=AT, state="announced", capturing=True, other="b", paused=True,
                  paused_at=call.now, lasts=PAUSE)  # fmt: skip


@pytest.mark.parametrize("keep", [KEEP, OWN_WORDS])
def test_nothing_is_asked_while_it_is_paused(keep: KeepScript) -> None:
    """What is not in the sound shows no agreement.  They hear that it is paused."""
    call = Call(keep)
    pauses(call)
    call.dials()
    assert call.notes("keep_question_asked") == []
    assert call.done[-2:] == [Do.PAUSE_OVER, Do.PAUSE_TONE]
    call.presses("1", INTERNAL)
    assert (call.notes("keep_question_answered"), call.state.keep_answer) == ([], "")
    call.now += PAUSE  # it ends by itself
    call.dials()
    assert len(call.notes("keep_question_asked")) == 1


@pytest.mark.parametrize("by", ["code", "panel", "seen later"])
@pytest.mark.parametrize("asked", ["in the question", "before the answer", "in their own words"])
def test_a_pause_breaks_off_a_question(asked: str, by: str) -> None:
    call = Call(OWN_WORDS if asked == "in their own words" else KEEP)
    call.dials()
    if asked == "in the question":
        call.begins(KEEP.question)
    elif asked == "before the answer":
        call.hears(KEEP.question)
    pauses(call, by)
    assert call.notes("keep_question_interrupted") == [{}]
    call.presses("1")
    call.presses("1", INTERNAL)
    assert call.notes("keep_question_answered") == []
    assert call.state.keep_answer == ""
    assert call.state.timer.deadline is None


def test_what_came_of_an_answer_is_said_to_its_end_in_a_pause() -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.presses("1")
    pauses(call)
    call.hears(KEEP.yes)
    assert call.notes("keep_answer_confirmed") == [{"answer": "yes"}]


def test_silence_is_no_and_is_said() -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.presses("7")
    call.waits()
    assert call.done[-1] is Do.KEEP_NONE
    call.hears(KEEP.none)
    assert call.ends() is None


def test_in_their_own_words() -> None:
    call = Call(OWN_WORDS)
    call.dials()
    assert call.done[-1] is Do.KEEP_CUE
    call.now += timedelta(seconds=30)
    call.confirms()
    assert call.notes("keep_question_asked") == [{"how": "own_words"}]
    assert call.notes("keep_question_answered") == [
        {"answer": "yes", "by": INTERNAL, "how": "own_words", **HEARD}
    ]


@pytest.mark.parametrize("keep", [KEEP, OWN_WORDS])
def test_a_colleague_s_yes_without_a_voice_is_asked_once_more_and_then_none(keep: KeepScript) -> None:
    call = Call(keep)
    call.dials()
    order = Do.KEEP_ASK if keep.question else Do.KEEP_CUE
    for times in (1, 2):
        assert call.done.count(order) == times
        if keep.question:
            call.hears(keep.question)
        call.confirms(None)
        assert len(call.notes("keep_answer_unheard")) == times
    assert call.notes("keep_question_answered") == [{"answer": "none"}]
    assert call.done[-1] is Do.KEEP_NONE
    assert call.state.keep_answer == "no"
    call.hears(keep.none)
    assert call.notes("keep_answer_confirmed") == [{"answer": "no"}]
    assert call.ends() is None, "it is kept as announced"


def test_heard_when_it_was_asked_once_more() -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.confirms(None)
    call.hears(KEEP.question)
    call.confirms()
    assert call.notes("keep_question_answered") == [
        {"answer": "yes", "by": INTERNAL, "how": "aloud", **HEARD}
    ]


def test_the_answer_has_the_time_of_the_key() -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.presses("1", INTERNAL)
    pressed = call.now
    call.now += timedelta(seconds=2)
    call.tell(VoiceChecked, voice=VOICE)
    (answered,) = (
        one for one in call.done if isinstance(one, WriteMark) and one.kind == "keep_question_answered"
    )
    assert answered.at == pressed


def test_whether_they_were_heard_is_not_waited_for_long() -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.presses("1", INTERNAL)
    call.waits()
    assert call.notes("keep_answer_unheard") == [{}]
    assert call.done[-1] is Do.KEEP_ASK
    call.tell(VoiceChecked, voice=VOICE)  # too late
    assert call.notes("keep_question_answered") == []


@pytest.mark.parametrize(("key", "leg"), [("1", EXTERNAL), ("2", EXTERNAL), ("2", INTERNAL)])
def test_what_is_sure_counts_while_the_voice_is_looked_for(key: str, leg: str) -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.presses("1", INTERNAL)
    call.presses("1", INTERNAL)
    assert call.done.count(Do.KEEP_CHECK) == 1
    call.presses(key, leg)
    call.tell(VoiceChecked, voice=VOICE)
    (answer,) = call.notes("keep_question_answered")
    assert (answer["answer"], answer["by"]) == ("yes" if key == "1" else "no", leg)


@pytest.mark.parametrize("what", ["pause", "left", "somebody else", "held"])
def test_what_happens_while_the_voice_is_looked_for(what: str) -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.presses("1", INTERNAL)
    if what == "pause":
        pauses(call)
    elif what == "left":
        call.tell(LegUnbridged)
    elif what == "held":
        call.tell(HoldStarted, leg=INTERNAL)
    else:
        call.connect("c")
    call.tell(VoiceChecked, voice=VOICE)
    assert len(call.notes("keep_question_answered")) == (what == "held")
    assert len(call.notes("keep_question_interrupted")) == (what != "held")


def test_who_holds_is_not_asked_once_more() -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.tell(HoldStarted, leg=EXTERNAL)
    call.confirms(None)
    assert call.notes("keep_question_answered") == [{"answer": "none"}]


def test_the_line_asks_by_itself_once() -> None:
    call = Call(replace(KEEP, at_start=True))
    assert call.done.count(Do.KEEP_ASK) == 1
    call.tell(LegUnbridged)
    assert call.notes("keep_question_interrupted") == [{}]
    call.connect("c")
    assert call.done.count(Do.KEEP_ASK) == 1


def test_it_can_be_asked_again_and_the_last_answer_stands() -> None:
    call = Call(replace(KEEP, destroy=True))
    for key, sound in (("1", KEEP.yes), ("2", KEEP.no)):
        call.dials()
        call.hears(KEEP.question)
        call.presses(key)
        call.hears(sound)
    assert [one["answer"] for one in call.notes("keep_question_answered")] == ["yes", "no"]
    assert call.ends() == "not_kept"
    assert Do.DISCARD in call.done


def test_a_no_on_a_line_that_keeps_what_was_announced_destroys_nothing() -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.presses("2")
    assert call.ends() is None
    assert Do.DISCARD not in call.done


@pytest.mark.parametrize(
    "event",
    [
        {"what": HoldStarted, "leg": INTERNAL},
        {"what": HoldStarted, "leg": EXTERNAL},
        {"what": LegUnbridged},
        {"what": LegBridged, "other": "c"},
        {"what": SoundEnded, "leg": EXTERNAL, "sound": QUESTION, "complete": False},
        {"what": SoundEnded, "leg": INTERNAL, "sound": QUESTION, "complete": True, "ending": True},
    ],
)  # fmt: skip
def test_a_question_that_was_not_heard_by_both_is_none(event: dict[str, object]) -> None:
    call = Call()
    call.dials()
    call.begins(KEEP.question)
    call.tell(**event)  # type: ignore[arg-type]
    for leg in (EXTERNAL, INTERNAL):
        call.tell(SoundEnded, leg=leg, sound="/prompts/question.wav", complete=True)
    call.presses("1")
    assert call.notes("keep_question_interrupted") == [{}]
    assert call.notes("keep_question_answered") == []
    assert call.state.keep_answer == ""


def test_a_question_that_the_switch_never_plays_comes_to_an_end() -> None:
    call = Call()
    call.dials()
    call.waits()
    assert call.notes("keep_question_interrupted") == [{}]
    call.connect("b")
    call.dials()
    assert call.done.count(Do.KEEP_ASK) == 2


def test_an_answer_that_was_not_heard_stands_and_is_marked() -> None:
    call = Call()
    call.dials()
    call.hears(KEEP.question)
    call.presses("1")
    assert call.ends() is None
    assert call.notes("keep_answer_unconfirmed") == [{}]
    assert call.notes("keep_question_answered")[0]["answer"] == "yes"


def test_a_line_without_it_and_a_call_that_is_not_recorded_ask_nothing() -> None:
    call = Call(None)
    call.dials()
    assert Do.KEEP_ASK not in call.done
    call = Call()
    call.tell(StateReported, state="unrecorded")
    call.dials()
    assert Do.KEEP_ASK not in call.done


def test_a_daemon_that_comes_back_knows_the_last_answer_and_no_other() -> None:
    told = [WriteMark("recording_started", AT), WriteMark("announcement_finished", AT)]
    asked = WriteMark("keep_question_asked", AT, (("how", "question"),))
    assert initial.resume(plan(KEEP), [*told, asked], AT).keep_answer == ""
    yes = WriteMark("keep_question_answered", AT, (("answer", "yes"), ("by", EXTERNAL), ("how", "key")))
    state = initial.resume(plan(KEEP), [*told, asked, yes], AT)
    assert (state.keep_answer, state.question.step) == ("yes", QuestionStep.IDLE)
    state, _ = step(state, CallReconciled(AT, state="announced", since=AT, capturing=True))
    state, actions = step(state, CodeDialled(AT, code="keep", other="b"))
    assert Do.KEEP_ASK in actions, "the colleague can ask again"


# --- whatever happens, in whatever order

LIKELY = st.sampled_from(["code", "begins", "heard", "1", "2", "5", "silence", "confirms", "voice", "none"])

EVENTS = any_event(
    at=st.integers(0, 60_000).map(lambda ms: AT + timedelta(milliseconds=ms)),
    state=st.sampled_from(["", "announced", "unrecorded"]),
    leg=st.sampled_from([EXTERNAL, INTERNAL, ""]),
    other=st.sampled_from(["", "b", "c"]),
    sound=st.sampled_from(["", *(f"/prompts/{name}.wav" for name in ("question", "yes", "no", "none"))]),
    complete=st.booleans(),
    ending=st.booleans(),
    key=st.sampled_from("125*"),
    voice=st.sampled_from([None, VOICE]),
)


def likely(name: str, state: CallState) -> list[CallEvent]:
    at = state.timer.deadline or AT
    if name in ("begins", "heard"):
        sound = state.question.sound
        if name == "begins":
            return [SoundStarted(AT, sound, leg) for leg in LEGS]
        return [SoundEnded(AT, sound, leg, complete=True) for leg in LEGS]
    if name == "code":
        return [CodeDialled(AT, code="keep", other="b")]
    if name == "confirms":
        return [KeyPressed(AT, key="1", leg=INTERNAL)]
    if name in ("voice", "none"):
        return [VoiceChecked(AT, voice=VOICE if name == "voice" else None)]
    if name == "silence":
        return [DeadlinePassed(at)]
    return [KeyPressed(AT, key=name)]


def holds(keep: KeepScript, moves: list[CallEvent | str]) -> None:
    """A yes is written down only for a key 1 after a question that both heard whole, and a colleague's only
    with the outside party's voice."""
    call = Call(keep)
    state = call.state
    heard: set[str] = set()
    asked = own = confirmed = False
    for move in moves:
        for event in likely(move, state) if isinstance(move, str) else [move]:
            before = state
            state, actions = step(before, event)
            kinds = [one.kind for one in actions if isinstance(one, WriteMark)]
            answers = [
                dict(one.data)
                for one in actions
                if isinstance(one, WriteMark) and one.kind == "keep_question_answered"
            ]
            if isinstance(event, KeyPressed) and event.leg == INTERNAL and event.key == "1":
                confirmed = confirmed or asked or own
            if answers and answers[0]["answer"] != "none":
                assert before.question.step is not QuestionStep.IDLE, "answered, and not asked"
                if isinstance(event, VoiceChecked):
                    assert event.voice is not None
                    assert confirmed
                    assert asked or own, "agreed before the end of the question"
                    assert (answers[0]["answer"], answers[0]["by"]) == ("yes", INTERNAL)
                else:
                    assert isinstance(event, KeyPressed)
                    assert {"1": "yes", "2": "no"}[event.key] == answers[0]["answer"]
                    assert event.key == "2" or event.leg == EXTERNAL
                    assert asked or own or event.key == "2", "agreed before the end of the question"
            if "keep_question_asked" in kinds:
                heard, asked, own, confirmed = set(), False, keep.question is None, False
            elif isinstance(event, SoundEnded) and keep.question and event.sound == keep.question.path:
                heard |= {event.leg} if event.complete and not event.ending else set()
                asked = asked or heard >= {EXTERNAL, INTERNAL}
            if kinds and kinds[0] in ("keep_question_answered", "keep_question_interrupted"):
                asked = own = False
            if state.keep_answer != before.keep_answer:
                assert answers
            orders = [one for one in actions if isinstance(one, Do) and one.startswith("keep")]
            assert not orders or before.phase is Phase.ANNOUNCED
    over = step(state, ChannelGone(AT, ending=True))[0]
    assert over.phase is Phase.ENDED


@pytest.mark.parametrize("keep", [KEEP, OWN_WORDS])
def test_no_order_of_events_makes_an_agreement_of_anything_else(keep: KeepScript) -> None:
    look(keep, 250)


@pytest.mark.long
@pytest.mark.parametrize("keep", [KEEP, OWN_WORDS])
def test_no_order_of_events_makes_an_agreement_of_anything_else_in_a_hundred_thousand(
    keep: KeepScript,
) -> None:
    look(keep, 50_000)


def look(keep: KeepScript, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(st.one_of(LIKELY, LIKELY, EVENTS), max_size=40))
    def over(moves: list[CallEvent | str]) -> None:
        holds(keep, moves)

    over()
