"""Commands from the panel and the API: carried out, or refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from recorder.call import initial, remote_commands
from recorder.call.machine import step
from recorder.call.state import CallState, Do, Phase
from recorder.domain import call_events
from tests.unit.call.conversation import AT, DeletableConversation, deletable_plan, plan


def command(call: DeletableConversation, what: str, **more: object) -> None:
    call.feed(call_events.CommandGiven, code=what, by="panel", **more)


def test_commands_do_the_same_as_codes_and_name_their_origin() -> None:
    call = DeletableConversation()
    command(call, call_events.PAUSE, lasts=timedelta(seconds=120))
    assert call.markers("paused") == [{"seconds": "120", "by": "panel"}]
    assert call.state.pause.is_active(call.now)
    assert call.action_log[-1] is Do.PAUSE_TONE
    command(call, call_events.PAUSE, lasts=timedelta(seconds=120))
    assert call.action_log[-2:] == [Do.END_PAUSE_TONE, Do.PAUSE_TONE], "the tone starts again"
    command(call, call_events.MARK)
    assert call.markers("moment_marked") == [{"by": "panel"}]
    command(call, call_events.RESUME)
    assert not call.state.pause.is_active(call.now)
    assert call.action_log[-1] is Do.END_PAUSE_TONE
    assert call.markers("resumed") == [{"by": "panel"}]
    assert call.end() is None


def test_a_dialled_code_names_no_origin() -> None:
    call = DeletableConversation()
    call.dial("mark")
    assert call.markers("moment_marked") == [{}]


def test_delete_needs_no_confirmation_in_the_call() -> None:
    call = DeletableConversation()
    command(call, call_events.DELETE)
    assert (call.state.phase, call.state.reason) == (Phase.UNRECORDED, "deleted")
    assert call.action_log[-2:] == [Do.DELETED, Do.DISCARD]
    assert call.markers("deleted") == [{"by": "panel"}]
    assert call.end() == "deleted"


def test_delete_is_refused_by_the_line_or_an_open_question() -> None:
    call = DeletableConversation(deletable=False)
    assert remote_commands.refusal(call.state, call_events.DELETE) == remote_commands.NOT_ALLOWED
    before = call.state
    command(call, call_events.DELETE)
    assert call.state == before
    call = DeletableConversation()
    call.dial_keep()
    assert remote_commands.refusal(call.state, call_events.DELETE) == remote_commands.BUSY
    assert remote_commands.refusal(call.state, call_events.PAUSE) == "", (
        "a card number may be dictated at any moment"
    )
    command(call, call_events.DELETE)
    assert call.state.phase is Phase.ANNOUNCED


def states() -> dict[str, tuple[CallState, str]]:
    """A call in each state, and why a pause is refused there."""
    arrived = initial.arrive(deletable_plan(), AT)[0]
    ringing = initial.arrive(replace(plan(None), at_pickup=True), AT)[0]
    opt_in = initial.arrive(replace(deletable_plan(), mode="opt-in"), AT)[0]
    talk = DeletableConversation().state
    question = DeletableConversation()
    question.ask_to_delete()
    hold = DeletableConversation()
    hold.feed(call_events.HoldStarted)
    ended = DeletableConversation()
    ended.end()
    hung_up = DeletableConversation()
    hung_up.feed(call_events.CallHungUp, hangup=True)
    return {
        "being told": (arrived, remote_commands.NOT_ANNOUNCED),
        "ringing": (ringing, remote_commands.NOT_ANNOUNCED),
        "in a question": (opt_in, remote_commands.NOT_ANNOUNCED),
        "they speak": (talk, ""),
        "the colleague is asked": (question.state, ""),
        "on hold": (hold.state, ""),
        "refused": (initial.refuse("no_line")[0], remote_commands.NOT_RECORDED),
        "not begun": (
            replace(talk, recording=replace(talk.recording, capturing=False, captured=False)),
            remote_commands.NOT_RECORDED,
        ),
        "transferred externally": (
            replace(talk, recording=replace(talk.recording, over=True)),
            remote_commands.ENDED,
        ),
        "hung up": (hung_up.state, remote_commands.ENDED),
        "ended": (ended.state, remote_commands.ENDED),
    }


@pytest.mark.parametrize("name", states())
@pytest.mark.parametrize("what", [call_events.PAUSE, call_events.RESUME, call_events.MARK])
def test_each_state_accepts_or_refuses(name: str, what: str) -> None:
    state, why = states()[name]
    assert remote_commands.refusal(state, what) == why
    event = call_events.CommandGiven(AT + timedelta(minutes=1), code=what, by="panel")
    after, actions = step(state, event)
    if why:
        assert (after, actions) == (state, ())
    else:
        assert actions


def test_unknown_commands_change_nothing() -> None:
    state = DeletableConversation().state
    for code in (call_events.KEEP, "", "anything"):
        assert step(state, call_events.CommandGiven(AT, code=code, by="panel")) == (state, ())
    # A dialled code cannot be taken for a command.
    after, _ = step(state, call_events.CodeDialled(AT, code=call_events.MARK, other="b"))
    assert after == state
