"""The two kinds of event socket connection: inbound, which Accord opens, and outbound, which the dialplan
opens for a call."""

from __future__ import annotations

import socket as plain
from collections.abc import Callable, Mapping
from typing import Any, Final

import gevent
import structlog
from gevent import socket
from gevent.event import Event
from greenswitch import esl as greenswitch

from recorder import metrics
from recorder.errors import SwitchError
from recorder.socket_owner import peer_uid
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.connection import Connection, ConnectionLimits
from recorder.switch.dispatch import PendingReply
from recorder.switch.esl_events import Reply
from recorder.switch.framing import MAX_HEAD
from recorder.switch.unverified_connections import UnverifiedConnection, UnverifiedConnections

log = structlog.get_logger()

REFUSALS_IN_A_ROW: Final = 64
"""How many connections are refused before other greenlets run. If refusing were slower, they would fill the
backlog, and calls would wait."""


class Inbound(Connection, greenswitch.InboundESL):  # type: ignore[misc]  # greenswitch has no types
    """A connection that Accord opens: log in, subscribe, send commands.

    Register handlers with ``register_handle(name, handler)``, as in greenswitch, before :meth:`connect`. Use
    it once: after it has closed, create another (as :class:`recorder.switch.standing_connection.Node`
    does)."""

    def __init__(
        self,
        host: str,
        port: int,
        password: str,
        *,
        timeout: float = 5.0,
        limits: ConnectionLimits | None = None,
    ) -> None:
        """``timeout``: seconds for connecting and logging in together."""
        super().__init__(host, port, password, timeout, limits=limits)

    def connect(self) -> None:
        """Connect and log in.

        Replaces greenswitch's, which waits indefinitely for a silent peer. Raises :class:`SwitchError`:
        ``switch.away``, ``switch.timeout``, ``switch.password``, ``switch.access``."""
        where = f"{self.host}:{self.port}"
        limit = gevent.Timeout(self.timeout)
        try:
            with limit:
                self.adopt(socket.create_connection((self.host, self.port), timeout=self.timeout))
                self.start_event_handlers()
                self._auth_request_event.wait()
                if not self.connected:
                    raise SwitchError(
                        "switch.access",
                        f"FreeSWITCH at {where} ended the connection: {self.reason}",
                        "check apply-inbound-acl in event_socket.conf.xml",
                    )
                self.authenticate()
        except gevent.Timeout as expiry:
            self.close("log-in timed out")
            if expiry is not limit:
                raise
            raise SwitchError(
                "switch.timeout",
                f"logging in to FreeSWITCH at {where} took longer than {self.timeout:g} s",
                "check whether FreeSWITCH is overloaded or stopped",
            ) from None
        except OSError as error:
            self.close("not reached")
            raise SwitchError(
                "switch.away",
                f"FreeSWITCH at {where} cannot be reached: {error}",
                "start FreeSWITCH, and check that mod_event_socket listens there",
            ) from error
        except SwitchError:
            self.close("log-in failed")
            raise

    def authenticate(self) -> None:
        """Replaces greenswitch's, whose error is a ``ValueError``. Raises ``switch.password``."""
        reply = self.send(commands.auth(self.password), self.timeout)
        if not reply.data.startswith("+OK"):
            raise SwitchError(
                "switch.password",
                f"FreeSWITCH at {self.host}:{self.port} refuses the password",
                "set the same password here and in event_socket.conf.xml",
            )


