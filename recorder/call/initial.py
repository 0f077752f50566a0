"""How a call comes into our hands: anew, refused, or from an earlier daemon."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from recorder.call import conference, eavesdrop
from recorder.call.announce_on_answer import ring
from recorder.call.consent_prompt import chosen
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
    WriteMark,
)
from recorder.call.transfer_notice import remembered
from recorder.call.transitions import REASONS, play
from recorder.domain.call_plan import NOTICE, OPT_OUT, CallPlan, Script, Speech


def arrive(plan: CallPlan, at: datetime) -> tuple[CallState, Actions]:
    """A call that is to be recorded if nobody refuses: what is said to it first."""
    state = CallState(plan, PromptState(plan.scripts[0].announcement))
    if plan.at_pickup:
        return ring(state)
    if plan.menu is None:
        return chosen(state, at)
    return play(
        replace(state, phase=Phase.ASKING, consent=replace(state.consent, question="language")), plan.menu, at
    ), (Do.ASK,)


def notice(path: str, length: timedelta) -> CallPlan:
    """The plan of a line that tells, and asks nothing."""
    return CallPlan(NOTICE, (Script(Speech(path, length)),))


def refuse(reason: str) -> tuple[CallState, Actions]:
    """A call that is not; it is followed to its end only to be written down."""
    plan = notice("", timedelta(0))
    prompt = PromptState(plan.scripts[0].announcement, playing=False)
    state = CallState(
        plan, prompt, phase=Phase.UNRECORDED, reason=reason, recording=RecordingState(ordered=True)
    )
    return state, (Do.LET_GO, Do.OPEN)


def resume(plan: CallPlan, notes: Sequence[WriteMark], at: datetime) -> CallState:
    """A call that an earlier daemon began, from what it wrote down.  One that it had refused is refused
    again (:func:`refuse`).

    It is ANNOUNCED only if that was written down, and in opt-out that nobody refused; feed the switch's word
    next (``CallReconciled``, or ``ChannelGone`` where the switch has no such call)."""
    first = {note.kind: note.at for note in reversed(notes)}
    answer = answer_of(notes)
    turns = [note for note in notes if note.kind in ("hold", "unhold")]
    held_since = turns[-1].at if turns and turns[-1].kind == "hold" else None
    announced = "announcement_finished" in first and (plan.mode != OPT_OUT or answer == "none")
    state = CallState(
        plan,
        PromptState(plan.scripts[0].announcement, playing=False, spoiled=True),
        phase=Phase.ANNOUNCED if announced else Phase.ANNOUNCING,
        keep_answer=kept_of(notes),
        recording=RecordingState(
            ordered=True,
            on_disk=True,
            captured="recording_started" in first,
            started=first.get("recording_started"),
        ),
        timer=Timer(None if announced else at),
        internal=InternalState(connected="bridged" in first),
        hold=HoldState(held_since is not None, held_since) if announced else HoldState(),
        pause=PauseState(_paused_until(notes)),
    )
    state = eavesdrop.remembered(conference.remembered(remembered(state, notes), notes), notes)
    if "deleted" in first:
        return replace(state, phase=Phase.UNRECORDED, reason="deleted", timer=Timer())
    if plan.at_pickup and not (announced or state.internal.connected):
        return replace(
            state,
            phase=Phase.RINGING,
            leaving=True,
            prompt=replace(state.prompt, spoiled=False),
            timer=Timer(),
        )
    if plan.at_pickup and announced:
        # They were told; whether the switch has our word for it, it says next.
        return replace(
            state,
            phase=Phase.ANNOUNCING,
            leaving=True,
            informed=True,
            prompt=replace(state.prompt, spoiled=False),
        )
    if not announced and answer in REASONS:
        return replace(state, phase=Phase.UNRECORDED, reason=REASONS[answer], timer=Timer())
    return state


def _paused_until(notes: Sequence[WriteMark]) -> datetime | None:
    """When a pause ends by itself that nobody was seen to end."""
    last = next((note for note in reversed(notes) if note.kind in ("paused", "resumed")), None)
    if last is None or last.kind == "resumed":
        return None
    seconds = dict(last.data).get("seconds", "")
    # An Accord of before noted none of what it saw later: the switch's word comes next.
    return last.at + timedelta(seconds=int(seconds) if re.fullmatch("[0-9]{1,5}", seconds, re.ASCII) else 0)


def kept_of(notes: Sequence[WriteMark]) -> str:
    """What was last answered about keeping it; silence is no yes."""
    given = [dict(note.data).get("answer") for note in notes if note.kind == "keep_answered"]
    return "" if not given else "yes" if given[-1] == "yes" else "no"


def answer_of(notes: Sequence[WriteMark]) -> str:
    """What was answered to the question whether to record, empty where nothing was."""
    given = [dict(note.data) for note in notes if note.kind == "answered"]
    return next((one.get("answer", "") for one in reversed(given) if one.get("question") == "recording"), "")
