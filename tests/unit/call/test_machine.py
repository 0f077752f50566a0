"""The main line of a call: only the whole announcement leads to a kept recording."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.call import initial, transitions
from recorder.call.machine import step
from recorder.call.state import Action, CallState, Do, Finish, Phase
from recorder.domain.call_events import (
    STEREO,
    CallEvent,
    CallHungUp,
    CallReconciled,
    ChannelGone,
    CodecChanged,
    ConferenceEnded,
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
from recorder.domain.call_plan import OPT_IN, CallPlan, Script, Speech
from recorder.domain.markers import Marker
from recorder.domain.parties import Party
from tests.unit.call.any_event import any_event

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
PROMPT = "/snapshot/prompts/told.wav"
LENGTH = timedelta(milliseconds=2400)
PLAN = initial.notice_plan(PROMPT, LENGTH)
COLLEAGUE = Party("extension", "200")


def event_at(what: type[CallEvent], seconds: float = 1.0, **more: object) -> CallEvent:
    return what(AT + timedelta(seconds=seconds), **more)  # type: ignore[arg-type]


def run(*events: CallEvent, state: CallState | None = None) -> tuple[CallState, list[Action]]:
    orders: list[Action] = []
    if state is None:
        state, first = initial.arrive(PLAN, AT)
        orders += first
    for event in events:
        state, actions = step(state, event)
        orders += actions
    return state, orders


RECORDING = event_at(RecordingStarted, 0.1, state="announcing")
ON_DISK = event_at(FolderWritten, 0.1)
PLAYBACK = event_at(PlaybackStarted, 0.1, sound=PROMPT, state="announcing")
PLAYED = event_at(PlaybackEnded, 2.5, sound=PROMPT, complete=True, state="announcing")
CONFIRMED = event_at(StateReported, 2.6, state="announced")
BRIDGED = event_at(LegBridged, 4, party=COLLEAGUE, state="announced")
RECORDED = event_at(RecordingStopped, 9, state="announced", hangup=True)
HUNG_UP = event_at(CallHungUp, 9, state="announced", hangup=True, cause="NORMAL_CLEARING")
WHOLE = (RECORDING, ON_DISK, PLAYBACK, PLAYED, CONFIRMED, BRIDGED, RECORDED, HUNG_UP)


def kinds(actions: list[Action]) -> list[str]:
    return [action.kind for action in actions if isinstance(action, Marker)]


def finish_of(actions: list[Action]) -> Finish:
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
    assert finish_of(actions) == Finish(None, HUNG_UP.at, COLLEAGUE)


def test_marks_a_fax() -> None:
    _, actions = run(*WHOLE[:-2], replace(RECORDED, fax=True), HUNG_UP)
    assert Marker(RECORDED.at, "recording_stopped", {"fax": "t38"}) in actions
    assert finish_of(actions).reason is None


def test_reconcile_during_the_start_of_the_recording_loses_nothing() -> None:
    """The daemon connects between the start of the recording and its event."""
    taken_over = event_at(CallReconciled, 0.05, since=AT, state="announcing", capturing=True)
    _, actions = run(taken_over, *WHOLE)
    assert finish_of(actions).reason is None
    assert kinds(actions).count("recording_started") == 1


def test_a_stereo_leg_is_never_announced() -> None:
    """Both channels would carry both parties: nothing can be kept."""
    state, actions = run(replace(RECORDING, problem=STEREO), ON_DISK, PLAYBACK, PLAYED, BRIDGED)
    assert state.phase is Phase.UNRECORDED
    assert [one for one in actions if one in (Do.STOP, Do.FAIL, Do.DISCARD)][:3] == [
        Do.STOP,
        Do.FAIL,
        Do.DISCARD,
    ]
    assert Do.CONFIRM not in actions
    state, actions = run(RECORDED, HUNG_UP, state=state)
    assert finish_of(actions).reason == "recording_failed"


def test_a_codec_change_repeats_the_announcement() -> None:
    """Some tenths of a second of the announcement were lost."""
    state, actions = run(RECORDING, ON_DISK, PLAYBACK, event_at(CodecChanged, 1), PLAYED)
    assert actions[-1] is Do.REPEAT
    assert Marker(PLAYED.at, "announcement_interrupted", {"reason": "stopped"}) in actions
    again = event_at(PlaybackEnded, 5, sound=PROMPT, complete=True, state="announcing")
    state, actions = run(event_at(PlaybackStarted, 2.6, sound=PROMPT), again, state=state)
    assert actions[-1] is Do.CONFIRM


def test_a_codec_change_in_the_conversation_changes_nothing() -> None:
    state, _ = run(*WHOLE[:6])
    after, actions = step(state, event_at(CodecChanged, 6, state="announced"))
    assert (after.phase, actions) == (Phase.ANNOUNCED, ())
    assert after.recording.capturing


def test_leaves_the_socket_only_after_the_confirmation() -> None:
    _, actions = run(RECORDING, ON_DISK, PLAYBACK, PLAYED)
    assert Do.CONFIRM in actions
    assert Do.LEAVE not in actions


def test_confirms_only_once_the_folder_is_on_disk() -> None:
    state, actions = run(RECORDING, PLAYBACK, PLAYED)
    assert Do.CONFIRM not in actions
    state, actions = step(state, event_at(FolderWritten, 3))
    assert actions == (Do.CONFIRM,)


@pytest.mark.parametrize(
    "ended",
    [
        replace(PLAYED, complete=False),
        replace(PLAYED, sound="/somewhere/else.wav"),
    ],
)
def test_only_the_whole_announcement_counts(ended: CallEvent) -> None:
    state, actions = run(RECORDING, ON_DISK, PLAYBACK, ended)
    assert Do.CONFIRM not in actions
    assert state.phase is Phase.ANNOUNCING


def test_repeats_a_stopped_playback() -> None:
    _, actions = run(RECORDING, ON_DISK, PLAYBACK, replace(PLAYED, complete=False))
    assert actions[-1] is Do.REPEAT
    assert Marker(PLAYED.at, "announcement_interrupted", {"reason": "stopped"}) in actions


def test_repeats_the_announcement_after_a_hold() -> None:
    hold, unheld = event_at(HoldStarted, 1), event_at(HoldEnded, 5)
    state, actions = run(RECORDING, ON_DISK, PLAYBACK, hold, PLAYED)
    assert Do.REPEAT not in actions
    state, actions = run(unheld, state=state)
    assert actions[-1] is Do.REPEAT
    state, actions = run(
        event_at(PlaybackStarted, 5.1, sound=PROMPT),
        event_at(PlaybackEnded, 7.5, sound=PROMPT, complete=True),
        state=state,
    )
    assert Do.CONFIRM in actions


def test_a_short_hold_spoils_the_announcement() -> None:
    _, actions = run(RECORDING, ON_DISK, PLAYBACK, event_at(HoldStarted, 1), event_at(HoldEnded, 2), PLAYED)
    assert Do.CONFIRM not in actions
    assert actions[-1] is Do.REPEAT


def test_a_hold_reported_early_spoils_the_announcement() -> None:
    """The call's own connection lags behind the standing one, which does not report the playback."""
    state, actions = run(
        RECORDING, ON_DISK, event_at(HoldStarted, 1), event_at(HoldEnded, 2), PLAYBACK, PLAYED
    )
    assert Do.CONFIRM not in actions
    assert actions[-1] is Do.REPEAT
    again = (
        event_at(PlaybackStarted, 2.6, sound=PROMPT),
        event_at(PlaybackEnded, 5, sound=PROMPT, complete=True),
    )
    _, actions = run(*again, state=state)
    assert Do.CONFIRM in actions


