"""The first state of a call: a new one, a refused one, or one that an earlier daemon began."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from recorder.call import conference, eavesdrop
from recorder.call.announce_on_answer import ring
from recorder.call.consent_prompt import begin
from recorder.call.state import (
    Actions,
    CallState,
    Do,
    HoldState,
    InternalState,
    PauseState,
    Phase,
    PromptState,
    RecordingState,
    Timer,
)
from recorder.call.transfer_notice import restore
from recorder.call.transitions import REASONS, play
from recorder.domain.call_plan import NOTICE, OPT_OUT, CallPlan, Script, Speech
from recorder.domain.markers import Marker


def arrive(plan: CallPlan, at: datetime, *, awaits_turn: bool = False) -> tuple[CallState, Actions]:
    """Return the state of a new call, and the first actions. ``awaits_turn``: the line at the far end
    announces first; the plan must announce on answer (:func:`in_turn`)."""
    state = CallState(plan, PromptState(plan.scripts[0].announcement), awaits_turn=awaits_turn)
    if plan.at_pickup:
        return ring(state)
    if plan.menu is None:
        return begin(state, at)
    return play(
        replace(state, phase=Phase.ASKING, consent=replace(state.consent, question="language")), plan.menu, at
    ), (Do.ASK,)


def in_turn(plan: CallPlan) -> CallPlan | None:
    """Return the plan of a call that has reached another line of this switch: both announce once connected,
    in turn. ``None`` where nobody could be asked then for the consent that the line needs."""
    return replace(plan, at_pickup=True, menu=None) if plan.mode == NOTICE else None


def notice_plan(path: str, length: timedelta) -> CallPlan:
    """Return the plan of a line that only announces."""
    return CallPlan(NOTICE, (Script(Speech(path, length)),))


def refuse(reason: str) -> tuple[CallState, Actions]:
    """Return the state of a call that is not recorded; it is followed to its end only to be listed."""
    plan = notice_plan("", timedelta(0))
    prompt = PromptState(plan.scripts[0].announcement, playing=False)
    state = CallState(
        plan, prompt, phase=Phase.UNRECORDED, reason=reason, recording=RecordingState(ordered=True)
    )
    return state, (Do.LET_GO, Do.OPEN)


def resume(plan: CallPlan, markers: Sequence[Marker], at: datetime) -> CallState:
    """Return the state of a call that an earlier daemon began, from its markers. A call that it had refused
    is refused again (:func:`refuse`).

    The call is ANNOUNCED only if the markers say so, and in opt-out only if nobody refused. The next event
    must be the switch's report: ``CallReconciled``, or ``ChannelGone`` where it has no such call."""
    first = {marker.kind: marker.at for marker in reversed(markers)}
    answer = consent_answer(markers)
    holds = [marker for marker in markers if marker.kind in ("hold", "unhold")]
    held_since = holds[-1].at if holds and holds[-1].kind == "hold" else None
    announced = "announcement_finished" in first and (plan.mode != OPT_OUT or answer == "none")
    state = CallState(
        plan,
        PromptState(plan.scripts[0].announcement, playing=False, spoiled=True),
        phase=Phase.ANNOUNCED if announced else Phase.ANNOUNCING,
        keep_answer=last_keep_answer(markers),
        recording=RecordingState(
            ordered=True,
            on_disk=True,
            captured="recording_started" in first,
            started=first.get("recording_started"),
        ),
        timer=Timer(None if announced else at),
        internal=InternalState(connected="bridged" in first),
        hold=HoldState(held_since is not None, held_since) if announced else HoldState(),
        pause=PauseState(_paused_until(markers)),
    )
    state = eavesdrop.restore(conference.restore(restore(state, markers), markers), markers)
    if "deleted" in first:
        return replace(state, phase=Phase.UNRECORDED, reason="deleted", timer=Timer())
    if plan.at_pickup and not (announced or state.internal.connected):
        return replace(
            state,
            phase=Phase.RINGING,
            socket_unused=True,
            prompt=replace(state.prompt, spoiled=False),
            timer=Timer(),
        )
    if plan.at_pickup and announced:
        # Both heard the announcement; the next report says whether the switch took our confirmation.
        return replace(
            state,
            phase=Phase.ANNOUNCING,
            socket_unused=True,
            informed=True,
            prompt=replace(state.prompt, spoiled=False),
        )
    if not announced and answer in REASONS:
        return replace(state, phase=Phase.UNRECORDED, reason=REASONS[answer], timer=Timer())
    return state


def _paused_until(markers: Sequence[Marker]) -> datetime | None:
    """Return when the switch ends the last pause by itself, ``None`` where it has been resumed."""
    last = next((marker for marker in reversed(markers) if marker.kind in ("paused", "resumed")), None)
    if last is None or last.kind == "resumed":
        return None
    seconds = last.data.get("seconds", "")
    # Without its length the pause counts as over: the switch's report comes next.
    return last.at + timedelta(seconds=int(seconds) if re.fullmatch("[0-9]{1,5}", seconds, re.ASCII) else 0)


def last_keep_answer(markers: Sequence[Marker]) -> str:
    """Return the last answer to the keep question (``yes``, ``no``, or empty); silence is no yes."""
    answers = [marker.data.get("answer") for marker in markers if marker.kind == "keep_question_answered"]
    return "" if not answers else "yes" if answers[-1] == "yes" else "no"


def consent_answer(markers: Sequence[Marker]) -> str:
    """Return the answer to the consent question, empty where there is none."""
    answers = [marker.data for marker in markers if marker.kind == "question_answered"]
    consent = [answer for answer in answers if answer.get("question") == "recording"]
    return consent[-1].get("answer", "") if consent else ""
