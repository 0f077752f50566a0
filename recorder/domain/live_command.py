"""Live commands: what the worker may order the daemon to do with a call, or on the phone, and the outcomes.

They travel over a Unix socket (``spool/command_socket.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from recorder.strict_json import Strict

DONE: Final = "done"
NO_ANSWER: Final = "no_answer"
"""Not carried out: no daemon took it in time."""
NO_SWITCH: Final = "no_switch"
"""Not carried out: the daemon has no connection to its switch."""
UNKNOWN: Final = "unknown"
"""The daemon took it, and its outcome is not known."""

NO_WAY_OUT: Final = "no_way_out"
"""Nobody was called: no dial string is set, or the switch cannot use it."""
BUSY: Final = "line_busy"
UNANSWERED: Final = "unanswered"

RING_SECONDS: Final = 40
"""How long a called number may ring, in seconds."""


@dataclass(frozen=True, slots=True)
class Request(Strict):
    """A command for a live call: ``id`` of the request, ``call`` the recording's id, ``action`` one of
    :data:`recorder.call.remote_commands.COMMANDS`, ``by`` its origin (panel, api), and ``until`` its deadline
    by ``time.monotonic()`` of this machine (0: only return the outcome)."""

    id: str
    call: str
    action: str
    by: str
    until: float


@dataclass(frozen=True, slots=True)
class CallOut(Strict):
    """A number to call and a sound to play: ``<id>.wav`` among the spool's outgoing sounds. With ``room``, a
    guest's language, who answers enters a code for a room instead. ``until`` as in :class:`Request`."""

    id: str
    number: str
    until: float
    room: str = ""
