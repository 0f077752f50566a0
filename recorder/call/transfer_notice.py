"""Who is at the other end, and whether they know: a colleague who comes later is told that it is recorded.

The first who speaks with the outside party is who the call was for, and whoever heard the announcement has
been told; everybody who comes after them, by a transfer, a pick-up or however else, is a joiner.  First the
switch is asked whether that leg leads outside: then the take ends, for nobody of ours is in it any more.  So
it is of the first: a call that was forwarded outside before anybody of ours spoke is not recorded, unless
both were told at pick-up.  A line may have a joiner told, alone or together with the outside party.  Nobody
is told twice: not who was there before, nor who comes back from a hold or from asking somebody else.

========  ==============================  ==========================================================
          while                           what can come of it
========  ==============================  ==========================================================
ASKED     the switch is asked about them  outside: the take ends.  Else a joiner, where the line says
                                          so: ORDERED
ORDERED   the sound is on its way         it begins: PLAYING.  They leave, or a hold: untold
PLAYING   they hear it                    whole: told.  Cut, they leave, or a hold: untold
========  ==============================  ==========================================================

One who was not told whole because of a hold is told once they are back.  Where they are asked, too, what
comes of it is in ``transfer_consent.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from recorder.call import transfer_consent
from recorder.call.state import (
    Actions,
    CallState,
    Do,
    OpenQuestion,
    Phase,
    QuestionStep,
    Timer,
    TransferTarget,
    WriteMark,
)
from recorder.call.transfer_target import in_room, names, place, silent
from recorder.call.transitions import SHORTER, patience, until
from recorder.domain.call_events import (
    COLLEAGUE,
    CallReconciled,
    LegBridged,
    LegChecked,
    SoundEnded,
    SoundStarted,
)
from recorder.domain.call_plan import Speech
from recorder.domain.parties import party_data, party_of

UNKNOWN: Final = "unknown"
"""The leg of somebody of whom it was not noted."""


def bridged_data(event: LegBridged | CallReconciled) -> tuple[tuple[str, str], ...]:
    """What is written down of somebody who comes: never the name that is shown."""
    party = party_data(event.party)
    return (*party, ("leg", event.other)) if event.other else party


def left_data(state: CallState) -> tuple[tuple[str, str], ...]:
    """What is written down of who leaves."""
    return party_data(state.internal.party)


def present(state: CallState) -> CallState:
    """Whoever is there now knows of it."""
    return replace(
        state,
        transfer=replace(
            state.transfer, informed=state.transfer.informed | names(state.internal.leg, state.internal.party)
        ),
    )


def replaced(state: CallState, event: LegBridged) -> Actions:
    """Somebody comes in another's place, whose leaving was not told of: it is not always."""
    if not state.internal.leg or state.internal.leg == event.other:
        return ()
    return (WriteMark("unbridged", event.at, left_data(state)),)


