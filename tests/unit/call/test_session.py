"""The call as a state machine: only one road leads to a kept recording."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.call import initial, transitions
from recorder.call.machine import step
from recorder.call.state import Action, CallState, Do, Finish, Phase, WriteMark
from recorder.domain.call_events import (
    STEREO,
    CallEvent,
    CallHungUp,
    CallReconciled,
    ChannelGone,
    CodecChanged,
    DeadlinePassed,
    FolderFailed,
    FolderWritten,
    HoldEnded,
    HoldStarted,
    LegBridged,
    LegUnbridged,
    PlaybackEnded,
    PlaybackStarted,
    RecordingStarted,
    RecordingStopped,
    StateReported,
)
from recorder.domain.parties import Party
from tests.unit.call.any_event import any_event

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
PROMPT = "/snapshot/prompts/told.wav"
LENGTH = timedelta(milliseconds=2400)
PLAN = initial.notice_plan(PROMPT, LENGTH)
COLLEAGUE = Party("extension", "200")


def told(what: type[CallEvent], seconds: float = 1.0, **more: object) -> CallEvent:
    return what(AT + timedelta(seconds=seconds), **more)  # type: ignore[arg-type]


def run(*events: CallEvent, state: CallState | None = None) -> tuple[CallState, list[Action]]:
    done: list[Action] = []
    if state is None:
        state, first = initial.arrive(PLAN, AT)
        done += first
    for event in events:
        state, actions = step(state, event)
        done += actions
    return state, done


RECORDING = told(RecordingStarted, 0.1, state="announcing")
ON_DISK = told(FolderWritten, 0.1)
PLAYING = told(PlaybackStarted, 0.1, sound=PROMPT, state="announcing")
PLAYED = told(PlaybackEnded, 2.5, sound=PROMPT, complete=True, state="announcing")
CONFIRMED = told(StateReported, 2.6, state="announced")
BRIDGED = told(LegBridged, 4, party=COLLEAGUE, state="announced")
RECORDED = told(RecordingStopped, 9, state="announced", ending=True)
HUNG_UP = told(CallHungUp, 9, state="announced", ending=True, cause="NORMAL_CLEARING")
WHOLE = (RECORDING, ON_DISK, PLAYING, PLAYED, CONFIRMED, BRIDGED, RECORDED, HUNG_UP)


def kinds(actions: list[Action]) -> list[str]:
    return [action.kind for action in actions if isinstance(action, WriteMark)]


def the_end(actions: list[Action]) -> Finish:
    (finish,) = (action for action in actions if isinstance(action, Finish))
    return finish


def test_a_call_is_announced_recorded_and_ended() -> None:
    state, actions = run(*WHOLE)
    assert state.phase is Phase.ENDED
    assert [one for one in actions if isinstance(one, Do)] == [Do.BEGIN, Do.OPEN, Do.CONFIRM, Do.LEAVE]
    assert kinds(actions) == [
        "recording_started", "announcement_started", "announcement_finished", "bridged",
        "recording_stopped", "hangup",
    ]  # fmt: skip
    assert the_end(actions) == Finish(None, HUNG_UP.at, COLLEAGUE)


def test_a_call_that_went_on_as_a_fax_is_marked_so() -> None:
    _, actions = run(*WHOLE[:-2], replace(RECORDED, fax=True), HUNG_UP)
    assert WriteMark("recording_stopped", RECORDED.at, (("fax", "t38"),)) in actions
    assert the_end(actions).reason is None


def test_a_switch_that_is_taken_over_as_the_recording_begins_loses_nothing() -> None:
    """The connection comes between the recording's start and the switch's telling of it."""
    taken_over = told(CallReconciled, 0.05, since=AT, state="announcing", capturing=True)
    _, actions = run(taken_over, *WHOLE)
    assert the_end(actions).reason is None
    assert kinds(actions).count("recording_started") == 1


def test_a_leg_that_is_in_stereo_by_itself_is_never_announced() -> None:
    """Both would be on both channels: nothing of it can be kept."""
    state, actions = run(replace(RECORDING, problem=STEREO), ON_DISK, PLAYING, PLAYED, BRIDGED)
    assert state.phase is Phase.UNRECORDED
    assert [one for one in actions if one in (Do.STOP, Do.FAIL, Do.DISCARD)][:3] == [
        Do.STOP,
        Do.FAIL,
        Do.DISCARD,
    ]
    assert Do.CONFIRM not in actions
    state, actions = run(RECORDED, HUNG_UP, state=state)
    assert the_end(actions).reason == "recording_failed"


def test_a_codec_that_changes_in_the_announcement_starts_it_again() -> None:
    """Some tenths of a second of it were lost."""
    state, actions = run(RECORDING, ON_DISK, PLAYING, told(CodecChanged, 1), PLAYED)
    assert actions[-1] is Do.AGAIN
    assert WriteMark("announcement_interrupted", PLAYED.at, (("reason", "stopped"),)) in actions
    again = told(PlaybackEnded, 5, sound=PROMPT, complete=True, state="announcing")
    state, actions = run(told(PlaybackStarted, 2.6, sound=PROMPT), again, state=state)
    assert actions[-1] is Do.CONFIRM


def test_a_codec_that_changes_while_they_talk_changes_nothing() -> None:
    state, _ = run(*WHOLE[:6])
    after, actions = step(state, told(CodecChanged, 6, state="announced"))
    assert (after.phase, actions) == (Phase.ANNOUNCED, ())
    assert after.recording.capturing


def test_the_calls_socket_is_not_left_before_the_switch_has_taken_our_word() -> None:
    _, actions = run(RECORDING, ON_DISK, PLAYING, PLAYED)
    assert Do.CONFIRM in actions
    assert Do.LEAVE not in actions


def test_announced_waits_for_the_folder_to_be_on_disk() -> None:
    state, actions = run(RECORDING, PLAYING, PLAYED)
    assert Do.CONFIRM not in actions
    state, actions = step(state, told(FolderWritten, 3))
    assert actions == (Do.CONFIRM,)


@pytest.mark.parametrize(
    "ended",
    [
        replace(PLAYED, complete=False),
        replace(PLAYED, sound="/somewhere/else.wav"),
    ],
)
def test_only_the_whole_announcement_announces(ended: CallEvent) -> None:
    state, actions = run(RECORDING, ON_DISK, PLAYING, ended)
    assert Do.CONFIRM not in actions
    assert state.phase is Phase.ANNOUNCING


def test_a_playback_that_was_stopped_starts_again() -> None:
    _, actions = run(RECORDING, ON_DISK, PLAYING, replace(PLAYED, complete=False))
    assert actions[-1] is Do.AGAIN
    assert WriteMark("announcement_interrupted", PLAYED.at, (("reason", "stopped"),)) in actions


def test_a_hold_in_it_starts_it_again_after_the_hold() -> None:
    held, unheld = told(HoldStarted, 1), told(HoldEnded, 5)
    state, actions = run(RECORDING, ON_DISK, PLAYING, held, PLAYED)
    assert Do.AGAIN not in actions
    state, actions = run(unheld, state=state)
    assert actions[-1] is Do.AGAIN
    state, actions = run(
        told(PlaybackStarted, 5.1, sound=PROMPT),
        told(PlaybackEnded, 7.5, sound=PROMPT, complete=True),
        state=state,
    )
    assert Do.CONFIRM in actions


def test_a_hold_that_is_over_before_its_end_spoils_it_too() -> None:
    _, actions = run(RECORDING, ON_DISK, PLAYING, told(HoldStarted, 1), told(HoldEnded, 2), PLAYED)
    assert Do.CONFIRM not in actions
    assert actions[-1] is Do.AGAIN


def test_a_hold_in_it_that_is_told_before_it_spoils_it_too() -> None:
    """The call's own connection is behind the standing one, on which it is not told when it began."""
    state, actions = run(RECORDING, ON_DISK, told(HoldStarted, 1), told(HoldEnded, 2), PLAYING, PLAYED)
    assert Do.CONFIRM not in actions
    assert actions[-1] is Do.AGAIN
    again = told(PlaybackStarted, 2.6, sound=PROMPT), told(PlaybackEnded, 5, sound=PROMPT, complete=True)
    _, actions = run(*again, state=state)
    assert Do.CONFIRM in actions


