"""One event socket connection: greenswitch's protocol with Accord's own framing, sending and lifecycle.

Every connection, the standing one and a call's own, follows these rules:

* Each command has its own time limit and gets its own reply. Replies come in the order of the commands, so a
  command that timed out keeps its place in the queue, and its late reply is dropped.
* A write is complete or ends the connection, and has a time limit, too.
* Each handler has its own queue and greenlet: a slow handler delays no other, and its exceptions are logged
  and counted.
* Malformed bytes, a dead peer (TCP keepalive and user timeout) and an overflowing queue end the connection,
  and every waiting command fails.
"""

from __future__ import annotations

import errno
import socket as plain
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import gevent
import structlog
from gevent import socket
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from greenswitch.esl import ESLProtocol

from recorder import metrics
from recorder.errors import SwitchError
from recorder.switch.commands import SwitchCommand, leave
from recorder.switch.dispatch import Handler, Lane, PendingReply
from recorder.switch.esl_events import EslEvent, Reply
from recorder.switch.framing import EVENT, MAX_BODY, Frame, Framer

log = structlog.get_logger()

READ_SIZE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Time limits in seconds, and the queue size, of one connection.

    ``reply`` is for a command without its own limit, ``write`` for one whole write, ``connect`` for
    connecting and logging in. ``silence``: how long TCP data may remain unacknowledged before the kernel
    considers the peer dead. ``backlog``: how many events (up to 10 KB each) a handler may be behind.
    """

    connect: float = 5.0
    reply: float = 5.0
    write: float = 5.0
    silence: float = 10.0
    backlog: int = 20_000


class Connection(ESLProtocol):  # type: ignore[misc]  # greenswitch has no types
    """greenswitch's ``ESLProtocol`` with its unsafe parts replaced; see the module's docstring."""

    limits: ConnectionLimits
    max_body: int = MAX_BODY
    """Maximum size of one body from the peer, in bytes."""
    quiet: bool = False
    """The peer is unverified: its actions are neither logged nor counted."""

    def __init__(self, *args: Any, limits: ConnectionLimits | None = None, **options: Any) -> None:
        self.limits = limits or ConnectionLimits()
        self.closed = Event()
        self.reason = ""
        self.left_by_peer = False
        """Whether the peer ended the connection."""
        self._pending: deque[PendingReply] = deque()
        self._write_lock = BoundedSemaphore(1)
        self._lanes: dict[Handler, Lane] = {}
        self._on_close: list[Callable[[str], object]] = []
        super().__init__(*args, **options)

    # --- lifecycle

    def adopt(self, sock: socket.socket) -> None:
        """Take over a connected socket: disable Nagle's algorithm, and detect dead peers."""
        sock.setsockopt(plain.IPPROTO_TCP, plain.TCP_NODELAY, 1)
        sock.setsockopt(plain.SOL_SOCKET, plain.SO_KEEPALIVE, 1)
        silence = max(3, int(self.limits.silence))
        sock.setsockopt(plain.IPPROTO_TCP, plain.TCP_KEEPIDLE, max(1, silence // 3))
        sock.setsockopt(plain.IPPROTO_TCP, plain.TCP_KEEPINTVL, max(1, silence // 3))
        sock.setsockopt(plain.IPPROTO_TCP, plain.TCP_KEEPCNT, 2)
        sock.setsockopt(plain.IPPROTO_TCP, plain.TCP_USER_TIMEOUT, silence * 1000)
        sock.settimeout(None)
        self.sock = sock
        self.connected = True

    def start_event_handlers(self) -> None:
        """Replaces greenswitch's: starts one reader; handlers have their own greenlets."""
        self._receive_events_greenlet = gevent.spawn(self.receive_events)

    def on_close(self, call: Callable[[str], object]) -> None:
        """Call ``call`` with the reason when the connection ends, or now if it has ended."""
        if self.closed.is_set():
            call(self.reason)
        else:
            self._on_close.append(call)

    def close(self, reason: str = "closed by us") -> None:
        """End the connection now. Every command that waits for a reply fails with ``switch.gone``.
        Idempotent."""
        if self.closed.is_set():
            return
        self.reason = reason
        self.connected = False
        self._run = False
        self.closed.set()
        self._auth_request_event.set()
        sock = getattr(self, "sock", None)
        if sock is not None:
            with suppress(OSError):  # the peer may have closed it already
                sock.shutdown(plain.SHUT_RDWR)
            sock.close()
        error = self._closed_error()
        while self._pending:
            self._pending.popleft().fail(error)
        for lane in self._lanes.values():
            lane.finish()
        calls, self._on_close = self._on_close, []
        for call in calls:
            try:
                call(reason)
            except Exception:
                # The remaining callbacks must run, too.
                metrics.UNHANDLED_ERRORS.inc()
                log.exception("switch.close_failed")

    def stop(self) -> None:
        """Send ``exit``, wait for ``+OK bye`` for at most the reply limit, and close. Replaces greenswitch's,
        which waits without a limit."""
        if self.connected:
            with suppress(SwitchError):  # gone or silent: just close
                self.send(leave())
        self.close()

    def _closed_error(self) -> SwitchError:
        return SwitchError(
            "switch.gone",
            f"the connection to FreeSWITCH ended: {self.reason or 'not connected'}",
            "the daemon reconnects by itself; is FreeSWITCH running?",
        )

    # --- sending

    def send(self, data: SwitchCommand, limit: float | None = None) -> Reply:
        """Send a command and wait at most ``limit`` seconds for its reply.

        Replaces greenswitch's, which waits indefinitely, may write a part and takes any string. Raises
        :class:`SwitchError` ``switch.timeout``, ``switch.gone``."""
        return self.send_later(data, limit).wait()

    def api(self, command: SwitchCommand, limit: float | None = None) -> str:
        """Send an ``api`` command and return its answer. Raises as :meth:`send`, and ``switch.refused``."""
        answer: str = self.send_later(command, limit).accepted().data
        return answer

    def send_later(self, command: SwitchCommand, limit: float | None = None) -> PendingReply:
        """Send a command without waiting for its reply. Raises ``switch.gone``."""
        return self.send_all((command,), limit)[0]

    def send_all(self, commands: Iterable[SwitchCommand], limit: float | None = None) -> list[PendingReply]:
        """Send several commands in one write, in order, without waiting for replies."""
        seconds = self.limits.reply if limit is None else limit
        replies = []
        for command in commands:
            if not isinstance(command, SwitchCommand):
                raise TypeError("only commands of recorder.switch.commands are sent to the switch")
            replies.append(PendingReply(command, seconds, quiet=self.quiet))
        wire = b"".join(pending.command.wire for pending in replies)
        if not self.connected:
            raise self._closed_error()
        if not self._write_lock.acquire(timeout=self.limits.write):
            self.close("another write did not end in time")
            raise self._closed_error()
        try:
            if not self.connected:
                raise self._closed_error()
            # Queue them before writing, so that no reply can precede its command.
            self._pending.extend(replies)
            for pending in replies:
                pending.start()
            self._write(wire)
        finally:
            self._write_lock.release()
        return replies

    def _write(self, wire: bytes) -> None:
        """Write all bytes or end the connection: the switch could not parse anything after a partial
        write."""
        limit = gevent.Timeout(self.limits.write)
        try:
            with limit:
                self.sock.sendall(wire)
        except OSError as error:
            self.close(f"write failed: {_errno(error)}")
            raise self._closed_error() from error
        except BaseException as error:
            self.close(f"a write did not end within {self.limits.write:g} s")
            if error is limit:
                raise self._closed_error() from None
            raise

    # --- receiving

    def receive_events(self) -> None:
        """Replaces greenswitch's: bytes are framed before anything is decoded, and malformed bytes end the
        connection."""
        framer = Framer(max_body=self.max_body)
        reason = "the switch closed the connection"
        try:
            while not self.closed.is_set():
                data = self.sock.recv(READ_SIZE)
                if not data:
                    self.left_by_peer = True
                    break
                for frame in framer.feed(data):
                    self.handle_event(frame)
                    if self.closed.is_set():
                        break
                if framer.error is not None:
                    if not self.quiet:
                        log.error("switch.malformed", error=str(framer.error))
                    reason = framer.error.message
                    break
                # A switch that keeps sending must not block the hub.
                gevent.sleep(0)
        except OSError as error:
            self.left_by_peer = not self.closed.is_set()
            reason = f"read failed: {_errno(error)}"
        except Exception as error:
            # A bug ends the connection like an error of the socket: everybody who waits must be told.
            metrics.UNHANDLED_ERRORS.inc()
            log.exception("switch.reader_failed")
            reason = f"reading failed: {error!r}"
        finally:
            self.close(self.reason or reason)

    def handle_event(self, event: Frame) -> None:
        """Replaces greenswitch's: reads the body of every kind of frame, and ends the connection at a reply
        without a command."""
        kind = event.kind
        if kind == EVENT:
            self.dispatch(EslEvent(event.body))
        elif kind in (b"command/reply", b"api/response"):
            if not self._pending:
                self.close("a reply without a command")
                return
            pending = self._pending.popleft()
            if not pending.settle(Reply(event)):
                log.warning("switch.late_reply", command=str(pending.command))
        elif kind == b"auth/request":
            self._auth_request_event.set()
        elif kind == b"text/disconnect-notice":
            if b"\nContent-Disposition: linger\n" in event.head:
                self._lingering = True
            else:
                self.close("the switch ended the connection")
        elif kind == b"text/rude-rejection":
            self.close("the switch's access list refuses this address")
        else:
            log.debug("switch.unknown_frame", kind=kind.decode("ascii", "replace")[:60])

    def dispatch(self, event: EslEvent) -> None:
        """Pass an event to the handlers of its name (for CUSTOM, its subclass) or, if there are none, to
        those of ``*``, as greenswitch does."""
        key = event.name
        handlers = self.event_handlers.get(event.subclass if key == "CUSTOM" else key)
        if handlers is None:
            handlers = self.event_handlers.get("*")
            if handlers is None:
                return
        for handler in handlers:
            lane = self._lanes.get(handler)
            if lane is None:
                lane = self._lanes[handler] = Lane(handler, self.limits.backlog)
            if not lane.put(event):
                metrics.EVENTS_LOST.labels("backlog").inc()
                self.close(f"a handler is {self.limits.backlog} events behind")
                return

    def process_events(self) -> None:
        """Disables greenswitch's single queue for all handlers: each handler has a :class:`Lane`."""
        raise NotImplementedError("handlers have a Lane each")

    def join_handlers(self, limit: float) -> bool:
        """After the end, wait at most ``limit`` seconds until the handlers have processed all events; return
        whether they have."""
        joined = [lane.join(limit) for lane in self._lanes.values()]
        return all(joined)

    @property
    def handler_failures(self) -> int:
        """How often a handler raised an exception."""
        return sum(lane.failures for lane in self._lanes.values())


def _errno(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
