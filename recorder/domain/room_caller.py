"""Callers to rooms: what the daemon reports of them to the worker, and what it is to do with them.

They travel over a Unix socket (``spool/caller_socket.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from recorder.strict_json import Strict, one_of

CODE: Final = "code"
ANSWER: Final = "answer"
END: Final = "end"
PASSED: Final = "passed"
STEPS: Final = (CODE, ANSWER, END, PASSED)
"""What is reported of callers; ``PASSED``: another node has passed them on to this one."""

RETRY: Final = "retry"
ASK: Final = "ask"
ENTER: Final = "enter"
LEAVE: Final = "leave"
FORWARD: Final = "forward"
"""Where a caller goes next: to enter a code once more, to answer a question, into the room, out, or to the
room's node."""

SESSION_VARIABLE: Final = "accord_room_session"
"""The variable of a caller's channel with the id of the session in which they were admitted."""

CALLEE_VARIABLE: Final = "accord_room_callee"
"""The variable of a channel that was called, and did not call, with its number."""


@dataclass(frozen=True, slots=True)
class CallerReport(Strict):
    """What somebody on a ``channel`` did: entered a ``code`` or an ``answer`` (``keys``), calling from
    ``number`` or called at it; came from another node with its token (``keys``); or ended the call, which had
    a ``session`` once they were in a room."""

    channel: str
    step: Annotated[str, one_of(STEPS)]
    keys: str = ""
    number: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class CallerDirection(Strict):
    """Where a caller goes; they hear the file ``sound`` there. ``room`` is the one that they enter (its
    dispute's id), in a ``session`` of their own; or the room is on another node, which is at ``address``
    and takes them by a ``token``."""

    to: Annotated[str, one_of((RETRY, ASK, ENTER, LEAVE, FORWARD))]
    sound: str = ""
    room: str = ""
    session: str = ""
    address: str = ""
    token: str = ""