def test_a_hold_before_it_does_not_spoil_it() -> None:
    held, unheld = told(HoldStarted, 0.02), told(HoldEnded, 0.04)
    _, actions = run(RECORDING, ON_DISK, held, unheld, PLAYING, PLAYED)
    assert Do.CONFIRM in actions


def test_it_is_not_begun_for_ever() -> None:
    state, actions = run(RECORDING, ON_DISK)
    for _ in range(transitions.TRIES):
        state, actions = run(PLAYING, replace(PLAYED, complete=False), state=state)
    assert state.phase is Phase.UNRECORDED
    assert actions[-2:] == [Do.FAIL, Do.DISCARD]


def test_announced_without_a_recording_fails() -> None:
    state, actions = run(ON_DISK, PLAYING, PLAYED)
    assert state.reason == "recording_failed"
    assert Do.CONFIRM not in actions


def test_the_deadline_gives_up_in_time_for_the_switch_to_obey() -> None:
    state, _ = run(RECORDING, ON_DISK, PLAYING)
    assert state.timer.deadline is not None
    assert timedelta(0) < AT + timedelta(seconds=transitions.bound(LENGTH)) - state.timer.deadline
    same, actions = step(state, DeadlinePassed(state.timer.deadline - timedelta(seconds=1)))
    assert (same, actions) == (state, ())
    state, actions = step(state, DeadlinePassed(state.timer.deadline))
    assert actions == (Do.FAIL, Do.DISCARD)
    _, actions = step(state, told(StateReported, 8, state="failed"))
    assert actions == (Do.LEAVE,)


