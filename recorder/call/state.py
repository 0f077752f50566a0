"""The values of a call: how far it is, what is known of it, and what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum


class Phase(IntEnum):
    """How far a call is."""

    ANNOUNCING = 0
    ANNOUNCED = 1
    UNRECORDED = 2
    ENDED = 3


class Do(StrEnum):
    """What the daemon can do for a call."""

    BEGIN = "begin"  # have the switch answer, record and announce
    AGAIN = "again"  # have it announce once more
    CONFIRM = "confirm"  # it was announced: the recording may go on
    FAIL = "fail"  # give up on recording it
    LET_GO = "let_go"  # let it go unrecorded, it was never begun
    LEAVE = "leave"  # hand the call back to the switch
    STOP = "stop"  # stop its recording from outside the call
    DISCARD = "discard"  # destroy what was captured


@dataclass(frozen=True, slots=True)
class Note:
    """Write down what happened (a :class:`recorder.take.spool.Mark`)."""

    kind: str
    at: datetime
    data: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """The call has ended; ``reason`` is ``None`` for a recorded one (``take.spool.CallEnd``)."""

    reason: str | None
    at: datetime
    inside: tuple[str, str] | None


Action = Do | Note | Finish
Actions = tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a call.  ``prompt`` is the path that the switch plays, ``length`` how long it is.

    ``spoiled``: this playing of the announcement was not heard whole.  ``told``: it was.  ``leaving``:
    the call's own socket is done with.  ``deadline``: when we give up.  ``turned``: when a hold last began
    or ended, since the announcement was ordered.  ``taped``: since when it is recorded, where we saw it
    begin.
    """

    prompt: str
    length: timedelta
    phase: Phase = Phase.ANNOUNCING
    reason: str | None = None
    tries: int = 1
    playing: bool = True
    spoiled: bool = False
    told: bool = False
    on_disk: bool = False
    leaving: bool = False
    held: bool = False
    turned: datetime | None = None
    capturing: bool = False
    captured: bool = False
    taped: datetime | None = None
    connected: bool = False
    hung_up: bool = False
    inside: tuple[str, str] | None = None
    deadline: datetime | None = field(default=None, compare=False)
