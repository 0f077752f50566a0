"""Questions before the conversation: each answer, silence, wrong key and hang-up has its own end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.call import initial, transitions
from recorder.call.machine import step
from recorder.call.state import Action, CallState, Do, Finish, Phase, WriteMark
from recorder.domain.call_events import (
    CallEvent,
    CallHungUp,
    ChannelEvent,
    ChannelGone,
    DeadlinePassed,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    KeyPressed,
    LegBridged,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    StateReported,
)
from recorder.domain.call_plan import OPT_IN, OPT_OUT, CallPlan, Script, Speech
from recorder.domain.parties import Party
from tests.unit.call.any_event import TYPES, any_event

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def speech(name: str) -> Speech:
    return Speech(f"/prompts/{name}.wav", timedelta(seconds=3))


def script(language: str) -> Script:
    return Script(speech(f"{language}-told"), speech(f"{language}-question"), speech(f"{language}-declined"))


FR, NL = script("fr"), script("nl")
MENU = speech("menu")
OUT, IN = CallPlan(OPT_OUT, (FR,)), CallPlan(OPT_IN, (FR,))
BOTH = CallPlan(OPT_IN, (FR, NL), MENU)


class Call:
    """A call and the switch that it is on: what is ordered is played, and told."""

    def __init__(self, plan: CallPlan) -> None:
        self.now = AT
        self.word = "waiting"
        self.done: list[Action] = []
        self.state, actions = initial.arrive(plan, AT)
        self.recording = False
        self._ordered: str = ""
        self._take(actions)
        self.tell(FolderWritten)

    def tell(self, what: type[CallEvent], **more: object) -> None:
        if issubclass(what, ChannelEvent):
            more["state"] = self.word
        event = what(self.now, **more)  # type: ignore[arg-type]
        self.state, actions = step(self.state, event)
        self._take(actions)

    def _take(self, actions: tuple[Action, ...]) -> None:
        self.done += actions
        for action in actions:
            if action in (Do.ASK, Do.BEGIN, Do.AGAIN, Do.REMIND, Do.DECLINE):
                self._ordered = self.state.prompt.sound.path
            if action is Do.ASK:
                self.word = "asking"
            if action is Do.BEGIN:
                self.word, self.recording = "announcing", True
                self.tell(RecordingStarted)
            if action is Do.DECLINE:
                self.word = "declined"
                if self.recording:
                    self.recording = False
                    self.tell(RecordingStopped)
            if action is Do.CONFIRM:
                self.word = "announced"
                self.tell(StateReported)

    def plays(self, sound: Speech) -> None:
        assert self._ordered == sound.path
        self.now += timedelta(milliseconds=40)
        self.tell(PlaybackStarted, sound=sound.path)

    def hears(self, sound: Speech) -> None:
        self.plays(sound)
        self.now += sound.length
        self.tell(PlaybackEnded, sound=sound.path, complete=True)

    def presses(self, key: str, after: float = 1.0) -> None:
        self.now += timedelta(seconds=after)
        self.tell(KeyPressed, key=key)

    def waits(self) -> None:
        assert self.state.timer.deadline is not None
        self.now = self.state.timer.deadline
        self.tell(DeadlinePassed)

    def hangs_up(self) -> None:
        self.tell(CallHungUp, cause="NORMAL_CLEARING", ending=True)
        if self.recording:
            self.tell(RecordingStopped, ending=True)

    def talks(self) -> None:
        self.now += timedelta(seconds=5)
        self.tell(LegBridged, party=Party("extension", "200"))
        self.now += timedelta(seconds=60)

    @property
    def answers(self) -> list[dict[str, str]]:
        return [
            dict(one.data)
            for one in self.done
            if isinstance(one, WriteMark) and one.kind == "question_answered"
        ]

    @property
    def end(self) -> str | None:
        (finish,) = (one for one in self.done if isinstance(one, Finish))
        return finish.reason


def unrecorded(call: Call, reason: str) -> None:
    """It goes on unrecorded, is told so, and nothing of it is kept."""
    call.hears(FR.declined or MENU)
    assert Do.LEAVE in call.done
    call.word = "unrecorded"
    call.talks()
    call.hangs_up()
    assert call.end == reason
    assert Do.DISCARD in call.done
    assert Do.CONFIRM not in call.done


def recorded(call: Call) -> None:
    assert call.done[-1] is Do.LEAVE
    call.talks()
    call.hangs_up()
    assert call.end is None
    assert Do.DISCARD not in call.done


def test_opt_in_records_from_the_yes_on_and_not_before() -> None:
    call = Call(IN)
    assert [one for one in call.done if isinstance(one, Do)] == [Do.ASK, Do.OPEN]
    call.hears(FR.question or MENU)
    assert Do.BEGIN not in call.done
    call.presses("1")
    assert call.answers == [{"question": "recording", "answer": "yes", "key": "1"}]
    call.hears(FR.announcement)
    recorded(call)


def test_a_yes_before_the_question_s_end_is_none() -> None:
    call = Call(IN)
    call.plays(FR.question or MENU)
    call.presses("1")
    assert call.answers == []
    call.now += timedelta(seconds=2)
    call.tell(PlaybackEnded, sound=call.state.prompt.sound.path, complete=True)
    call.waits()
    assert call.answers == [{"question": "recording", "answer": "none"}]
    unrecorded(call, "no_answer")


@pytest.mark.parametrize("plan", [IN, OUT])
def test_a_refusal_counts_whenever_it_comes(plan: CallPlan) -> None:
    asked = plan.mode == OPT_IN
    call = Call(plan)
    sound = (FR.question or MENU) if asked else FR.announcement
    call.plays(sound)
    call.presses("2")
    assert call.done.index(Do.CUT) < call.done.index(Do.DECLINE)
    assert call.state.timer.deadline == call.now + transitions.patience(FR.declined.length), (
        "nothing is waited for"
    )
    call.tell(PlaybackEnded, sound=sound.path, complete=False)
    assert Do.LEAVE not in call.done
    unrecorded(call, "declined")


def test_who_agreed_can_refuse_while_it_is_announced() -> None:
    call = Call(IN)
    call.hears(FR.question or MENU)
    call.presses("1")
    call.plays(FR.announcement)
    call.presses("1")
    call.presses("2")
    assert [one["answer"] for one in call.answers] == ["yes", "no"]
    assert call.done.count(Do.CUT) == 1
    assert Do.STOP in call.done
    unrecorded(call, "declined")
    noted = [one for one in call.done if isinstance(one, WriteMark)]
    assert initial.resume(IN, noted, AT).reason == "declined"


@pytest.mark.parametrize("key", ["1", "5", "*", "#"])
def test_no_other_key_cuts_what_plays(key: str) -> None:
    for plan in (IN, OUT):
        call = Call(plan)
        call.plays((FR.question or MENU) if plan is IN else FR.announcement)
        call.presses(key)
        assert Do.CUT not in call.done
        assert call.answers == []


def test_a_refusal_after_what_was_said_cuts_nothing() -> None:
    for plan in (IN, OUT):
        call = Call(plan)
        call.hears((FR.question or MENU) if plan is IN else FR.announcement)
        call.presses("2")
        assert Do.CUT not in call.done
        unrecorded(call, "declined")


def test_opt_out_waits_for_a_refusal_and_then_records() -> None:
    call = Call(OUT)
    call.hears(FR.announcement)
    assert call.state.phase is Phase.CHOOSING
    assert Do.CONFIRM not in call.done
    call.waits()
    assert call.answers == [{"question": "recording", "answer": "none"}]
    recorded(call)


def test_opt_out_is_refused_after_the_announcement() -> None:
    call = Call(OUT)
    call.hears(FR.announcement)
    call.presses("2")
    assert Do.STOP in call.done
    unrecorded(call, "declined")


def test_another_key_is_answered_with_the_question_and_a_second_one_records_nothing() -> None:
    call = Call(OUT)
    call.hears(FR.announcement)
    call.presses("5")
    call.hears(FR.question or MENU)
    assert call.state.phase is Phase.CHOOSING
    call.presses("#")
    unrecorded(call, "unclear")
    call = Call(IN)
    call.hears(FR.question or MENU)
    call.presses("9")
    call.hears(FR.question or MENU)
    call.presses("*")
    unrecorded(call, "unclear")


def test_after_the_reminder_one_may_still_refuse_or_say_nothing() -> None:
    for key, reason in (("2", "declined"), ("", None)):
        call = Call(OUT)
        call.hears(FR.announcement)
        call.presses("5")
        call.hears(FR.question or MENU)
        if key:
            call.presses(key)
            unrecorded(call, reason or "")
        else:
            call.waits()
            recorded(call)


def test_hanging_up_in_a_question_keeps_nothing() -> None:
    call = Call(IN)
    call.plays(FR.question or MENU)
    call.hangs_up()
    assert call.end == "hung_up_in_question"
    call = Call(OUT)
    call.hears(FR.announcement)
    call.hangs_up()
    assert call.end == "hung_up_in_announcement"
    assert Do.DISCARD in call.done


def test_a_question_with_a_hold_in_it_is_asked_again() -> None:
    call = Call(IN)
    call.plays(FR.question or MENU)
    call.tell(HoldStarted)
    call.now += timedelta(seconds=3)
    call.tell(PlaybackEnded, sound=call.state.prompt.sound.path, complete=True)
    call.presses("1")
    assert call.answers == []
    call.tell(HoldEnded)
    call.hears(FR.question or MENU)
    call.presses("1")
    call.hears(FR.announcement)
    recorded(call)


def test_a_key_after_a_question_that_a_hang_up_cut_is_no_answer() -> None:
    call = Call(IN)
    call.plays(FR.question or MENU)
    call.tell(PlaybackEnded, sound=call.state.prompt.sound.path, ending=True)
    call.presses("1")
    assert call.answers == []
    assert Do.BEGIN not in call.done


def test_a_question_that_cannot_be_played_records_nothing() -> None:
    call = Call(IN)
    for _ in range(transitions.TRIES):
        call.tell(PlaybackEnded, sound=call.state.prompt.sound.path, complete=False)
    assert call.state.phase is Phase.UNRECORDED
    assert call.state.reason == "announcement_failed"


def test_the_language_is_chosen_by_key_also_before_the_menu_s_end() -> None:
    call = Call(BOTH)
    assert [one for one in call.done if isinstance(one, Do)] == [Do.ASK]
    call.plays(MENU)
    call.presses("2")
    assert call.answers == [{"question": "language", "answer": "key", "key": "2"}]
    assert Do.OPEN in call.done
    call.hears(NL.question or MENU)
    call.presses("1")
    call.hears(NL.announcement)
    recorded(call)


def test_who_chooses_no_language_hears_the_first() -> None:
    for keys in ((), ("7", "8")):
        call = Call(BOTH)
        for key in keys:
            call.hears(MENU)
            call.presses(key)
        if not keys:
            call.hears(MENU)
            call.waits()
        call.hears(FR.question or MENU)
        call.waits()
        unrecorded(call, "no_answer")


def test_hanging_up_in_the_menu_is_written_down() -> None:
    call = Call(BOTH)
    call.plays(MENU)
    call.hangs_up()
    assert call.done.index(Do.OPEN) < len(call.done) - 1
    assert call.end == "hung_up_in_question"


def test_a_daemon_that_comes_after_an_answer_keeps_to_it() -> None:
    notes = [WriteMark("question_answered", AT, (("question", "recording"), ("answer", "no")))]
    for plan in (IN, OUT):
        state = initial.resume(plan, notes, AT)
        assert (state.phase, state.reason) == (Phase.UNRECORDED, "declined")
    heard = [WriteMark("recording_started", AT), WriteMark("announcement_finished", AT)]
    assert initial.resume(OUT, heard, AT).phase is Phase.ANNOUNCING, "they could still have refused"
    silent = WriteMark("question_answered", AT, (("question", "recording"), ("answer", "none")))
    assert initial.resume(OUT, [*heard, silent], AT).phase is Phase.ANNOUNCED
    yes = WriteMark("question_answered", AT, (("question", "recording"), ("answer", "yes")))
    assert initial.resume(IN, [yes, *heard], AT).phase is Phase.ANNOUNCED


# --- whatever happens, in whatever order

SOUNDS = [
    "", MENU.path, FR.announcement.path, "/prompts/fr-question.wav", "/prompts/fr-declined.wav",
    NL.announcement.path, "/prompts/nl-question.wav",
]  # fmt: skip

EVENTS = any_event(
    types=(*TYPES, *[PlaybackStarted, PlaybackEnded, KeyPressed, DeadlinePassed] * 4),
    at=st.integers(0, 60_000).map(lambda ms: AT + timedelta(milliseconds=ms)),
    state=st.sampled_from(
        ["", "waiting", "asking", "announcing", "announced", "declined", "failed", "late", "unrecorded"]
    ),
    left=st.sampled_from(["", "waiting", "asking", "declined", "late"]),
    ending=st.booleans(),
    sound=st.sampled_from(SOUNDS),
    complete=st.booleans(),
    key=st.sampled_from("0123456789*#"),
    since=st.sampled_from([None, AT]),
    capturing=st.booleans(),
)


LIKELY = st.sampled_from(["plays", "played", "silence", "recording", "on disk", "taken", "1", "2", "5"])
"""What the switch tells in a call that goes well: without it chance seldom comes far."""


def likely(name: str, state: CallState) -> CallEvent:
    at = state.timer.deadline or AT
    word = {Phase.ASKING: "asking", Phase.ANNOUNCING: "announcing", Phase.CHOOSING: "announcing"}
    said = {"sound": state.prompt.sound.path, "state": word.get(state.phase, "")}
    return {
        "plays": PlaybackStarted(AT, **said),
        "played": PlaybackEnded(AT, complete=True, **said),
        "silence": DeadlinePassed(at),
        "recording": RecordingStarted(AT),
        "on disk": FolderWritten(AT),
        "taken": StateReported(AT, state="announced"),
    }.get(name, KeyPressed(AT, key=name))


def holds(plan: CallPlan, events: list[CallEvent | str]) -> None:
    """The rules, in the simplest words, over any events in any order."""
    state, actions = initial.arrive(plan, AT)
    done: list[Action] = list(actions)
    asked = False
    for one in events:
        event = likely(one, state) if isinstance(one, str) else one
        before = state
        state, actions = step(before, event)
        done += actions
        assert state.phase >= before.phase
        if (
            isinstance(event, PlaybackEnded)
            and event.complete
            and event.sound == (state.script.question or MENU).path
        ):
            asked = True
        if Do.BEGIN in actions and plan.mode == OPT_IN:
            assert isinstance(event, KeyPressed), "recorded without an answer"
            assert event.key == "1"
            assert asked, "answered before it was asked"
        if Do.CONFIRM in actions and before.phase is not Phase.ENDED and plan.mode == OPT_OUT:
            answers = [
                dict(one.data)
                for one in done
                if isinstance(one, WriteMark) and one.kind == "question_answered"
            ]
            assert {"question": "recording", "answer": "none"} in answers, "no time to refuse"
    notes = [dict(one.data) for one in done if isinstance(one, WriteMark) and one.kind == "question_answered"]
    about = [one["answer"] for one in notes if one["question"] == "recording"]
    assert len(about) <= 1 or about == ["yes", "no"], "answered twice"
    assert done.count(Do.BEGIN) <= 1, "two takes for a leg"
    assert done.count(Do.OPEN) <= 1
    finishes = [one for one in done if isinstance(one, Finish)]
    assert len(finishes) <= 1
    if finishes:
        assert done.count(Do.OPEN) == 1
        if about and about[0] in ("no", "unclear"):
            assert finishes[0].reason is not None, "kept although it was refused"
    over = step(state, ChannelGone(AT, ending=True))[0]
    assert over.phase is Phase.ENDED


PLANS = [IN, OUT, BOTH, replace(BOTH, mode=OPT_OUT)]


def look(plan: CallPlan, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(st.one_of(LIKELY, LIKELY, EVENTS), max_size=50))
    def over(events: list[CallEvent | str]) -> None:
        holds(plan, events)

    over()


@pytest.mark.parametrize("plan", PLANS)
def test_no_order_of_events_makes_a_yes_of_anything_else(plan: CallPlan) -> None:
    look(plan, 250)


@pytest.mark.long
@pytest.mark.parametrize("plan", PLANS)
def test_no_order_of_events_makes_a_yes_of_anything_else_in_a_hundred_thousand(plan: CallPlan) -> None:
    look(plan, 25_000)


def listened(call: Call) -> int:
    return sum(action is Do.LISTEN for action in call.done)


def test_of_a_callee_a_key_is_asked_for_after_each_question() -> None:
    call = Call(replace(IN, outbound=True))
    assert listened(call) == 0, "a key before the question is over is no answer"
    call.hears(FR.question or MENU)
    assert listened(call) == 1
    call.presses("7")
    call.hears(FR.question or MENU)
    assert listened(call) == 2
    call.presses("1")
    call.hears(FR.announcement)
    assert call.state.phase is Phase.ANNOUNCED
    assert listened(call) == 2


def test_of_a_callee_a_refusal_is_waited_for_after_the_announcement() -> None:
    call = Call(replace(OUT, outbound=True))
    call.hears(FR.announcement)
    assert listened(call) == 1
    call.presses("7")
    call.hears(FR.question or MENU)
    assert listened(call) == 2
    call.presses("2")
    unrecorded(call, "declined")


def test_whoever_calls_needs_no_asking_for_a_key() -> None:
    for plan in (IN, OUT, BOTH):
        call = Call(plan)
        call.hears(plan.menu or FR.question or MENU) if plan is not OUT else call.hears(FR.announcement)
        assert listened(call) == 0
