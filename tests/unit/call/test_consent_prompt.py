"""Questions before the conversation: the outcome of each answer, of silence, wrong keys and hang-up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.call import initial, transitions
from recorder.call.machine import step
from recorder.call.state import Action, CallState, Do, Finish, Phase
from recorder.call.transitions import ANSWER_TIME
from recorder.domain import call_events, call_plan
from recorder.domain.markers import LATER, Marker
from recorder.domain.parties import Party
from tests.example_count import share
from tests.unit.call.any_event import TYPES, any_event

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def speech(name: str) -> call_plan.Speech:
    return call_plan.Speech(f"/prompts/{name}.wav", timedelta(seconds=3))


def script(language: str) -> call_plan.Script:
    return call_plan.Script(
        speech(f"{language}-told"), speech(f"{language}-question"), speech(f"{language}-declined")
    )


FR, NL = script("fr"), script("nl")
MENU = speech("menu")
OUT, IN = call_plan.CallPlan(call_plan.OPT_OUT, (FR,)), call_plan.CallPlan(call_plan.OPT_IN, (FR,))
BOTH = call_plan.CallPlan(call_plan.OPT_IN, (FR, NL), MENU)


class SwitchedCall:
    """A call and its switch, which plays prompts as ordered and reports them."""

    def __init__(self, plan: call_plan.CallPlan) -> None:
        self.now = AT
        self.word = "waiting"
        self.action_log: list[Action] = []
        self.state, actions = initial.arrive(plan, AT)
        self.recording = False
        self._ordered: str = ""
        self._apply(actions)
        self.feed(call_events.FolderWritten)

    def feed(self, what: type[call_events.CallEvent], **more: object) -> None:
        if issubclass(what, call_events.ChannelEvent):
            more["state"] = self.word
        event = what(self.now, **more)  # type: ignore[arg-type]
        self.state, actions = step(self.state, event)
        self._apply(actions)

    def _apply(self, actions: tuple[Action, ...]) -> None:
        self.action_log += actions
        for action in actions:
            if action in (Do.ASK, Do.BEGIN, Do.REPEAT, Do.REMIND, Do.DECLINE):
                self._ordered = self.state.prompt.sound.path
            if action is Do.ASK:
                self.word = "asking"
            if action is Do.BEGIN:
                self.word, self.recording = "announcing", True
                self.feed(call_events.RecordingStarted)
            if action is Do.DECLINE:
                self.word = "declined"
                if self.recording:
                    self.recording = False
                    self.feed(call_events.RecordingStopped)
            if action is Do.CONFIRM:
                self.word = "announced"
                self.feed(call_events.StateReported)
            if action is Do.RING_ON and self.word == "announcing":
                self.word = "refusable"
                self.feed(call_events.StateReported)

    def start(self, sound: call_plan.Speech) -> None:
        assert self._ordered == sound.path
        self.now += timedelta(milliseconds=40)
        self.feed(call_events.PlaybackStarted, sound=sound.path)

    def play(self, sound: call_plan.Speech) -> None:
        self.start(sound)
        self.now += sound.length
        self.feed(call_events.PlaybackEnded, sound=sound.path, complete=True)

    def press(self, key: str, after: float = 1.0) -> None:
        self.now += timedelta(seconds=after)
        self.feed(call_events.KeyPressed, key=key)

    def expire_timer(self) -> None:
        assert self.state.timer.deadline is not None
        self.now = self.state.timer.deadline
        self.feed(call_events.DeadlinePassed)

    def hang_up(self) -> None:
        self.feed(call_events.CallHungUp, cause="NORMAL_CLEARING", hangup=True)
        if self.recording:
            self.feed(call_events.RecordingStopped, hangup=True)

    def talk(self) -> None:
        self.now += timedelta(seconds=5)
        self.feed(call_events.LegBridged, party=Party("extension", "200"))
        self.now += timedelta(seconds=60)

    @property
    def answers(self) -> list[dict[str, str]]:
        return [
            dict(one.data)
            for one in self.action_log
            if isinstance(one, Marker) and one.kind == "question_answered"
        ]

    @property
    def end(self) -> str | None:
        (finish,) = (one for one in self.action_log if isinstance(one, Finish))
        return finish.reason


def assert_unrecorded(call: SwitchedCall, reason: str) -> None:
    """The caller hears that the call is not recorded, and nothing is kept."""
    call.play(FR.declined or MENU)
    assert Do.LEAVE in call.action_log
    call.word = "unrecorded"
    call.talk()
    call.hang_up()
    assert call.end == reason
    assert Do.DISCARD in call.action_log
    assert Do.CONFIRM not in call.action_log


def assert_recorded(call: SwitchedCall) -> None:
    assert call.action_log.count(Do.LEAVE) == 1
    call.talk()
    call.hang_up()
    assert call.end is None
    assert Do.DISCARD not in call.action_log


def test_opt_in_records_from_the_yes_on() -> None:
    call = SwitchedCall(IN)
    assert [one for one in call.action_log if isinstance(one, Do)] == [Do.ASK, Do.OPEN]
    call.play(FR.question or MENU)
    assert Do.BEGIN not in call.action_log
    call.press("1")
    assert call.answers == [{"question": "recording", "answer": "yes", "key": "1"}]
    call.play(FR.announcement)
    assert_recorded(call)


def test_ignores_a_yes_before_the_end_of_the_question() -> None:
    call = SwitchedCall(IN)
    call.start(FR.question or MENU)
    call.press("1")
    assert call.answers == []
    call.now += timedelta(seconds=2)
    call.feed(call_events.PlaybackEnded, sound=call.state.prompt.sound.path, complete=True)
    call.expire_timer()
    assert call.answers == [{"question": "recording", "answer": "none"}]
    assert_unrecorded(call, "no_answer")


@pytest.mark.parametrize("plan", [IN, OUT])
def test_a_refusal_counts_during_the_prompt(plan: call_plan.CallPlan) -> None:
    has_question = plan.mode == call_plan.OPT_IN
    call = SwitchedCall(plan)
    sound = (FR.question or MENU) if has_question else FR.announcement
    call.start(sound)
    call.press("2")
    assert call.action_log.index(Do.CUT) < call.action_log.index(Do.DECLINE)
    assert call.state.timer.deadline == call.now + transitions.playback_timeout(FR.declined.length), (
        "nothing is waited for"
    )
    call.feed(call_events.PlaybackEnded, sound=sound.path, complete=False)
    assert Do.LEAVE not in call.action_log
    assert_unrecorded(call, "declined")


def test_consent_can_be_withdrawn_during_the_announcement() -> None:
    call = SwitchedCall(IN)
    call.play(FR.question or MENU)
    call.press("1")
    call.start(FR.announcement)
    call.press("1")
    call.press("2")
    assert [one["answer"] for one in call.answers] == ["yes", "no"]
    assert call.action_log.count(Do.CUT) == 1
    assert Do.STOP in call.action_log
    assert_unrecorded(call, "declined")
    markers = [one for one in call.action_log if isinstance(one, Marker)]
    assert initial.resume(IN, markers, AT).reason == "declined"


@pytest.mark.parametrize("key", ["1", "5", "*", "#"])
def test_only_a_refusal_cuts_the_prompt(key: str) -> None:
    for plan in (IN, OUT):
        call = SwitchedCall(plan)
        call.start((FR.question or MENU) if plan is IN else FR.announcement)
        call.press(key)
        assert Do.CUT not in call.action_log
        assert call.answers == []


def test_a_refusal_after_the_prompt_cuts_nothing() -> None:
    for plan in (IN, OUT):
        call = SwitchedCall(plan)
        call.play((FR.question or MENU) if plan is IN else FR.announcement)
        call.press("2")
        assert Do.CUT not in call.action_log
        assert_unrecorded(call, "declined")


def test_opt_out_records_after_the_time_to_refuse() -> None:
    call = SwitchedCall(OUT)
    call.play(FR.announcement)
    assert call.state.phase is Phase.CHOOSING
    assert Do.CONFIRM not in call.action_log
    call.expire_timer()
    assert call.answers == [{"question": "recording", "answer": "none"}]
    assert_recorded(call)


def test_opt_out_can_be_refused_after_the_announcement() -> None:
    call = SwitchedCall(OUT)
    call.play(FR.announcement)
    call.press("2")
    assert Do.STOP in call.action_log
    assert_unrecorded(call, "declined")


def test_a_second_meaningless_key_ends_the_question() -> None:
    call = SwitchedCall(OUT)
    call.play(FR.announcement)
    call.press("5")
    assert call.action_log[-1] is Do.REMIND
    assert call.state.phase is Phase.CHOOSING
    call.press("#")
    assert_unrecorded(call, "unclear")
    call = SwitchedCall(IN)
    call.play(FR.question or MENU)
    call.press("9")
    call.play(FR.question or MENU)
    call.press("*")
    assert_unrecorded(call, "unclear")


def test_refusal_and_silence_count_after_the_reminder() -> None:
    for key, reason in (("2", "declined"), ("", None)):
        call = SwitchedCall(OUT)
        call.play(FR.announcement)
        call.press("5")
        assert call.state.timer.wait == timedelta(seconds=3) + ANSWER_TIME
        if key:
            call.press(key)
            assert_unrecorded(call, reason or "")
        else:
            call.expire_timer()
            assert_recorded(call)


def test_stops_a_recording_before_consent() -> None:
    call = SwitchedCall(IN)
    call.feed(call_events.RecordingStarted)
    assert call.action_log[-2:] == [Do.STOP, Do.DISCARD]
    assert "recording_started" not in [one.kind for one in call.action_log if isinstance(one, Marker)]


def test_leaves_the_socket_once_after_a_refusal_that_cannot_be_played() -> None:
    call = SwitchedCall(IN)
    call.press("2")
    for _ in range(3):
        call.feed(call_events.DeadlinePassed)
        call.now += timedelta(seconds=60)
    assert call.action_log.count(Do.LEAVE) == 1
    assert call.state.timer.deadline is None


def test_a_reported_end_of_the_refusal_leaves_the_socket_before_the_timer() -> None:
    call = SwitchedCall(OUT)
    call.press("2")
    call.play(FR.declined or MENU)
    call.expire_timer()
    assert call.action_log.count(Do.LEAVE) == 1


def test_hang_up_in_a_question_keeps_nothing() -> None:
    call = SwitchedCall(IN)
    call.start(FR.question or MENU)
    call.hang_up()
    assert call.end == "hung_up_in_question"
    call = SwitchedCall(OUT)
    call.play(FR.announcement)
    call.hang_up()
    assert call.end == "hung_up_in_announcement"
    assert Do.DISCARD in call.action_log


def test_repeats_a_question_interrupted_by_a_hold() -> None:
    call = SwitchedCall(IN)
    call.start(FR.question or MENU)
    call.feed(call_events.HoldStarted)
    call.now += timedelta(seconds=3)
    call.feed(call_events.PlaybackEnded, sound=call.state.prompt.sound.path, complete=True)
    call.press("1")
    assert call.answers == []
    call.feed(call_events.HoldEnded)
    call.play(FR.question or MENU)
    call.press("1")
    call.play(FR.announcement)
    assert_recorded(call)


def test_ignores_a_key_after_a_hang_up_cut_the_question() -> None:
    call = SwitchedCall(IN)
    call.start(FR.question or MENU)
    call.feed(call_events.PlaybackEnded, sound=call.state.prompt.sound.path, hangup=True)
    call.press("1")
    assert call.answers == []
    assert Do.BEGIN not in call.action_log


def test_records_nothing_where_the_question_cannot_be_played() -> None:
    call = SwitchedCall(IN)
    for _ in range(transitions.MAX_TRIES):
        call.feed(call_events.PlaybackEnded, sound=call.state.prompt.sound.path, complete=False)
    assert call.state.phase is Phase.UNRECORDED
    assert call.state.reason == "announcement_failed"


def test_a_key_chooses_the_language_before_the_end_of_the_menu() -> None:
    call = SwitchedCall(BOTH)
    assert [one for one in call.action_log if isinstance(one, Do)] == [Do.ASK]
    call.start(MENU)
    call.press("2")
    assert call.answers == [{"question": "language", "answer": "key", "key": "2"}]
    assert Do.OPEN in call.action_log
    call.play(NL.question or MENU)
    call.press("1")
    call.play(NL.announcement)
    assert_recorded(call)


def test_without_a_choice_the_first_language_plays() -> None:
    for keys in ((), ("7", "8")):
        call = SwitchedCall(BOTH)
        for key in keys:
            call.play(MENU)
            call.press(key)
        if not keys:
            call.play(MENU)
            call.expire_timer()
        call.play(FR.question or MENU)
        call.expire_timer()
        assert_unrecorded(call, "no_answer")


def test_hang_up_in_the_menu_opens_a_folder() -> None:
    call = SwitchedCall(BOTH)
    call.start(MENU)
    call.hang_up()
    assert call.action_log.index(Do.OPEN) < len(call.action_log) - 1
    assert call.end == "hung_up_in_question"


def test_resume_keeps_the_consent_answer() -> None:
    markers = [Marker(AT, "question_answered", {"question": "recording", "answer": "no"})]
    for plan in (IN, OUT):
        state = initial.resume(plan, markers, AT)
        assert (state.phase, state.reason) == (Phase.UNRECORDED, "declined")
    markers = [Marker(AT, "recording_started"), Marker(AT, "announcement_finished")]
    assert initial.resume(OUT, markers, AT).phase is Phase.ANNOUNCING, (
        "the external party could still have refused"
    )
    silent = Marker(AT, "question_answered", {"question": "recording", "answer": "none"})
    assert initial.resume(OUT, [*markers, silent], AT).phase is Phase.ANNOUNCED
    yes = Marker(AT, "question_answered", {"question": "recording", "answer": "yes"})
    assert initial.resume(IN, [yes, *markers], AT).phase is Phase.ANNOUNCED


# --- any events in any order

SOUNDS = [
    "", MENU.path, FR.announcement.path, "/prompts/fr-question.wav", "/prompts/fr-declined.wav",
    NL.announcement.path, "/prompts/nl-question.wav",
]  # fmt: skip

EVENTS = any_event(
    types=(
        *TYPES,
        *[
            call_events.PlaybackStarted,
            call_events.PlaybackEnded,
            call_events.KeyPressed,
            call_events.DeadlinePassed,
        ]
        * 4,
    ),
    at=st.integers(0, 60_000).map(lambda ms: AT + timedelta(milliseconds=ms)),
    state=st.sampled_from(
        ["", "waiting", "asking", "announcing", "refusable", "announced", "declined", "late", "unrecorded"]
    ),
    left=st.sampled_from(["", "waiting", "asking", "declined", "late"]),
    hangup=st.booleans(),
    sound=st.sampled_from(SOUNDS),
    complete=st.booleans(),
    key=st.sampled_from("0123456789*#"),
    since=st.sampled_from([None, AT]),
    capturing=st.booleans(),
)


LIKELY = st.sampled_from(["plays", "played", "silence", "recording", "on disk", "taken", "1", "2", "5"])
"""Events of a call that goes well: random ones alone seldom get far."""


def likely(name: str, state: CallState) -> call_events.CallEvent:
    at = state.timer.deadline or AT
    word = {Phase.ASKING: "asking", Phase.ANNOUNCING: "announcing", Phase.CHOOSING: "announcing"}
    options = {"sound": state.prompt.sound.path, "state": word.get(state.phase, "")}
    return {
        "plays": call_events.PlaybackStarted(AT, **options),
        "played": call_events.PlaybackEnded(AT, complete=True, **options),
        "silence": call_events.DeadlinePassed(at),
        "recording": call_events.RecordingStarted(AT),
        "on disk": call_events.FolderWritten(AT),
        "taken": call_events.StateReported(AT, state="announced"),
    }.get(name, call_events.KeyPressed(AT, key=name))


def _is_confirmed_by_switch(orders: list[Action]) -> bool:
    markers = [(one.kind, one.data) for one in orders if isinstance(one, Marker)]
    return ("announcement_finished", LATER) in markers


def check_rules(plan: call_plan.CallPlan, events: list[call_events.CallEvent | str]) -> None:
    """Check the rules of consent after each event."""
    state, actions = initial.arrive(plan, AT)
    orders: list[Action] = list(actions)
    question_asked = False
    for one in events:
        event = likely(one, state) if isinstance(one, str) else one
        before = state
        state, actions = step(before, event)
        orders += actions
        assert state.phase >= before.phase
        if (
            isinstance(event, call_events.PlaybackEnded)
            and event.complete
            and event.sound == (state.script.question or MENU).path
        ):
            question_asked = True
        if Do.BEGIN in actions and plan.mode == call_plan.OPT_IN:
            assert isinstance(event, call_events.KeyPressed), "recorded without an answer"
            assert event.key == "1"
            assert question_asked, "answered before the question"
        if (
            Do.CONFIRM in actions
            and before.phase is not Phase.ENDED
            and plan.mode == call_plan.OPT_OUT
            # Unless the switch said before that it has our confirmation: it never takes that back.
            and not _is_confirmed_by_switch(orders)
        ):
            answers = [
                dict(one.data)
                for one in orders
                if isinstance(one, Marker) and one.kind == "question_answered"
            ]
            assert {"question": "recording", "answer": "none"} in answers, "no time to refuse"
    markers = [
        dict(one.data) for one in orders if isinstance(one, Marker) and one.kind == "question_answered"
    ]
    about = [one["answer"] for one in markers if one["question"] == "recording"]
    assert len(about) <= 1 or about == ["yes", "no"], "answered twice"
    assert orders.count(Do.BEGIN) <= 1, "two recordings of a leg"
    assert orders.count(Do.OPEN) <= 1
    finishes = [one for one in orders if isinstance(one, Finish)]
    assert len(finishes) <= 1
    if finishes:
        assert orders.count(Do.OPEN) == 1
        if about and about[0] in ("no", "unclear"):
            assert finishes[0].reason is not None, "kept despite a refusal"
    over = step(state, call_events.ChannelGone(AT, hangup=True))[0]
    assert over.phase is Phase.ENDED


PLANS = [IN, OUT, BOTH, replace(BOTH, mode=call_plan.OPT_OUT)]


def explore(plan: call_plan.CallPlan, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(st.one_of(LIKELY, LIKELY, EVENTS), max_size=50))
    def over(events: list[call_events.CallEvent | str]) -> None:
        check_rules(plan, events)

    over()


@pytest.mark.parametrize("plan", PLANS)
def test_no_order_of_events_records_without_consent(plan: call_plan.CallPlan) -> None:
    explore(plan, 250)


@pytest.mark.long
@pytest.mark.parametrize("plan", PLANS)
def test_no_order_of_events_records_without_consent_long(plan: call_plan.CallPlan) -> None:
    explore(plan, share(25_000))


def listen_orders(call: SwitchedCall) -> int:
    return sum(action is Do.LISTEN for action in call.action_log)


def test_outbound_call_listens_for_a_key_after_each_question() -> None:
    call = SwitchedCall(replace(IN, outbound=True))
    assert listen_orders(call) == 0, "a key before the end of the question is no answer"
    call.play(FR.question or MENU)
    assert listen_orders(call) == 1
    call.press("7")
    call.play(FR.question or MENU)
    assert listen_orders(call) == 2
    call.press("1")
    call.play(FR.announcement)
    assert call.state.phase is Phase.ANNOUNCED
    assert listen_orders(call) == 2


def test_outbound_call_listens_for_a_refusal_after_the_announcement() -> None:
    call = SwitchedCall(replace(OUT, outbound=True))
    call.play(FR.announcement)
    assert listen_orders(call) == 1
    call.press("7")
    call.play(FR.question or MENU)
    assert listen_orders(call) == 2
    call.press("2")
    assert_unrecorded(call, "declined")


def test_inbound_call_needs_no_order_to_listen() -> None:
    for plan in (IN, OUT, BOTH):
        call = SwitchedCall(plan)
        call.play(plan.menu or FR.question or MENU) if plan is not OUT else call.play(FR.announcement)
        assert listen_orders(call) == 0


def ringing_call(mode_plan: call_plan.CallPlan = OUT) -> SwitchedCall:
    """Return a call that rings while it can be refused."""
    call = SwitchedCall(mode_plan)
    call.play(mode_plan.scripts[0].announcement)
    assert call.state.rings_on
    return call


def test_inbound_call_rings_while_it_can_be_refused() -> None:
    call = ringing_call()
    assert call.action_log[-2:] == [Do.RING_ON, Do.LEAVE]
    call.expire_timer()
    assert call.state.phase is Phase.ANNOUNCED
    assert call.action_log.count(Do.LEAVE) == 1


def test_older_dialplan_waits_in_silence() -> None:
    call = SwitchedCall(OUT)
    call.start(FR.announcement)
    call.state, actions = step(
        call.state,
        call_events.PlaybackEnded(AT, state="announcing", sound=FR.announcement.path, complete=True),
    )
    assert actions[-1] is Do.RING_ON
    assert not call.state.rings_on
    call.expire_timer()
    assert_recorded(call)


@pytest.mark.parametrize("key", ["2", ""])
def test_answered_call_is_kept_or_destroyed_by_the_answer(key: str) -> None:
    call = ringing_call()
    call.talk()
    assert call.state.phase is Phase.CHOOSING
    if key:
        call.press(key)
        call.hang_up()
        assert call.end == "declined"
        assert Do.DISCARD in call.action_log
        return
    call.expire_timer()
    call.hang_up()
    assert call.end is None
    assert Do.DISCARD not in call.action_log


def test_conversation_begins_once_the_time_to_refuse_is_over() -> None:
    keep = call_plan.KeepScript(
        *(speech(name) for name in ("keep", "cue", "yes", "no", "none")), at_start=True
    )
    call = ringing_call(call_plan.CallPlan(call_plan.OPT_OUT, (replace(FR, keep=keep),)))
    call.feed(call_events.LegBridged, other="b")
    assert Do.KEEP_ASK not in call.action_log
    call.feed(call_events.HoldStarted, leg=call_events.INTERNAL)
    call.feed(call_events.HoldEnded, leg=call_events.INTERNAL)
    call.feed(call_events.ConferenceJoined, conference="room", participants=(call_events.Participant("r"),))
    assert Do.CHECK_PARTICIPANTS not in call.action_log
    call.expire_timer()
    later = [Do.CONFIRM, Do.CHECK_TARGET, Do.CHECK_PARTICIPANTS, Do.KEEP_ASK]
    assert [one for one in call.action_log if one in later] == later
    kinds = [one.kind for one in call.action_log if isinstance(one, Marker)]
    assert [kind for kind in kinds if "hold" in kind or kind == "bridged"] == [
        "bridged",
        "internal_hold",
        "internal_unhold",
    ]


@pytest.mark.parametrize("external", [False, True])
def test_only_the_first_party_of_an_early_transfer_counts_as_informed(external: bool) -> None:
    notice = call_plan.TransferNoticeScript(speech("joining"))
    call = ringing_call(call_plan.CallPlan(call_plan.OPT_OUT, (replace(FR, transfer_notice=notice),)))
    call.feed(call_events.LegBridged, other="b")
    if external:
        call.expire_timer()
        call.feed(call_events.LegChecked, other="b", external=True)
        assert (call.state.phase, call.state.reason) == (Phase.UNRECORDED, "forwarded_externally")
        return
    call.feed(call_events.LegBridged, other="c")
    call.expire_timer()
    assert Do.NOTIFY not in call.action_log
    call.feed(call_events.LegChecked, other="c")
    assert call.action_log[-1] is Do.NOTIFY


def test_refusal_may_have_been_missed_while_nobody_watched() -> None:
    call = ringing_call()
    call.feed(call_events.CallReconciled, since=AT, capturing=True)
    assert (call.state.phase, call.state.reason) == (Phase.UNRECORDED, "daemon_away")
    assert call.action_log[-5:-2] == [Do.STOP, Do.DISCARD, Do.LEAVE]


def test_lost_confirmation_is_repeated() -> None:
    markers = [Marker(AT, "recording_started"), Marker(AT, "announcement_finished")]
    silent = Marker(AT, "question_answered", {"question": "recording", "answer": "none"})
    state = initial.resume(OUT, [*markers, silent], AT)
    state, actions = step(state, call_events.CallReconciled(AT, since=AT, state="refusable", capturing=True))
    assert state.phase is Phase.ANNOUNCED
    assert Do.CONFIRM in actions
    state, actions = step(state, call_events.StateReported(AT, state="late"))
    assert (state.phase, state.reason) == (Phase.UNRECORDED, "daemon_late")
