"""What a person asks of a live call, on its way from the worker to the daemon of the call's node, and back.

The catalogue has a row for it (``features/live/queries.py``); the daemon never opens the catalogue.  So the
node's worker carries it over a Unix socket in the spool: a line of JSON there, and two back, ``{"taken":
true}`` before anything is done and ``{"outcome": …}`` after it.  Who is not there refuses at once; who has
not taken it by its deadline does not do it, for the daemon looks at the deadline itself, by the machine's own
clock that both have.  What was done is remembered by its id for a while, so that a worker that comes back may
ask again, and nothing is done twice.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from recorder.strict_json import STRICT, Form, parse

SOCKET: Final = ".control"
"""In the spool."""

LONGEST: Final = 4096
"""Bytes of a line."""

DONE: Final = "done"
NO_ANSWER: Final = "no_answer"
"""Not done: it came to nobody, or too late."""
NO_SWITCH: Final = "no_switch"
"""Not done: the daemon has no connection to its switch."""
UNKNOWN: Final = "unknown"
"""It was taken, and nobody can say what became of it."""

NO_WAY_OUT: Final = "no_way_out"
"""Nobody was called: no dial string is set, or the switch cannot use it."""
BUSY: Final = "line_busy"
UNANSWERED: Final = "unanswered"

SAID: Final = ".said"
"""Folder in the spool, for sounds of calls that are made from here."""

RINGING: Final = 40
"""Seconds that a number that is called may ring."""

PATIENCE: Final = 3.0
"""Seconds that the daemon has for what it has taken."""

_GRACE: Final = 0.5
"""Seconds after a deadline in which it may still be said that it was taken just before."""


@dataclass(frozen=True, slots=True)
class Request:
    """Something asked of a call: ``id`` of the asking, ``call`` is the recording's id, ``action`` one of
    :data:`recorder.call.remote_commands.ASKABLE`, ``by`` (panel, api) where, and ``until`` when by
    ``time.monotonic()`` of this machine it is not to be done any more (0: only to hear what became of
    it)."""

    __pydantic_config__ = STRICT

    id: str
    call: str
    action: str
    by: str
    until: float


@dataclass(frozen=True, slots=True)
class CallOut:
    """A number to be called with a sound that lies in :data:`SAID` of the spool, as ``<id>.wav``; ``until``
    as of :class:`Request`."""

    __pydantic_config__ = STRICT

    id: str
    number: str
    until: float


_REQUEST: Final = Form[Request](Request)
_CALL_OUT: Final = Form[CallOut](CallOut)


def line(body: dict[str, object]) -> bytes:
    return json.dumps(body, sort_keys=True).encode() + b"\n"


def read(content: bytes) -> Request | CallOut:
    """What was asked.  Raises ``ValueError`` for anything else."""
    body = _object(content)
    return _CALL_OUT.read(body) if "number" in body else _REQUEST.read(body)


@contextmanager
def place(spool: Path, socket: str = SOCKET) -> Iterator[str]:
    """A socket's name for ``bind`` and ``connect``: the kernel takes 107 bytes of it, and a spool may lie
    deeper than that.  Raises ``OSError``."""
    folder = os.open(spool, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{socket}"
    finally:
        os.close(folder)


def carry(spool: Path, request: Request | CallOut, patience: float = PATIENCE) -> str:
    """Bring a request to the daemon of this spool, and return the outcome: :data:`DONE`, :data:`NO_ANSWER`,
    :data:`NO_SWITCH`, :data:`UNKNOWN`, or why it was refused
    (:data:`recorder.call.remote_commands.REFUSALS`; a call to be made: :data:`NO_WAY_OUT`, :data:`BUSY`,
    :data:`UNANSWERED`).  ``patience``: seconds for what was taken.  Raises nothing."""
    taken = False
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(max(0.0, request.until - time.monotonic()) + _GRACE)
            with place(spool) as name:
                connection.connect(name)
            connection.sendall(line(asdict(request)))
            with connection.makefile("rb") as answers:
                taken = bool(_object(answers.readline(LONGEST)).get("taken"))
                connection.settimeout(patience + _GRACE)
                said = _object(answers.readline(LONGEST)).get("outcome") if taken else None
    except (OSError, ValueError):
        said = None
    return said if isinstance(said, str) else UNKNOWN if taken else NO_ANSWER


def _object(content: bytes) -> dict[str, Any]:
    body = parse(content, LONGEST)
    if not isinstance(body, dict):
        raise ValueError("not an object")
    return body
