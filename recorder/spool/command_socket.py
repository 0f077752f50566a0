"""Live commands on their way from the worker to the daemon of the call's node, and back.

A command is a row in the catalogue (``features/live/queries.py``), which the daemon never opens. The node's
worker sends it over a Unix socket in the spool, as a line of JSON, and gets two lines back: ``{"taken":
true}`` before the command is carried out, and ``{"outcome": …}`` after. Without a daemon the connection fails
at once. A command that was not taken by its deadline is not carried out: the daemon checks the deadline
itself, by the machine's monotonic clock, which both processes share. The daemon remembers outcomes by the
command's id for a while, so that a worker may repeat a request after a reconnect, and nothing is carried out
twice.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from recorder.domain.live_command import NO_ANSWER, UNKNOWN, CallOut, Request
from recorder.domain.telephone_room import RoomAnswer, RoomRequest
from recorder.errors import SwitchError
from recorder.strict_json import Form, parse

SOCKET: Final = ".control"
"""Name of the socket in the spool."""

MAX_BYTES: Final = 4096
"""Maximum length of a line, in bytes."""

OUTGOING_SOUNDS: Final = ".outgoing"
"""Folder in the spool for the sounds of calls that the daemon makes."""

OUTCOME_TIMEOUT: Final = 3.0
"""Seconds that the daemon has to carry out a command that it took."""

_GRACE: Final = 0.5
"""Seconds after a deadline in which the reply to a command that was taken in time may still arrive."""

_REQUEST: Final = Form[Request](Request)
_CALL_OUT: Final = Form[CallOut](CallOut)
_ROOM_REQUEST: Final = Form[RoomRequest](RoomRequest)
_ROOM_ANSWER: Final = Form[RoomAnswer](RoomAnswer)

ROOM_BYTES: Final = 1024 * 1024
"""Maximum length of the answer about rooms, in bytes."""


def encode_line(body: dict[str, object]) -> bytes:
    """Return a JSON object as a line."""
    return json.dumps(body, sort_keys=True).encode() + b"\n"


def encode_answer(answer: RoomAnswer) -> bytes:
    """Return what the daemon says of rooms, as a line."""
    return encode_line(_ROOM_ANSWER.write(answer))


def parse_request(content: bytes) -> Request | CallOut | RoomRequest:
    """Return the request in a line. Raises ``ValueError`` for anything else."""
    body = _object(content)
    if "orders" in body:
        return _ROOM_REQUEST.read(body)
    return _CALL_OUT.read(body) if "number" in body else _REQUEST.read(body)


@contextmanager
def socket_path(spool: Path, socket: str = SOCKET) -> Iterator[str]:
    """Yield a path of the socket for ``bind`` and ``connect``. The kernel accepts 107 bytes, and the spool's
    own path may be longer. Raises ``OSError``."""
    folder = os.open(spool, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{socket}"
    finally:
        os.close(folder)


def send_request(spool: Path, request: Request | CallOut, timeout: float = OUTCOME_TIMEOUT) -> str:
    """Send a request to the daemon of this spool, and return the outcome: :data:`DONE`, :data:`NO_ANSWER`,
    :data:`NO_SWITCH`, :data:`UNKNOWN`, or why a command was refused
    (:data:`recorder.call.remote_commands.REFUSALS`) or nobody called (:data:`NO_WAY_OUT`, :data:`BUSY`,
    :data:`UNANSWERED`). ``timeout``: seconds from when the daemon took it. Raises nothing."""
    is_accepted = False
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(max(0.0, request.until - time.monotonic()) + _GRACE)
            with socket_path(spool) as name:
                connection.connect(name)
            connection.sendall(encode_line(asdict(request)))
            with connection.makefile("rb") as replies:
                is_accepted = bool(_object(replies.readline(MAX_BYTES)).get("taken"))
                connection.settimeout(timeout + _GRACE)
                outcome = _object(replies.readline(MAX_BYTES)).get("outcome") if is_accepted else None
    except (OSError, ValueError):
        outcome = None
    return outcome if isinstance(outcome, str) else UNKNOWN if is_accepted else NO_ANSWER


def send_room_request(spool: Path, request: RoomRequest) -> RoomAnswer:
    """Send orders for rooms' conferences to the daemon of this spool; they are carried out before it answers.
    Raises :class:`SwitchError` (``switch.gone``) where none answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(OUTCOME_TIMEOUT)
            with socket_path(spool) as name:
                connection.connect(name)
            connection.sendall(encode_line(_ROOM_REQUEST.write(request)))
            with connection.makefile("rb") as replies:
                return _ROOM_ANSWER.read(parse(replies.readline(ROOM_BYTES), ROOM_BYTES))
    except (OSError, ValueError) as error:
        raise SwitchError(
            "switch.gone", f"the daemon does not answer: {error}", "start the daemon: `accord daemon`"
        ) from error


def _object(content: bytes) -> dict[str, Any]:
    body = parse(content, MAX_BYTES)
    if not isinstance(body, dict):
        raise ValueError("not an object")
    return body