def test_a_daemon_that_slept_over_its_own_word_destroys_nothing_that_the_switch_kept() -> None:
    late = told(DeadlinePassed, 60)
    state, actions = run(RECORDING, ON_DISK, PLAYING, PLAYED, late)
    assert actions[-1] is Do.FAIL
    assert Do.DISCARD not in actions
    _, kept = run(CONFIRMED, BRIDGED, RECORDED, HUNG_UP, state=state)
    assert the_end(kept).reason is None
    assert Do.DISCARD not in kept
    failed = told(StateReported, 61, state="failed"), replace(RECORDED, state="failed")
    _, lost = run(*failed, replace(HUNG_UP, state="failed"), state=state)
    assert the_end(lost).reason == "announcement_failed"
    assert Do.DISCARD in lost


@pytest.mark.parametrize(
    ("left", "reason"), [("late", "daemon_late"), ("announcing", "daemon_away"), ("waiting", "daemon_away")]
)
def test_what_the_switch_let_go_is_not_kept(left: str, reason: str) -> None:
    state, _ = run(RECORDING, ON_DISK, PLAYING, PLAYED)
    state, actions = run(replace(BRIDGED, state="unrecorded", left=left), state=state)
    assert state.reason == reason
    assert Do.STOP in actions
    assert Do.DISCARD in actions
    _, actions = run(RECORDED, HUNG_UP, state=state)
    assert the_end(actions).reason == reason


def test_hanging_up_in_the_announcement() -> None:
    stopped = replace(RECORDED, state="announcing")
    broken = replace(PLAYED, complete=False, ending=True)
    for order in ([broken, stopped], [stopped, broken]):
        _, actions = run(RECORDING, ON_DISK, PLAYING, *order, replace(HUNG_UP, state="announcing"))
        assert the_end(actions).reason == "hung_up_in_announcement"
        assert Do.DISCARD in actions
        assert Do.FAIL not in actions


def test_nobody_answers() -> None:
    _, actions = run(*WHOLE[:5], RECORDED, HUNG_UP)
    assert the_end(actions).reason == "never_connected"
    assert Do.DISCARD in actions


def test_a_bridge_that_nobody_saw_is_told_by_the_hang_up() -> None:
    bridged = AT + timedelta(seconds=5)
    _, actions = run(*WHOLE[:5], RECORDED, replace(HUNG_UP, bridged_at=bridged))
    assert WriteMark("bridged", bridged) in actions
    assert the_end(actions).reason is None


@pytest.mark.parametrize("what", [HoldStarted, HoldEnded, LegUnbridged, CallReconciled, RecordingStopped])
def test_a_bridge_that_nobody_saw_is_told_by_whatever_comes_next(what: type[CallEvent]) -> None:
    bridged = AT + timedelta(seconds=5)
    unseen = {"since": AT, "capturing": True} if what is CallReconciled else {}
    event = told(what, 8, state="announced", bridged_at=bridged, **unseen)
    state, actions = run(*WHOLE[:5], event)
    assert WriteMark("bridged", bridged) in actions
    state, actions = run(replace(BRIDGED, at=AT + timedelta(seconds=300)), state=state)
    _, last = run(RECORDED, replace(HUNG_UP, bridged_at=AT + timedelta(seconds=300)), state=state)
    assert kinds(actions + last).count("bridged") == 1, "the bridge after a transfer is no first one"


def test_what_a_transfer_ends_had_begun() -> None:
    """A transfer wipes the switch's memory of the bridge that it ends."""
    unbridged = told(LegUnbridged, 8, state="announced")
    _, actions = run(*WHOLE[:5], unbridged)
    assert kinds(actions)[-2:] == ["bridged", "unbridged"]
    assert WriteMark("bridged", unbridged.at) in actions


