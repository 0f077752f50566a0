"""Anything may happen in a call, in any order: nothing is raised, it ends once, and it counts as recorded
only if it was told to the end, while it was recorded, on disk, and the switch took the daemon's word."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta

from recorder.call import initial, machine
from recorder.call.state import Actions, Do, Finish, Phase, WriteMark
from recorder.domain.call_events import (
    CallEvent,
    CallHungUp,
    CallReconciled,
    ChannelEvent,
    ChannelGone,
    CodecChanged,
    CodeDialled,
    CommandGiven,
    ConferenceEnded,
    ConferenceJoined,
    ConferenceLeft,
    DeadlinePassed,
    FolderFailed,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    KeyPressed,
    LegBridged,
    LegChecked,
    LegUnbridged,
    ParticipantLeft,
    ParticipantsJoined,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    SoundEnded,
    SoundStarted,
    StateReported,
    SupervisorHeard,
    SupervisorLeft,
    SupervisorsJoined,
    VoiceChecked,
)
from recorder.domain.parties import Party
from recorder.spool.layout import MARKS, REASONS
from tests.fuzz.choices import Choices

INSTRUMENT = ("recorder.call", "recorder.domain.call_events")
LONGEST = 400

PROMPT = "/spool/prompts/a.wav"
START = datetime(2026, 11, 25, 9, tzinfo=UTC)
STATES = (
    "",
    "waiting",
    "announcing",
    "announced",
    "passed",
    "failed",
    "late",
    "unrecorded",
    "never_record",
    "²",
)
LEFT = ("", "waiting", "announcing", "late", "failed", "announced", "x")


class Told:
    """What the events themselves say, without the state machine."""

    def __init__(self) -> None:
        self.confirmed = self.heard = self.disk = self.captured = self.capturing = False
        self.finished = 0


def check(data: bytes) -> None:
    choices = Choices(data)
    at = START
    length = timedelta(milliseconds=choices.pick((0, 1, 6200, 60_000)))
    begun_anew = choices.below(4) == 3
    told = Told()
    plan = initial.notice_plan(PROMPT, length)
    if begun_anew:
        marks = [kind for kind in sorted(MARKS) if kind != "question_answered" and choices.below(2)]
        state = initial.resume(plan, [WriteMark(kind, at) for kind in marks], at)
        told.confirmed = told.heard = "announcement_finished" in marks
        told.disk, told.captured = True, "recording_started" in marks
        actions: Actions = ()
    else:
        state, actions = initial.arrive(plan, at)
        assert actions == (Do.BEGIN, Do.OPEN)
    while choices.left:
        at += timedelta(milliseconds=choices.pick((0, 20, 700, 5000, 90_000, -3000)))
        event = _event(choices, at)
        before = state
        state, actions = machine.step(before, event)
        _holds(before, event, state, actions, told)
    state, actions = machine.step(state, ChannelGone(at, ending=True, cause="NORMAL_CLEARING"))
    told.finished += sum(isinstance(action, Finish) for action in actions)
    assert state.phase is Phase.ENDED
    assert told.finished == 1, "every call is written down once"
    # A recording that starts after the end is stopped, whatever it is.
    assert machine.step(state, RecordingStarted(at))[1] == (Do.STOP,)


KINDS: tuple[type[CallEvent], ...] = (

    RecordingStarted,
    RecordingStopped,
    CodecChanged,
    PlaybackStarted,
    PlaybackEnded,
    HoldStarted,
    HoldEnded,
    LegBridged,
    LegUnbridged,
    ConferenceJoined,
    ParticipantsJoined,
    ParticipantLeft,
    ConferenceLeft,
    SupervisorsJoined,
    SupervisorHeard,
    SupervisorLeft,
    CallHungUp,
    KeyPressed,
    CodeDialled,
    SoundStarted,
    SoundEnded,
    ChannelGone,
    ConferenceEnded,
    StateReported,
    DeadlinePassed,
    FolderWritten,
    FolderFailed,
    CallReconciled,
    LegChecked,
    VoiceChecked,
    CommandGiven,

)  # fmt: skip
"""Events by the numbers that the corpus has for them."""


def _event(choices: Choices, at: datetime) -> CallEvent:
    kind = choices.pick(KINDS)
    # That there is no disk is the daemon's own word, and its cause a reason of ours.
    causes = ("", "recording_failed") if kind is FolderFailed else ("", "NORMAL_CLEARING")
    state, left = choices.pick(STATES), choices.pick(LEFT)
    ending, sound, complete = (
        bool(choices.below(2)),
        choices.pick((PROMPT, "", "/other.wav")),
        bool(choices.below(2)),
    )
    party = choices.pick((None, Party("extension", "1001"), Party("withheld", "")))
    cause = choices.pick(causes)
    values = {
        "at": at,
        "state": state,
        "left": left,
        "ending": ending,
        "sound": sound,
        "complete": complete,
        "party": party,
        "cause": cause,
        "problem": cause,
        "reason": cause,
        "bridged_at": choices.pick((None, START)),
        "since": choices.pick((None, START)),
        "capturing": bool(choices.below(2)),
        "participants": (),
        "supervisors": (),
    }
    required = {each.name: "" for each in fields(kind) if each.default is MISSING}
    return kind(**required | {each.name: values[each.name] for each in fields(kind) if each.name in values})


def _word(event: CallEvent) -> str:
    """The switch's word on the call, where the event has it."""
    return event.state if isinstance(event, ChannelEvent) else ""


