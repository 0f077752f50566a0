"""The socket on which the worker answers the daemon's questions about callers to rooms.

The daemon has neither the catalogue nor a key, and no call of anybody's else waits for an answer. A report is
a line of JSON, and so is the answer. Without a worker the connection fails at once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from recorder.domain.room_caller import CallerDirection, CallerReport
from recorder.spool.atomic_files import share_folder
from recorder.spool.command_socket import MAX_BYTES, encode_line, socket_path
from recorder.strict_json import Form, parse

SOCKET: Final = ".callers"
"""Name of the socket in the spool."""

TIMEOUT: Final = 8.0
"""Seconds that the worker has for an answer: it may wait for the catalogue."""

READ_TIMEOUT: Final = 1.0
"""Seconds in which a whole report arrives: the daemon sends it at once."""

_REPORT: Final = Form[CallerReport](CallerReport)
_DIRECTION: Final = Form[CallerDirection](CallerDirection)


def report_caller(spool: Path, report: CallerReport) -> CallerDirection | None:
    """Report a caller's step to the worker of this spool, and return its answer; ``None`` if none answers.
    Raises nothing."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT)
            with socket_path(spool, SOCKET) as name:
                connection.connect(name)
            connection.sendall(encode_line(_REPORT.write(report)))
            with connection.makefile("rb") as replies:
                return _DIRECTION.read(parse(replies.readline(MAX_BYTES), MAX_BYTES))
    except (OSError, ValueError):
        return None


class CallerServer:
    """The worker's side. Only the daemon's user, which is the worker's too, may connect; the switch's is in
    the spool's group and must not."""

    def __init__(self, spool: Path) -> None:
        """Listen. The worker that holds the spool alone does, so a socket that is there is stale. Raises
        ``OSError``."""
        share_folder(spool)
        (spool / SOCKET).unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        with socket_path(spool, SOCKET) as name:
            self._socket.bind(name)
        (spool / SOCKET).chmod(0o600)
        self._socket.listen(64)

    def serve(self, seconds: float, answer: Callable[[CallerReport], CallerDirection]) -> bool:
        """Answer the next report, if one arrives within so many seconds; returns whether one did. Raises
        ``OSError``, ``ValueError`` for what is no report, and what ``answer`` raises."""
        self._socket.settimeout(seconds)
        try:
            connection, _ = self._socket.accept()
        except TimeoutError:
            return False
        with connection:
            connection.settimeout(READ_TIMEOUT)
            with connection.makefile("rb") as lines:
                report = _REPORT.read(parse(lines.readline(MAX_BYTES), MAX_BYTES))
            connection.sendall(encode_line(_DIRECTION.write(answer(report))))
        return True

    def close(self) -> None:
        self._socket.close()
