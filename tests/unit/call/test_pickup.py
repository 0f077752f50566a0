"""Announcing at pick-up: nothing is recorded while it rings, and nothing is kept that was not told whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.call import initial
from recorder.call.announce_on_answer import PAUSE
from recorder.call.machine import step
from recorder.call.state import Action, Do, Finish, Phase, WriteMark
from recorder.call.transitions import TRIES
from recorder.domain.call_events import (
    EXTERNAL,
    INTERNAL,
    CallEvent,
    CallHungUp,
    CallReconciled,
    ChannelGone,
    CodecChanged,
    DeadlinePassed,
    FolderFailed,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    LegBridged,
    LegUnbridged,
    RecordingStarted,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    StateReported,
)
from recorder.domain.call_plan import NOTICE, CallPlan, KeepScript, Script, Speech
from recorder.domain.parties import Party

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
LONG = timedelta(seconds=3)


def speech(name: str) -> Speech:
    return Speech(f"/prompts/{name}.wav", LONG)


TOLD = speech("told")
KEEP = KeepScript(speech("keep"), speech("cue"), speech("yes"), speech("no"), speech("none"), at_start=True)
PLAN = CallPlan(NOTICE, (Script(TOLD),), at_pickup=True)
ASKS = CallPlan(NOTICE, (Script(TOLD, keep=KEEP),), at_pickup=True)


class Call:
    """A call, and a switch that keeps its own word: it takes ours only while it announces, and ends by itself
    a recording that it has no word for.  ``whole``: since the recording began, the outside party heard it."""

    def __init__(self, plan: CallPlan = PLAN) -> None:
        self.now = AT
        self.word = "waiting"
        self.recording = False
        self.began = self.whole = False
        self.done: list[Action] = []
        self.state, actions = initial.arrive(plan, AT)
        self._take(actions)

    def tell(self, what: type[CallEvent], **more: object) -> None:
        event = what(self.now, **more)  # type: ignore[arg-type]
        self.state, actions = step(self.state, event)
        self._take(actions)

    def _take(self, actions: tuple[Action, ...]) -> None:
        self.done += actions
        for action in actions:
            match action:
                case Do.RING if self.word == "waiting":
                    self.word = "pickup"
                case Do.BEGIN:
                    assert not self.recording, "two recordings of one leg"
                    if self.word == "pickup":
                        self.word, self.recording = "announcing", True
                        self.began = self.whole = False
                case Do.PUT_BACK:
                    self.recording = False
                    self.word = "pickup" if self.word == "announcing" else self.word
                case Do.STOP:
                    self.recording = False
                case Do.FAIL if self.word != "announced":
                    self.word, self.recording = "failed", False
                case Do.CONFIRM:
                    assert self.whole, "confirmed, and not heard whole"

    def ring(self) -> None:
        self.tell(StateReported, state=self.word)
        self.tell(FolderWritten)

    def bridge(self, other: str = "b") -> None:
        self.tell(LegBridged, other=other, party=Party("extension", other))
        if self.recording:
            self.tell(RecordingStarted, state=self.word)

    def plays(self) -> None:
        self.began = self.recording
        self.tell(SoundStarted, leg=EXTERNAL, sound=TOLD.path)
        self.tell(SoundStarted, leg=INTERNAL, sound=TOLD.path)

    def ends(self, took: timedelta = LONG, complete: bool = True) -> None:
        if not self.state.informed:  # once heard whole it stays so
            self.whole = self.began and complete and took == LONG
        self.now += took
        self.tell(SoundEnded, leg=EXTERNAL, sound=TOLD.path, complete=complete)

    def switch_answers(self) -> None:
        self.word = "announced" if self.word == "announcing" else self.word
        self.tell(StateReported, state=self.word if self.word == "announced" else "late")

    def over(self) -> Finish:
        self.tell(CallHungUp, ending=True, state=self.word)
        self.tell(RecordingStopped, ending=True)
        self.tell(ChannelGone, ending=True)
        (finish,) = [each for each in self.done if isinstance(each, Finish)]
        return finish

    @property
    def orders(self) -> list[Do]:
        return [each for each in self.done if isinstance(each, Do)]

    @property
    def noted(self) -> list[str]:
        return [each.kind for each in self.done if isinstance(each, WriteMark)]


def told(call: Call) -> None:
    call.ring()
    call.bridge()
    call.plays()
    call.ends()
    call.switch_answers()


def test_it_rings_first_and_both_are_told_once_somebody_answers() -> None:
    call = Call()
    assert call.orders == [Do.RING, Do.OPEN]
    told(call)
    assert call.orders == [Do.RING, Do.OPEN, Do.LEAVE, Do.BEGIN, Do.CONFIRM]
    assert call.state.phase is Phase.ANNOUNCED
    assert call.over().reason is None
    assert call.noted == [
        "bridged",
        "recording_started",
        "announcement_started",
        "announcement_finished",
        "hangup",
        "recording_stopped",
    ]


def test_nobody_answers() -> None:
    call = Call()
    call.ring()
    assert call.over().reason == "never_connected"
    assert Do.BEGIN not in call.orders


def test_they_hang_up_before_they_were_told() -> None:
    call = Call()
    call.ring()
    call.bridge()
    call.plays()
    assert call.over().reason == "hung_up_in_announcement"
    assert Do.DISCARD in call.orders


def test_the_colleague_hears_what_they_like() -> None:
    call = Call()
    call.ring()
    call.bridge()
    call.plays()
    call.tell(SoundEnded, leg=INTERNAL, sound=TOLD.path)
    call.ends()
    assert Do.CONFIRM in call.orders


@pytest.mark.parametrize("took", [LONG - timedelta(milliseconds=400), timedelta(0)])
def test_one_that_was_called_away_in_it_was_not_told(took: timedelta) -> None:
    """FreeSWITCH says ``done`` of a playback that a transfer ended (seen)."""
    call = Call()
    call.ring()
    call.bridge()
    call.plays()
    call.ends(took)
    assert Do.CONFIRM not in call.orders
    assert call.orders[-1] is Do.PUT_BACK
    call.tell(LegUnbridged)
    call.bridge("c")
    call.plays()
    call.ends()
    call.switch_answers()
    assert call.over().reason is None
    assert call.noted.count("announcement_interrupted") == 1


def test_one_that_was_cut_begins_again_after_a_moment() -> None:
    call = Call()
    call.ring()
    call.bridge()
    call.plays()
    call.ends(complete=False)
    begun = call.orders.count(Do.BEGIN)
    call.now += PAUSE
    call.tell(DeadlinePassed)
    assert call.orders.count(Do.BEGIN) == begun + 1


def test_a_hold_in_it_begins_it_again_and_what_still_plays_does_not_count() -> None:
    call = Call()
    call.ring()
    call.bridge()
    call.plays()
    call.tell(HoldStarted)
    assert call.orders[-1] is Do.PUT_BACK
    call.tell(HoldEnded)
    call.tell(RecordingStarted, state=call.word)
    call.tell(SoundEnded, leg=EXTERNAL, sound=TOLD.path, complete=True)  # of the first
    assert Do.CONFIRM not in call.orders
    call.plays()
    call.ends()
    call.switch_answers()
    assert call.over().reason is None


def test_a_codec_that_changes_in_it_begins_it_again() -> None:
    call = Call()
    call.ring()
    call.bridge()
    call.plays()
    begun = call.orders.count(Do.BEGIN)
    call.tell(CodecChanged, state=call.word)
    assert call.orders[-2:] == [Do.PUT_BACK, Do.BEGIN]
    assert call.orders.count(Do.BEGIN) == begun + 1


def test_the_end_of_a_recording_that_was_put_back_is_not_the_end_of_the_next() -> None:
    call = Call()
    call.ring()
    call.bridge()
    call.plays()
    call.tell(HoldStarted)
    call.tell(HoldEnded)
    call.tell(RecordingStopped)  # of the first: told late
    call.tell(RecordingStarted, state=call.word)
    call.plays()
    call.ends()
    call.switch_answers()
    assert call.noted.count("recording_stopped") == 0
    assert call.over().reason is None


def test_the_switch_was_there_first() -> None:
    call = Call()
    call.ring()
    call.bridge()
    call.plays()
    call.ends()
    call.word = "late"
    call.switch_answers()
    assert call.over().reason == "daemon_late"


def test_a_disk_that_is_late_is_waited_for() -> None:
    call = Call()
    call.tell(StateReported, state=call.word)
    call.bridge()
    assert Do.BEGIN not in call.orders
    call.tell(FolderWritten)
    assert call.orders[-1] is Do.BEGIN


def test_a_call_that_cannot_be_written_rings_on_unrecorded() -> None:
    call = Call()
    call.tell(StateReported, state=call.word)
    call.tell(FolderFailed, reason="full_disk")
    call.bridge()
    assert Do.BEGIN not in call.orders
    assert call.over().reason == "full_disk"


def test_it_is_not_tried_for_ever() -> None:
    call = Call()
    call.ring()
    call.bridge()
    for _ in range(TRIES + 1):
        if call.recording:
            call.tell(RecordingStarted, state=call.word)
        call.plays()
        call.tell(HoldStarted)
        call.tell(HoldEnded)
    assert call.orders.count(Do.BEGIN) == TRIES
    assert call.over().reason == "announcement_failed"


def test_a_line_that_asks_by_itself_asks_once_they_were_told() -> None:
    call = Call(ASKS)
    told(call)
    assert call.orders[-1] is Do.KEEP_ASK


def test_nothing_that_plays_makes_an_announcement_of_a_call_that_waits() -> None:
    call = Call()
    call.ring()
    call.plays()
    call.tell(SoundEnded, leg=EXTERNAL, sound=TOLD.path, complete=True)
    assert Do.CONFIRM not in call.orders


def test_a_daemon_that_comes_back_while_it_rings_tells_them() -> None:
    call = Call()
    call.state = initial.resume(PLAN, [], AT)
    call.word = "pickup"
    call.tell(CallReconciled, since=AT, state="pickup")
    call.bridge()
    assert call.orders[-1] is Do.BEGIN


def test_a_daemon_that_was_away_when_it_was_answered_does_not_tell_them_later() -> None:
    call = Call()
    call.state = initial.resume(PLAN, [], AT)
    call.tell(CallReconciled, since=AT, state="pickup", bridged_at=AT)
    assert call.over().reason == "daemon_away"
    assert Do.BEGIN not in call.orders


def test_a_daemon_that_was_away_in_the_announcement_has_not_told_them() -> None:
    call = Call()
    told_of = [
        WriteMark("bridged", AT),
        WriteMark("recording_started", AT),
        WriteMark("announcement_started", AT),
    ]
    call.state = initial.resume(PLAN, told_of, AT)
    call.tell(CallReconciled, since=AT, state="announcing", capturing=True)
    assert call.orders[-3:] == [Do.STOP, Do.DISCARD, Do.LEAVE]
    assert call.over().reason == "daemon_away"


HEARD = [
    WriteMark("bridged", AT),
    WriteMark("recording_started", AT),
    WriteMark("announcement_started", AT),
    WriteMark("announcement_finished", AT),
]


def test_a_daemon_that_died_after_they_were_told_gives_its_word_again() -> None:
    call = Call()
    call.state = initial.resume(PLAN, HEARD, AT)
    call.word, call.recording, call.whole = "announcing", True, True
    call.tell(CallReconciled, since=AT, state="announcing", capturing=True)
    assert call.orders[-1] is Do.CONFIRM
    call.switch_answers()
    assert call.over().reason is None


def test_one_for_which_the_switch_has_our_word_goes_on() -> None:
    call = Call()
    call.state = initial.resume(PLAN, HEARD, AT)
    call.word = "announced"
    call.tell(CallReconciled, since=AT, state="announced", capturing=True)
    assert call.state.phase is Phase.ANNOUNCED
    assert call.over().reason is None
    assert "announcement_finished" not in call.noted, "written down twice"


def test_one_that_the_switch_ended_meanwhile_is_not_kept() -> None:
    call = Call()
    call.state = initial.resume(PLAN, HEARD, AT)
    call.word = "late"
    call.tell(CallReconciled, since=AT, state="late")
    assert call.over().reason == "daemon_late"


@pytest.mark.parametrize(("went_on", "reason"), [(False, "daemon_away"), (True, None)])
def test_one_that_ended_meanwhile_is_kept_if_its_recording_went_on(went_on: bool, reason: str | None) -> None:
    """That they were connected says nothing here: they were before they were told."""
    call = Call()
    call.state = initial.resume(PLAN, HEARD, AT)
    call.tell(ChannelGone, since=AT, capturing=went_on)
    (finish,) = [each for each in call.done if isinstance(each, Finish)]
    assert finish.reason == reason


MOVES = st.sampled_from(
    ["ring", "bridge", "plays", "ends", "cut", "hold", "unhold", "part", "answers", "record", "disk", "late",
     "wait", "away", "stop"]
)  # fmt: skip


def move(call: Call, name: str) -> None:
    match name:
        case "ring":
            call.tell(StateReported, state=call.word)
        case "disk":
            call.tell(FolderWritten)
        case "bridge":
            call.bridge()
        case "plays":
            call.plays()
        case "ends" | "cut":
            call.ends(LONG if name == "ends" else timedelta(seconds=1))
        case "hold":
            call.whole = call.whole and call.state.informed
            call.tell(HoldStarted)
        case "unhold":
            call.tell(HoldEnded)
        case "part":
            call.whole = call.whole and call.state.informed
            call.tell(LegUnbridged)
        case "answers" if Do.CONFIRM in call.orders:
            call.switch_answers()
        case "record" if call.recording:
            call.tell(RecordingStarted, state=call.word)
        case "late" if call.word == "announcing":
            call.word, call.recording = "late", False
            call.tell(RecordingStopped)
        case "stop" if call.recording:
            call.recording = False
            call.tell(RecordingStopped)
        case "wait":
            call.now += timedelta(seconds=10)
            call.tell(DeadlinePassed)
        case "away":
            call.tell(CallReconciled, since=call.now, state=call.word, capturing=call.recording)


def look(examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(MOVES, max_size=40))
    def over(moves: list[str]) -> None:
        call = Call()
        for name in moves:
            move(call, name)
        finish = call.over()
        if finish.reason is None:
            assert call.word == "announced"
            assert "announcement_finished" in call.noted
        else:
            assert Do.DISCARD in call.orders
        assert replace(call.state).phase is Phase.ENDED

    over()


def test_no_order_of_events_keeps_what_was_not_told() -> None:
    look(400)


@pytest.mark.long
def test_no_order_of_events_keeps_what_was_not_told_in_a_hundred_thousand() -> None:
    look(100_000)
