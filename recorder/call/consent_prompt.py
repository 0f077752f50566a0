"""The questions before the conversation: the language, the opt-in question, and the time to refuse in
opt-out.

A refusal takes effect at once: the prompt is cut, and another one says that the call is not recorded. A yes
counts once the question was heard whole. In opt-out an inbound call rings during the time to refuse; if it is
answered before the end of that, the conversation is recorded, and destroyed where it is refused. The possible
outcomes:

==========  =====================================  ===================================================
            opt-in (key 1: record)                 opt-out (key 2: do not)
==========  =====================================  ===================================================
1           after the question: announced and      a key that means nothing
            recorded; before its end: ignored
2           not recorded, at any time until the    not recorded, at any time until the end of the time
            announcement's end                     to answer
silence     not recorded                           recorded: they were informed, and did not refuse
other key   asked once more; a second one: not     reminded once; a second one: not recorded
            recorded
hang-up     nothing was captured                   the captured audio is destroyed
==========  =====================================  ===================================================
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from recorder.call.state import Actions, CallState, Do, Phase, Timer
from recorder.call.transitions import (
    ANSWER_TIME,
    PLAYBACK_GRACE,
    answer_marker,
    await_key,
    confirm,
    decline,
    give_up,
    play,
    set_timer,
    stop_prompt,
)
from recorder.domain.call_events import KeyPressed
from recorder.domain.call_plan import OPT_IN, OPT_OUT
from recorder.domain.markers import Marker

YES: Final = "1"
NO: Final = "2"

MAX_WRONG_KEYS: Final = 2
"""Number of meaningless keys after which the questions end."""


def begin(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The language is known: ask for consent, or announce. The order to the switch comes before the one to
    the disk."""
    state = replace(
        state,
        recording=replace(state.recording, ordered=True),
        prompt=replace(state.prompt, tries=1),
        consent=replace(state.consent, wrong_keys=0),
    )
    script = state.script
    if state.plan.mode == OPT_IN and script.question is not None:
        state = replace(state, phase=Phase.ASKING, consent=replace(state.consent, question="recording"))
        return play(state, script.question, at), (Do.ASK, Do.OPEN)
    return _announce(state, at, Do.OPEN)


def _announce(state: CallState, at: datetime, *more: Do) -> tuple[CallState, Actions]:
    state = replace(
        state,
        phase=Phase.ANNOUNCING,
        consent=replace(state.consent, question=""),
        prompt=replace(state.prompt, tries=1),
    )
    return play(state, state.script.announcement, at), (Do.BEGIN, *more)


def await_answer(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The question was heard whole: the time to answer begins."""
    marker = Marker(at, "question_finished", {"question": state.consent.question})
    return set_timer(state, at, ANSWER_TIME), (marker, *await_key(state))


def press_key(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    """The external party pressed a key."""
    if state.phase is Phase.ASKING:
        return (_press_for_language if state.consent.question == "language" else _press_in_opt_in)(
            state, event
        )
    if state.plan.mode in (OPT_IN, OPT_OUT) and state.phase < Phase.ANNOUNCED and not state.informed:
        return _press_to_refuse(state, event)
    return state, ()


def _press_for_language(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    """Choose the language; the key counts before the menu's end, because nothing depends on having heard
    it whole."""
    number = int(event.key) if event.key.isdecimal() else 0
    if 1 <= number <= len(state.plan.scripts):
        return _choose_language(state, number - 1, "key", event.at, event.key)
    if state.prompt.playing or state.prompt.spoiled:
        return state, ()
    if state.consent.wrong_keys + 1 < MAX_WRONG_KEYS:
        return _ask_again(state, event.at)
    return _choose_language(state, 0, "unclear", event.at, event.key)


def _choose_language(
    state: CallState, number: int, answer: str, at: datetime, key: str = ""
) -> tuple[CallState, Actions]:
    state, actions = begin(replace(state, consent=replace(state.consent, language=number)), at)
    return state, (*actions, answer_marker("language", answer, at, key))


def _press_in_opt_in(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    if event.key == NO:
        return decline(state, event.at, "no", event.key)
    if state.prompt.playing or state.prompt.spoiled:
        return state, ()  # a key before the question's end is no answer
    if event.key == YES:
        state, actions = _announce(state, event.at)
        return state, (answer_marker("recording", "yes", event.at, event.key), *actions)
    if state.consent.wrong_keys + 1 < MAX_WRONG_KEYS:
        return _ask_again(state, event.at)
    return decline(state, event.at, "unclear", event.key)


def _press_to_refuse(state: CallState, event: KeyPressed) -> tuple[CallState, Actions]:
    """Handle a key during the announcement, and in opt-out until the time to refuse is over."""
    if event.key == NO:
        return decline(state, event.at, "no", event.key)
    if state.phase is not Phase.CHOOSING or state.prompt.playing:
        return state, ()
    question = state.script.question
    if state.consent.wrong_keys + 1 >= MAX_WRONG_KEYS or question is None:
        return decline(state, event.at, "unclear", event.key)
    state = replace(state, consent=replace(state.consent, wrong_keys=state.consent.wrong_keys + 1))
    if state.plan.outbound:
        return play(state, question, event.at), (Do.REMIND,)
    # It is mixed into what they hear, and the switch does not report its end.
    return set_timer(state, event.at, question.length + ANSWER_TIME), (Do.REMIND,)


def _ask_again(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    return play(
        replace(state, consent=replace(state.consent, wrong_keys=state.consent.wrong_keys + 1)),
        state.prompt.sound,
        at,
    ), (Do.ASK,)


def await_refusal(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The reminder is over, or could not be played: the time to refuse begins again."""
    return set_timer(stop_prompt(state), at, ANSWER_TIME), await_key(state)


def time_out(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The time to wait is over, before the conversation or while the refusal is played."""
    if state.phase is Phase.UNRECORDED:
        return replace(state, socket_unused=True, timer=Timer()), () if state.socket_unused else (Do.LEAVE,)
    if state.phase is Phase.ANNOUNCING or state.prompt.playing or state.prompt.spoiled or state.informed:
        return give_up(state, "announcement_failed")
    if state.phase is Phase.CHOOSING:
        wait = PLAYBACK_GRACE - timedelta(seconds=1)
        state, actions = confirm(set_timer(replace(state, informed=True), at, wait))
        return state, (answer_marker("recording", "none", at, ""), *actions)
    if state.consent.question == "language":
        return _choose_language(state, 0, "none", at)
    return decline(state, at, "none")
