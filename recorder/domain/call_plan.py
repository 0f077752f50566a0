"""What a line does in a call and what it says there: the plan that a call starts with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

Mode = Literal["notice", "opt-out", "opt-in"]


NOTICE: Final = "notice"


OPT_OUT: Final = "opt-out"


OPT_IN: Final = "opt-in"


MODES: tuple[Mode, ...] = (NOTICE, OPT_OUT, OPT_IN)
"""What a line does before the conversation, the laxest first: tell; tell and let refuse; ask first, and
record on a yes."""


ALONE, BOTH = "alone", "both"


WAYS: Final = (ALONE, BOTH)
"""How a colleague who joins later is told that the call is recorded."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A sound that the switch plays: its path, and how long it is."""

    path: str
    length: timedelta


@dataclass(frozen=True, slots=True)
class DeleteScript:
    """What is said where a colleague may have a recording destroyed in the call: the ``question`` to them
    alone, whether they mean it, and to both that it is ``deleted``."""

    question: Speech
    deleted: Speech


@dataclass(frozen=True, slots=True)
class Script:
    """What a call is told in one language.  ``question``: in opt-in what is asked before anything is
    recorded, in opt-out what is said after a key that means nothing.  ``declined``: that it is not
    recorded.  ``delete`` is there where colleagues may have it destroyed."""

    announcement: Speech
    question: Speech | None = None
    declined: Speech | None = None
    keep: KeepScript | None = None
    delete: DeleteScript | None = None
    joining: JoiningScript | None = None


@dataclass(frozen=True, slots=True)
class JoiningScript:
    """What a colleague who joins later is told, and how: ``alone``, or with the outside party (``both``).
    Where they are asked, too, the ``sound`` asks, and ``refused`` says that the call is not recorded."""

    sound: Speech
    how: str = ALONE
    refused: Speech | None = None


@dataclass(frozen=True, slots=True)
class KeepScript:
    """What is said about keeping the recording, in the call.  Without a ``question`` the colleague asks in
    their own words, after the ``cue``.  ``destroy``: on a no it is destroyed at the call's end, else it is
    kept as announced.  ``at_start``: asked by itself, as soon as they speak."""

    question: Speech | None
    cue: Speech
    yes: Speech
    no: Speech
    none: Speech
    destroy: bool = False
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What a line does before the conversation.  Where it speaks several languages, the ``menu`` lets
    choose: key 1 is the first script, and who presses nothing is told in that one.  ``at_pickup``: nothing
    is said before somebody answers, then both are told; only to tell, and in one language.  ``beep``: who
    hears a tone at an interval, if anybody.  ``outbound``: it is the callee who is spoken to, once they have
    answered and before they are connected."""

    mode: str
    scripts: tuple[Script, ...]
    menu: Speech | None = None
    at_pickup: bool = False
    beep: str = ""
    outbound: bool = False