def test_a_hold_before_the_announcement_does_not_spoil_it() -> None:
    hold, unheld = event_at(HoldStarted, 0.02), event_at(HoldEnded, 0.04)
    _, actions = run(RECORDING, ON_DISK, hold, unheld, PLAYBACK, PLAYED)
    assert Do.CONFIRM in actions


def test_gives_up_after_the_maximum_of_tries() -> None:
    state, actions = run(RECORDING, ON_DISK)
    for _ in range(transitions.MAX_TRIES):
        state, actions = run(PLAYBACK, replace(PLAYED, complete=False), state=state)
    assert state.phase is Phase.UNRECORDED
    assert actions[-2:] == [Do.FAIL, Do.DISCARD]


def test_an_announcement_without_a_recording_fails() -> None:
    state, actions = run(ON_DISK, PLAYBACK, PLAYED)
    assert state.reason == "recording_failed"
    assert Do.CONFIRM not in actions


def test_gives_up_before_the_switch_does() -> None:
    state, _ = run(RECORDING, ON_DISK, PLAYBACK)
    assert state.timer.deadline is not None
    assert timedelta(0) < AT + timedelta(seconds=transitions.switch_timeout(LENGTH)) - state.timer.deadline
    same, actions = step(state, DeadlinePassed(state.timer.deadline - timedelta(seconds=1)))
    assert (same, actions) == (state, ())
    state, actions = step(state, DeadlinePassed(state.timer.deadline))
    assert actions == (Do.FAIL, Do.DISCARD)
    _, actions = step(state, event_at(StateReported, 8, state="failed"))
    assert actions == (Do.LEAVE,)