class OutboundSession(Connection, greenswitch.OutboundSession):  # type: ignore[misc]
    """A connection that the dialplan's ``socket`` opens for one call, or that another process opens.

    Call :meth:`connect` first; then send commands, pipelined: :meth:`execute` returns at once, and the
    commands run in order. When the socket closes, the dialplan continues.

    ``owner`` is the peer's user id, if it is on this machine. The session is ``quiet`` until the peer is
    verified to be the switch."""

    max_body = MAX_HEAD
    """It receives only one channel's events, and short answers."""

    def __init__(
        self,
        client_address: Any,
        sock: socket.socket,
        limits: ConnectionLimits | None = None,
        owner: int | None = None,
    ) -> None:
        self.owner = owner
        self.quiet = True
        super().__init__(client_address, sock, limits=limits)
        self.session_data: Mapping[str, str] | None = None
        # greenswitch's reader is unused, and its file object would keep the socket open.
        self.sock_file.close()
        # greenswitch registers handlers that read whole events; Accord registers its own.
        self.event_handlers.clear()

    def start_event_handlers(self) -> None:
        """Take over the socket; called by greenswitch's constructor."""
        self.adopt(self.sock)
        super().start_event_handlers()

    def connect(self, limit: float | None = None) -> Mapping[str, str]:
        """Take over the call and return the channel's data. Raises :class:`SwitchError` as :meth:`send`.

        Replaces greenswitch's: with a time limit, and safe framing of headers."""
        if self.session_data is None:
            self._accept_reply(self.send(commands.connect(), limit))
        data: Mapping[str, str] = self.session_data or {}
        return data

    def introduce(self, query: SwitchCommand, limit: float) -> tuple[Mapping[str, str], str]:
        """:meth:`connect`, and return the answer to a query, too, which is sent in the same write and so
        costs the call no time. Raises as :meth:`send`."""
        connected, answered = self.send_all((commands.connect(), query), limit)
        data = self._accept_reply(connected.wait())
        # The complete data is large and belongs to the caller; the session keeps only the id.
        self.session_data = {"Unique-ID": data.get("Unique-ID", "")}
        return data, answered.wait().data

    def _accept_reply(self, reply: Reply) -> Mapping[str, str]:
        if not reply.data.startswith("+OK"):
            raise SwitchError(
                "switch.refused",
                f"FreeSWITCH refused connect: {reply.data}",
                "run `accord doctor`, which compares the switch's settings with what Accord needs",
            )
        self.session_data = reply.headers
        self._outbound_connected = True
        return reply.headers

    @property
    def uuid(self) -> str:
        """The channel's id. Replaces greenswitch's, which asks for ``variable_uuid``."""
        data: Mapping[str, str] = self.session_data or {}
        return data.get("Unique-ID", "")

    def execute(self, command: SwitchCommand, limit: float | None = None) -> PendingReply:
        """Send an ``execute`` of :mod:`~recorder.switch.commands` without waiting for its reply."""
        return self.send_later(command, limit)

    def call_command(
        self,
        app_name: str,
        app_args: str | None = None,
        block: bool = False,
        response_timeout: float | None = None,
    ) -> Reply:
        """Replaces greenswitch's, which builds the command from any string: validated, and with a time limit.
        ``block`` is refused, because only an event reports that an application has *ended*."""
        if block:
            raise TypeError("wait for CHANNEL_EXECUTE_COMPLETE instead")
        return self.send(commands.execute(app_name, app_args or ""), response_timeout)

    def myevents(self) -> None:
        """Replaces greenswitch's: subscribe to this channel's events, with a time limit."""
        self.send_later(commands.my_events()).accepted()

    def linger(self, timeout: int | None = None) -> None:
        """Replaces greenswitch's: stay connected for ``timeout`` seconds after the hang-up, for the last
        events."""
        self.send_later(commands.linger(60 if timeout is None else timeout)).accepted()


