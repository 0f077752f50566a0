"""Events of a call in any order: nothing is raised, the call ends once, and it counts as recorded only if the
announcement played to its end while the call was recorded on disk, and the switch confirmed it."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from typing import get_args

from recorder.call import initial, machine
from recorder.call.state import Actions, Do, Finish, Phase
from recorder.domain import call_events as events
from recorder.domain.call_events import CallEvent
from recorder.domain.markers import MARKER_KINDS, Marker
from recorder.domain.parties import Party
from recorder.spool.layout import REASONS
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


class Facts:
    """What the events alone say, without the state machine."""

    def __init__(self) -> None:
        self.confirmed = self.announced = self.disk = self.captured = self.capturing = False
        self.finished = 0


def check(data: bytes) -> None:
    choices = Choices(data)
    at = START
    length = timedelta(milliseconds=choices.pick((0, 1, 6200, 60_000)))
    begun_anew = choices.below(4) == 3
    facts = Facts()
    plan = initial.notice_plan(PROMPT, length)
    if begun_anew:
        markers = [kind for kind in sorted(MARKER_KINDS) if kind != "question_answered" and choices.below(2)]
        state = initial.resume(plan, [Marker(at, kind) for kind in markers], at)
        facts.confirmed = facts.announced = "announcement_finished" in markers
        facts.disk, facts.captured = True, "recording_started" in markers
        actions: Actions = ()
    else:
        state, actions = initial.arrive(plan, at)
        assert actions == (Do.BEGIN, Do.OPEN)
    while choices.left:
        at += timedelta(milliseconds=choices.pick((0, 20, 700, 5000, 90_000, -3000)))
        event = _event(choices, at)
        before = state
        state, actions = machine.step(before, event)
        _check_step(before, event, state, actions, facts)
    state, actions = machine.step(state, events.ChannelGone(at, hangup=True, cause="NORMAL_CLEARING"))
    facts.finished += sum(isinstance(action, Finish) for action in actions)
    assert state.phase is Phase.ENDED
    assert facts.finished == 1, "each call is finished once"
    # A recording that starts after the end is stopped.
    assert machine.step(state, events.RecordingStarted(at))[1] == (Do.STOP,)


KINDS: tuple[type[CallEvent], ...] = get_args(CallEvent)


def _event(choices: Choices, at: datetime) -> CallEvent:
    kind = choices.pick(KINDS)
    # The daemon reports a missing disk itself, with a reason of its own.
    causes = ("", "recording_failed") if kind is events.FolderFailed else ("", "NORMAL_CLEARING")
    state, left = choices.pick(STATES), choices.pick(LEFT)
    hangup, sound, complete = (
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
        "hangup": hangup,
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


def _reported_state(event: CallEvent) -> str:
    """The state that the switch reports with an event, if it does."""
    return event.state if isinstance(event, events.ChannelEvent) else ""


def _check_step(before, event, state, actions, facts: Facts) -> None:
    assert state.phase >= before.phase, "phases only go forward"
    if isinstance(event, events.RecordingStarted):
        facts.captured = facts.capturing = True
    if isinstance(event, events.RecordingStopped):
        facts.capturing = False
    if isinstance(event, events.CallReconciled):
        facts.capturing = event.capturing
        # If the switch reports it as announced, it was recorded too; a take without sound is quarantined
        # later.
        facts.captured |= event.capturing or event.state == "announced"
    if isinstance(event, events.FolderWritten):
        facts.disk = True
    if isinstance(event, events.PlaybackEnded) and event.sound == PROMPT and event.complete:
        facts.announced = True
    for action in actions:
        if isinstance(action, Marker):
            assert action.kind in MARKER_KINDS
            if action.kind == "announcement_finished":
                assert facts.announced or (
                    isinstance(event, events.CallReconciled) and event.state == "announced"
                )
        elif isinstance(action, Finish):
            facts.finished += 1
            assert action.reason is None or action.reason in REASONS, action.reason
            if action.reason is None:
                unseen = isinstance(event, events.ChannelGone) and event.since is not None
                assert before.phase is Phase.ANNOUNCED or _reported_state(event) == "announced" or unseen
                assert facts.announced or facts.confirmed
                assert facts.captured
        elif action is Do.CONFIRM:
            assert facts.announced, "confirmed before the announcement ended"
            assert facts.disk, "confirmed before the folder was written"
            assert state.informed
    if before.phase is Phase.ENDED:
        assert state == before
        assert set(actions) <= {Do.STOP}
    if state.phase is Phase.ANNOUNCED and before.phase < Phase.ANNOUNCED:
        # Only the switch decides that: by the state, or, unobserved, by a recording that went on.
        assert _reported_state(event) == "announced" or (
            isinstance(event, events.ChannelGone) and event.capturing and before.informed
        )
        facts.confirmed = True
    captures = event.capturing if isinstance(event, events.CallReconciled) else before.recording.capturing
    if state.phase is Phase.UNRECORDED and before.phase < Phase.UNRECORDED and captures:
        assert {Do.STOP, Do.FAIL} & set(actions), "a forbidden recording goes on"
    if state.phase is Phase.UNRECORDED and isinstance(event, events.RecordingStarted):
        assert Do.STOP in actions
    assert actions.count(Do.BEGIN) == 0


def _seed(*kinds: type[CallEvent]) -> bytes:
    return b"\x02\x00" + b"".join(
        bytes([1, KINDS.index(each), 0, 0, 0, 0, int(each is events.PlaybackEnded), 0, 0, 0, 0, 0])
        for each in kinds
    )


SEEDS = (
    _seed(
        events.RecordingStarted,
        events.FolderWritten,
        events.PlaybackStarted,
        events.PlaybackEnded,
        events.LegBridged,
        events.CallHungUp,
        events.RecordingStopped,
    ),
    _seed(
        events.RecordingStarted,
        events.PlaybackStarted,
        events.HoldStarted,
        events.PlaybackEnded,
        events.HoldEnded,
        events.PlaybackEnded,
        events.FolderWritten,
    ),
    _seed(events.FolderFailed, events.CallReconciled, events.ChannelGone, events.RecordingStarted),
    b"\x02\x03" + bytes(range(1, 120)),
)