def test_a_late_timeout_discards_nothing_that_the_switch_kept() -> None:
    late = event_at(DeadlinePassed, 60)
    state, actions = run(RECORDING, ON_DISK, PLAYBACK, PLAYED, late)
    assert actions[-1] is Do.FAIL
    assert Do.DISCARD not in actions
    _, kept_actions = run(CONFIRMED, BRIDGED, RECORDED, HUNG_UP, state=state)
    assert finish_of(kept_actions).reason is None
    assert Do.DISCARD not in kept_actions
    failed = event_at(StateReported, 61, state="failed"), replace(RECORDED, state="failed")
    _, lost_actions = run(*failed, replace(HUNG_UP, state="failed"), state=state)
    assert finish_of(lost_actions).reason == "announcement_failed"
    assert Do.DISCARD in lost_actions


@pytest.mark.parametrize(
    ("left", "reason"), [("late", "daemon_late"), ("announcing", "daemon_away"), ("waiting", "daemon_away")]
)
def test_keeps_nothing_where_the_switch_went_on(left: str, reason: str) -> None:
    state, _ = run(RECORDING, ON_DISK, PLAYBACK, PLAYED)
    state, actions = run(replace(BRIDGED, state="unrecorded", left=left), state=state)
    assert state.reason == reason
    assert Do.STOP in actions
    assert Do.DISCARD in actions
    _, actions = run(RECORDED, HUNG_UP, state=state)
    assert finish_of(actions).reason == reason


def test_hang_up_in_the_announcement() -> None:
    stopped = replace(RECORDED, state="announcing")
    interruption = replace(PLAYED, complete=False, hangup=True)
    for order in ([interruption, stopped], [stopped, interruption]):
        _, actions = run(RECORDING, ON_DISK, PLAYBACK, *order, replace(HUNG_UP, state="announcing"))
        assert finish_of(actions).reason == "hung_up_in_announcement"
        assert Do.DISCARD in actions
        assert Do.FAIL not in actions


def test_hang_up_as_the_announcement_ends() -> None:
    """A leg that lost the race for an answer as it had just heard the announcement whole."""
    stopped = replace(RECORDED, state="announcing", hangup=True)
    _, actions = run(
        RECORDING,
        ON_DISK,
        PLAYBACK,
        stopped,
        replace(PLAYED, hangup=True),
        replace(HUNG_UP, state="announcing"),
    )
    assert finish_of(actions).reason == "hung_up_in_announcement"
    assert Do.DISCARD in actions
    assert Do.FAIL not in actions


def test_an_unanswered_call_is_not_recorded() -> None:
    _, actions = run(*WHOLE[:5], RECORDED, HUNG_UP)
    assert finish_of(actions).reason == "never_connected"
    assert Do.DISCARD in actions


def test_hang_up_reports_a_missed_bridge() -> None:
    bridged = AT + timedelta(seconds=5)
    _, actions = run(*WHOLE[:5], RECORDED, replace(HUNG_UP, bridged_at=bridged))
    assert Marker(bridged, "bridged") in actions
    assert finish_of(actions).reason is None


