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

    def check(self, leg: str = "c", external: bool = False, announced: bool = False) -> None:
        self.feed(LegChecked, other=leg, external=external, announced=announced)

    def actions_after(self, count: int) -> list[str]:
        """The kinds of markers, and the orders, after the first ``count`` actions."""
        return [one.kind if isinstance(one, Marker) else str(one) for one in self.action_log[count:]]


def test_marks_an_inaudible_supervisor() -> None:
    call = SupervisedCall()
    count = len(call.action_log)
    call.listen("c")  # reported twice
    call.speak("nobody", leg="x")
    call.speak("external")
    call.speak("external")
    call.feed(SupervisorLeft, other="c")
    call.feed(SupervisorLeft, other="c")
    assert call.actions_after(count) == ["supervisor_heard", "supervisor_left"]
    assert call.markers("supervisor_joined") == [WHO]
    assert call.markers("supervisor_heard") == [{**WHO, "heard_by": "external"}]
    assert call.state.supervisors == ()
    assert not call.state.recording.over


def test_an_audible_supervisor_is_a_third_party() -> None:
    call = SupervisedCall()
    call.speak("both", "right")
    call.check()
    assert call.markers("supervisor_heard") == [{**WHO, "heard_by": "both", "channel": "right"}]
    assert call.markers("participant_joined") == [{**WHO, "who": "internal", "how": "third"}]
    assert call.count(Do.NOTIFY) == 1
    call.start_notice()
    call.end_notice()
    call.speak("external", "right")
    assert len(call.markers("participant_joined")) == 1
    call.speak("nobody")
    assert call.markers("participant_left")
    count = len(call.action_log)
    call.speak("both", "right")
    call.check()
    assert call.actions_after(count) == ["supervisor_heard", "check_participants", "participant_joined"], (
        "no second notice"
    )
    count = len(call.action_log)
    call.feed(SupervisorLeft, other="c")
    assert call.actions_after(count) == ["participant_left", "supervisor_left"]


@pytest.mark.parametrize("announced", [False, True])
def test_an_uninformed_external_supervisor_ends_the_recording(announced: bool) -> None:
    call = SupervisedCall()
    call.speak("external")  # not in the recording
    assert not call.state.recording.over
    count = len(call.action_log)
    call.speak("both", "left")
    call.check(external=True, announced=announced)
    ends = [] if announced else ["transferred_externally", "stop"]
    assert call.actions_after(count) == [
        "supervisor_heard",
        "check_participants",
        "participant_joined",
        *ends,
    ]
    assert call.state.recording.over is not announced
    count = len(call.action_log)
    call.listen("d")
    assert call.actions_after(count) == (["supervisor_joined"] if announced else [])


def test_a_supervisor_is_no_first_party_and_stays_after_a_transfer() -> None:
    call = RecordedCall(plan("alone"), checked=False)
    state, actions = step(
        initial.arrive(plan("alone"), AT)[0], SupervisorsJoined(AT, supervisors=(Participant("c", SECOND),))
    )
    assert [one.kind for one in actions if isinstance(one, Marker)] == ["supervisor_joined"]
    assert state.supervisors
    assert not state.internal.connected
    call.feed(SupervisorsJoined, supervisors=(Participant("c", SECOND),))
    call.feed(LegChecked, other="b")
    call.transfer("d", Party("extension", "400"))
    assert call.count(Do.NOTIFY) == 1, "the transfer target only"
    assert call.state.supervisors
    assert not call.markers("participant_left")


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
    call.feed(SupervisorHeard, other="c", heard_by="internal")
    assert not call.state.recording.over, "not in the recording"
    call.feed(SupervisorHeard, other="c", heard_by="both", lane="right")
    call.feed(LegChecked, other="c")
    assert [each["answer"] for each in call.markers("transfer_question_refused")] == ["unasked"]
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
    options = {"party": "extension", "value": "400", "leg": "d", "seen": "later"}
    assert call.markers("supervisor_left") == [options]
    assert call.markers("supervisor_joined")[-1] == {"party": "extension", "value": "200", "leg": "e",
                                               "seen": "later"}  # fmt: skip
    assert not call.markers("participant_left"), "the supervisor is still audible"
    call.feed(SupervisorHeard, other="c", heard_by="nobody")
    assert call.markers("participant_left")
