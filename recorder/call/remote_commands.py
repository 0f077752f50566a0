"""Commands for a live call from the panel or the API: the same as a colleague's feature codes, without keys.

Pausing and resuming is the switch's work, as with the codes: it gets its command first, and the event says
that it has been carried out. Deleting was confirmed where it was asked for, so nobody in the call is asked.
"""

from __future__ import annotations

from typing import Final

from recorder.call import feature_codes, transfer_consent
from recorder.call.state import Actions, CallState, Do, Phase, QuestionStep
from recorder.domain.call_events import DELETE, NOTE, PAUSE, RESUME, CommandGiven

ASKABLE: Final = (PAUSE, RESUME, NOTE, DELETE)
"""The commands that can be given."""

NOT_TOLD, NOT_RECORDED, ENDED, NOT_ALLOWED, BUSY, NOT_PAUSED = REFUSALS = (
    "not_announced",  # the announcement has not ended: nothing may be kept yet
    "not_recorded",  # or no longer
    "ended",
    "not_allowed",  # the line does not allow deletion during a call
    "busy",  # a question is open, or no two parties speak
    "not_paused",  # the switch says so
)
"""Why a command was not carried out."""


def refusal(state: CallState, asked: str) -> str:
    """Return why a command cannot be carried out now (:data:`REFUSALS`); empty where it can."""
    if state.phase is Phase.ENDED or state.hung_up or state.recording.over:
        return ENDED
    if state.phase < Phase.ANNOUNCED:
        return NOT_TOLD
    if state.phase is Phase.UNRECORDED or not (state.recording.capturing or state.recording.captured):
        return NOT_RECORDED
    if asked == DELETE:
        if state.script.delete is None:
            return NOT_ALLOWED
        if (
            not state.talking
            or state.question.step is not QuestionStep.IDLE
            or transfer_consent.unanswered(state)
        ):
            return BUSY
    return ""


def carry_out(state: CallState, event: CommandGiven) -> tuple[CallState, Actions]:
    """A command was given and, where it is the switch's to do, carried out."""
    if event.code not in ASKABLE or refusal(state, event.code):
        return state, ()
    if event.code == DELETE:
        return feature_codes.delete(state, event.at, event.by)
    # A repeated pause starts again, and so does its tone.
    over: Actions = (
        (Do.PAUSE_OVER,) if state.pause.is_active(event.at) and event.code in (PAUSE, RESUME) else ()
    )
    state, actions = feature_codes.carry_out(state, event)
    return state, (*actions, *over, *((Do.PAUSE_TONE,) if event.code == PAUSE else ()))
