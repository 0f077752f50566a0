"""One call, from its arrival to its end, as a pure function: ``step(state, event) -> (state, actions)``.

Nothing here talks to anybody.  The daemon feeds what it observes and does what comes out; the switch
refuses by itself what comes too late (``freeswitch_conf/dialplan/accord.xml``).  Phases only go forward:

    ANNOUNCING → ANNOUNCED → UNRECORDED → ENDED     (any of them may be skipped)

A call is ANNOUNCED only when the announcement's own playback ended by itself, while it was being
recorded, with no hold in it, its folder is on disk, and the switch has taken our word for it in time.  It
is ``recorded`` at the end only if somebody also answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from recorder.call.state import Action, Actions, Do, Finish, Note, Phase, State
from recorder.switch.observed import Observed, What

__all__ = [
    "GRACE", "TRIES", "Action", "Actions", "Do", "Finish", "Note", "Phase", "State",
    "arrive", "bound", "patience", "refuse", "resume", "step",
]  # fmt: skip


TRIES: Final = 10
"""How often an announcement is begun before the call goes on unrecorded; the bound on a hanging daemon
starts anew with each, so it must end somewhere."""

GRACE: Final = timedelta(seconds=4)
"""What an announcement may take beyond its own length.  With the at most three seconds that the switch
waits for us to begin (``accord_wait``), whole seconds and the scheduler's own second twice, no call waits
longer than the announcement's length and ten seconds."""

_MARGIN: Final = timedelta(milliseconds=500)
"""By which we give up earlier than the switch would."""

_DECIDED: Final = frozenset({"announced", "passed", "failed", "late", "unrecorded"})
"""The switch's words after which nothing is left for us to say on a call's own socket."""

_LEFT: Final = {
    "late": "daemon_late",
    # An earlier daemon had these, and its reason is not known.
    **dict.fromkeys(("waiting", "announcing", "passed"), "daemon_away"),
}


def arrive(prompt: str, length: timedelta, at: datetime) -> tuple[State, Actions]:
    """A call that is to be recorded."""
    return State(prompt, length, deadline=_deadline(length, at)), (Do.BEGIN,)


def refuse(reason: str) -> tuple[State, Actions]:
    """A call that is not; it is followed to its end only to be written down."""
    state = State("", timedelta(0), phase=Phase.UNRECORDED, reason=reason, playing=False)
    return state, (Do.LET_GO,)


def resume(prompt: str, length: timedelta, marks: Mapping[str, datetime], at: datetime) -> State:
    """A call that an earlier daemon began, from the marks it left: their kinds, and when each first was.
    One that it had refused is refused again (:func:`refuse`).

    It is ANNOUNCED only if that was written down; feed the switch's word next (``What.UNWATCHED``, or
    ``What.GONE`` where the switch has no such call)."""
    announced = "announcement_finished" in marks
    return State(
        prompt,
        length,
        phase=Phase.ANNOUNCED if announced else Phase.ANNOUNCING,
        playing=False,
        spoiled=True,
        on_disk=True,
        captured="recording_started" in marks,
        taped=marks.get("recording_started"),
        connected="bridged" in marks,
        deadline=None if announced else at,
    )


def patience(length: timedelta) -> timedelta:
    """How long an announcement may take until we give up."""
    return length + GRACE - _MARGIN