class OutboundServer(greenswitch.OutboundESLServer):  # type: ignore[misc]
    """Accepts calls. ``handler`` is called with an :class:`OutboundSession`, in a greenlet for each call.

    The number of calls is not limited, because a refused call would lose its recording; ``connection_count``
    is for monitoring. The number of connections that the handler has not yet admitted (:meth:`admit`) is
    limited by ``unverified``, and ``crowded`` is called with the owner of each refused one. When the handler
    returns or raises, the socket is closed and the call's dialplan continues."""

    def __init__(
        self,
        host: str,
        port: int,
        handler: Callable[[OutboundSession], object],
        *,
        unverified: UnverifiedConnections,
        crowded: Callable[[int | None], object],
        owner: Callable[[socket.socket], int | None] = peer_uid,
        backlog: int = 1024,
        limits: ConnectionLimits | None = None,
    ) -> None:
        """``port`` 0 binds a free port; see ``bound_port``."""
        super().__init__(host, port, application=handler)
        self._unverified = unverified
        self._crowded = crowded
        self._owner = owner
        self._unadmitted: dict[OutboundSession, UnverifiedConnection] = {}
        self.backlog = backlog
        self.limits = limits or ConnectionLimits()
        self.failures = 0
        self.listening = Event()
        self.stop_event = Event()
        self.server: socket.socket | None = None

    def adopt(self, server: socket.socket) -> bool:
        """Accept from a socket that another process has bound; return whether its address is the configured
        one."""
        host, port = server.getsockname()[:2]
        if (host, port) != (self.bind_address, self.bind_port[0]):
            return False
        self.server = server
        self.bound_port = int(port)
        self.listening.set()
        return True

    def bind(self) -> int:
        """Bind the port, unless a socket was adopted, and return it. From now on calls wait in the backlog.
        Raises ``switch.port``."""
        if self.server is not None:
            return self.bound_port
        server = socket.socket(plain.AF_INET6 if ":" in self.bind_address else plain.AF_INET)
        try:
            server.setsockopt(plain.SOL_SOCKET, plain.SO_REUSEADDR, 1)
            server.bind((self.bind_address, self.bind_port[0]))
            server.listen(self.backlog)
        except OSError as error:
            server.close()
            raise SwitchError(
                "switch.port",
                f"cannot listen on {self.bind_address}:{self.bind_port[0]}: {error.strerror}",
                "is another daemon running? the dialplan's socket names this port",
            ) from error
        self.server = server
        self.bound_port = int(server.getsockname()[1])
        self.listening.set()
        return self.bound_port

    def listen(self) -> None:
        """Accept calls until :meth:`stop`.

        Replaces greenswitch's, which polls every 0.1 s with a backlog of 100 and ends the process when the
        port is taken."""
        if self.server is None:
            self.bind()
        server = self.server
        assert server is not None
        refused = 0
        while not self.stop_event.is_set():
            try:
                sock, address = server.accept()
            except OSError as error:
                if self.stop_event.is_set():
                    break
                # For example, no descriptors are left: the call waits in the backlog, and others continue.
                log.error("switch.accept_failed", error=str(error))
                gevent.sleep(0.05)
                continue
            connection = UnverifiedConnection(self._owner(sock))
            if not self._unverified.enter(connection):
                self._crowded(connection.owner)
                sock.close()
                refused += 1
                if refused % REFUSALS_IN_A_ROW == 0:
                    gevent.sleep(0)  # thousands of connections must not block calls
                continue
            greenlet = gevent.spawn(self._accept_call, sock, address, connection)
            self._greenlets.add(greenlet)
            greenlet.link(self._greenlets.discard)

    def admit(self, session: OutboundSession) -> None:
        """The peer is the switch: it no longer counts as unverified, and its actions are logged."""
        session.quiet = False
        if (connection := self._unadmitted.pop(session, None)) is not None:
            self._unverified.leave(connection)

    def _accept_call(self, sock: socket.socket, address: Any, connection: UnverifiedConnection) -> None:
        """Replaces greenswitch's, which drops calls above ``max_connections``."""
        self.connection_count += 1
        session = None
        try:
            if connection.evicted:
                return  # evicted before this greenlet ran
            session = OutboundSession(address, sock, self.limits, connection.owner)
            connection.close = session.close
            self._unadmitted[session] = connection
            self.application(session)
        except SwitchError as error:
            log.warning(
                "switch.call_lost", channel=repr(session.uuid if session else ""), error=error.message
            )
        except Exception as error:
            # A bug costs this call its recording: its socket closes, and its dialplan continues.
            self.failures += 1
            metrics.UNHANDLED_ERRORS.inc()
            log.exception(
                "switch.call_failed", channel=repr(session.uuid if session else ""), error=str(error)
            )
        finally:
            self.connection_count -= 1
            self._unverified.leave(connection)
            if session is not None:
                self._unadmitted.pop(session, None)
                session.close("the handler has ended")
            else:
                sock.close()

    def stop(self, limit: float = 5.0) -> None:
        """Stop accepting calls and wait at most ``limit`` seconds for the current ones; then close their
        sockets, so that their dialplans continue. The listening socket is closed but not shut down, because
        another process may accept from it."""
        self.stop_event.set()
        if self.server is not None:
            self.server.close()
            self.server = None
            gevent.sleep(0)  # the hub closes the descriptor
        gevent.joinall(list(self._greenlets), timeout=limit)
        gevent.killall(list(self._greenlets))
