"""Consent of a transfer target, on a line whose mode asks for it: a colleague who joins later is asked, too.

The transfer notice (``transfer_notice.py``) is then a question, and only their own key answers it:

==========  =====================================  ===================================================
            opt-in (key 1: record)                 opt-out (key 2: do not)
==========  =====================================  ===================================================
1           after the question: it goes on;        a key that means nothing
            before its end: ignored
2           the recording ends, at any time        the same
silence     the recording ends                     it goes on: they were informed, and did not refuse
other key   asked once more; a second one: the     the same
            recording ends
they leave  the recording ends                     it goes on
a hold      asked from the beginning after it      the same
cut         asked again in a moment; not heard     the same
            whole so often: the recording ends
unobserved  the recording ends                     asked from the beginning
==========  =====================================  ===================================================

A third party is taken aside for it (``capture/conferences.py``), because in the conversation the switch does
not report their keys (seen; in a conference it does). A supervisor whose voice is in the recording cannot be
asked, because their keys choose who hears them: the recording ends.

What they said before their answer is redacted, unless they did not refuse in opt-out
(``audio/transfer_redaction.py``). While they are asked, no other question is open: it is broken off.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from recorder.call import feature_codes
from recorder.call.consent_prompt import MAX_WRONG_KEYS, NO, YES
from recorder.call.state import Actions, CallState, Do, Phase, TransferTarget
from recorder.call.transfer_target import (
    clear_target,
    inform,
    is_beside,
    names,
    place_data,
    set_participants,
    set_target,
)
from recorder.call.transitions import ANSWER_TIME, RETRY_DELAY, playback_timeout, set_timer
from recorder.domain.call_events import KeyPressed
from recorder.domain.call_plan import OPT_IN, OPT_OUT
from recorder.domain.markers import Marker

MAX_CUTS: Final = 3
"""After how many times of not hearing the question whole, apart from holds, the recording ends."""

LATE_SILENCE: Final = timedelta(seconds=1)
"""From how much later on an expired timer is no silence: the daemon slept, and a key may be waiting."""


def asks_for_consent(state: CallState) -> bool:
    """Whether participants who join this call are asked for consent."""
    notice = state.script.transfer_notice
    return notice is not None and notice.refused is not None and state.plan.mode in (OPT_IN, OPT_OUT)


def is_unanswered(state: CallState) -> bool:
    """Whether a participant is to be asked, or is being asked, and has not answered."""
    target = state.transfer.target
    if target is None or not asks_for_consent(state):
        return False
    return not names(target.leg, None) & state.transfer.informed


def break_off_others(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Break off any other question before they are asked."""
    return feature_codes.break_off(state, at) if asks_for_consent(state) else (state, ())


def await_answer(state: CallState, target: TransferTarget, at: datetime) -> tuple[CallState, Actions]:
    """The question was heard whole: the time to answer begins."""
    marker = Marker(at, "transfer_question_finished", place_data(state))
    return set_timer(set_target(state, replace(target, question_heard=True)), at, ANSWER_TIME), (marker,)


def press_key(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    """The internal side pressed a key."""
    target = state.transfer.target
    if target is None or not target.sound or target.leg != (event.other or state.internal.leg):
        return state, ()
    if event.key == NO:
        return _refuse(state, event.at, "no", event.key)
    if not target.question_heard:
        return state, ()  # a key before the question's end is no answer
    if event.key == YES and state.plan.mode == OPT_IN:
        return _answer(state, event.at, "yes", event.key)
    if target.wrong + 1 < MAX_WRONG_KEYS:
        return _ask_again(state, replace(target, wrong=target.wrong + 1), event.at)
    return _refuse(state, event.at, "unclear", event.key)


def time_out(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The time to wait is over."""
    target = state.transfer.target
    assert target is not None  # somebody is asked
    if target.due:
        return _ask_again(state, target, at)
    if not target.question_heard:
        return stop(state, at, "stopped")
    if state.plan.mode == OPT_IN:
        return _refuse(state, at, "none")
    if state.timer.deadline is not None and at - state.timer.deadline > LATE_SILENCE:
        return stop(state, at, "stopped")
    return _answer(state, at, "none")


def stop(state: CallState, at: datetime, why: str, call_ends: bool = False) -> tuple[CallState, Actions]:
    """The transfer target has not answered, or not heard the question whole. ``call_ends``: the call or its
    recording is over."""
    target = state.transfer.target
    assert target is not None  # somebody is asked
    goes_on = not call_ends and state.phase is Phase.ANNOUNCED
    if goes_on and state.plan.mode == OPT_IN and why in ("left", "unobserved"):
        return _refuse(state, at, why)
    if goes_on and why == "stopped" and target.cut + 1 >= MAX_CUTS:
        return _refuse(state, at, "unasked")
    notice = Marker(at, "transfer_notice_interrupted", {"reason": why, **place_data(state)})
    if goes_on and why == "stopped":
        target = replace(target, started_at=None, question_heard=False, due=True, cut=target.cut + 1)
        return set_timer(set_target(state, target), at, RETRY_DELAY), (notice,)
    # They are asked again after the hold, or once the daemon is back.
    others = tuple(
        replace(one, notified=one.notified and one.leg != target.leg) for one in state.conference.participants
    )
    state = clear_target(state)
    return set_participants(state, others), (notice,)


def refuse_unasked(state: CallState, leg: str, at: datetime) -> tuple[CallState, Actions]:
    """End the recording, because the participant on ``leg`` cannot be asked."""
    return _refuse(set_target(state, TransferTarget(leg)), at, "unasked")


def _ask_again(state: CallState, target: TransferTarget, at: datetime) -> tuple[CallState, Actions]:
    notice = state.script.transfer_notice
    assert notice is not None  # it asks for consent
    target = replace(target, started_at=None, question_heard=False, due=False)
    return set_timer(set_target(state, target), at, playback_timeout(notice.sound.length)), (Do.NOTIFY,)


def _answer(state: CallState, at: datetime, answer: str, key: str = "") -> tuple[CallState, Actions]:
    marker = _answer_marker("transfer_question_answered", state, at, answer, key)
    leg = "" if state.transfer.target is None else state.transfer.target.leg
    party = state.internal.party
    if is_beside(state, leg):
        party = next((one.party for one in state.conference.participants if one.leg == leg), None)
    return inform(clear_target(state), names(leg, party)), (marker,)


def _refuse(state: CallState, at: datetime, answer: str, key: str = "") -> tuple[CallState, Actions]:
    """End the recording; what was recorded is kept as announced."""
    marker = _answer_marker("transfer_question_refused", state, at, answer, key)
    target = state.transfer.target
    leg = "" if target is None else target.leg
    is_audible = (
        target is not None and target.started_at is not None and not (target.question_heard or target.due)
    )
    cut: Actions = (Do.CUT_NOTICE,) if key and is_audible else ()
    state = clear_target(state)
    state = replace(
        state,
        recording=replace(state.recording, over=True),
        transfer=replace(state.transfer, refuser=leg),
    )
    return state, (marker, Do.STOP, *cut, *(() if answer == "left" else (Do.REFUSED,)))


def _answer_marker(kind: str, state: CallState, at: datetime, answer: str, key: str) -> Marker:
    pressed = {"key": key} if key else {}
    return Marker(at, kind, {"answer": answer, **pressed, **place_data(state)})
