"""A daemon hands over to the next one, so that a planned restart costs no call its recording.

The next daemon is started beside the current one, and connects to ``<spool>/.handover``. It receives the
socket that calls arrive on, prepares, and says that it is ready. From then on it accepts calls; the current
one accepts none, and finishes its announcements. Then it lets go of the rest, reports which calls it has
written, and ends: the switch goes on with its recordings, and the next daemon takes them over, as after any
restart. If the next daemon goes away before that, the current one goes on.

Nothing else passes between the two: they may be of different versions.
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
from recorder.domain.live_command import socket_path

log = structlog.get_logger()

SOCKET: Final = ".handover"

_GIVEN: Final = b"G"
_STOPPING: Final = b"S"
"""The answers of the current daemon, with the listening socket if it has one; the second where it was
asked to end."""
_READY: Final = b"R"

PATIENCE: Final = 30.0
"""Seconds that the next daemon may take until it is ready; if it hangs, it is killed sooner."""

ANSWER: Final = 3.0
"""Seconds that the current daemon may take to answer."""


class Successor:
    """The connection of the next daemon, at the current one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid: int = struct.unpack("3i", connection.getsockopt(plain.SOL_SOCKET, plain.SO_PEERCRED, 12))[0]

    def give(self, listener: socket.socket | None, ending: bool) -> bool:
        """Give it the socket that calls arrive on; return whether it became ready. Raises ``OSError``."""
        said = _STOPPING if ending else _GIVEN
        plain.send_fds(self._connection, [said], [] if listener is None else [listener.fileno()])
        self._connection.settimeout(PATIENCE)
        return self._connection.recv(1) == _READY

    def there(self, seconds: float) -> bool:
        """Wait at most so many seconds; return whether it is still there."""
        self._connection.settimeout(seconds)
        try:
            return bool(self._connection.recv(1))
        except TimeoutError:
            return True
        except OSError:
            return False

    def done(self, written: Iterable[str]) -> None:
        """Say that the rest is its, and which channels' calls are written."""
        try:
            self._connection.settimeout(ANSWER)
            self._connection.sendall(json.dumps(list(written)).encode())
        except OSError as error:
            log.warning("handover.end_failed", error=str(error))
        self._connection.close()


class Predecessor:
    """The current daemon, at the next one; ``listener`` is where calls arrive, if it still listens."""

    def __init__(self, connection: socket.socket, listener: socket.socket | None) -> None:
        self._connection = connection
        self.listener = listener

    @classmethod
    def ask(cls, spool: Path, replace: bool) -> Predecessor | None:
        """Ask the daemon that has this spool; ``None`` where it does not hand over: without ``replace``,
        only one that was asked to end does. Raises ``OSError`` where nobody answers."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(ANSWER)
            with socket_path(spool, SOCKET) as name:
                connection.connect(name)
            said, files, _, _ = plain.recv_fds(connection, 1, 1)
            listener = socket.socket(fileno=files[0]) if files else None
            if said not in (_GIVEN, _STOPPING):
                raise ConnectionResetError("no answer")
        except BaseException:
            connection.close()
            raise
        if said == _GIVEN and not replace:
            connection.close()
            if listener is not None:
                listener.close()
            return None
        return cls(connection, listener)

    def ready(self) -> bool:
        """Say that calls are accepted here from now on; ``False`` where it is gone, or waits no longer."""
        try:
            self._connection.sendall(_READY)
        except OSError as error:
            log.warning("handover.aborted", error=str(error))
            return False
        return True

    def ended(self) -> frozenset[str]:
        """Wait for its end; return the channels whose calls it has written."""
        self._connection.settimeout(None)
        said = b""
        try:
            while piece := self._connection.recv(65536):
                said += piece
            written = json.loads(said)
            return frozenset(each for each in written if isinstance(each, str))
        except (OSError, ValueError, TypeError) as error:
            log.warning("handover.aborted", error=str(error))  # it died
            return frozenset()
        finally:
            self._connection.close()


class Handover:
    """Listens in a spool for the next daemon, one at a time. ``to`` hands over to it."""

    def __init__(self, spool: Path, to: Callable[[Successor], object]) -> None:
        self._spool = spool
        self._to = to
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Start to listen. Where no socket can be created, calls will notice a restart, and that is
        logged."""
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
                    self._to(Successor(connection))
                except OSError as error:
                    log.warning("handover.aborted", error=str(error))
                    gevent.sleep(0.1)
                except Exception:
                    # A mistake of ours: logged, and the next one is answered all the same.
                    metrics.UNFORESEEN.inc()
                    log.exception("handover.failed")