def test_a_talk_before_the_call_was_brought_to_us_is_another() -> None:
    stale = AT - timedelta(seconds=20)
    _, actions = run(
        *(event if event is ON_DISK else replace(event, bridged_at=stale) for event in WHOLE[:5])
    )
    assert "bridged" not in kinds(actions)
    state = resumed("recording_started", "announcement_finished")
    unwatched = told(CallReconciled, 60, since=AT, state="announced", capturing=True, bridged_at=stale)
    state, actions = run(unwatched, state=state)
    assert not state.internal.connected
    assert "bridged" not in kinds(actions)


def test_the_end_of_the_channel_counts_as_its_hang_up() -> None:
    gone = told(ChannelGone, 9, state="announced", ending=True, cause="NORMAL_CLEARING")
    for order in ([RECORDED, gone, HUNG_UP], [gone, HUNG_UP, RECORDED]):
        state, actions = run(*WHOLE[:6], *order)
        assert state.phase is Phase.ENDED
        assert the_end(actions).reason is None
        assert "hangup" in kinds(actions)


def test_a_call_that_is_refused_is_followed_to_its_end() -> None:
    state, actions = initial.refuse("no_line")
    assert actions == (Do.LET_GO, Do.OPEN)
    state, done = run(told(StateReported, 0.1, state="passed"), BRIDGED, HUNG_UP, state=state)
    assert done[0] is Do.LEAVE
    assert the_end(done) == Finish("no_line", HUNG_UP.at, COLLEAGUE)


def test_no_disk_stops_what_was_begun() -> None:
    _, actions = run(RECORDING, PLAYING, told(FolderFailed, 1))
    assert actions[-2:] == [Do.FAIL, Do.DISCARD]


def test_a_recording_on_a_call_that_is_not_to_be_recorded_is_stopped() -> None:
    state, _ = initial.refuse("never_record")
    _, actions = step(state, RECORDING)
    assert actions == (Do.STOP,)


def test_after_the_end_nothing_is_done_but_stopping() -> None:
    state, _ = run(*WHOLE)
    for event in WHOLE[1:]:
        assert step(state, event) == (state, ())
    assert step(state, RECORDING) == (state, (Do.STOP,))


# --- after a restart


def resumed(*marks: str) -> CallState:
    return initial.resume(initial.notice_plan("told", LENGTH), [WriteMark(mark, AT) for mark in marks], AT)


def test_a_told_call_goes_on_with_a_gap() -> None:
    state = resumed("recording_started", "announcement_finished", "bridged")
    state, actions = step(
        state, told(CallReconciled, 60, since=AT, state="announced", capturing=True, other="b")
    )
    assert kinds(list(actions)) == ["unobserved_from", "unobserved_to"]
    _, done = run(RECORDED, HUNG_UP, state=state)
    assert the_end(done).reason is None


def test_the_switchs_word_is_enough_where_ours_was_not_written() -> None:
    state = resumed("recording_started")
    state, actions = step(state, told(CallReconciled, 60, since=AT, state="announced", capturing=True))
    assert state.phase is Phase.ANNOUNCED
    (noted,) = (a for a in actions if isinstance(a, WriteMark) and a.kind == "announcement_finished")
    assert dict(noted.data) == {"seen": "later"}, "its time is no time of the sound"


@pytest.mark.parametrize("word", ["announcing", "unrecorded", "late", "waiting", ""])
def test_every_other_word_ends_the_recording(word: str) -> None:
    state = resumed("recording_started")
    state, actions = step(state, told(CallReconciled, 60, since=AT, state=word, capturing=True))
    assert state.phase is Phase.UNRECORDED
    assert {Do.STOP, Do.DISCARD} <= set(actions)


def test_a_call_that_ended_while_nobody_watched() -> None:
    gone = told(ChannelGone, 60, since=AT)
    finished = resumed("recording_started", "announcement_finished")
    _, kept = step(finished, replace(gone, capturing=True))
    assert the_end(list(kept)).reason is None
    # The daemon died before the switch had its word: the recording ended with the announcement.
    _, stopped = step(finished, gone)
    assert the_end(list(stopped)).reason == "daemon_away"
    assert Do.DISCARD in stopped
    # This daemon's own word was on its way when the connection was lost.
    state, _ = run(RECORDING, ON_DISK, PLAYING, PLAYED)
    _, taken = step(state, replace(gone, capturing=True))
    assert the_end(list(taken)).reason is None
    _, refused = step(state, gone)
    assert the_end(list(refused)).reason == "daemon_away"
    _, lost = step(resumed("recording_started"), gone)
    assert the_end(list(lost)).reason == "daemon_away"
    assert Do.DISCARD in lost