def _holds(before, event, state, actions, told: Told) -> None:
    assert state.phase >= before.phase, "phases only go forward"
    if isinstance(event, RecordingStarted):
        told.captured = told.capturing = True
    if isinstance(event, RecordingStopped):
        told.capturing = False
    if isinstance(event, CallReconciled):
        told.capturing = event.capturing
        # The switch's word that it was announced stands for its recording too; the sound itself is looked
        # for later, and a take without one is set aside.
        told.captured |= event.capturing or event.state == "announced"
    if isinstance(event, FolderWritten):
        told.disk = True
    if isinstance(event, PlaybackEnded) and event.sound == PROMPT and event.complete:
        told.heard = True
    for action in actions:
        if isinstance(action, WriteMark):
            assert action.kind in MARKS
            if action.kind == "announcement_finished":
                assert told.heard or (isinstance(event, CallReconciled) and event.state == "announced")
        elif isinstance(action, Finish):
            told.finished += 1
            assert action.reason is None or action.reason in REASONS, action.reason
            if action.reason is None:
                unseen = isinstance(event, ChannelGone) and event.since is not None
                assert before.phase is Phase.ANNOUNCED or _word(event) == "announced" or unseen
                assert told.heard or told.confirmed
                assert told.captured
        elif action is Do.CONFIRM:
            assert told.heard, "confirmed what was not heard to its end"
            assert told.disk, "confirmed what is not on disk"
            assert state.informed
    if before.phase is Phase.ENDED:
        assert state == before
        assert set(actions) <= {Do.STOP}
    if state.phase is Phase.ANNOUNCED and before.phase < Phase.ANNOUNCED:
        # Nobody but the switch says so: by its state, or (unwatched) because its recording went on.
        assert _word(event) == "announced" or (
            isinstance(event, ChannelGone) and event.capturing and before.informed
        )
        told.confirmed = True
    capturing = event.capturing if isinstance(event, CallReconciled) else before.recording.capturing
    if state.phase is Phase.UNRECORDED and before.phase < Phase.UNRECORDED and capturing:
        assert {Do.STOP, Do.FAIL} & set(actions), "a recording that may not be goes on"
    if state.phase is Phase.UNRECORDED and isinstance(event, RecordingStarted):
        assert Do.STOP in actions
    assert actions.count(Do.BEGIN) == 0


def _seed(*events: type[CallEvent]) -> bytes:
    return b"\x02\x00" + b"".join(
        bytes([1, KINDS.index(each), 0, 0, 0, 0, int(each is PlaybackEnded), 0, 0, 0, 0, 0])
        for each in events
    )


SEEDS = (
    _seed(
        RecordingStarted,
        FolderWritten,
        PlaybackStarted,
        PlaybackEnded,
        LegBridged,
        CallHungUp,
        RecordingStopped,
    ),
    _seed(
        RecordingStarted, PlaybackStarted, HoldStarted, PlaybackEnded, HoldEnded, PlaybackEnded, FolderWritten
    ),
    _seed(FolderFailed, CallReconciled, ChannelGone, RecordingStarted),
    b"\x02\x03" + bytes(range(1, 120)),
)
