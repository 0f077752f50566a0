"""The plan of a call: what its line does, and the sounds that it plays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

Mode = Literal["notice", "opt-out", "opt-in"]


NOTICE: Final = "notice"


OPT_OUT: Final = "opt-out"


OPT_IN: Final = "opt-in"


MODES: tuple[Mode, ...] = (NOTICE, OPT_OUT, OPT_IN)
"""The modes of a line, the laxest first: announce; announce, and stop on a refusal; ask first, and record
only on a yes."""


ALONE, BOTH = "alone", "both"


WAYS: Final = (ALONE, BOTH)
"""How a colleague who joins later hears that the call is recorded."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A sound that the switch plays: its path, and its length."""

    path: str
    length: timedelta


@dataclass(frozen=True, slots=True)
class DeleteScript:
    """The sounds of a line on which colleagues may delete a recording during the call: the ``question`` to
    the colleague alone, and ``deleted`` to both."""

    question: Speech
    deleted: Speech


@dataclass(frozen=True, slots=True)
class Script:
    """The sounds of a call in one language. ``question``: in opt-in the question before anything is
    recorded, in opt-out the reminder after a key that means nothing. ``declined``: the call is not
    recorded. ``delete`` is set where colleagues may delete it."""

    announcement: Speech
    question: Speech | None = None
    declined: Speech | None = None
    keep: KeepScript | None = None
    delete: DeleteScript | None = None
    transfer_notice: TransferNoticeScript | None = None


@dataclass(frozen=True, slots=True)
class TransferNoticeScript:
    """The transfer notice, and who hears it: the colleague who joins alone (``alone``), or with the
    external party (``both``). Where they are asked for consent, the ``sound`` asks, and ``refused`` says
    that the call is not recorded."""

    sound: Speech
    how: str = ALONE
    refused: Speech | None = None


@dataclass(frozen=True, slots=True)
class KeepScript:
    """The sounds of the keep question. Without a ``question`` the colleague asks in their own words, after
    the ``cue``. ``destroy``: after a no the recording is destroyed at the call's end; otherwise it is kept
    as announced. ``at_start``: the line asks by itself, as soon as two speak."""

    question: Speech | None
    cue: Speech
    yes: Speech
    no: Speech
    none: Speech
    destroy: bool = False
    at_start: bool = False


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What happens in a call. A line with several languages plays the ``menu``: key 1 is the first script,
    which also plays when nothing is pressed. ``at_pickup``: the announcement plays to both once somebody
    answers; only in notice mode, and in one language. ``beep``: who hears a tone at an interval, if anybody.
    ``outbound``: the callee hears the prompts, after answering and before being connected."""

    mode: str
    scripts: tuple[Script, ...]
    menu: Speech | None = None
    at_pickup: bool = False
    beep: str = ""
    outbound: bool = False