def test_what_an_earlier_daemon_let_go_is_its_own() -> None:
    state = resumed()
    state, _ = step(state, told(CallReconciled, 60, since=AT, state="unrecorded", left="passed"))
    assert state.reason == "daemon_away"


# --- whatever happens, in whatever order

EVENTS = any_event(
    at=st.integers(0, 60_000).map(lambda ms: AT + timedelta(milliseconds=ms)),
    state=st.sampled_from(
        ["", "waiting", "announcing", "announced", "passed", "failed", "late", "unrecorded"]
    ),
    left=st.sampled_from(["", "waiting", "announcing", "late"]),
    ending=st.booleans(),
    sound=st.sampled_from(["", PROMPT, "/other.wav"]),
    complete=st.booleans(),
    party=st.sampled_from([None, COLLEAGUE]),
    bridged_at=st.sampled_from([None, AT]),
    since=st.sampled_from([None, AT]),
    capturing=st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_no_order_of_events_keeps_an_untold_second(events: list[CallEvent]) -> None:
    state, actions = initial.arrive(PLAN, AT)
    done = list(actions)
    # The rule once more, in the simplest words.
    held, clean, heard = False, True, False
    for event in events:
        before = state.phase
        state, actions = step(state, event)
        done += actions
        assert state.phase >= before
        if isinstance(event, HoldStarted):
            held, clean = True, False
        if isinstance(event, HoldEnded):
            held = False
        if Do.AGAIN in actions or (isinstance(event, PlaybackStarted) and event.sound == PROMPT):
            clean = not held
        if isinstance(event, PlaybackEnded) and event.sound == PROMPT and event.complete and clean:
            heard = True
        if isinstance(event, CallReconciled) and event.state == "announced":
            heard = True
        if Do.CONFIRM in actions:
            assert heard
        if state.phase is Phase.ANNOUNCED:
            assert heard
    finishes = [action for action in done if isinstance(action, Finish)]
    assert len(finishes) <= 1
    if finishes and finishes[0].reason is None:
        assert heard
        assert Do.DISCARD not in done
    if finishes and finishes[0].reason is not None:
        assert Do.DISCARD in done


class Switch:
    """A switch with one call in its announcement, and what it has told of it on either connection."""

    def __init__(self) -> None:
        self.told: list[CallEvent] = []
        self.begun = 1
        self.playing = self.held = self.disturbed = False
        self.whole: set[int] = set()  # which of the things told are ends of an announcement heard whole
        self._tell(RecordingStarted)

    def _tell(self, what: type[CallEvent], **more: object) -> None:
        self.told.append(told(what, len(self.told) / 10, state="announcing", **more))

    def go_on(self) -> None:
        """The announcement begins, where one is ordered, or ends."""
        if self.playing:
            if not self.disturbed:
                self.whole.add(len(self.told))
            self._tell(PlaybackEnded, sound=PROMPT, complete=True)
            self.playing = False
        elif self.begun:
            self.begun -= 1
            self.playing, self.disturbed = True, self.held
            self._tell(PlaybackStarted, sound=PROMPT)

    def turn(self) -> None:
        """A phone is put on hold, or taken back."""
        self.held = not self.held
        self.disturbed |= self.held
        self._tell(HoldStarted if self.held else HoldEnded)


ONLY_ON_ITS_OWN = {PlaybackStarted, PlaybackEnded}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(["go on", "turn", "own", "standing"]), max_size=60))
def test_however_the_two_connections_lie_behind_a_hold_in_it_is_never_forgotten(moves: list[str]) -> None:
    switch = Switch()
    state, _ = initial.arrive(PLAN, AT)
    state, _ = step(state, ON_DISK)
    read = {"own": 0, "standing": 0}
    taken: set[int] = set()
    # Behind its own connection nothing is left untold: so it always comes to the end.
    for move in [*moves, *["own"] * 3 * len(moves), "go on", "own", "go on", "own"]:
        if move == "go on":
            switch.go_on()
        elif move == "turn":
            switch.turn()
        else:
            while (
                move == "standing"
                and switch.told[read[move] :][:1]
                and (type(switch.told[read[move]]) in ONLY_ON_ITS_OWN)
            ):
                read[move] += 1
            if read[move] == len(switch.told):
                continue
            number, read[move] = read[move], read[move] + 1
            if number in taken:
                continue
            taken.add(number)
            state, actions = step(state, switch.told[number])
            switch.begun += actions.count(Do.AGAIN)
            if Do.CONFIRM in actions:
                assert number in switch.whole, "confirmed an announcement that was not heard whole"
