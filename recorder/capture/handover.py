"""The protocol by which a daemon hands over to the next one, so that a planned restart costs no call its
recording.

The next daemon is started beside the current one, and connects to ``<spool>/.handover``. It receives the
socket that calls arrive on, prepares, and confirms that it is ready. From then on it accepts calls; the
current one accepts none, and finishes its announcements. The current daemon then releases its other calls,
reports the calls it has written, and ends. The switch keeps recording, and the next daemon takes these calls
over, as after any restart. If the next daemon ends before that, the current one resumes.

The two exchange nothing else, so their versions may differ.
"""

from __future__ import annotations

import json
import socket as plain
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import gevent
import structlog
from gevent import socket

from recorder import metrics
from recorder.capture.unix_socket import listen
from recorder.spool.command_socket import socket_path

log = structlog.get_logger()

SOCKET: Final = ".handover"

_OFFERS: Final = b"G"
_STOPS: Final = b"S"
"""The current daemon's answers, sent with its listening socket if it has one; the second if it was asked to
end."""
_READY: Final = b"R"

PATIENCE: Final = 30.0
"""Seconds that the next daemon may take to get ready; one that hangs is killed sooner."""

ANSWER: Final = 3.0
"""Seconds that the current daemon may take to answer."""


class Successor:
    """The connection of the next daemon, at the current one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid: int = struct.unpack("3i", connection.getsockopt(plain.SOL_SOCKET, plain.SO_PEERCRED, 12))[0]

    def offer(self, listener: socket.socket | None, daemon_stops: bool) -> bool:
        """Send it the socket that calls arrive on; return whether it became ready. Raises ``OSError``."""
        answer = _STOPS if daemon_stops else _OFFERS
        plain.send_fds(self._connection, [answer], [] if listener is None else [listener.fileno()])
        self._connection.settimeout(PATIENCE)
        return self._connection.recv(1) == _READY

    def is_alive(self, seconds: float) -> bool:
        """Wait at most ``seconds`` for its end; return whether it is still connected."""
        self._connection.settimeout(seconds)
        try:
            return bool(self._connection.recv(1))
        except TimeoutError:
            return True
        except OSError:
            return False

    def finish(self, written_channels: Iterable[str]) -> None:
        """Leave the remaining calls to it, and report the channels whose calls are written."""
        try:
            self._connection.settimeout(ANSWER)
            self._connection.sendall(json.dumps(list(written_channels)).encode())
        except OSError as error:
            log.warning("handover.end_failed", error=str(error))
        self._connection.close()


class Predecessor:
    """The connection to the current daemon, at the next one. ``listener`` is the socket that calls arrive on,
    if the current daemon still listens."""

    def __init__(self, connection: socket.socket, listener: socket.socket | None) -> None:
        self._connection = connection
        self.listener = listener

    @classmethod
    def connect(cls, spool: Path, replace: bool) -> Predecessor | None:
        """Connect to the daemon that holds this spool; ``None`` if it does not hand over. Without
        ``replace``, only a daemon that was asked to end does. Raises ``OSError`` if nobody answers."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(ANSWER)
            with socket_path(spool, SOCKET) as name:
                connection.connect(name)
            answer, files, _, _ = plain.recv_fds(connection, 1, 1)
            listener = socket.socket(fileno=files[0]) if files else None
            if answer not in (_OFFERS, _STOPS):
                raise ConnectionResetError("no answer")
        except BaseException:
            connection.close()
            raise
        if answer == _OFFERS and not replace:
            connection.close()
            if listener is not None:
                listener.close()
            return None
        return cls(connection, listener)

    def confirm_ready(self) -> bool:
        """Confirm that calls are accepted here from now on; ``False`` if it is gone, or no longer waits."""
        try:
            self._connection.sendall(_READY)
        except OSError as error:
            log.warning("handover.aborted", error=str(error))
            return False
        return True

    def wait_for_end(self) -> frozenset[str]:
        """Wait until it has ended; return the channels whose calls it has written."""
        self._connection.settimeout(None)
        report = b""
        try:
            while piece := self._connection.recv(65536):
                report += piece
            written_channels = json.loads(report)
            return frozenset(each for each in written_channels if isinstance(each, str))
        except (OSError, ValueError, TypeError) as error:
            log.warning("handover.aborted", error=str(error))  # it died
            return frozenset()
        finally:
            self._connection.close()


class Handover:
    """Listens in a spool for the next daemon, and calls ``hand_over`` with it."""

    def __init__(self, spool: Path, hand_over: Callable[[Successor], object]) -> None:
        self._spool = spool
        self._hand_over = hand_over
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Start to listen. If no socket can be created, that is logged, and a restart will cost calls their
        recordings."""
        try:
            server = listen(self._spool, SOCKET, 8)
        except OSError as error:
            log.error("handover.listen_failed", path=str(self._spool / SOCKET), error=str(error))
            return
        self._greenlet = gevent.spawn(self._serve, server)

    def stop(self) -> None:
        """Stop listening."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _serve(self, server: socket.socket) -> None:
        with server:
            while True:
                try:
                    connection, _ = server.accept()
                    self._hand_over(Successor(connection))
                except OSError as error:
                    log.warning("handover.aborted", error=str(error))
                    gevent.sleep(0.1)
                except Exception:
                    # A bug must not end the listener. Once calls were handed over, the daemon ends by itself.
                    metrics.UNHANDLED_ERRORS.inc()
                    log.exception("handover.failed")
