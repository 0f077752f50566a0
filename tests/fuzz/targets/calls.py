"""Anything may happen in a call, in any order: nothing is raised, it ends once, and it counts as recorded
only if it was told to the end, while it was recorded, on disk, and the switch took the daemon's word."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from recorder.call import initial, machine
from recorder.call.state import Actions, Do, Finish, Phase, WriteMark
from recorder.spool.layout import MARKS, REASONS
from recorder.switch.translation import Observed, What
from tests.fuzz.choices import Choices

INSTRUMENT = ("recorder.call", "recorder.switch.translation")
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
    plan = initial.notice(PROMPT, length)
    if begun_anew:
        marks = [kind for kind in sorted(MARKS) if kind != "answered" and choices.below(2)]
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
    state, actions = machine.step(state, Observed(What.GONE, at, ending=True, cause="NORMAL_CLEARING"))
    told.finished += sum(isinstance(action, Finish) for action in actions)
    assert state.phase is Phase.ENDED
    assert told.finished == 1, "every call is written down once"
    # A recording that starts after the end is stopped, whatever it is.
    assert machine.step(state, Observed(What.RECORDING, at))[1] == (Do.STOP,)


def _event(choices: Choices, at: datetime) -> Observed:
    what = choices.pick(tuple(What))
    # That there is no disk is the daemon's own word, and its cause a reason of ours.
    causes = ("", "recording_failed") if what is What.NO_DISK else ("", "NORMAL_CLEARING")
    return Observed(
        what,
        at,
        state=choices.pick(STATES),
        left=choices.pick(LEFT),
        ending=bool(choices.below(2)),
        sound=choices.pick((PROMPT, "", "/other.wav")),
        complete=bool(choices.below(2)),
        party=choices.pick((None, ("extension", "1001"), ("withheld", ""))),
        cause=choices.pick(causes),
        bridged_at=choices.pick((None, START)),
        since=choices.pick((None, START)),
        capturing=bool(choices.below(2)),
    )


def _holds(before, event, state, actions, told: Told) -> None:
    assert state.phase >= before.phase, "phases only go forward"
    if event.what is What.RECORDING:
        told.captured = told.capturing = True
    if event.what is What.RECORDED:
        told.capturing = False
    if event.what is What.UNWATCHED:
        told.capturing = event.capturing
        # The switch's word that it was announced stands for its recording too; the sound itself is looked
        # for later, and a take without one is set aside.
        told.captured |= event.capturing or event.state == "announced"
    if event.what is What.ON_DISK:
        told.disk = True
    if event.what is What.PLAYED and event.sound == PROMPT and event.complete:
        told.heard = True
    for action in actions:
        if isinstance(action, WriteMark):
            assert action.kind in MARKS
            if action.kind == "announcement_finished":
                assert told.heard or (event.what is What.UNWATCHED and event.state == "announced")
        elif isinstance(action, Finish):
            told.finished += 1
            assert action.reason is None or action.reason in REASONS, action.reason
            if action.reason is None:
                assert (
                    before.phase is Phase.ANNOUNCED or event.state == "announced" or event.since is not None
                )
                assert told.heard or told.confirmed
                assert told.captured
        elif action is Do.CONFIRM:
            assert told.heard, "confirmed what was not heard to its end"
            assert told.disk, "confirmed what is not on disk"
            assert state.told
    if before.phase is Phase.ENDED:
        assert state == before
        assert set(actions) <= {Do.STOP}
    if state.phase is Phase.ANNOUNCED and before.phase < Phase.ANNOUNCED:
        # Nobody but the switch says so: by its state, or (unwatched) because its recording went on.
        assert event.state == "announced" or (event.what is What.GONE and event.capturing and before.told)
        told.confirmed = True
    capturing = event.capturing if event.what is What.UNWATCHED else before.capturing
    if state.phase is Phase.UNRECORDED and before.phase < Phase.UNRECORDED and capturing:
        assert {Do.STOP, Do.FAIL} & set(actions), "a recording that may not be goes on"
    if state.phase is Phase.UNRECORDED and event.what is What.RECORDING:
        assert Do.STOP in actions
    assert actions.count(Do.BEGIN) == 0


def _seed(*events: What) -> bytes:
    kinds = list(What)
    return b"\x02\x00" + b"".join(
        bytes([1, kinds.index(what), 0, 0, 0, 0, int(what is What.PLAYED), 0, 0, 0, 0, 0]) for what in events
    )


SEEDS = (
    _seed(What.RECORDING, What.ON_DISK, What.PLAYING, What.PLAYED, What.BRIDGED, What.HUNG_UP, What.RECORDED),
    _seed(What.RECORDING, What.PLAYING, What.HELD, What.PLAYED, What.UNHELD, What.PLAYED, What.ON_DISK),
    _seed(What.NO_DISK, What.UNWATCHED, What.GONE, What.RECORDING),
    b"\x02\x03" + bytes(range(1, 120)),
)