def bound(length: timedelta) -> int:
    """Seconds that the switch waits from the announcement's start until it goes on by itself."""
    return -(-(length + GRACE) // timedelta(seconds=1))


def step(state: State, event: Observed) -> tuple[State, Actions]:
    """What a call becomes by something that happened to it, and what is to be done about it."""
    if state.phase is Phase.ENDED:
        return state, ((Do.STOP,) if event.what is What.RECORDING else ())
    before: Actions = ()
    if event.what is What.UNWATCHED:
        state = replace(state, capturing=event.capturing)
    if event.state == "announced" and state.told and state.phase is Phase.ANNOUNCING:
        state = replace(state, phase=Phase.ANNOUNCED, deadline=None, reason=None)
    if event.state in _DECIDED and not state.leaving:
        # Not before: what the switch has not run when the socket closes, it never runs.
        state, before = replace(state, leaving=True), (Do.LEAVE,)
    if event.state in {"late", "failed", "unrecorded"} and state.phase < Phase.UNRECORDED:
        reason = state.reason or _LEFT.get(event.left or event.state, "announcement_failed")
        state, more = _unrecorded(state, reason)
        before += more
    state, connected = _connected(state, event)
    state, after = _STEPS[event.what](state, event)
    return state, before + connected + after


def _connected(state: State, event: Observed) -> tuple[State, Actions]:
    """Nobody saw the first bridge, but the switch knows when it was.  It tells of the last one, and of none
    that was before a transfer: so it is taken from whatever tells of it first."""
    if state.connected or event.what is What.BRIDGED:
        return state, ()
    # What ends now has been, at the latest, until now.
    at = event.at if event.what is What.UNBRIDGED and event.bridged_at is None else event.bridged_at
    # Earlier than the recording it was another talk, before the call was brought to us.
    since = at if state.taped is None and state.phase is not Phase.ANNOUNCING else state.taped
    if at is None or since is None or at < since:
        return state, ()
    return replace(state, connected=True), (Note("bridged", at),)


def _unrecorded(state: State, reason: str) -> tuple[State, Actions]:
    """The switch went on without us, and has stopped the recording; we stop it too."""
    state = replace(state, phase=Phase.UNRECORDED, reason=reason, deadline=None)
    return state, (Do.STOP, Do.DISCARD, Do.LEAVE) if state.capturing else (Do.DISCARD, Do.LEAVE)


def _give_up(state: State, reason: str) -> tuple[State, Actions]:
    """We cannot or may not record it: the switch is told first, then has its call back.

    Once our word is on its way the switch decides: it may have taken it while we slept, and then the
    recording goes on and is not ours to destroy."""
    if state.told and state.on_disk:
        return replace(state, reason=reason, deadline=None), (Do.FAIL,)
    state = replace(state, phase=Phase.UNRECORDED, reason=reason, deadline=None)
    return state, (Do.FAIL, Do.DISCARD)


def _again(state: State, at: datetime) -> tuple[State, Actions]:
    if state.tries >= TRIES:
        return _give_up(state, "announcement_failed")
    state = replace(
        state,
        tries=state.tries + 1,
        playing=True,
        spoiled=False,
        turned=None,
        deadline=_deadline(state.length, at),
    )
    return state, (Do.AGAIN,)


def _deadline(length: timedelta, at: datetime) -> datetime:
    return at + patience(length)


def _recording(state: State, event: Observed) -> tuple[State, Actions]:
    if state.phase is Phase.UNRECORDED:
        return replace(state, capturing=True), (Do.STOP,)
    if state.capturing and state.captured:
        return state, ()
    # Also where the switch was asked before it told: what it told first is the recording's start.
    state = replace(state, capturing=True, captured=True, taped=event.at)
    return state, (Note("recording_started", event.at),)


def _recorded(state: State, event: Observed) -> tuple[State, Actions]:
    state = replace(state, capturing=False)
    note = Note("recording_stopped", event.at)
    if state.hung_up:
        state, actions = _finish(state, event)
        return state, (note, *actions)
    if state.phase is Phase.ANNOUNCING and not event.ending:
        state, actions = _give_up(state, "recording_failed")
        return state, (note, *actions)
    if state.phase is Phase.UNRECORDED:
        return state, (note, Do.DISCARD)
    return state, (note,)


def _playing(state: State, event: Observed) -> tuple[State, Actions]:
    if state.phase is not Phase.ANNOUNCING or event.sound != state.prompt:
        return state, ()
    # Holds come on both connections, this on the call's own alone: a hold that was in it may be told first.
    spoiled = state.held or (state.turned is not None and state.turned >= event.at)
    return replace(state, playing=True, spoiled=spoiled), (Note("announcement_started", event.at),)


def _played(state: State, event: Observed) -> tuple[State, Actions]:
    if state.phase is not Phase.ANNOUNCING or event.sound != state.prompt or not state.playing:
        return state, ()
    if event.ending and not event.complete:
        return replace(state, playing=False), ()
    state = replace(state, playing=False)
    if not state.capturing:
        return _give_up(state, "recording_failed")
    if event.complete and not state.spoiled:
        state, actions = _confirm(replace(state, told=True))
        return state, (Note("announcement_finished", event.at), *actions)
    note = Note(
        "announcement_broken", event.at, (("reason", "hold" if state.spoiled else "stopped"),)
    )  # fmt: skip
    if state.held:
        return replace(state, spoiled=True), (note,)
    state, actions = _again(state, event.at)
    return state, (note, *actions)


def _confirm(state: State) -> tuple[State, Actions]:
    """Announced and on disk: only then may the recording go on.  The switch has the last word."""
    return state, (Do.CONFIRM,) if state.told and state.on_disk else ()


def _on_disk(state: State, event: Observed) -> tuple[State, Actions]:
    state = replace(state, on_disk=True)
    return _confirm(state) if state.phase is Phase.ANNOUNCING else (state, ())


def _held(state: State, event: Observed) -> tuple[State, Actions]:
    state = replace(state, held=True, turned=event.at, spoiled=state.spoiled or state.playing)
    return state, (Note("hold", event.at),)


def _unheld(state: State, event: Observed) -> tuple[State, Actions]:
    state = replace(state, held=False, turned=event.at)
    note = Note("unhold", event.at)
    if state.phase is Phase.ANNOUNCING and not state.playing and state.spoiled and not state.told:
        state, actions = _again(state, event.at)
        return state, (note, *actions)
    return state, (note,)


def _bridged(state: State, event: Observed) -> tuple[State, Actions]:
    before: Actions = ()
    if state.phase is Phase.ANNOUNCING:
        # The switch went on by itself; its own guard has stopped the recording, we make sure.
        state, before = _unrecorded(state, "daemon_late")
    data = (("party", event.party[0]), ("value", event.party[1])) if event.party else ()
    state = replace(state, connected=True, inside=event.party or state.inside)
    return state, (*before, Note("bridged", event.at, data))


def _unbridged(state: State, event: Observed) -> tuple[State, Actions]:
    return state, (Note("unbridged", event.at),)


def _hung_up(state: State, event: Observed) -> tuple[State, Actions]:
    state = replace(state, hung_up=True)
    actions: Actions = (Note("hangup", event.at, (("cause", event.cause),)),)
    if state.capturing:
        return state, actions
    state, finish = _finish(state, event)
    return state, actions + finish


def _gone(state: State, event: Observed) -> tuple[State, Actions]:
    actions: Actions = ()
    if event.since is not None:
        # It ended while nobody watched.
        if state.phase is Phase.ANNOUNCING and state.told and event.capturing:
            state = replace(state, phase=Phase.ANNOUNCED)
        if state.phase is Phase.ANNOUNCED and not (event.capturing or state.connected):
            state = replace(state, phase=Phase.UNRECORDED, reason="daemon_away")
        actions = (Note("unobserved_from", event.since), Note("unobserved_to", event.at))
    elif event.ending and not state.hung_up:
        # The switch tells what happened at about the same time in any order.
        state, actions = _hung_up(state, event)
    if state.phase is Phase.ENDED:
        return state, actions
    state, finish = _finish(state, event)
    return state, actions + finish


def _finish(state: State, event: Observed) -> tuple[State, Actions]:
    """Settle what the call was.  A call that ended unwatched after its announcement is kept: whether and
    when it was answered is then not known, and its gap says so."""
    if state.phase is Phase.ANNOUNCED:
        reason = None if state.connected or not state.hung_up else "never_connected"
        if not state.captured:
            reason = "recording_failed"
    elif state.phase is Phase.ANNOUNCING:
        reason = state.reason or ("hung_up_in_announcement" if state.hung_up else "daemon_away")
    else:
        reason = state.reason
    finish = Finish(reason, event.at, state.inside)
    state = replace(state, phase=Phase.ENDED, reason=reason, deadline=None, capturing=False)
    return state, (finish,) if reason is None else (Do.DISCARD, finish)


def _deadline_passed(state: State, event: Observed) -> tuple[State, Actions]:
    if state.phase is not Phase.ANNOUNCING or state.deadline is None or event.at < state.deadline:
        return state, ()
    return _give_up(state, "announcement_failed")


def _no_disk(state: State, event: Observed) -> tuple[State, Actions]:
    if state.phase is Phase.UNRECORDED:
        return state, ()
    stop: Actions = (Do.STOP,) if state.phase is Phase.ANNOUNCED else ()
    state, actions = _give_up(state, event.cause or "full_disk")
    return state, stop + actions


def _unwatched(state: State, event: Observed) -> tuple[State, Actions]:
    """The daemon is back with a call that is still there; ``event.state`` is the switch's word."""
    gap = (Note("unobserved_from", event.since or event.at), Note("unobserved_to", event.at))
    if state.phase is Phase.ANNOUNCING and event.state == "announced":
        # Confirmed by the switch, before we could write it down; "now" blanks more, never less.
        state = replace(state, phase=Phase.ANNOUNCED, deadline=None, captured=True)
        return state, (Note("announcement_finished", event.at, (("seen", "later"),)), *gap)
    if state.phase is Phase.ANNOUNCING and state.deadline is None:
        return state, gap
    if state.phase is Phase.ANNOUNCING and not state.playing and state.spoiled and not state.held:
        # An earlier daemon's: its announcement is over, and was not confirmed.
        state, actions = _unrecorded(state, "daemon_away")
        return state, (*actions, *gap)
    return state, gap


def _state(state: State, event: Observed) -> tuple[State, Actions]:
    return state, ()


_STEPS: Final[dict[What, Callable[[State, Observed], tuple[State, Actions]]]] = {
    What.RECORDING: _recording,
    What.RECORDED: _recorded,
    What.PLAYING: _playing,
    What.PLAYED: _played,
    What.HELD: _held,
    What.UNHELD: _unheld,
    What.BRIDGED: _bridged,
    What.UNBRIDGED: _unbridged,
    What.HUNG_UP: _hung_up,
    What.GONE: _gone,
    What.STATE: _state,
    What.DEADLINE: _deadline_passed,
    What.ON_DISK: _on_disk,
    What.NO_DISK: _no_disk,
    What.UNWATCHED: _unwatched,
}
