"""Announcement on answer: nothing is recorded while the call rings, and nothing is kept without the whole
announcement."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.call import initial
from recorder.call.announce_on_answer import RETRY_DELAY
from recorder.call.machine import step
from recorder.call.state import Action, Do, Finish, Phase
from recorder.call.transitions import MAX_TRIES
from recorder.domain import call_events
from recorder.domain.call_plan import NOTICE, CallPlan, KeepScript, Script, Speech
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from tests.example_count import share

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
LONG = timedelta(seconds=3)


def speech(name: str) -> Speech:
    return Speech(f"/prompts/{name}.wav", LONG)


ANNOUNCEMENT = speech("told")
KEEP = KeepScript(speech("keep"), speech("cue"), speech("yes"), speech("no"), speech("none"), at_start=True)
PLAN = CallPlan(NOTICE, (Script(ANNOUNCEMENT),), at_pickup=True)
ASKS = CallPlan(NOTICE, (Script(ANNOUNCEMENT, keep=KEEP),), at_pickup=True)


class RingingCall:
    """A call announced on answer, and its switch, which takes a confirmation only while it announces, and
    ends an unconfirmed recording by itself. ``word`` is its state; ``whole``: since the recording began, the
    external party heard the whole announcement."""

    def __init__(self, plan: CallPlan = PLAN) -> None:
        self.now = AT
        self.word = "waiting"
        self.recording = False
        self.has_begun = self.whole = False
        self.action_log: list[Action] = []
        self.state, actions = initial.arrive(plan, AT)
        self._apply(actions)

    def feed(self, what: type[call_events.CallEvent], **more: object) -> None:
        event = what(self.now, **more)  # type: ignore[arg-type]
        self.state, actions = step(self.state, event)
        self._apply(actions)

    def _apply(self, actions: tuple[Action, ...]) -> None:
        self.action_log += actions
        for action in actions:
            match action:
                case Do.RING if self.word == "waiting":
                    self.word = "pickup"
                case Do.BEGIN:
                    assert not self.recording, "two recordings of one leg"
                    if self.word == "pickup":
                        self.word, self.recording = "announcing", True
                        self.has_begun = self.whole = False
                case Do.PUT_BACK:
                    self.recording = False
                    self.word = "pickup" if self.word == "announcing" else self.word
                case Do.STOP:
                    self.recording = False
                case Do.FAIL if self.word != "announced":
                    self.word, self.recording = "failed", False
                case Do.CONFIRM:
                    assert self.whole, "confirmed without the whole announcement"

    def ring(self) -> None:
        self.feed(call_events.StateReported, state=self.word)
        self.feed(call_events.FolderWritten)

    def bridge(self, other: str = "b") -> None:
        self.feed(call_events.LegBridged, other=other, party=Party("extension", other))
        if self.recording:
            self.feed(call_events.RecordingStarted, state=self.word)

    def start(self) -> None:
        self.has_begun = self.recording
        self.feed(call_events.SoundStarted, leg=call_events.EXTERNAL, sound=ANNOUNCEMENT.path)
        self.feed(call_events.SoundStarted, leg=call_events.INTERNAL, sound=ANNOUNCEMENT.path)

    def end(self, elapsed: timedelta = LONG, complete: bool = True) -> None:
        if not self.state.informed:  # once heard whole, the announcement stays so
            self.whole = self.has_begun and complete and elapsed == LONG
        self.now += elapsed
        self.feed(
            call_events.SoundEnded, leg=call_events.EXTERNAL, sound=ANNOUNCEMENT.path, complete=complete
        )

    def confirm(self) -> None:
        self.word = "announced" if self.word == "announcing" else self.word
        self.feed(call_events.StateReported, state=self.word if self.word == "announced" else "late")

    def hang_up(self) -> Finish:
        self.feed(call_events.CallHungUp, hangup=True, state=self.word)
        self.feed(call_events.RecordingStopped, hangup=True)
        self.feed(call_events.ChannelGone, hangup=True)
        (finish,) = [each for each in self.action_log if isinstance(each, Finish)]
        return finish

    @property
    def orders(self) -> list[Do]:
        return [each for each in self.action_log if isinstance(each, Do)]

    @property
    def kinds(self) -> list[str]:
        return [each.kind for each in self.action_log if isinstance(each, Marker)]


def announce(call: RingingCall) -> None:
    call.ring()
    call.bridge()
    call.start()
    call.end()
    call.confirm()


def test_announces_to_both_on_answer() -> None:
    call = RingingCall()
    assert call.orders == [Do.RING, Do.OPEN]
    announce(call)
    assert call.orders == [Do.RING, Do.OPEN, Do.LEAVE, Do.BEGIN, Do.CONFIRM]
    assert call.state.phase is Phase.ANNOUNCED
    assert call.hang_up().reason is None
    assert call.kinds == [
        "bridged",
        "recording_started",
        "announcement_started",
        "announcement_finished",
        "hangup",
        "recording_stopped",
    ]


def test_an_unanswered_call_is_not_recorded() -> None:
    call = RingingCall()
    call.ring()
    assert call.hang_up().reason == "never_connected"
    assert Do.BEGIN not in call.orders


def test_hang_up_in_the_announcement_keeps_nothing() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    call.start()
    assert call.hang_up().reason == "hung_up_in_announcement"
    assert Do.DISCARD in call.orders


def test_the_colleague_need_not_hear_the_announcement() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    call.start()
    call.feed(call_events.SoundEnded, leg=call_events.INTERNAL, sound=ANNOUNCEMENT.path)
    call.end()
    assert Do.CONFIRM in call.orders


@pytest.mark.parametrize("elapsed", [LONG - timedelta(milliseconds=400), timedelta(0)])
def test_a_shortened_announcement_does_not_count(elapsed: timedelta) -> None:
    """FreeSWITCH reports a playback done that a transfer ended (seen)."""
    call = RingingCall()
    call.ring()
    call.bridge()
    call.start()
    call.end(elapsed)
    assert Do.CONFIRM not in call.orders
    assert call.orders[-1] is Do.PUT_BACK
    call.feed(call_events.LegUnbridged)
    call.bridge("c")
    call.start()
    call.end()
    call.confirm()
    assert call.hang_up().reason is None
    assert call.kinds.count("announcement_interrupted") == 1


def test_repeats_a_cut_announcement_after_a_delay() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    call.start()
    call.end(complete=False)
    begins = call.orders.count(Do.BEGIN)
    call.now += RETRY_DELAY
    call.feed(call_events.DeadlinePassed)
    assert call.orders.count(Do.BEGIN) == begins + 1


def test_a_hold_restarts_the_announcement() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    call.start()
    call.feed(call_events.HoldStarted)
    assert call.orders[-1] is Do.PUT_BACK
    call.feed(call_events.HoldEnded)
    call.feed(call_events.RecordingStarted, state=call.word)
    call.feed(
        call_events.SoundEnded, leg=call_events.EXTERNAL, sound=ANNOUNCEMENT.path, complete=True
    )  # of the first announcement
    assert Do.CONFIRM not in call.orders
    call.start()
    call.end()
    call.confirm()
    assert call.hang_up().reason is None


def test_a_codec_change_restarts_the_announcement() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    call.start()
    begins = call.orders.count(Do.BEGIN)
    call.feed(call_events.CodecChanged, state=call.word)
    assert call.orders[-2:] == [Do.PUT_BACK, Do.BEGIN]
    assert call.orders.count(Do.BEGIN) == begins + 1


def test_a_late_stop_of_the_first_recording_is_ignored() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    call.start()
    call.feed(call_events.HoldStarted)
    call.feed(call_events.HoldEnded)
    call.feed(call_events.RecordingStopped)  # of the first recording, reported late
    call.feed(call_events.RecordingStarted, state=call.word)
    call.start()
    call.end()
    call.confirm()
    assert call.kinds.count("recording_stopped") == 0
    assert call.hang_up().reason is None


def test_stops_a_recording_that_starts_while_ringing() -> None:
    call = RingingCall()
    call.ring()
    call.feed(call_events.RecordingStarted, state=call.word)
    assert call.orders[-1] is Do.STOP
    assert not call.state.recording.capturing


def test_a_transfer_after_the_announcement_does_not_repeat_it() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    call.start()
    call.end()
    call.bridge("c")
    assert call.orders.count(Do.BEGIN) == 1
    call.confirm()
    assert call.hang_up().reason is None


def test_ignores_the_end_of_a_sound_that_never_started() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    call.end()
    assert Do.CONFIRM not in call.orders
    assert Do.PUT_BACK not in call.orders


def test_a_late_confirmation_is_not_recorded() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    call.start()
    call.end()
    call.word = "late"
    call.confirm()
    assert call.hang_up().reason == "daemon_late"


def test_waits_for_the_folder() -> None:
    call = RingingCall()
    call.feed(call_events.StateReported, state=call.word)
    call.bridge()
    assert Do.BEGIN not in call.orders
    call.feed(call_events.FolderWritten)
    assert call.orders[-1] is Do.BEGIN


def test_a_full_disk_leaves_the_call_unrecorded() -> None:
    call = RingingCall()
    call.feed(call_events.StateReported, state=call.word)
    call.feed(call_events.FolderFailed, reason="full_disk")
    call.bridge()
    assert Do.BEGIN not in call.orders
    assert call.hang_up().reason == "full_disk"


def test_gives_up_after_the_maximum_of_tries() -> None:
    call = RingingCall()
    call.ring()
    call.bridge()
    for _ in range(MAX_TRIES + 1):
        if call.recording:
            call.feed(call_events.RecordingStarted, state=call.word)
        call.start()
        call.feed(call_events.HoldStarted)
        call.feed(call_events.HoldEnded)
    assert call.orders.count(Do.BEGIN) == MAX_TRIES
    assert call.hang_up().reason == "announcement_failed"


def test_asks_the_keep_question_after_the_announcement() -> None:
    call = RingingCall(ASKS)
    announce(call)
    assert call.orders[-1] is Do.KEEP_ASK


def test_ignores_sounds_while_ringing() -> None:
    call = RingingCall()
    call.ring()
    call.start()
    call.feed(call_events.SoundEnded, leg=call_events.EXTERNAL, sound=ANNOUNCEMENT.path, complete=True)
    assert Do.CONFIRM not in call.orders


def test_resume_while_ringing_announces() -> None:
    call = RingingCall()
    call.state = initial.resume(PLAN, [], AT)
    call.word = "pickup"
    call.feed(call_events.CallReconciled, since=AT, state="pickup")
    call.bridge()
    assert call.orders[-1] is Do.BEGIN


def test_resume_while_ringing_marks_no_pause() -> None:
    call = RingingCall()
    call.state = initial.resume(PLAN, [], AT)
    call.feed(call_events.CallReconciled, since=AT, state="pickup", paused=True, lasts=timedelta(seconds=20))
    assert "paused" not in call.kinds
    assert not call.state.pause.is_active(call.now)


def test_resume_after_the_answer_records_nothing() -> None:
    call = RingingCall()
    call.state = initial.resume(PLAN, [], AT)
    call.feed(call_events.CallReconciled, since=AT, state="pickup", bridged_at=AT)
    assert call.hang_up().reason == "daemon_away"
    assert Do.BEGIN not in call.orders


def test_resume_in_the_announcement_records_nothing() -> None:
    call = RingingCall()
    markers = [
        Marker(AT, "bridged"),
        Marker(AT, "recording_started"),
        Marker(AT, "announcement_started"),
    ]
    call.state = initial.resume(PLAN, markers, AT)
    call.feed(call_events.CallReconciled, since=AT, state="announcing", capturing=True)
    assert call.orders[-3:] == [Do.STOP, Do.DISCARD, Do.LEAVE]
    assert call.hang_up().reason == "daemon_away"


HEARD_MARKERS = [
    Marker(AT, "bridged"),
    Marker(AT, "recording_started"),
    Marker(AT, "announcement_started"),
    Marker(AT, "announcement_finished"),
]


def test_resume_after_the_announcement_confirms_again() -> None:
    call = RingingCall()
    call.state = initial.resume(PLAN, HEARD_MARKERS, AT)
    call.word, call.recording, call.whole = "announcing", True, True
    call.feed(call_events.CallReconciled, since=AT, state="announcing", capturing=True)
    assert call.orders[-1] is Do.CONFIRM
    call.confirm()
    assert call.hang_up().reason is None


def test_resume_after_the_confirmation_goes_on() -> None:
    call = RingingCall()
    call.state = initial.resume(PLAN, HEARD_MARKERS, AT)
    call.word = "announced"
    call.feed(call_events.CallReconciled, since=AT, state="announced", capturing=True)
    assert call.state.phase is Phase.ANNOUNCED
    assert call.hang_up().reason is None
    assert "announcement_finished" not in call.kinds, "marked twice"


def test_resume_keeps_nothing_where_the_switch_went_on() -> None:
    call = RingingCall()
    call.state = initial.resume(PLAN, HEARD_MARKERS, AT)
    call.word = "late"
    call.feed(call_events.CallReconciled, since=AT, state="late")
    assert call.hang_up().reason == "daemon_late"


@pytest.mark.parametrize(("went_on", "reason"), [(False, "daemon_away"), (True, None)])
def test_a_call_that_ended_unobserved_is_kept_if_its_recording_went_on(
    went_on: bool, reason: str | None
) -> None:
    """The bridge shows nothing here: it precedes the announcement."""
    call = RingingCall()
    call.state = initial.resume(PLAN, HEARD_MARKERS, AT)
    call.feed(call_events.ChannelGone, since=AT, capturing=went_on)
    (finish,) = [each for each in call.action_log if isinstance(each, Finish)]
    assert finish.reason == reason


MOVES = st.sampled_from(
    ["ring", "bridge", "plays", "ends", "cut", "hold", "unhold", "part", "answers", "record", "disk", "late",
     "wait", "away", "stop"]
)  # fmt: skip


def move(call: RingingCall, name: str) -> None:
    match name:
        case "ring":
            call.feed(call_events.StateReported, state=call.word)
        case "disk":
            call.feed(call_events.FolderWritten)
        case "bridge":
            call.bridge()
        case "plays":
            call.start()
        case "ends" | "cut":
            call.end(LONG if name == "ends" else timedelta(seconds=1))
        case "hold":
            call.whole = call.whole and call.state.informed
            call.feed(call_events.HoldStarted)
        case "unhold":
            call.feed(call_events.HoldEnded)
        case "part":
            call.whole = call.whole and call.state.informed
            call.feed(call_events.LegUnbridged)
        case "answers" if Do.CONFIRM in call.orders:
            call.confirm()
        case "record" if call.recording:
            call.feed(call_events.RecordingStarted, state=call.word)
        case "late" if call.word == "announcing":
            call.word, call.recording = "late", False
            call.feed(call_events.RecordingStopped)
        case "stop" if call.recording:
            call.recording = False
            call.feed(call_events.RecordingStopped)
        case "wait":
            call.now += timedelta(seconds=10)
            call.feed(call_events.DeadlinePassed)
        case "away":
            call.feed(call_events.CallReconciled, since=call.now, state=call.word, capturing=call.recording)


def explore(examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(MOVES, max_size=40))
    def over(moves: list[str]) -> None:
        call = RingingCall()
        for name in moves:
            move(call, name)
        finish = call.hang_up()
        if finish.reason is None:
            assert call.word == "announced"
            assert "announcement_finished" in call.kinds
        else:
            assert Do.DISCARD in call.orders
        assert replace(call.state).phase is Phase.ENDED

    over()


def test_no_order_of_events_keeps_an_unannounced_recording() -> None:
    explore(400)


@pytest.mark.long
def test_no_order_of_events_keeps_an_unannounced_recording_long() -> None:
    explore(share(100_000))