def joined(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Somebody is at the other end from now on (``state`` says who)."""
    if state.phase is not Phase.ANNOUNCED or state.recording.over:
        return state, ()
    state, before = stopped(state, at, "left")
    if state.recording.over:
        return state, before
    who = names(state.internal.leg, state.internal.party)
    first = not state.transfer.informed
    if not state.internal.leg or state.transfer.informed & who:
        return replace(
            state, transfer=replace(state.transfer, informed=state.transfer.informed | who)
        ), before
    knowing = who if first else state.transfer.informed
    return replace(
        state, transfer=replace(state.transfer, target=TransferTarget(state.internal.leg), informed=knowing)
    ), (*before, Do.LOOK)


def known(state: CallState) -> bool:
    """Whether whoever is there was there first, or was told."""
    return bool(state.transfer.informed & names(state.internal.leg, state.internal.party))


def met(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The outside party leaves a conference: they were not alone in it."""
    return state, (WriteMark("conference_left", at),) if state.phase is Phase.ANNOUNCED else ()


def looked(state: CallState, event: LegChecked) -> tuple[CallState, Actions]:
    """The switch's word on somebody who came: whether their leg leads outside."""
    telling = state.transfer.target
    if telling is None or telling.sound or telling.leg != event.other or state.phase is not Phase.ANNOUNCED:
        return state, ()
    state = replace(state, transfer=replace(state.transfer, target=None))
    if event.outside:
        return _outside(state, event.at)
    return (state, ()) if known(state) else _tell(state, event.at)


def _outside(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    note = WriteMark("transferred_outside", at)
    if not known(state):
        return replace(state, recording=replace(state.recording, over=True)), (note, Do.STOP)
    # The first: nothing was said to anybody of ours.
    state = replace(
        state, phase=Phase.UNRECORDED, reason="forwarded_outside", question=OpenQuestion(), timer=Timer()
    )
    return state, (note, Do.STOP, Do.DISCARD)


def _tell(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    joining = state.script.joining
    if joining is None or state.hold.active:
        return replace(state, transfer=replace(state.transfer, target=None)), ()
    state, broken = transfer_consent.alone(replace(state, transfer=replace(state.transfer, target=None)), at)
    state = replace(
        state, transfer=replace(state.transfer, target=TransferTarget(state.internal.leg, joining.sound.path))
    )
    return wait(state, at, joining.sound), (*broken, Do.TELL)


def wait(state: CallState, at: datetime, sound: Speech) -> CallState:
    """Until what is said to a joiner is over."""
    # Where it is asked whether to keep it, that has the clock; what is said is over by then.
    return state if state.question.step is not QuestionStep.IDLE else until(state, at, patience(sound.length))


def sounded(state: CallState, event: SoundStarted | SoundEnded) -> tuple[CallState, Actions]:
    """A sound began or ended on the joiner's leg."""
    telling, joining = state.transfer.target, state.script.joining
    if telling is None or joining is None or not telling.sound:
        return state, ()
    if event.leg != COLLEAGUE or event.sound != telling.sound or telling.heard or telling.due:
        return state, ()
    if event.other != telling.leg and in_room(state, telling.leg) and not state.conference.name:
        return state, ()  # who is at the other end heard it, not the third one whom it is for
    if isinstance(event, SoundStarted):
        state = replace(state, transfer=replace(state.transfer, target=replace(telling, began=event.at)))
        asks = (("asks", state.plan.mode),) if transfer_consent.asks(state) else ()
        data = (("how", joining.how), *asks, *place(state))
        return state, (WriteMark("joined_telling", event.at, data),)
    if telling.began is None:
        return state, ()
    whole = event.complete and event.at - telling.began >= joining.sound.length - SHORTER
    if not whole or event.ending:
        return stopped(state, event.at, "stopped", event.ending)
    if transfer_consent.asks(state):
        return transfer_consent.heard(state, telling, event.at)
    where = place(state)
    return (silent(state) if where else present(silent(state))), (WriteMark("joined_told", event.at, where),)


def waited(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """The time for what is said to a joiner, or for their answer, is over."""
    if state.transfer.target is not None and state.transfer.target.sound and transfer_consent.asks(state):
        return transfer_consent.waited(state, at)
    return stopped(state, at, "stopped")


def stopped(state: CallState, at: datetime, why: str, ending: bool = False) -> tuple[CallState, Actions]:
    """They are not told, or not whole; ``ending``: for the call or its recording is over."""
    telling = state.transfer.target
    if telling is None or (why == "hold" and not telling.sound):
        return state, ()  # whether they are outside is known soon, hold or not
    if telling.sound and transfer_consent.asks(state):
        return transfer_consent.stopped(state, at, why, ending)
    untold = (WriteMark("joined_untold", at, (("reason", why), *place(state))),) if telling.sound else ()
    return silent(state), untold


def back(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """A hold is over: who was not told whole is told now."""
    unknown = state.transfer.informed and not known(state)
    if (
        state.phase is not Phase.ANNOUNCED
        or state.recording.over
        or state.transfer.target
        or not state.internal.leg
    ):
        return state, ()
    return _tell(state, at) if unknown else (state, ())


def found(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """The daemon is back, and the switch says who is there: ``event.other``, empty where nobody is."""
    if state.phase is not Phase.ANNOUNCED:
        return state, ()
    if state.recording.over:
        return _ended(state, event)
    state, unseen = _unseen(state, event.at)
    if state.recording.over:
        return state, unseen
    before = state.internal.leg or state.internal.last_seen
    # An Accord of before noted no legs.
    alike = before == UNKNOWN and event.other and state.internal.party in (event.party, None)
    before = event.other if alike else before
    if event.other == before:
        state, actions = joined(
            replace(state, internal=replace(state.internal, leg=before, last_seen="")), event.at
        )
        if before and state.transfer.target is None and not state.plan.at_pickup:
            # Whether it was asked about them is not known.
            state, actions = (
                replace(state, transfer=replace(state.transfer, target=TransferTarget(before))),
                (*actions, Do.LOOK),
            )
        return state, (*unseen, *actions)
    later = (("seen", "later"),)
    left: Actions = (WriteMark("unbridged", event.at, (*left_data(state), *later)),) if before else ()
    left = (*unseen, *left)
    if not event.other:
        return replace(state, internal=replace(state.internal, leg="", last_seen="")), left
    came = WriteMark("bridged", event.bridged_at or event.at, (*bridged_data(event), *later))
    state = replace(
        state,
        internal=replace(
            state.internal,
            connected=True,
            leg=event.other,
            party=event.party or state.internal.party,
            last_seen="",
        ),
    )
    state, actions = joined(state, event.at)
    return state, (*left, came, *actions)


def _unseen(state: CallState, at: datetime) -> tuple[CallState, Actions]:
    """Whom we were telling has heard the sound by now, as far as anybody knows: nobody is told twice."""
    telling = state.transfer.target
    if telling is None or not telling.sound:
        return replace(state, transfer=replace(state.transfer, target=None)), ()
    if transfer_consent.asks(state):
        return transfer_consent.stopped(state, at, "unobserved")
    known = names(telling.leg, state.internal.party)
    state, untold = stopped(state, at, "unobserved")
    return replace(state, transfer=replace(state.transfer, informed=state.transfer.informed | known)), untold


def _ended(state: CallState, event: CallReconciled) -> tuple[CallState, Actions]:
    """What ends the take may not have come to the switch."""
    return state, (Do.STOP,) if event.capturing else ()


_TOLD: Final = frozenset({"announcement_finished", "joined_told", "joined_answered"})
"""Whoever is there after one of these knows."""


def remembered(state: CallState, notes: Iterable[WriteMark]) -> CallState:
    """What an earlier daemon wrote down of who was there, and who was told."""
    leg, at_pickup = "", state.plan.at_pickup
    joining = state.script.joining
    for note in notes:
        said = dict(note.data)
        if note.kind == "bridged":
            leg = said.get("leg", "" if "in" in said else UNKNOWN)
            state = replace(
                state, internal=replace(state.internal, party=party_of(said) or state.internal.party)
            )
        elif note.kind == "unbridged":
            leg = ""
        elif note.kind == "joined_telling" and joining is not None:
            state = replace(
                state,
                transfer=replace(
                    state.transfer, target=TransferTarget(said.get("leg", leg), joining.sound.path, note.at)
                ),
            )
        elif note.kind in ("joined_told", "joined_untold", "joined_answered"):
            state = replace(state, transfer=replace(state.transfer, target=None))
        elif note.kind in ("transferred_outside", "joined_refused"):
            state = replace(
                state,
                recording=replace(state.recording, over=True),
                transfer=replace(state.transfer, target=None),
            )
        # The first on the line; at pick-up, who heard the announcement; and who was told.
        first = note.kind == "bridged" and not (at_pickup or state.transfer.informed)
        if first or (note.kind in _TOLD and "in" not in said):
            state = replace(
                state,
                transfer=replace(
                    state.transfer, informed=state.transfer.informed | names(leg, state.internal.party)
                ),
            )
    return replace(state, internal=replace(state.internal, last_seen=leg))
