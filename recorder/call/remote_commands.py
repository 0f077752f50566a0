"""What a person asks of a live call from the panel or by an API: as with a colleague's codes, without keys.

Pausing and going on is the switch's work, as with the codes: it is ordered first, and what comes here is
that the switch has done it.  To stop and destroy was asked back where it was asked for, so nobody in the
call is asked.
"""

from __future__ import annotations

from typing import Final

from recorder.call import feature_codes, transfer_consent
from recorder.call.state import Actions, CallState, Do, Phase, QuestionStep
from recorder.domain.call_events import DELETE, NOTE, PAUSE, RESUME, CommandGiven

ASKABLE: Final = (PAUSE, RESUME, NOTE, DELETE)
"""What can be asked."""

NOT_TOLD, NOT_RECORDED, ENDED, NOT_ALLOWED, BUSY, NOT_PAUSED = REFUSALS = (
    "not_told",  # the announcement has not come to its end: nothing may be kept of them yet
    "not_recorded",  # or not any more
    "ended",
    "not_allowed",  # nothing may be destroyed in a call on this line
    "busy",  # somebody is being asked something, or there are not two who speak
    "not_paused",  # the switch's word
)
"""Why something was not done."""


def refusal(state: CallState, asked: str) -> str:
    """Why this cannot be done to a call as it is (:data:`REFUSALS`); empty where it can."""
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


def asked(state: CallState, event: CommandGiven) -> tuple[CallState, Actions]:
    """It was asked, and where it is the switch's to do, done."""
    if event.code not in ASKABLE or refusal(state, event.code):
        return state, ()
    if event.code == DELETE:
        return feature_codes.destroyed(state, event.at, event.by)
    # One that is asked for again begins anew, and so does its tone.
    over: Actions = (
        (Do.PAUSE_OVER,) if state.pause.is_active(event.at) and event.code in (PAUSE, RESUME) else ()
    )
    state, actions = feature_codes.carry_out(state, event)
    return state, (*actions, *over, *((Do.PAUSE_TONE,) if event.code == PAUSE else ()))
