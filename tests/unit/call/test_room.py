"""More than two in a conversation: who comes and goes is noted, who joins is told in their turn, and nobody
is recorded who was not told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.call import initial
from recorder.call.state import Do, Finish, WriteMark
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
from recorder.domain.parties import Party
from tests.unit.call.test_joining import FIRST, SECOND, SENTENCE, Call, plan, resumed

THIRD = Party("extension", "400")
OTHER = Party("e164", "+32470123456")
MOVED = Party("extension", "meet")
"""What the switch calls somebody who was transferred into a room."""


class Room(Call):
    """A call that goes on in a conference, with the first colleague."""

    def __init__(self, how: str | None = "alone") -> None:
        super().__init__(plan(how))
        self.part("b")
        self.tell(ConferenceJoined, conference="room")
        self.comes("b", MOVED)

    def comes(self, leg: str, party: Party, external: bool = False, **more: object) -> None:
        self.tell(ParticipantsJoined, participants=(Participant(leg, party, **more),))  # type: ignore[arg-type]
        self.looked(leg, external)

    def looked(self, leg: str, external: bool = False, told: bool = False) -> None:
        self.tell(LegChecked, other=leg, external=external, announced=told)

    def goes(self, leg: str) -> None:
        self.tell(ParticipantLeft, other=leg)

    def of_room(self) -> list[str]:
        """Who came and went."""
        return [
            ("+" if one.kind == "participant_joined" else "-") + dict(one.data)["value"]
            for one in self.done
            if isinstance(one, WriteMark) and one.kind in ("participant_joined", "participant_left")
        ]


def test_the_marks_say_who_is_in_the_room_and_the_first_is_nobody_who_joins() -> None:
    call = Room()
    assert call.notes("participant_joined") == [
        {"party": "extension", "value": "200", "leg": "b", "who": "internal", "how": "conference"}
    ]
    call.comes("c", SECOND)
    call.goes("b")
    call.tell(ConferenceLeft)
    assert call.of_room() == ["+200", "+300", "-200", "-300"]
    assert call.state.conference.participants == ()
    assert call.state.conference.name == ""


def test_each_who_joins_is_told_once_one_after_the_other() -> None:
    call = Room()
    call.comes("c", SECOND)
    call.comes("d", THIRD)
    assert call.orders(Do.TELL) == 1
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.leg == "c"
    call.begins()
    call.hears()
    assert call.orders(Do.TELL) == 2
    assert call.state.transfer.target.leg == "d"
    call.begins()
    call.hears()
    assert [one["leg"] for one in call.notes("transfer_notice_finished")] == ["c", "d"]
    call.goes("c")
    call.comes("e", SECOND)  # back, by another call
    assert call.orders(Do.TELL) == 2
    assert call.state.timer.deadline is None


def test_together_one_playing_tells_all_who_were_there_as_it_began() -> None:
    call = Room(BOTH)
    call.comes("c", SECOND)
    call.comes("d", THIRD)
    call.begins()
    call.comes("e", Party("extension", "500"))
    call.hears()
    assert call.orders(Do.TELL) == 2, "the one who came while it played hears it, too"
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.leg == "e"


def test_a_line_that_tells_nobody() -> None:
    call = Room(None)
    call.comes("c", SECOND)
    assert call.orders(Do.TELL) == 0
    assert call.of_room() == ["+200", "+300"]


def test_who_heard_it_from_another_call_in_the_room_is_not_told_again() -> None:
    call = Room()
    call.comes("c", SECOND, heard=frozenset({SENTENCE.path}))
    assert call.orders(Do.TELL) == 0


def test_who_goes_before_they_were_told_was_not_and_the_next_ones_turn_comes() -> None:
    call = Room()
    call.comes("c", SECOND)
    call.comes("d", THIRD)
    call.begins()
    call.goes("c")
    assert call.notes("transfer_notice_interrupted") == [{"reason": "left", "in": "conference", "leg": "c"}]
    assert call.state.transfer.target is not None
    assert call.state.transfer.target.leg == "d"
    call.now = call.state.timer.deadline or call.now
    call.tell(DeadlinePassed)
    assert call.notes("transfer_notice_interrupted")[1] == {
        "reason": "stopped",
        "in": "conference",
        "leg": "d",
    }
    assert call.state.transfer.target is None
    call.begins()  # late
    assert call.orders(Do.TELL) == 2


def test_one_who_goes_before_the_switch_said_who_they_are_was_there() -> None:
    call = Room()
    call.tell(ParticipantsJoined, participants=(Participant("c", SECOND),))
    call.goes("c")
    call.looked("c")
    assert call.of_room() == ["+200", "+300", "-300"]
    assert "who" not in call.notes("participant_joined")[1]


def test_after_a_hold_who_joined_is_told_from_the_beginning() -> None:
    call = Room()
    call.comes("c", SECOND)
    call.begins()
    call.tell(HoldStarted)
    call.tell(HoldEnded)
    call.begins()
    call.hears()
    assert call.orders(Do.TELL) == 2
    assert call.kinds.count("transfer_notice_finished") == 1


def test_another_call_that_was_announced_is_in_the_room() -> None:
    call = Room()
    call.tell(ParticipantsJoined, participants=(Participant("o", OTHER),))
    call.looked("o", external=True, told=True)
    assert call.notes("participant_joined")[1]["who"] == "external"
    assert not call.state.recording.over
    assert call.orders(Do.TELL) == 0


def test_who_is_outside_and_was_told_nothing_ends_the_take() -> None:
    call = Room()
    call.comes("c", SECOND)
    call.begins()
    call.comes("o", OTHER, external=True)
    assert call.kinds[-3:] == ["participant_joined", "transfer_notice_interrupted", "transferred_outside"]
    assert call.done[-1] is Do.STOP
    call.comes("d", THIRD)
    assert call.of_room() == ["+200", "+300", "+" + OTHER.value]
    call.tell(RecordingStopped)
    finish = call.done[-1]
    assert isinstance(finish, Finish)
    assert finish.reason is None


def test_a_call_that_is_brought_into_a_room_is_connected_with_the_first_there() -> None:
    call = Call.__new__(Call)
    call.now, call.done = Call().now, []
    call.state, _ = initial.arrive(plan(), call.now)
    call.tell(FolderWritten)
    call.tell(RecordingStarted, state="announcing")
    call.tell(PlaybackStarted, sound="/prompts/told.wav")
    call.tell(PlaybackEnded, sound="/prompts/told.wav", complete=True)
    call.tell(StateReported, state="announced")
    call.tell(ConferenceJoined, conference="room")
    assert not call.state.internal.connected
    call.tell(ParticipantsJoined, participants=(Participant("c", SECOND),))
    call.tell(LegChecked, other="c")
    assert call.notes("bridged") == [{"party": "extension", "value": "300", "in": "conference"}]
    assert call.orders(Do.TELL) == 0, "it was for them"
    call.tell(CallHungUp, ending=True)
    call.tell(RecordingStopped)
    finish = call.done[-1]
    assert isinstance(finish, Finish)
    assert (finish.reason, finish.internal_party) == (None, SECOND)


def test_a_third_one_is_there_as_long_as_the_colleague_is() -> None:
    call = Call()
    call.tell(ParticipantsJoined, participants=(Participant("c", SECOND),))
    call.tell(LegChecked, other="c")
    call.begins()
    call.hears()
    assert call.notes("participant_joined")[0]["how"] == "third"
    call.transfer("c", SECOND)
    assert call.kinds[-3:] == ["participant_left", "unbridged", "bridged"]
    assert call.orders(Do.TELL) == 1, "told already"


def test_nobody_comes_to_a_call_that_is_connected_with_nobody() -> None:
    call = Call()
    call.part()
    call.tell(ParticipantsJoined, participants=(Participant("c", SECOND),))
    assert call.state.conference.participants == ()


# --- the daemon was away


def again(call: Room, *there: Participant) -> None:
    call.tell(
        CallReconciled,
        since=call.now,
        state="announced",
        capturing=True,
        conference="room",
        participants=there,
    )


@pytest.mark.parametrize("restart", [False, True])
def test_who_came_and_who_left_meanwhile(restart: bool) -> None:
    call = Room()
    call.comes("d", THIRD)
    call.begins()
    call.hears()
    found: Room = resumed(call) if restart else call  # type: ignore[assignment]
    found.__class__ = Room
    again(found, Participant("b", MOVED), Participant("c", SECOND))
    found.looked("c")
    assert found.notes("participant_left")[-1]["seen"] == "later"
    came = found.notes("participant_joined")[-1]
    assert (came["value"], came["seen"]) == ("300", "later")
    assert found.of_room() == ["+200", "+400", "-400", "+300"]
    assert found.orders(Do.TELL) == (1 if restart else 2)
    assert found.state.transfer.target is not None
    assert found.state.transfer.target.leg == "c"


def test_who_was_being_told_as_the_daemon_died_is_not_told_again() -> None:
    call = Room()
    call.comes("c", SECOND)
    call.begins()
    found: Room = resumed(call)  # type: ignore[assignment]
    found.__class__ = Room
    again(found, Participant("b", MOVED), Participant("c", SECOND))
    assert found.notes("transfer_notice_interrupted") == [
        {"reason": "unobserved", "in": "conference", "leg": "c"}
    ]
    found.tell(HoldStarted)
    found.tell(HoldEnded)
    assert found.orders(Do.TELL) == 0


def test_a_key_of_somebody_in_the_room_and_a_sound_of_another_are_nothing() -> None:
    call = Room()
    call.comes("c", SECOND)
    call.tell(SoundStarted, leg=INTERNAL, sound="/another.wav")
    call.now += timedelta(seconds=3)
    call.tell(SoundEnded, leg=INTERNAL, sound=SENTENCE.path, complete=True)
    assert "transfer_notice_finished" not in call.kinds


def test_the_first_is_the_first() -> None:
    assert Room().state.internal.party == FIRST
