"""The keep question: a yes needs a question that both heard, and a key."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.audio.keep_answers import questions
from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import CallState, Do, Phase, QuestionStep
from recorder.domain.call_events import (
    EXTERNAL,
    INTERNAL,
    LEGS,
    CallEvent,
    CallReconciled,
    ChannelGone,
    CodeDialled,
    CommandGiven,
    DeadlinePassed,
    HoldStarted,
    KeyPressed,
    LegBridged,
    LegUnbridged,
    SoundEnded,
    SoundStarted,
    StateReported,
    VoiceChecked,
)
from recorder.domain.call_plan import KeepScript, Speech
from recorder.domain.markers import Marker
from tests.example_count import share
from tests.unit.call.any_event import any_event
from tests.unit.call.conversation import AT, KEEP, OWN_WORDS, VOICE, Conversation, plan

QUESTION = "/prompts/question.wav"
VOICE_SPAN = {"voice_from_ms": "12000", "voice_to_ms": "12400"}


@pytest.mark.parametrize(
    ("key", "answer", "order", "sound"),
    [("1", "yes", Do.KEEP_YES, KEEP.yes), ("2", "no", Do.KEEP_NO, KEEP.no)],
)
@pytest.mark.parametrize(("leg", "how"), [(EXTERNAL, "key"), (INTERNAL, "aloud")])
def test_a_key_of_either_side_answers(
    key: str, answer: str, order: Do, sound: Speech, leg: str, how: str
) -> None:
    call = Conversation()
    call.dial_keep()
    assert call.action_log[-1] is Do.KEEP_ASK
    call.play(KEEP.question)
    assert call.action_log[-1] is Do.KEEP_SINCE
    call.press(key, leg)
    voice = VOICE_SPAN if (leg, key) == (INTERNAL, "1") else {}
    if voice:
        call.feed(VoiceChecked, voice=VOICE)
    assert call.markers("keep_question_answered") == [{"answer": answer, "by": leg, "how": how, **voice}]
    assert call.action_log[-1] is order
    call.play(sound)
    assert call.markers("keep_answer_confirmed") == [{"answer": answer}]
    assert call.state.question.step is QuestionStep.IDLE
    assert call.end() is None


def test_ignores_a_yes_before_the_end_of_the_question() -> None:
    call = Conversation()
    call.dial_keep()
    call.start(KEEP.question)
    call.press("1")
    call.press("1", INTERNAL)
    call.feed(SoundEnded, leg=EXTERNAL, sound="/prompts/question.wav", complete=True)
    call.press("1")
    assert call.markers("keep_question_answered") == []
    call.feed(SoundEnded, leg=INTERNAL, sound="/prompts/question.wav", complete=True)
    call.expire_timer()
    assert call.markers("keep_question_answered") == [{"answer": "none"}]
    assert call.state.keep_answer == "no"


@pytest.mark.parametrize(("leg", "how"), [(EXTERNAL, "key"), (INTERNAL, "aloud")])
def test_a_no_counts_during_the_question(leg: str, how: str) -> None:
    call = Conversation()
    call.dial_keep()
    call.start(KEEP.question)
    call.press("2", leg)
    assert call.markers("keep_question_answered") == [{"answer": "no", "by": leg, "how": how}]
    assert [one for one in call.action_log if isinstance(one, Do)][-2:] == [Do.KEEP_CUT, Do.KEEP_NO]
    for each in (INTERNAL, EXTERNAL):
        call.feed(SoundEnded, leg=each, sound="/prompts/question.wav", complete=False)
    call.play(KEEP.no)
    assert call.markers("keep_answer_confirmed") == [{"answer": "no"}]
    assert (call.state.keep_answer, call.state.question.step) == ("no", QuestionStep.IDLE)
    assert not call.markers("keep_question_interrupted")


def test_a_no_counts_during_the_verdict() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.press("1")
    call.start(KEEP.yes)
    call.press("1")
    call.press("2", INTERNAL)
    call.press("2")
    assert [one["answer"] for one in call.markers("keep_question_answered")] == ["yes", "no"]
    assert call.action_log.count(Do.KEEP_CUT) == 1
    call.play(KEEP.no)
    assert call.state.keep_answer == "no"
    (one,) = questions(one for one in call.action_log if isinstance(one, Marker))
    assert (one.answer, one.confirmed is not None) == ("no", True)


PAUSE = timedelta(seconds=60)


def pause(call: Conversation, by: str = "code") -> None:
    if by == "code":
        call.feed(CodeDialled, code="pause", other="b", lasts=PAUSE)
    elif by == "panel":
        call.feed(CommandGiven, code="pause", by="panel", lasts=PAUSE)
    else:
        call.feed(CallReconciled, since=AT, state="announced", capturing=True, other="b", paused=True,
                  paused_at=call.now, lasts=PAUSE)  # fmt: skip


@pytest.mark.parametrize("keep", [KEEP, OWN_WORDS])
def test_asks_nothing_during_a_pause(keep: KeepScript) -> None:
    """An agreement that is not in the recording proves nothing. The colleague hears the pause tone."""
    call = Conversation(keep)
    pause(call)
    call.dial_keep()
    assert call.markers("keep_question_asked") == []
    assert call.action_log[-2:] == [Do.END_PAUSE_TONE, Do.PAUSE_TONE]
    call.press("1", INTERNAL)
    assert (call.markers("keep_question_answered"), call.state.keep_answer) == ([], "")
    call.now += PAUSE  # the pause ends by itself
    call.dial_keep()
    assert len(call.markers("keep_question_asked")) == 1


@pytest.mark.parametrize("by", ["code", "panel", "seen later"])
@pytest.mark.parametrize("how", ["in the question", "before the answer", "in their own words"])
def test_a_pause_breaks_off_the_question(how: str, by: str) -> None:
    call = Conversation(OWN_WORDS if how == "in their own words" else KEEP)
    call.dial_keep()
    if how == "in the question":
        call.start(KEEP.question)
    elif how == "before the answer":
        call.play(KEEP.question)
    pause(call, by)
    assert call.markers("keep_question_interrupted") == [{}]
    call.press("1")
    call.press("1", INTERNAL)
    assert call.markers("keep_question_answered") == []
    assert call.state.keep_answer == ""
    assert call.state.timer.deadline is None


def test_the_verdict_plays_to_its_end_in_a_pause() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.press("1")
    pause(call)
    call.play(KEEP.yes)
    assert call.markers("keep_answer_confirmed") == [{"answer": "yes"}]


def test_asks_nothing_during_a_hold() -> None:
    call = Conversation()
    call.feed(HoldStarted)
    call.dial_keep()
    assert call.markers("keep_question_asked") == []


def test_ignores_keys_of_other_legs() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    for key in ("1", "2"):
        call.press(key, leg="another")
    assert call.state.question.step is QuestionStep.ANSWER


def test_silence_is_a_no_and_both_hear_it() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.press("7")
    call.expire_timer()
    assert call.action_log[-1] is Do.KEEP_NONE
    call.play(KEEP.none)
    assert call.end() is None


def test_a_colleague_asks_in_their_own_words() -> None:
    call = Conversation(OWN_WORDS)
    call.dial_keep()
    assert call.action_log[-1] is Do.KEEP_CUE
    call.now += timedelta(seconds=30)
    call.confirm_yes()
    assert call.markers("keep_question_asked") == [{"how": "own_words"}]
    assert call.markers("keep_question_answered") == [
        {"answer": "yes", "by": INTERNAL, "how": "own_words", **VOICE_SPAN}
    ]


@pytest.mark.parametrize("keep", [KEEP, OWN_WORDS])
def test_a_confirmed_yes_without_a_voice_is_asked_once_more(keep: KeepScript) -> None:
    call = Conversation(keep)
    call.dial_keep()
    order = Do.KEEP_ASK if keep.question else Do.KEEP_CUE
    for times in (1, 2):
        assert call.action_log.count(order) == times
        if keep.question:
            call.play(keep.question)
        call.confirm_yes(None)
        assert len(call.markers("keep_answer_unheard")) == times
    assert call.markers("keep_question_answered") == [{"answer": "none"}]
    assert call.action_log[-1] is Do.KEEP_NONE
    assert call.state.keep_answer == "no"
    call.play(keep.none)
    assert call.markers("keep_answer_confirmed") == [{"answer": "no"}]
    assert call.end() is None, "kept as announced"


def test_a_voice_is_found_the_second_time() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.confirm_yes(None)
    call.play(KEEP.question)
    call.confirm_yes()
    assert call.markers("keep_question_answered") == [
        {"answer": "yes", "by": INTERNAL, "how": "aloud", **VOICE_SPAN}
    ]


def test_the_answer_has_the_time_of_the_key() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.press("1", INTERNAL)
    pressed = call.now
    call.now += timedelta(seconds=2)
    call.feed(VoiceChecked, voice=VOICE)
    (answered,) = (
        one for one in call.action_log if isinstance(one, Marker) and one.kind == "keep_question_answered"
    )
    assert answered.at == pressed


def test_the_voice_check_times_out() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.press("1", INTERNAL)
    call.expire_timer()
    assert call.markers("keep_answer_unheard") == [{}]
    assert call.action_log[-1] is Do.KEEP_ASK
    call.feed(VoiceChecked, voice=VOICE)  # too late
    assert call.markers("keep_question_answered") == []


@pytest.mark.parametrize(("key", "leg"), [("1", EXTERNAL), ("2", EXTERNAL), ("2", INTERNAL)])
def test_a_definite_answer_counts_during_the_voice_check(key: str, leg: str) -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.press("1", INTERNAL)
    call.press("1", INTERNAL)
    assert call.action_log.count(Do.KEEP_CHECK) == 1
    call.press(key, leg)
    call.feed(VoiceChecked, voice=VOICE)
    (answer,) = call.markers("keep_question_answered")
    assert (answer["answer"], answer["by"]) == ("yes" if key == "1" else "no", leg)


@pytest.mark.parametrize("what", ["pause", "left", "somebody else", "held"])
def test_only_a_hold_leaves_the_voice_check_open(what: str) -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.press("1", INTERNAL)
    if what == "pause":
        pause(call)
    elif what == "left":
        call.feed(LegUnbridged)
    elif what == "held":
        call.feed(HoldStarted, leg=INTERNAL)
    else:
        call.connect("c")
    call.feed(VoiceChecked, voice=VOICE)
    assert len(call.markers("keep_question_answered")) == (what == "held")
    assert len(call.markers("keep_question_interrupted")) == (what != "held")


def test_does_not_ask_once_more_during_a_hold() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.feed(HoldStarted, leg=EXTERNAL)
    call.confirm_yes(None)
    assert call.markers("keep_question_answered") == [{"answer": "none"}]


def test_the_line_asks_by_itself_once() -> None:
    call = Conversation(replace(KEEP, at_start=True))
    assert call.action_log.count(Do.KEEP_ASK) == 1
    call.feed(LegUnbridged)
    assert call.markers("keep_question_interrupted") == [{}]
    call.connect("c")
    assert call.action_log.count(Do.KEEP_ASK) == 1


def test_the_last_answer_stands() -> None:
    call = Conversation(replace(KEEP, destroy=True))
    for key, sound in (("1", KEEP.yes), ("2", KEEP.no)):
        call.dial_keep()
        call.play(KEEP.question)
        call.press(key)
        call.play(sound)
    assert [one["answer"] for one in call.markers("keep_question_answered")] == ["yes", "no"]
    assert call.end() == "not_kept"
    assert Do.DISCARD in call.action_log


def test_a_no_destroys_nothing_unless_the_line_says_so() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.press("2")
    assert call.end() is None
    assert Do.DISCARD not in call.action_log


@pytest.mark.parametrize(
    "event",
    [
        {"what": HoldStarted, "leg": INTERNAL},
        {"what": HoldStarted, "leg": EXTERNAL},
        {"what": LegUnbridged},
        {"what": LegBridged, "other": "c"},
        {"what": SoundEnded, "leg": EXTERNAL, "sound": QUESTION, "complete": False},
        {"what": SoundEnded, "leg": INTERNAL, "sound": QUESTION, "complete": True, "hangup": True},
    ],
)  # fmt: skip
def test_breaks_off_a_question_that_both_did_not_hear(event: dict[str, object]) -> None:
    call = Conversation()
    call.dial_keep()
    call.start(KEEP.question)
    call.feed(**event)  # type: ignore[arg-type]
    for leg in (EXTERNAL, INTERNAL):
        call.feed(SoundEnded, leg=leg, sound="/prompts/question.wav", complete=True)
    call.press("1")
    assert call.markers("keep_question_interrupted") == [{}]
    assert call.markers("keep_question_answered") == []
    assert call.state.keep_answer == ""


def test_a_question_that_never_starts_times_out() -> None:
    call = Conversation()
    call.dial_keep()
    call.expire_timer()
    assert call.markers("keep_question_interrupted") == [{}]
    call.connect("b")
    call.dial_keep()
    assert call.action_log.count(Do.KEEP_ASK) == 2


def test_an_answer_stands_without_its_verdict() -> None:
    call = Conversation()
    call.dial_keep()
    call.play(KEEP.question)
    call.press("1")
    assert call.end() is None
    assert call.markers("keep_answer_unconfirmed") == [{}]
    assert call.markers("keep_question_answered")[0]["answer"] == "yes"


def test_asks_nothing_without_a_script_or_a_recording() -> None:
    call = Conversation(None)
    call.dial_keep()
    assert Do.KEEP_ASK not in call.action_log
    call = Conversation()
    call.feed(StateReported, state="unrecorded")
    call.dial_keep()
    assert Do.KEEP_ASK not in call.action_log


def test_resume_restores_the_last_answer() -> None:
    markers = [Marker(AT, "recording_started"), Marker(AT, "announcement_finished")]
    question = Marker(AT, "keep_question_asked", {"how": "question"})
    assert initial.resume(plan(KEEP), [*markers, question], AT).keep_answer == ""
    yes = Marker(AT, "keep_question_answered", {"answer": "yes", "by": EXTERNAL, "how": "key"})
    state = initial.resume(plan(KEEP), [*markers, question, yes], AT)
    assert (state.keep_answer, state.question.step) == ("yes", QuestionStep.IDLE)
    state, _ = step(state, CallReconciled(AT, state="announced", since=AT, capturing=True))
    state, actions = step(state, CodeDialled(AT, code="keep", other="b"))
    assert Do.KEEP_ASK in actions, "the colleague can ask again"


# --- any events in any order

LIKELY = st.sampled_from(["code", "begins", "heard", "1", "2", "5", "silence", "confirms", "voice", "none"])

EVENTS = any_event(
    at=st.integers(0, 60_000).map(lambda ms: AT + timedelta(milliseconds=ms)),
    state=st.sampled_from(["", "announced", "unrecorded"]),
    leg=st.sampled_from([EXTERNAL, INTERNAL, ""]),
    other=st.sampled_from(["", "b", "c"]),
    sound=st.sampled_from(["", *(f"/prompts/{name}.wav" for name in ("question", "yes", "no", "none"))]),
    complete=st.booleans(),
    hangup=st.booleans(),
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


def check_rules(keep: KeepScript, moves: list[CallEvent | str]) -> None:
    """Check that a yes is marked only after a question that both heard whole and a key 1, and a colleague's
    only with the external party's voice."""
    call = Conversation(keep)
    state = call.state
    heard_by: set[str] = set()
    question_asked = own = confirmed = False
    for move in moves:
        for event in likely(move, state) if isinstance(move, str) else [move]:
            before = state
            state, actions = step(before, event)
            kinds = [one.kind for one in actions if isinstance(one, Marker)]
            answers = [
                dict(one.data)
                for one in actions
                if isinstance(one, Marker) and one.kind == "keep_question_answered"
            ]
            if isinstance(event, KeyPressed) and event.leg == INTERNAL and event.key == "1":
                confirmed = confirmed or question_asked or own
            if answers and answers[0]["answer"] != "none":
                assert before.question.step is not QuestionStep.IDLE, "answered without a question"
                if isinstance(event, VoiceChecked):
                    assert event.voice is not None
                    assert confirmed
                    assert question_asked or own, "a yes before the end of the question"
                    assert (answers[0]["answer"], answers[0]["by"]) == ("yes", INTERNAL)
                else:
                    assert isinstance(event, KeyPressed)
                    assert {"1": "yes", "2": "no"}[event.key] == answers[0]["answer"]
                    assert event.key == "2" or event.leg == EXTERNAL
                    assert question_asked or own or event.key == "2", "a yes before the end of the question"
            if "keep_question_asked" in kinds:
                heard_by, question_asked, own, confirmed = set(), False, keep.question is None, False
            elif isinstance(event, SoundEnded) and keep.question and event.sound == keep.question.path:
                heard_by |= {event.leg} if event.complete and not event.hangup else set()
                question_asked = question_asked or heard_by >= {EXTERNAL, INTERNAL}
            if kinds and kinds[0] in ("keep_question_answered", "keep_question_interrupted"):
                question_asked = own = False
            if state.keep_answer != before.keep_answer:
                assert answers
            orders = [one for one in actions if isinstance(one, Do) and one.startswith("keep")]
            assert not orders or before.phase is Phase.ANNOUNCED
    over = step(state, ChannelGone(AT, hangup=True))[0]
    assert over.phase is Phase.ENDED


@pytest.mark.parametrize("keep", [KEEP, OWN_WORDS])
def test_no_order_of_events_makes_a_yes_without_consent(keep: KeepScript) -> None:
    explore(keep, 250)


@pytest.mark.long
@pytest.mark.parametrize("keep", [KEEP, OWN_WORDS])
def test_no_order_of_events_makes_a_yes_without_consent_long(
    keep: KeepScript,
) -> None:
    explore(keep, share(50_000))


def explore(keep: KeepScript, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(st.one_of(LIKELY, LIKELY, EVENTS), max_size=40))
    def over(moves: list[CallEvent | str]) -> None:
        check_rules(keep, moves)

    over()
