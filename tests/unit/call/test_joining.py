"""Who is at the other end: noted as it happens, told once, and never outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recorder.call import initial
from recorder.call.machine import step
from recorder.call.state import Action, Do, Finish, Phase, WriteMark
from recorder.call.transfer_target import is_beside
from recorder.domain.call_events import (
    EXTERNAL,
    INTERNAL,
    CallEvent,
    CallHungUp,
    CallReconciled,
    ConferenceEnded,
    DeadlinePassed,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    LegBridged,
    LegChecked,
    LegUnbridged,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    StateReported,
)
from recorder.domain.call_plan import (
    ALONE,
    BOTH,
    NOTICE,
    OPT_OUT,
    CallPlan,
    KeepScript,
    Script,
    Speech,
    TransferNoticeScript,
)
from recorder.domain.parties import Party

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
TOLD = Speech("/prompts/told.wav", timedelta(seconds=3))
SENTENCE = Speech("/prompts/joining.wav", timedelta(seconds=2))
FIRST, SECOND = Party("extension", "200"), Party("extension", "300")


def plan(how: str | None = ALONE, at_pickup: bool = False, keep: KeepScript | None = None) -> CallPlan:
    notice = None if how is None else TransferNoticeScript(SENTENCE, how)
    return CallPlan(NOTICE, (Script(TOLD, keep=keep, transfer_notice=notice),), at_pickup=at_pickup)


class Call:
    """A call in which two speak, the first with the leg ``b``."""

    def __init__(self, made: CallPlan | None = None, looked: bool = True) -> None:
        self.now = AT
        self.done: list[Action] = []
        self.state, _ = initial.arrive(made or plan(), AT)
        self.tell(FolderWritten)
        if self.state.plan.at_pickup:
            self.connect("b", FIRST, "pickup")
        self.tell(RecordingStarted, state="announcing")
        if self.state.plan.at_pickup:
            self.tell(SoundStarted, sound=TOLD.path)
            self.now += TOLD.length
            self.tell(SoundEnded, sound=TOLD.path, complete=True)
            self.tell(StateReported, state="announced")
        else:
            self.tell(PlaybackStarted, sound=TOLD.path)
            self.tell(PlaybackEnded, sound=TOLD.path, complete=True)
            self.tell(StateReported, state="announced")
            self.connect("b", FIRST)
            if looked:
                self.tell(LegChecked, other="b")
        assert self.state.phase is Phase.ANNOUNCED

    def tell(self, what: type[CallEvent], **more: object) -> None:
        self.now += timedelta(milliseconds=100)
        self.state, actions = step(self.state, what(self.now, **more))  # type: ignore[arg-type]
        self.done += actions

    def connect(self, leg: str, party: Party, state: str = "announced") -> None:
        self.tell(LegBridged, party=party, other=leg, state=state)

    def part(self, leg: str = "") -> None:
        self.tell(LegUnbridged, other=leg, state="announced")

    def transfer(self, leg: str, party: Party, external: bool = False) -> None:
        """To somebody else, of whom the switch then says where they are."""
        self.part()
        self.connect(leg, party)
        self.tell(LegChecked, other=leg, external=external)

    def begins(self) -> None:
        self.tell(SoundStarted, leg=INTERNAL, sound=SENTENCE.path, other=self.third)

    def hears(self, length: timedelta = SENTENCE.length, **more: object) -> None:
        self.now += length
        more = {"complete": True, "other": self.third, **more}
        self.tell(SoundEnded, leg=INTERNAL, sound=SENTENCE.path, **more)

    @property
    def third(self) -> str:
        """The leg of the third one who is told or asked; empty where it is somebody else."""
        telling = self.state.transfer.target
        there = telling is not None and not self.state.conference.name and is_beside(self.state, telling.leg)
        return telling.leg if there and telling is not None else ""

    @property
    def kinds(self) -> list[str]:
        return [one.kind for one in self.done if isinstance(one, WriteMark)]

    def notes(self, kind: str) -> list[dict[str, str]]:
        return [dict(one.data) for one in self.done if isinstance(one, WriteMark) and one.kind == kind]

    def orders(self, order: Do) -> int:
        return self.done.count(order)


def test_a_transfer_says_who_left_and_who_came() -> None:
    call = Call(plan(None))
    call.transfer("c", SECOND)
    assert call.kinds[-3:] == ["bridged", "unbridged", "bridged"]
    assert call.notes("unbridged") == [{"party": "extension", "value": "200"}]
    assert call.notes("bridged")[1] == {"party": "extension", "value": "300", "leg": "c"}
    assert call.orders(Do.TELL) == 0
    assert call.state.internal.party == SECOND


def test_who_leaves_is_said_where_the_switch_does_not_tell_of_it() -> None:
    call = Call(plan(None))
    call.connect("c", SECOND)
    call.part("b")  # told late, of one who is not there any more
    assert call.kinds[-2:] == ["unbridged", "bridged"]
    assert call.state.internal.leg == "c"
    call.part("c")
    assert call.notes("unbridged")[-1] == {"party": "extension", "value": "300"}
    assert call.state.internal.leg == ""


@pytest.mark.parametrize("how", [ALONE, BOTH])
@pytest.mark.parametrize("at_pickup", [False, True])
def test_who_joins_is_told_once_and_whole(how: str, at_pickup: bool) -> None:
    call = Call(plan(how, at_pickup))
    call.transfer("c", SECOND)
    assert call.done[-1] is Do.TELL
    call.begins()
    call.hears()
    assert call.notes("transfer_notice_started") == [{"how": how}]
    assert call.kinds[-2:] == ["transfer_notice_started", "transfer_notice_finished"]
    assert call.state.transfer.target is None
    assert call.state.timer.deadline is None


@pytest.mark.parametrize("at_pickup", [False, True])
def test_the_first_is_not_told_and_nobody_is_told_twice(at_pickup: bool) -> None:
    """Announced again at each transfer, and after each question to somebody else: not here."""
    call = Call(plan(at_pickup=at_pickup))
    assert call.orders(Do.TELL) == 0
    call.transfer("c", SECOND)
    call.begins()
    call.hears()
    call.transfer("b", FIRST)  # back, on the leg of before
    call.transfer("d", FIRST)  # back by a new call to the same number
    call.transfer("c", SECOND)
    call.transfer("e", SECOND)
    call.tell(HoldStarted)
    call.tell(HoldEnded)
    call.tell(HoldStarted, leg=INTERNAL)
    call.tell(HoldEnded, leg=INTERNAL)
    assert call.orders(Do.TELL) == 1
    assert call.orders(Do.LOOK) == (1 if at_pickup else 2)


def test_a_withheld_number_is_nobody_in_particular() -> None:
    call = Call()
    call.transfer("c", Party("withheld", ""))
    call.begins()
    call.hears()
    call.transfer("d", Party("withheld", ""))
    assert call.orders(Do.TELL) == 2


@pytest.mark.parametrize(
    ("cut", "why"),
    [
        (lambda call: call.hears(timedelta(seconds=1)), "stopped"),
        (lambda call: call.hears(complete=False), "stopped"),
        (lambda call: call.hears(ending=True), "stopped"),
        (lambda call: call.part(), "left"),
        (lambda call: call.connect("d", Party("extension", "400")), "left"),
        (lambda call: call.tell(CallHungUp, ending=True), "left"),
        (lambda call: call.tell(HoldStarted), "hold"),
        (lambda call: call.tell(HoldStarted, leg=INTERNAL), "hold"),
        (lambda call: call.tell(CallReconciled, since=AT, state="announced", capturing=True, other="c",
                                party=SECOND), "unobserved"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("began", [True, False])
def test_who_did_not_hear_it_whole_was_not_told(cut: object, why: str, began: bool) -> None:
    call = Call()
    call.transfer("c", SECOND)
    if began:
        call.begins()
    elif why == "stopped":
        call.now = call.state.timer.deadline or call.now
        call.tell(DeadlinePassed)
    cut(call)  # type: ignore[operator]
    assert call.notes("transfer_notice_interrupted") == [{"reason": why}]
    assert "transfer_notice_finished" not in call.kinds
    assert call.state.transfer.target is None or not call.state.transfer.target.sound


@pytest.mark.parametrize("side", [EXTERNAL, INTERNAL])
def test_after_a_hold_they_are_told_from_the_beginning(side: str) -> None:
    call = Call()
    call.transfer("c", SECOND)
    call.begins()
    call.tell(HoldStarted, leg=side)
    call.hears()  # it plays on, to nobody
    assert "transfer_notice_finished" not in call.kinds
    call.tell(HoldEnded, leg=side)
    call.begins()
    call.hears()
    assert call.kinds.count("transfer_notice_finished") == 1
    assert call.orders(Do.TELL) == 2


def test_nobody_is_told_in_a_hold() -> None:
    call = Call()
    call.tell(HoldStarted)
    call.transfer("c", SECOND)
    assert call.orders(Do.TELL) == 0
    call.tell(HoldEnded)
    assert call.orders(Do.TELL) == 1


def test_a_call_that_is_not_recorded_tells_nobody() -> None:
    state, _ = initial.arrive(replace(plan(), mode=OPT_OUT), AT)
    for event in (
        LegBridged(AT, party=FIRST, other="b", state="announcing"),
        LegBridged(AT, party=SECOND, other="c", state="unrecorded"),
        LegChecked(AT, other="c", external=True),
    ):
        state, actions = step(state, event)
        assert not {Do.LOOK, Do.TELL} & set(actions)
    assert state.phase is Phase.UNRECORDED


def test_a_transfer_to_another_number_outside_ends_the_take() -> None:
    call = Call()
    call.transfer("c", Party("e164", "+32470123456"), external=True)
    assert call.done[-2:] == [WriteMark("transferred_outside", call.now), Do.STOP]
    assert call.orders(Do.TELL) == 0
    call.tell(RecordingStopped)
    finish = call.done[-1]
    assert isinstance(finish, Finish)
    assert finish.reason is None
    assert finish.at == call.now
    assert call.state.phase is Phase.ENDED


def test_a_call_that_is_forwarded_outside_before_anybody_of_ours_spoke_is_not_recorded() -> None:
    """Who is there then has not been told: also where the daemon was away as they were connected."""
    first = Call(looked=False)
    for call in (first, resumed(first)):
        if call is not first:
            assert back(call, "b", FIRST)[-1] is Do.LOOK
        call.tell(LegChecked, other="b", external=True)
        assert call.done[-3:] == [WriteMark("transferred_outside", call.now), Do.STOP, Do.DISCARD]
        call.tell(RecordingStopped)
        call.tell(CallHungUp)
        finish = call.done[-1]
        assert isinstance(finish, Finish)
        assert finish.reason == "forwarded_outside"


def test_told_together_at_pickup_the_first_may_be_outside() -> None:
    call = Call(plan(at_pickup=True))
    assert call.orders(Do.LOOK) == 0
    assert back(call, "b", FIRST) == []


def test_a_conference_is_noted_when_they_leave_it() -> None:
    call = Call()
    call.part()
    call.tell(ConferenceEnded, state="announced")
    call.connect("c", SECOND)
    assert call.kinds[-3:] == ["unbridged", "conference_left", "bridged"]


def test_what_is_said_of_one_who_has_left_again_counts_for_nobody() -> None:
    call = Call()
    call.part()
    call.connect("c", SECOND)
    call.part()
    call.connect("b", FIRST)
    call.tell(LegChecked, other="c", external=True)
    assert not call.state.recording.over
    assert call.orders(Do.TELL) == 0


# --- the daemon was away


def resumed(call: Call) -> Call:
    """Another daemon, with what the first one wrote down."""
    notes = [one for one in call.done if isinstance(one, WriteMark)]
    later = Call.__new__(Call)
    later.now, later.done = call.now, list(notes)
    later.state = initial.resume(call.state.plan, notes, call.now)
    return later


def back(call: Call, leg: str, party: Party | None) -> list[Action]:
    before = len(call.done)
    call.tell(CallReconciled, since=call.now, state="announced", capturing=True, other=leg, party=party,
              bridged_at=AT)  # fmt: skip
    done = [one for one in call.done[before:] if one is not Do.LEAVE]
    return [one for one in done if not (isinstance(one, WriteMark) and "unobserved" in one.kind)]


@pytest.mark.parametrize("at_pickup", [False, True])
@pytest.mark.parametrize("restart", [False, True])
def test_who_came_meanwhile_is_in_the_marks_and_is_told(at_pickup: bool, restart: bool) -> None:
    call = Call(plan(at_pickup=at_pickup))
    call = resumed(call) if restart else call
    done = [one for one in back(call, "c", SECOND) if not isinstance(one, WriteMark) or "ann" not in one.kind]
    left, came, *orders = done
    assert isinstance(left, WriteMark)
    assert isinstance(came, WriteMark)
    assert (left.kind, dict(left.data)) == (
        "unbridged", {"party": "extension", "value": "200", "seen": "later"},
    )  # fmt: skip
    assert (came.kind, came.at, dict(came.data)["leg"]) == ("bridged", AT, "c")
    assert orders == [Do.LOOK]
    call.tell(LegChecked, other="c")
    assert call.done[-1] is Do.TELL


@pytest.mark.parametrize("restart", [False, True])
def test_who_is_still_there_is_not_noted_again(restart: bool) -> None:
    call = Call()
    call.transfer("c", SECOND)
    call.begins()
    call.hears()
    call = resumed(call) if restart else call
    assert back(call, "c", SECOND) == [Do.LOOK]
    assert call.state.internal.leg == "c"
    call.tell(LegChecked, other="c")
    call.transfer("b", FIRST)
    assert call.orders(Do.TELL) == (0 if restart else 1)


def test_one_of_whom_an_accord_of_before_noted_no_leg_is_not_noted_again() -> None:
    notes = [
        WriteMark("announcement_finished", AT),
        WriteMark("bridged", AT, (("party", FIRST.kind), ("value", FIRST.value))),
    ]
    call = Call()
    call.state, call.done = initial.resume(plan(), notes, AT), []
    assert back(call, "b", FIRST) == [Do.LOOK]
    assert call.state.internal.leg == "b"


@pytest.mark.parametrize("restart", [False, True])
def test_who_left_meanwhile_is_in_the_marks(restart: bool) -> None:
    call = Call()
    call = resumed(call) if restart else call
    (left,) = back(call, "", None)
    assert isinstance(left, WriteMark)
    assert left.kind == "unbridged"
    assert call.state.internal.leg == ""


def test_who_was_being_told_as_the_daemon_died_is_not_told_again() -> None:
    call = Call()
    call.transfer("c", SECOND)
    call.begins()
    call = resumed(call)
    untold, look = back(call, "c", SECOND)
    assert look is Do.LOOK
    assert untold == WriteMark("transfer_notice_interrupted", call.now, (("reason", "unobserved"),))
    call.tell(LegChecked, other="c")
    call.tell(HoldStarted)
    call.tell(HoldEnded)
    assert call.orders(Do.TELL) == 0


def test_who_had_just_come_as_the_daemon_died_is_told() -> None:
    call = Call()
    call.part()
    call.connect("c", SECOND)
    call = resumed(call)
    assert back(call, "c", SECOND) == [Do.LOOK]
    call.tell(LegChecked, other="c")
    assert call.done[-1] is Do.TELL


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("capturing", [False, True])
def test_a_take_that_was_to_end_ends_when_the_daemon_is_back(restart: bool, capturing: bool) -> None:
    call = Call()
    call.transfer("c", Party("e164", "+32470123456"), external=True)
    call = resumed(call) if restart else call
    call.tell(CallReconciled, since=AT, state="announced", capturing=capturing)
    if capturing:
        assert call.done[-1] is Do.STOP
        call.tell(RecordingStopped)
    assert isinstance(call.done[-1], Finish)
    assert call.done[-1].reason is None
