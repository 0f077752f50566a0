"""Another line of this switch at the far end announces in turn, and another prompt that plays over the
announcement makes it count for nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.call import initial
from recorder.call.state import Do, Phase
from recorder.call.transitions import SILENCE
from recorder.domain import call_events
from recorder.domain.call_plan import OPT_IN, OPT_OUT, CallPlan
from tests.unit.call.driver import AT, CallDriver

PROMPT = "/prompts/told.wav"
LONG = timedelta(seconds=5)
PLAN = initial.notice_plan(PROMPT, LONG)


def announcing() -> CallDriver:
    call = CallDriver(initial.arrive(PLAN, AT)[0])
    call.feed(call_events.FolderWritten)
    call.feed(call_events.RecordingStarted, state="announcing")
    call.feed(call_events.PlaybackStarted, sound=PROMPT)
    return call


def test_prompt_that_was_talked_over_is_repeated_once_after_a_silence() -> None:
    call = announcing()
    call.feed(call_events.PlaybackEnded, sound=PROMPT, complete=True, talked_over=True)
    assert (call.state.prompt.sound, call.count(Do.AWAIT_QUIET)) == (SILENCE, 1)
    assert call.markers("announcement_interrupted") == [{"reason": "talked_over"}]
    call.feed(call_events.PlaybackStarted, sound=SILENCE.path)
    call.feed(call_events.PlaybackEnded, sound=SILENCE.path)
    assert (call.state.prompt.sound.path, call.count(Do.REPEAT)) == (PROMPT, 1)
    call.feed(call_events.PlaybackStarted, sound=PROMPT)
    call.feed(call_events.PlaybackEnded, sound=PROMPT, complete=True, talked_over=True)
    assert (call.count(Do.AWAIT_QUIET), call.count(Do.CONFIRM)) == (1, 1)
    assert call.kinds.count("announcement_started") == 2


def test_line_whose_caller_hears_it_only_now_begins_again() -> None:
    call = announcing()
    call.feed(call_events.FarEndReached)
    assert call.count(Do.CUT) == 1
    call.feed(call_events.PlaybackEnded, sound=PROMPT, complete=True)
    assert (call.count(Do.REPEAT), call.count(Do.CONFIRM)) == (1, 0)
    assert call.markers("announcement_interrupted") == [{"reason": "unheard"}]


def test_call_that_awaits_its_turn_announces_only_then() -> None:
    plan = initial.in_turn(PLAN)
    assert plan is not None
    call = CallDriver(initial.arrive(plan, AT, awaits_turn=True)[0])
    call.feed(call_events.FolderWritten)
    call.feed(call_events.LegBridged, other="b", state="pickup")
    assert (call.state.phase, call.count(Do.BEGIN)) == (Phase.RINGING, 0)
    call.feed(call_events.FarEndAnnounced)
    assert (call.state.phase, call.count(Do.BEGIN)) == (Phase.ANNOUNCING, 1)
    call.feed(call_events.FarEndAnnounced)
    assert call.count(Do.BEGIN) == 1


def test_announcement_on_answer_that_was_talked_over_is_repeated_once() -> None:
    call = CallDriver(initial.arrive(replace(PLAN, at_pickup=True), AT)[0])
    call.feed(call_events.FolderWritten)
    call.feed(call_events.LegBridged, other="b", state="pickup")
    for _ in range(2):
        call.feed(call_events.RecordingStarted, state="announcing")
        call.feed(call_events.SoundStarted, sound=PROMPT, leg=call_events.EXTERNAL)
        call.now += LONG
        call.feed(
            call_events.SoundEnded, sound=PROMPT, leg=call_events.EXTERNAL, complete=True, talked_over=True
        )
        if call.state.phase is Phase.RINGING:
            call.expire_timer()
    assert (call.count(Do.PUT_BACK), call.count(Do.CONFIRM)) == (1, 1)


@pytest.mark.parametrize("mode", [OPT_IN, OPT_OUT])
def test_line_that_must_ask_has_no_turn(mode: str) -> None:
    assert initial.in_turn(CallPlan(mode, PLAN.scripts)) is None
