"""More than two participants: each is marked and notified in turn, and nobody is recorded uninformed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import Do, Finish
from recorder.domain.call_events import (
    INTERNAL,
    CallHungUp,
    CallReconciled,
    ConferenceJoined,
    ConferenceLeft,
    DeadlinePassed,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    LegChecked,
    Participant,
    ParticipantLeft,
    ParticipantsJoined,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    StateReported,
)
from recorder.domain.call_plan import BOTH
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from tests.unit.call.driver import AT, CallDriver
from tests.unit.call.recorded_call import FIRST, SECOND, SENTENCE, RecordedCall, plan, resumed

THIRD = Party("extension", "400")
OTHER = Party("e164", "+32470123456")
MOVED = Party("extension", "meet")
"""The party that the switch reports for somebody who was transferred into a conference."""


class ConferenceCall(RecordedCall):
    """A recorded call that goes on in a conference with the first colleague."""

    def __init__(self, how: str | None = "alone") -> None:
        super().__init__(plan(how))
        self.unbridge("b")
        self.feed(ConferenceJoined, conference="room")
        self.join("b", MOVED)

    def join(self, leg: str, party: Party, external: bool = False, **more: object) -> None:
        self.feed(ParticipantsJoined, participants=(Participant(leg, party, **more),))  # type: ignore[arg-type]
        self.check(leg, external)

    def check(self, leg: str, external: bool = False, announced: bool = False) -> None:
        self.feed(LegChecked, other=leg, external=external, announced=announced)

    def leave(self, leg: str) -> None:
        self.feed(ParticipantLeft, other=leg)

    def movements(self) -> list[str]:
        """The numbers of participants, + for each who joined and - for each who left."""
        return [
            ("+" if one.kind == "participant_joined" else "-") + dict(one.data)["value"]
            for one in self.action_log
            if isinstance(one, Marker) and one.kind in ("participant_joined", "participant_left")
        ]


def in_conference() -> CallDriver:
    """A call that went straight into an empty conference."""
    call = CallDriver(initial.arrive(plan(), AT)[0])
    call.feed(FolderWritten)
    call.feed(RecordingStarted, state="announcing")
    call.feed(PlaybackStarted, sound="/prompts/told.wav")
    call.feed(PlaybackEnded, sound="/prompts/told.wav", complete=True)
    call.feed(StateReported, state="announced")
    call.feed(ConferenceJoined, conference="room")
    return call


def test_markers_list_the_participants() -> None:
    call = ConferenceCall()
    assert call.markers("participant_joined") == [
        {"party": "extension", "value": "200", "leg": "b", "who": "internal", "how": "conference"}
    ]
    call.join("c", SECOND)
    call.leave("b")
    call.feed(ConferenceLeft)
    assert call.movements() == ["+200", "+300", "-200", "-300"]
    assert call.state.conference.participants == ()
    assert call.state.conference.name == ""


def test_participants_are_notified_one_after_the_other() -> None:
    call = ConferenceCall()
    call.join("c", SECOND)
    call.join("d", THIRD)
    assert call.count(Do.NOTIFY) == 1
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.leg == "c"
    call.start_notice()
    call.end_notice()
    assert call.count(Do.NOTIFY) == 2
    assert call.state.transfer.target.leg == "d"
    call.start_notice()
    call.end_notice()
    assert [one["leg"] for one in call.markers("transfer_notice_finished")] == ["c", "d"]
    call.leave("c")
    call.join("e", SECOND)  # back by another call
    assert call.count(Do.NOTIFY) == 2
    assert call.state.timer.deadline is None


def test_one_notice_to_both_informs_everybody_present() -> None:
    call = ConferenceCall(BOTH)
    call.join("c", SECOND)
    call.join("d", THIRD)
    call.start_notice()
    call.join("e", Party("extension", "500"))
    call.end_notice()
    assert call.count(Do.NOTIFY) == 2, "a participant who joined during the notice hears it, too"
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.leg == "e"


def test_a_line_without_a_notice() -> None:
    call = ConferenceCall(None)
    call.join("c", SECOND)
    assert call.count(Do.NOTIFY) == 0
    assert call.movements() == ["+200", "+300"]


def test_a_notice_from_another_call_counts() -> None:
    call = ConferenceCall()
    call.join("c", SECOND, sounds_heard=frozenset({SENTENCE.path}))
    assert call.count(Do.NOTIFY) == 0


def test_notifies_the_next_participant_when_one_leaves() -> None:
    call = ConferenceCall()
    call.join("c", SECOND)
    call.join("d", THIRD)
    call.start_notice()
    call.leave("c")
    assert call.markers("transfer_notice_interrupted") == [{"reason": "left", "in": "conference", "leg": "c"}]
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.leg == "d"
    call.now = call.state.timer.deadline or call.now
    call.feed(DeadlinePassed)
    assert call.markers("transfer_notice_interrupted")[1] == {
        "reason": "stopped",
        "in": "conference",
        "leg": "d",
    }
    assert call.state.transfer.target is None
    call.start_notice()  # late
    assert call.count(Do.NOTIFY) == 2


def test_marks_a_participant_who_left_unchecked() -> None:
    call = ConferenceCall()
    call.feed(ParticipantsJoined, participants=(Participant("c", SECOND),))
    call.leave("c")
    call.check("c")
    assert call.movements() == ["+200", "+300", "-300"]
    assert "who" not in call.markers("participant_joined")[1]


def test_repeats_the_notice_after_a_hold() -> None:
    call = ConferenceCall()
    call.join("c", SECOND)
    call.start_notice()
    call.feed(HoldStarted)
    call.feed(HoldEnded)
    call.start_notice()
    call.end_notice()
    assert call.count(Do.NOTIFY) == 2
    assert call.kinds.count("transfer_notice_finished") == 1


def test_an_announced_external_participant_is_informed() -> None:
    call = ConferenceCall()
    call.feed(ParticipantsJoined, participants=(Participant("o", OTHER),))
    call.check("o", external=True, announced=True)
    assert call.markers("participant_joined")[1]["who"] == "external"
    assert not call.state.recording.over
    assert call.count(Do.NOTIFY) == 0


def test_an_uninformed_external_participant_ends_the_recording() -> None:
    call = ConferenceCall()
    call.join("c", SECOND)
    call.start_notice()
    call.join("o", OTHER, external=True)
    assert call.kinds[-3:] == ["participant_joined", "transfer_notice_interrupted", "transferred_externally"]
    assert call.action_log[-1] is Do.STOP
    call.join("d", THIRD)
    assert call.movements() == ["+200", "+300", "+" + OTHER.value]
    call.feed(RecordingStopped)
    finish = call.action_log[-1]
    assert isinstance(finish, Finish)
    assert finish.reason is None


def test_an_external_participant_is_known_when_they_return() -> None:
    call = ConferenceCall()
    call.feed(ParticipantsJoined, participants=(Participant("o", OTHER),))
    call.check("o", external=True, announced=True)
    call.leave("o")
    call.join("p", OTHER, external=True)
    assert not call.state.recording.over


def test_notifies_participants_who_joined_during_a_hold_after_it() -> None:
    call = ConferenceCall()
    call.feed(HoldStarted)
    call.join("c", SECOND)
    assert call.count(Do.NOTIFY) == 0
    call.feed(HoldEnded)
    assert call.count(Do.NOTIFY) == 1


def test_ignores_the_departure_of_an_unknown_leg() -> None:
    call = ConferenceCall()
    before = call.state
    call.leave("elsewhere")
    assert call.state == before


def test_ignores_a_conference_before_the_announcement() -> None:
    state, _ = initial.arrive(plan(), AT)
    joined = ConferenceJoined(AT, conference="room", participants=(Participant("b", FIRST),))
    assert step(state, joined) == (state, ())


def test_the_first_participant_may_be_external() -> None:
    """No internal party has spoken yet."""
    call = in_conference()
    call.feed(ParticipantsJoined, participants=(Participant("o", OTHER),))
    call.feed(LegChecked, other="o", external=True)
    assert not call.state.recording.over
    assert call.markers("participant_joined")[0]["who"] == "external"


def test_the_first_participant_is_the_internal_party() -> None:
    call = in_conference()
    assert not call.state.internal.connected
    call.feed(ParticipantsJoined, participants=(Participant("c", SECOND),))
    call.feed(LegChecked, other="c")
    assert call.markers("bridged") == [{"party": "extension", "value": "300", "in": "conference"}]
    assert call.count(Do.NOTIFY) == 0, "the call was for them"
    call.feed(CallHungUp, hangup=True)
    call.feed(RecordingStopped)
    finish = call.action_log[-1]
    assert isinstance(finish, Finish)
    assert (finish.reason, finish.internal_party) == (None, SECOND)


def test_a_third_party_stays_as_long_as_the_colleague() -> None:
    call = RecordedCall()
    call.feed(ParticipantsJoined, participants=(Participant("c", SECOND),))
    call.feed(LegChecked, other="c")
    call.start_notice()
    call.end_notice()
    assert call.markers("participant_joined")[0]["how"] == "third"
    call.transfer("c", SECOND)
    assert call.kinds[-3:] == ["participant_left", "unbridged", "bridged"]
    assert call.count(Do.NOTIFY) == 1, "informed already"


def test_nobody_joins_a_call_without_an_internal_party() -> None:
    call = RecordedCall()
    call.unbridge()
    call.feed(ParticipantsJoined, participants=(Participant("c", SECOND),))
    assert call.state.conference.participants == ()


# --- after a reconnect


def reconcile(call: ConferenceCall, *there: Participant) -> None:
    call.feed(
        CallReconciled,
        since=call.now,
        state="announced",
        capturing=True,
        conference="room",
        participants=there,
    )


@pytest.mark.parametrize("restart", [False, True])
def test_reconciles_participants(restart: bool) -> None:
    call = ConferenceCall()
    call.join("d", THIRD)
    call.start_notice()
    call.end_notice()
    found = resumed(call) if restart else call
    reconcile(found, Participant("b", MOVED), Participant("c", SECOND))
    found.check("c")
    assert found.markers("participant_left")[-1]["seen"] == "later"
    marker = found.markers("participant_joined")[-1]
    assert (marker["value"], marker["seen"]) == ("300", "later")
    assert found.movements() == ["+200", "+400", "-400", "+300"]
    assert found.count(Do.NOTIFY) == (1 if restart else 2)
    assert found.state.transfer.target is not None
    assert found.state.transfer.target.leg == "c"


def test_resume_does_not_repeat_a_started_notice() -> None:
    call = ConferenceCall()
    call.join("c", SECOND)
    call.start_notice()
    found = resumed(call)
    reconcile(found, Participant("b", MOVED), Participant("c", SECOND))
    assert found.markers("transfer_notice_interrupted") == [
        {"reason": "unobserved", "in": "conference", "leg": "c"}
    ]
    found.feed(HoldStarted)
    found.feed(HoldEnded)
    assert found.count(Do.NOTIFY) == 0


def test_ignores_other_sounds() -> None:
    call = ConferenceCall()
    call.join("c", SECOND)
    call.feed(SoundStarted, leg=INTERNAL, sound="/another.wav")
    call.now += timedelta(seconds=3)
    call.feed(SoundEnded, leg=INTERNAL, sound=SENTENCE.path, complete=True)
    assert "transfer_notice_finished" not in call.kinds


def test_a_conference_keeps_the_first_party() -> None:
    assert ConferenceCall().state.internal.party == FIRST