@pytest.mark.parametrize("what", [HoldStarted, HoldEnded, LegUnbridged, CallReconciled, RecordingStopped])
def test_the_next_event_reports_a_missed_bridge(what: type[CallEvent]) -> None:
    bridged = AT + timedelta(seconds=5)
    unseen = {"since": AT, "capturing": True} if what is CallReconciled else {}
    event = event_at(what, 8, state="announced", bridged_at=bridged, **unseen)
    state, actions = run(*WHOLE[:5], event)
    assert Marker(bridged, "bridged") in actions
    state, actions = run(replace(BRIDGED, at=AT + timedelta(seconds=300)), state=state)
    _, last = run(RECORDED, replace(HUNG_UP, bridged_at=AT + timedelta(seconds=300)), state=state)
    assert kinds(actions + last).count("bridged") == 1, "a bridge after a transfer is not the first"


def test_a_transfer_reports_a_missed_bridge() -> None:
    """A transfer clears the time of the bridge that it ends."""
    unbridged = event_at(LegUnbridged, 8, state="announced")
    _, actions = run(*WHOLE[:5], unbridged)
    assert kinds(actions)[-2:] == ["bridged", "unbridged"]
    assert Marker(unbridged.at, "bridged") in actions


def test_ignores_a_bridge_from_before_the_recording() -> None:
    stale = AT - timedelta(seconds=20)
    _, actions = run(
        *(event if event is ON_DISK else replace(event, bridged_at=stale) for event in WHOLE[:5])
    )
    assert "bridged" not in kinds(actions)
    state = resumed("recording_started", "announcement_finished")
    unwatched = event_at(CallReconciled, 60, since=AT, state="announced", capturing=True, bridged_at=stale)
    state, actions = run(unwatched, state=state)
    assert not state.internal.connected
    assert "bridged" not in kinds(actions)


def test_the_end_of_the_channel_counts_as_hang_up() -> None:
    end = event_at(ChannelGone, 9, state="announced", hangup=True, cause="NORMAL_CLEARING")
    for order in ([RECORDED, end, HUNG_UP], [end, HUNG_UP, RECORDED]):
        state, actions = run(*WHOLE[:6], *order)
        assert state.phase is Phase.ENDED
        assert finish_of(actions).reason is None
        assert "hangup" in kinds(actions)


def test_a_refused_call_is_followed_to_its_end() -> None:
    state, actions = initial.refuse("no_line")
    assert actions == (Do.LET_GO, Do.OPEN)
    state, orders = run(event_at(StateReported, 0.1, state="passed"), BRIDGED, HUNG_UP, state=state)
    assert orders[0] is Do.LEAVE
    assert finish_of(orders) == Finish("no_line", HUNG_UP.at, COLLEAGUE)


def test_a_failed_folder_stops_the_recording() -> None:
    _, actions = run(RECORDING, PLAYBACK, event_at(FolderFailed, 1))
    assert actions[-2:] == [Do.FAIL, Do.DISCARD]


def test_stops_a_recording_of_a_refused_call() -> None:
    state, _ = initial.refuse("never_record")
    _, actions = step(state, RECORDING)
    assert actions == (Do.STOP,)


def test_a_failed_folder_after_the_announcement_stops_the_recording() -> None:
    state, _ = run(*WHOLE[:6])
    assert step(state, event_at(FolderFailed, 6, reason="full_disk"))[1] == (Do.STOP, Do.FAIL)


def test_a_failed_folder_of_a_refused_call_changes_nothing() -> None:
    state, _ = initial.refuse("no_line")
    assert step(state, event_at(FolderFailed, 1)) == (state, ())


def test_a_second_report_of_the_recording_changes_nothing() -> None:
    state, _ = run(RECORDING)
    assert step(state, replace(RECORDING, at=AT + timedelta(seconds=1))) == (state, ())


def test_ignores_the_departure_of_a_replaced_leg() -> None:
    state, _ = run(*WHOLE[:5], replace(BRIDGED, other="b"), replace(BRIDGED, other="c"))
    assert step(state, event_at(LegUnbridged, 8, other="b", state="announced")) == (state, ())


def test_ignores_a_conference_before_the_announcement() -> None:
    state, _ = run(RECORDING, ON_DISK, PLAYBACK)
    assert step(state, event_at(ConferenceEnded, 1, state="announcing")) == (state, ())


