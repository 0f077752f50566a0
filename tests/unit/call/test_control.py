"""What is asked of a call from outside it: done where it can be; in every other state it has its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.call import initial, remote_commands
from recorder.call.machine import step
from recorder.call.state import CallState, Do, Phase
from recorder.domain.call_events import (
    DELETE,
    KEEP,
    NOTE,
    PAUSE,
    RESUME,
    CallHungUp,
    CodeDialled,
    CommandGiven,
    HoldStarted,
)
from tests.unit.call.test_codes import Talk, allowed
from tests.unit.call.test_consent import AT, plan


def asks(call: Talk, what: str, **more: object) -> None:
    call.tell(CommandGiven, code=what, by="panel", **more)


def test_it_is_done_as_with_the_codes_and_says_where_it_was_asked() -> None:
    call = Talk()
    asks(call, PAUSE, lasts=timedelta(seconds=120))
    assert call.notes("paused") == [{"seconds": "120", "by": "panel"}]
    assert call.state.pause.is_active(call.now)
    assert call.done[-1] is Do.PAUSE_TONE
    asks(call, PAUSE, lasts=timedelta(seconds=120))
    assert call.done[-2:] == [Do.PAUSE_OVER, Do.PAUSE_TONE], "the tone begins anew"
    asks(call, NOTE)
    assert call.notes("moment_marked") == [{"by": "panel"}]
    asks(call, RESUME)
    assert not call.state.pause.is_active(call.now)
    assert call.done[-1] is Do.PAUSE_OVER
    assert call.notes("resumed") == [{"by": "panel"}]
    assert call.ends() is None


def test_a_code_on_the_telephone_does_not_say_so() -> None:
    call = Talk()
    call.code("note")
    assert call.notes("moment_marked") == [{}]


def test_it_is_destroyed_at_once_for_it_was_asked_back_in_the_panel() -> None:
    call = Talk()
    asks(call, DELETE)
    assert (call.state.phase, call.state.reason) == (Phase.UNRECORDED, "deleted")
    assert call.done[-2:] == [Do.DELETED, Do.DISCARD]
    assert call.notes("deleted") == [{"by": "panel"}]
    assert call.ends() == "deleted"


def test_it_is_not_on_a_line_that_does_not_allow_it_nor_while_somebody_is_asked() -> None:
    call = Talk(deletable=False)
    assert remote_commands.refusal(call.state, DELETE) == remote_commands.NOT_ALLOWED
    before = call.state
    asks(call, DELETE)
    assert call.state == before
    call = Talk()
    call.dials()  # whether it may be kept
    assert remote_commands.refusal(call.state, DELETE) == remote_commands.BUSY
    assert remote_commands.refusal(call.state, PAUSE) == "", "a card number may come at any moment"
    asks(call, DELETE)
    assert call.state.phase is Phase.ANNOUNCED


def states() -> dict[str, tuple[CallState, str]]:
    """A call in every stage, and why it cannot be paused there."""
    arrived = initial.arrive(allowed(), AT)[0]
    ringing = initial.arrive(replace(plan(None), at_pickup=True), AT)[0]
    opt_in = initial.arrive(replace(allowed(), mode="opt-in"), AT)[0]
    talk = Talk().state
    asked = Talk()
    asked.is_asked()
    held = Talk()
    held.tell(HoldStarted)
    ended = Talk()
    ended.ends()
    hung_up = Talk()
    hung_up.tell(CallHungUp, ending=True)
    return {
        "being told": (arrived, remote_commands.NOT_TOLD),
        "ringing": (ringing, remote_commands.NOT_TOLD),
        "in a question": (opt_in, remote_commands.NOT_TOLD),
        "they speak": (talk, ""),
        "the colleague is asked": (asked.state, ""),
        "on hold": (held.state, ""),
        "refused": (initial.refuse("no_line")[0], remote_commands.NOT_RECORDED),
        "not begun": (
            replace(talk, recording=replace(talk.recording, capturing=False, captured=False)),
            remote_commands.NOT_RECORDED,
        ),
        "transferred outside": (
            replace(talk, recording=replace(talk.recording, over=True)),
            remote_commands.ENDED,
        ),
        "hung up": (hung_up.state, remote_commands.ENDED),
        "ended": (ended.state, remote_commands.ENDED),
    }


@pytest.mark.parametrize("name", states())
@pytest.mark.parametrize("what", [PAUSE, RESUME, NOTE])
def test_every_stage_has_one_outcome(name: str, what: str) -> None:
    state, why = states()[name]
    assert remote_commands.refusal(state, what) == why
    event = CommandGiven(AT + timedelta(minutes=1), code=what, by="panel")
    after, actions = step(state, event)
    if why:
        assert (after, actions) == (state, ())
    else:
        assert actions


def test_what_nobody_can_ask_changes_nothing() -> None:
    state = Talk().state
    for code in (KEEP, "", "anything"):
        assert step(state, CommandGiven(AT, code=code, by="panel")) == (state, ())
    # And the telephone cannot say that it is the panel.
    after, _ = step(state, CodeDialled(AT, code=NOTE, other="b"))
    assert after == state
