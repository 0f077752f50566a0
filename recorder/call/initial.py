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
    WriteMark,
)
from recorder.call.transfer_notice import restore
from recorder.call.transitions import REASONS, play
from recorder.domain.call_plan import NOTICE, OPT_OUT, CallPlan, Script, Speech


def arrive(plan: CallPlan, at: datetime) -> tuple[CallState, Actions]:
    """Return the state of a new call, and the first actions."""
    state = CallState(plan, PromptState(plan.scripts[0].announcement))
    if plan.at_pickup:
        return ring(state)
    if plan.menu is None:
        return begin(state, at)
    return play(
        replace(state, phase=Phase.ASKING, consent=replace(state.consent, question="language")), plan.menu, at
    ), (Do.ASK,)


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


def resume(plan: CallPlan, notes: Sequence[WriteMark], at: datetime) -> CallState:
    """Return the state of a call that an earlier daemon began, from its marks. A call that it had refused is
    refused again (:func:`refuse`).

    It is ANNOUNCED only if the marks say so, and in opt-out only if nobody refused. The next event must be
    the switch's report: ``CallReconciled``, or ``ChannelGone`` where it has no such call."""
    first = {note.kind: note.at for note in reversed(notes)}
    answer = answer_of(notes)
    turns = [note for note in notes if note.kind in ("hold", "unhold")]
    held_since = turns[-1].at if turns and turns[-1].kind == "hold" else None
    announced = "announcement_finished" in first and (plan.mode != OPT_OUT or answer == "none")
    state = CallState(
        plan,
        PromptState(plan.scripts[0].announcement, playing=False, spoiled=True),
        phase=Phase.ANNOUNCED if announced else Phase.ANNOUNCING,
        keep_answer=keep_answer_of(notes),
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
    state = eavesdrop.restore(conference.restore(restore(state, notes), notes), notes)
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
        # They were informed; the next report says whether the switch has our confirmation.
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
    """Return when a pause ends by itself whose end nobody saw."""
    last = next((note for note in reversed(notes) if note.kind in ("paused", "resumed")), None)
    if last is None or last.kind == "resumed":
        return None
    seconds = dict(last.data).get("seconds", "")
    # Without a time the pause counts as over: the switch's report comes next.
    return last.at + timedelta(seconds=int(seconds) if re.fullmatch("[0-9]{1,5}", seconds, re.ASCII) else 0)


def keep_answer_of(notes: Sequence[WriteMark]) -> str:
    """Return the last answer to the keep question (``yes``, ``no``, or empty); silence is no yes."""
    given = [dict(note.data).get("answer") for note in notes if note.kind == "keep_question_answered"]
    return "" if not given else "yes" if given[-1] == "yes" else "no"


def answer_of(notes: Sequence[WriteMark]) -> str:
    """Return the answer to the consent question, empty where there is none."""
    given = [dict(note.data) for note in notes if note.kind == "question_answered"]
    return next((one.get("answer", "") for one in reversed(given) if one.get("question") == "recording"), "")
