"""Who listens to a call: noted, told nothing, and a third one as soon as their voice is recorded."""

from __future__ import annotations

import pytest

from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import Do, WriteMark
from recorder.domain.call_events import (
    CallReconciled,
    LegChecked,
    Participant,
    SupervisorHeard,
    SupervisorLeft,
    SupervisorsJoined,
)
from recorder.domain.call_plan import OPT_IN, OPT_OUT
from recorder.domain.parties import Party
from tests.unit.call.test_joiner_asked import Asked
from tests.unit.call.test_joining import AT, FIRST, SECOND, Call, plan, resumed

WHO = {"party": "extension", "value": "300", "leg": "c"}


class Listened(Call):
    """A call that goes on with the first colleague, and to which the second one listens."""

    def __init__(self) -> None:
        super().__init__()
        self.listens("c")

    def listens(self, leg: str, party: Party = SECOND) -> None:
        self.tell(SupervisorsJoined, supervisors=(Participant(leg, party),))

    def speaks(self, heard_by: str, lane: str = "", leg: str = "c") -> None:
        self.tell(SupervisorHeard, other=leg, heard_by=heard_by, lane=lane)

    def looked(self, leg: str = "c", external: bool = False, told: bool = False) -> None:
        self.tell(LegChecked, other=leg, external=external, announced=told)

    def since(self, count: int) -> list[str]:
        """What was noted and ordered after so much."""
        return [one.kind if isinstance(one, WriteMark) else str(one) for one in self.done[count:]]


def test_who_only_listens_is_noted_and_nothing_else() -> None:
    call = Listened()
    count = len(call.done)
    call.listens("c")  # once more
    call.speaks("nobody", leg="x")
    call.speaks("external")
    call.speaks("external")
    call.tell(SupervisorLeft, other="c")
    call.tell(SupervisorLeft, other="c")
    assert call.since(count) == ["supervisor_heard", "supervisor_left"]
    assert call.notes("supervisor_joined") == [WHO]
    assert call.notes("supervisor_heard") == [{**WHO, "heard_by": "external"}]
    assert call.state.supervisors == ()
    assert not call.state.recording.over


def test_who_is_heard_in_the_recording_is_a_third_one_until_they_are_silent() -> None:
    call = Listened()
    call.speaks("both", "right")
    call.looked()
    assert call.notes("supervisor_heard") == [{**WHO, "heard_by": "both", "channel": "right"}]
    assert call.notes("participant_joined") == [{**WHO, "who": "internal", "how": "third"}]
    assert call.orders(Do.TELL) == 1
    call.begins()
    call.hears()
    call.speaks("external", "right")
    assert len(call.notes("participant_joined")) == 1
    call.speaks("nobody")
    assert call.notes("participant_left")
    count = len(call.done)
    call.speaks("both", "right")
    call.looked()
    assert call.since(count) == ["supervisor_heard", "look_round", "participant_joined"], (
        "nobody is told twice"
    )
    count = len(call.done)
    call.tell(SupervisorLeft, other="c")
    assert call.since(count) == ["participant_left", "supervisor_left"]


@pytest.mark.parametrize("told", [False, True])
def test_somebody_outside_may_listen_but_not_speak_where_they_were_told_nothing(told: bool) -> None:
    call = Listened()
    call.speaks("external")  # which is not recorded
    assert not call.state.recording.over
    count = len(call.done)
    call.speaks("both", "left")
    call.looked(external=True, told=told)
    ends = [] if told else ["transferred_outside", "stop"]
    assert call.since(count) == ["supervisor_heard", "look_round", "participant_joined", *ends]
    assert call.state.recording.over is not told
    count = len(call.done)
    call.listens("d")
    assert call.since(count) == (["supervisor_joined"] if told else [])


def test_who_listens_is_not_whom_a_call_is_for_and_stays_as_it_is_transferred() -> None:
    call = Call(plan("alone"), looked=False)
    state, actions = step(
        initial.arrive(plan("alone"), AT)[0], SupervisorsJoined(AT, supervisors=(Participant("c", SECOND),))
    )
    assert [one.kind for one in actions if isinstance(one, WriteMark)] == ["supervisor_joined"]
    assert state.supervisors
    assert not state.internal.connected
    call.tell(SupervisorsJoined, supervisors=(Participant("c", SECOND),))
    call.tell(LegChecked, other="b")
    call.transfer("d", Party("extension", "400"))
    assert call.orders(Do.TELL) == 1, "who joins by the transfer"
    assert call.state.supervisors
    assert not call.notes("participant_left")


@pytest.mark.parametrize("mode", [OPT_IN, OPT_OUT])
def test_where_who_joins_is_asked_who_listens_ends_it_by_speaking(mode: str) -> None:
    call = Asked(mode)
    call.tell(SupervisorsJoined, supervisors=(Participant("c", SECOND),))
    call.tell(SupervisorHeard, other="c", heard_by="internal")
    assert not call.state.recording.over, "which is not recorded"
    call.tell(SupervisorHeard, other="c", heard_by="both", lane="right")
    call.tell(LegChecked, other="c")
    assert [each["answer"] for each in call.notes("transfer_question_refused")] == ["unasked"]
    assert call.state.recording.over


@pytest.mark.parametrize("restart", [False, True])
def test_what_was_noted_is_known_again_and_who_came_or_left_meanwhile_is_noted(restart: bool) -> None:
    call: Call = Listened()
    call.tell(SupervisorsJoined, supervisors=(Participant("d", Party("extension", "400")),))
    call.tell(SupervisorHeard, other="c", heard_by="both", lane="right")
    call.tell(LegChecked, other="c")
    call = resumed(call) if restart else call
    call.tell(CallReconciled, since=call.now, state="announced", capturing=True, other="b", party=FIRST,
              bridged_at=AT, supervisors=(Participant("c", SECOND), Participant("e", FIRST)))  # fmt: skip
    assert [(one.leg, one.lane) for one in call.state.supervisors] == [("c", "right"), ("e", "")]
    gone = {"party": "extension", "value": "400", "leg": "d", "seen": "later"}
    assert call.notes("supervisor_left") == [gone]
    assert call.notes("supervisor_joined")[-1] == {"party": "extension", "value": "200", "leg": "e",
                                               "seen": "later"}  # fmt: skip
    assert not call.notes("participant_left"), "whom they hear is heard still"
    call.tell(SupervisorHeard, other="c", heard_by="nobody")
    assert call.notes("participant_left")
