"""Commands for a live call from the panel or the API: the same as a colleague's feature codes, without keys.

The switch pauses and resumes, as with the codes: it gets its command first, and the event says that it has
been carried out. Deletion was confirmed in the panel or by the API's client, so nobody in the call is asked.
"""

from __future__ import annotations

from typing import Final

from recorder.call import feature_codes, transfer_consent
from recorder.call.state import Actions, CallState, Do, Phase, QuestionStep
from recorder.domain.call_events import DELETE, MARK, PAUSE, RESUME, CommandGiven

COMMANDS: Final = (PAUSE, RESUME, MARK, DELETE)
"""The commands that can be given."""

NOT_ANNOUNCED, NOT_RECORDED, ENDED, NOT_ALLOWED, BUSY, NOT_PAUSED = REFUSALS = (
    "not_announced",  # the announcement has not ended yet
    "not_recorded",  # or no longer
    "ended",
    "not_allowed",  # the line does not allow deletion during a call
    "busy",  # a question is open, or no two parties speak with each other
    "not_paused",  # the switch says so
)
"""Why a command was not carried out."""


def refusal(state: CallState, command: str) -> str:
    """Return why a command cannot be carried out now (:data:`REFUSALS`); empty where it can."""
    if state.phase is Phase.ENDED or state.hung_up or state.recording.over:
        return ENDED
    if state.phase < Phase.ANNOUNCED:
        return NOT_ANNOUNCED
    if state.phase is Phase.UNRECORDED or not (state.recording.capturing or state.recording.captured):
        return NOT_RECORDED
    if command == DELETE:
        if state.script.delete is None:
            return NOT_ALLOWED
        if (
            not state.in_conversation
            or state.question.step is not QuestionStep.IDLE
            or transfer_consent.is_unanswered(state)
        ):
            return BUSY
    return ""


def carry_out(state: CallState, event: CommandGiven) -> tuple[CallState, Actions]:
    """A command was given; where the switch carries it out, it has done so."""
    if event.code not in COMMANDS or refusal(state, event.code):
        return state, ()
    if event.code == DELETE:
        return feature_codes.delete(state, event.at, event.by)
    # A repeated pause starts again, and so does its tone.
    end_tone: Actions = (
        (Do.END_PAUSE_TONE,) if state.pause.is_active(event.at) and event.code in (PAUSE, RESUME) else ()
    )
    state, actions = feature_codes.carry_out(state, event)
    return state, (*actions, *end_tone, *((Do.PAUSE_TONE,) if event.code == PAUSE else ()))