@pytest.mark.parametrize(
    ("left", "reason"), [("passed", "daemon_away"), ("elsewhere", "announcement_failed")]
)
def test_a_call_let_go_by_the_switch_has_a_reason(left: str, reason: str) -> None:
    state, _ = run(RECORDING, event_at(StateReported, 1, state="unrecorded", left=left))
    assert (state.phase, state.reason) == (Phase.UNRECORDED, reason)


def test_longest_wait_covers_each_prompt_and_its_answer() -> None:
    """Ten tries of a prompt of 2.4 s, each with five seconds to answer, four of grace, and one more; the same
    of the silence of 8 s while another prompt plays."""
    silence = 10 * (17 + 1)
    assert transitions.longest_wait(PLAN) == 10 * (12 + 1) + silence
    prompt = Speech(PROMPT, LENGTH)
    script = Script(prompt, prompt, prompt)
    assert transitions.longest_wait(CallPlan(OPT_IN, (script, script), prompt)) == 7 * 10 * (12 + 1) + silence


def test_after_the_end_only_a_recording_is_stopped() -> None:
    state, _ = run(*WHOLE)
    for event in WHOLE[1:]:
        assert step(state, event) == (state, ())
    assert step(state, RECORDING) == (state, (Do.STOP,))


# --- after a restart of the daemon


def resumed(*markers: str) -> CallState:
    return initial.resume(initial.notice_plan("told", LENGTH), [Marker(AT, marker) for marker in markers], AT)


def test_an_announced_call_goes_on_with_a_gap() -> None:
    state = resumed("recording_started", "announcement_finished", "bridged")
    state, actions = step(
        state, event_at(CallReconciled, 60, since=AT, state="announced", capturing=True, other="b")
    )
    assert kinds(list(actions)) == ["unobserved_from", "unobserved_to"]
    _, orders = run(RECORDED, HUNG_UP, state=state)
    assert finish_of(orders).reason is None


def test_the_switch_s_state_is_enough_without_a_marker() -> None:
    state = resumed("recording_started")
    state, actions = step(state, event_at(CallReconciled, 60, since=AT, state="announced", capturing=True))
    assert state.phase is Phase.ANNOUNCED
    (marker,) = (a for a in actions if isinstance(a, Marker) and a.kind == "announcement_finished")
    assert dict(marker.data) == {"seen": "later"}, "its time is that of the switch's report"


@pytest.mark.parametrize("word", ["announcing", "unrecorded", "late", "waiting", ""])
def test_any_other_state_of_the_switch_ends_the_recording(word: str) -> None:
    state = resumed("recording_started")
    state, actions = step(state, event_at(CallReconciled, 60, since=AT, state=word, capturing=True))
    assert state.phase is Phase.UNRECORDED
    assert {Do.STOP, Do.DISCARD} <= set(actions)


def test_a_call_that_ended_unobserved() -> None:
    end = event_at(ChannelGone, 60, since=AT)
    finished = resumed("recording_started", "announcement_finished")
    _, kept_actions = step(finished, replace(end, capturing=True))
    assert finish_of(list(kept_actions)).reason is None
    # The daemon died before its confirmation: the recording ended with the announcement.
    _, stopped = step(finished, end)
    assert finish_of(list(stopped)).reason == "daemon_away"
    assert Do.DISCARD in stopped
    # The confirmation was on its way when the connection was lost.
    state, _ = run(RECORDING, ON_DISK, PLAYBACK, PLAYED)
    _, taken_actions = step(state, replace(end, capturing=True))
    assert finish_of(list(taken_actions)).reason is None
    _, refused = step(state, end)
    assert finish_of(list(refused)).reason == "daemon_away"
    _, lost_actions = step(resumed("recording_started"), end)
    assert finish_of(list(lost_actions)).reason == "daemon_away"
    assert Do.DISCARD in lost_actions


def test_a_call_that_an_earlier_daemon_let_go() -> None:
    state = resumed()
    state, _ = step(state, event_at(CallReconciled, 60, since=AT, state="unrecorded", left="passed"))
    assert state.reason == "daemon_away"


# --- any events in any order

