"""Supervisors: marked, not notified, and third parties as soon as their voice is recorded."""

from __future__ import annotations

import pytest

from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import Do
from recorder.domain.call_events import (
    CallReconciled,
    LegChecked,
    Participant,
    SupervisorHeard,
    SupervisorLeft,
    SupervisorsJoined,
)
from recorder.domain.call_plan import OPT_IN, OPT_OUT
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from tests.unit.call.recorded_call import AT, FIRST, SECOND, ConsentCall, RecordedCall, plan, resumed

WHO = {"party": "extension", "value": "300", "leg": "c"}


class SupervisedCall(RecordedCall):
    """A recorded call with the first colleague, to which the second one listens on leg ``c``."""

    def __init__(self) -> None:
        super().__init__()
        self.listen("c")

    def listen(self, leg: str, party: Party = SECOND) -> None:
        self.feed(SupervisorsJoined, supervisors=(Participant(leg, party),))

    def speak(self, heard_by: str, lane: str = "", leg: str = "c") -> None:
        self.feed(SupervisorHeard, other=leg, heard_by=heard_by, lane=lane)

    def check(self, leg: str = "c", outside: bool = False, told: bool = False) -> None:
        self.feed(LegChecked, other=leg, outside=outside, announced=told)

    def actions_after(self, count: int) -> list[str]:
        """The kinds of markers, and the orders, after the first ``count`` actions."""
        return [one.kind if isinstance(one, Marker) else str(one) for one in self.done[count:]]


def test_marks_an_inaudible_supervisor() -> None:
    call = SupervisedCall()
    count = len(call.done)
    call.listen("c")  # reported twice
    call.speak("nobody", leg="x")
    call.speak("outside")
    call.speak("outside")
    call.feed(SupervisorLeft, other="c")
    call.feed(SupervisorLeft, other="c")
    assert call.actions_after(count) == ["listener_heard", "listener_left"]
    assert call.markers("listener_came") == [WHO]
    assert call.markers("listener_heard") == [{**WHO, "heard_by": "outside"}]
    assert call.state.supervisors == ()
    assert not call.state.recording.over


def test_an_audible_supervisor_is_a_third_party() -> None:
    call = SupervisedCall()
    call.speak("both", "right")
    call.check()
    assert call.markers("listener_heard") == [{**WHO, "heard_by": "both", "channel": "right"}]
    assert call.markers("joined_room") == [{**WHO, "who": "colleague", "how": "third"}]
    assert call.count(Do.NOTIFY) == 1
    call.start_notice()
    call.end_notice()
    call.speak("outside", "right")
    assert len(call.markers("joined_room")) == 1
    call.speak("nobody")
    assert call.markers("left_room")
    count = len(call.done)
    call.speak("both", "right")
    call.check()
    assert call.actions_after(count) == ["listener_heard", "check_participants", "joined_room"], (
        "no second notice"
    )
    count = len(call.done)
    call.feed(SupervisorLeft, other="c")
    assert call.actions_after(count) == ["left_room", "listener_left"]


@pytest.mark.parametrize("told", [False, True])
def test_an_uninformed_external_supervisor_ends_the_recording(told: bool) -> None:
    call = SupervisedCall()
    call.speak("outside")  # not in the recording
    assert not call.state.recording.over
    count = len(call.done)
    call.speak("both", "left")
    call.check(outside=True, told=told)
    ends = [] if told else ["transferred_outside", "stop"]
    assert call.actions_after(count) == ["listener_heard", "check_participants", "joined_room", *ends]
    assert call.state.recording.over is not told
    count = len(call.done)
    call.listen("d")
    assert call.actions_after(count) == (["listener_came"] if told else [])


def test_a_supervisor_is_no_first_party_and_stays_after_a_transfer() -> None:
    call = RecordedCall(plan("alone"), checked=False)
    state, actions = step(
        initial.arrive(plan("alone"), AT)[0], SupervisorsJoined(AT, supervisors=(Participant("c", SECOND),))
    )
    assert [one.kind for one in actions if isinstance(one, Marker)] == ["listener_came"]
    assert state.supervisors
    assert not state.internal.connected
    call.feed(SupervisorsJoined, supervisors=(Participant("c", SECOND),))
    call.feed(LegChecked, other="b")
    call.transfer("d", Party("extension", "400"))
    assert call.count(Do.NOTIFY) == 1, "the transfer target only"
    assert call.state.supervisors
    assert not call.markers("left_room")


def test_ignores_supervisors_of_an_unrecorded_call() -> None:
    state, _ = initial.refuse("no_line")
    for event in (
        SupervisorsJoined(AT, supervisors=(Participant("c", SECOND),)),
        SupervisorHeard(AT, other="c", heard_by="both", lane="right"),
        SupervisorLeft(AT, other="c"),
    ):
        assert step(state, event) == (state, ())


@pytest.mark.parametrize("mode", [OPT_IN, OPT_OUT])
def test_an_audible_supervisor_ends_the_recording_where_consent_is_asked(mode: str) -> None:
    call = ConsentCall(mode)
    call.feed(SupervisorsJoined, supervisors=(Participant("c", SECOND),))
    call.feed(SupervisorHeard, other="c", heard_by="colleague")
    assert not call.state.recording.over, "not in the recording"
    call.feed(SupervisorHeard, other="c", heard_by="both", lane="right")
    call.feed(LegChecked, other="c")
    assert [each["answer"] for each in call.markers("joined_refused")] == ["unasked"]
    assert call.state.recording.over


@pytest.mark.parametrize("restart", [False, True])
def test_reconciles_supervisors(restart: bool) -> None:
    call: RecordedCall = SupervisedCall()
    call.feed(SupervisorsJoined, supervisors=(Participant("d", Party("extension", "400")),))
    call.feed(SupervisorHeard, other="c", heard_by="both", lane="right")
    call.feed(LegChecked, other="c")
    call = resumed(call) if restart else call
    call.feed(CallReconciled, since=call.now, state="announced", capturing=True, other="b", party=FIRST,
              bridged_at=AT, supervisors=(Participant("c", SECOND), Participant("e", FIRST)))  # fmt: skip
    assert [(one.leg, one.lane) for one in call.state.supervisors] == [("c", "right"), ("e", "")]
    gone = {"party": "extension", "value": "400", "leg": "d", "seen": "later"}
    assert call.markers("listener_left") == [gone]
    assert call.markers("listener_came")[-1] == {"party": "extension", "value": "200", "leg": "e",
                                               "seen": "later"}  # fmt: skip
    assert not call.markers("left_room"), "the supervisor is still audible"
    call.feed(SupervisorHeard, other="c", heard_by="nobody")
    assert call.markers("left_room")
