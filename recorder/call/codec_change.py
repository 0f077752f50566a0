"""The external party's codec changes during the call. The switch reopens the recording for the new codec
by itself (``accord_codec`` in the dialplan); some tenths of a second of what it plays meanwhile are lost."""

from __future__ import annotations

from dataclasses import replace

from recorder.call import announce_on_answer
from recorder.call.state import Actions, CallState
from recorder.domain.call_events import CodecChanged


def change_codec(state: CallState, event: CodecChanged) -> tuple[CallState, Actions]:
    """Treat a prompt during which the codec changed as not heard whole, as with a hold."""
    if announce_on_answer.is_announcing(state) and not state.informed:
        return announce_on_answer.begin_again(state, event.at, "stopped")
    spoiled = state.prompt.spoiled or state.prompt.playing
    return replace(
        state,
        hold=replace(state.hold, changed=event.at),
        prompt=replace(
            state.prompt,
            spoiled=spoiled,
            interruption="stopped" if state.prompt.playing else state.prompt.interruption,
        ),
    ), ()