EVENTS = any_event(
    at=st.integers(0, 60_000).map(lambda ms: AT + timedelta(milliseconds=ms)),
    state=st.sampled_from(
        ["", "waiting", "announcing", "announced", "passed", "failed", "late", "unrecorded"]
    ),
    left=st.sampled_from(["", "waiting", "announcing", "late"]),
    hangup=st.booleans(),
    sound=st.sampled_from(["", PROMPT, "/other.wav"]),
    complete=st.booleans(),
    party=st.sampled_from([None, COLLEAGUE]),
    bridged_at=st.sampled_from([None, AT]),
    since=st.sampled_from([None, AT]),
    capturing=st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_no_order_of_events_keeps_an_unannounced_second(events: list[CallEvent]) -> None:
    state, actions = initial.arrive(PLAN, AT)
    orders = list(actions)
    # The rule in its simplest form.
    on_hold, clean, whole = False, True, False
    for event in events:
        before = state.phase
        state, actions = step(state, event)
        orders += actions
        assert state.phase >= before
        if isinstance(event, HoldStarted):
            on_hold, clean = True, False
        if isinstance(event, HoldEnded):
            on_hold = False
        if Do.REPEAT in actions or (isinstance(event, PlaybackStarted) and event.sound == PROMPT):
            clean = not on_hold
        if isinstance(event, PlaybackEnded) and event.sound == PROMPT and event.complete and clean:
            whole = True
        if isinstance(event, CallReconciled) and event.state == "announced":
            whole = True
        if Do.CONFIRM in actions:
            assert whole
        if state.phase is Phase.ANNOUNCED:
            assert whole
    finishes = [action for action in orders if isinstance(action, Finish)]
    assert len(finishes) <= 1
    if finishes and finishes[0].reason is None:
        assert whole
        assert Do.DISCARD not in orders
    if finishes and finishes[0].reason is not None:
        assert Do.DISCARD in orders


class AnnouncingSwitch:
    """A switch with one call in its announcement, and the events that it reports on two connections."""

    def __init__(self) -> None:
        self.reported: list[CallEvent] = []
        self.recordings = 1
        self.playing = self.is_on_hold = self.disturbed = False
        self.whole: set[int] = set()  # indices of reports that end a whole announcement
        self._report(RecordingStarted)

    def _report(self, what: type[CallEvent], **more: object) -> None:
        self.reported.append(event_at(what, len(self.reported) / 10, state="announcing", **more))

    def advance(self) -> None:
        """Start an announcement that was ordered, or end the one that plays."""
        if self.playing:
            if not self.disturbed:
                self.whole.add(len(self.reported))
            self._report(PlaybackEnded, sound=PROMPT, complete=True)
            self.playing = False
        elif self.recordings:
            self.recordings -= 1
            self.playing, self.disturbed = True, self.is_on_hold
            self._report(PlaybackStarted, sound=PROMPT)

    def toggle_hold(self) -> None:
        """Start or end a hold."""
        self.is_on_hold = not self.is_on_hold
        self.disturbed |= self.is_on_hold
        self._report(HoldStarted if self.is_on_hold else HoldEnded)


ONLY_ON_ITS_OWN = {PlaybackStarted, PlaybackEnded}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(["go on", "turn", "own", "standing"]), max_size=60))
def test_a_hold_counts_whichever_connection_lags(moves: list[str]) -> None:
    switch = AnnouncingSwitch()
    state, _ = initial.arrive(PLAN, AT)
    state, _ = step(state, ON_DISK)
    read = {"own": 0, "standing": 0}
    numbers: set[int] = set()
    # The call's own connection catches up at the end.
    for move in [*moves, *["own"] * 3 * len(moves), "go on", "own", "go on", "own"]:
        if move == "go on":
            switch.advance()
        elif move == "turn":
            switch.toggle_hold()
        else:
            while (
                move == "standing"
                and switch.reported[read[move] :][:1]
                and (type(switch.reported[read[move]]) in ONLY_ON_ITS_OWN)
            ):
                read[move] += 1
            if read[move] == len(switch.reported):
                continue
            number, read[move] = read[move], read[move] + 1
            if number in numbers:
                continue
            numbers.add(number)
            state, actions = step(state, switch.reported[number])
            switch.recordings += actions.count(Do.REPEAT)
            if Do.CONFIRM in actions:
                assert number in switch.whole, "confirmed an announcement that was not heard whole"
