"""The two kinds of connection to a FreeSWITCH: the standing connection, and the socket that a call arrives
on."""

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

TURN: Final = 64
"""How many connections are refused in a row: if refusing were slower, they would fill the backlog, and
calls would wait."""


class Inbound(Connection, greenswitch.InboundESL):  # type: ignore[misc]  # greenswitch has no types
    """A connection that we open: log in, subscribe, command.

    Handlers are registered with ``register_handle(name, handler)``, as in greenswitch, before
    :meth:`connect`. It is used once: after it has closed, create another
    (:class:`recorder.switch.standing_connection.Node` does)."""

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

        Replaces greenswitch's, which waits for ever on a silent peer. Raises :class:`SwitchError`:
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
                        "look at apply-inbound-acl in event_socket.conf.xml",
                    )
                self.authenticate()
        except gevent.Timeout as passed:
            self.close("no log-in in time")
            if passed is not limit:
                raise
            raise SwitchError(
                "switch.timeout",
                f"FreeSWITCH at {where} did not let us log in within {self.timeout:g} s",
                "is it overloaded or stopped?",
            ) from None
        except OSError as error:
            self.close("not reached")
            raise SwitchError(
                "switch.away",
                f"FreeSWITCH at {where} cannot be reached: {error}",
                "is it running, and does mod_event_socket listen there?",
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
    """A connection that the dialplan's ``socket`` opens for one call, or a peer that pretends to be it.

    Call :meth:`connect` first; then send commands, pipelined: :meth:`execute` returns at once, and the
    commands run in order. When the socket closes, the dialplan goes on.

    ``owner`` is the user id at the other end, where that is on this machine. The session is ``quiet``
    until the peer is known to be the switch."""

    max_body = MAX_HEAD
    """It receives one channel's events, and short answers."""

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
        # greenswitch's reader is unused, and a file over a socket keeps it open.
        self.sock_file.close()
        # greenswitch registers handlers that read whole events; ours are registered where they are needed.
        self.event_handlers.clear()

    def start_event_handlers(self) -> None:
        """Called by greenswitch's constructor once there is a socket."""
        self.adopt(self.sock)
        super().start_event_handlers()

    def connect(self, limit: float | None = None) -> Mapping[str, str]:
        """Take over the call and return the channel's data. Raises :class:`SwitchError` as :meth:`send`.

        Replaces greenswitch's: a time limit, and headers framed safely."""
        if self.session_data is None:
            self._taken(self.send(commands.connect(), limit))
        data: Mapping[str, str] = self.session_data or {}
        return data

    def introduce(self, question: SwitchCommand, limit: float) -> tuple[Mapping[str, str], str]:
        """:meth:`connect`, and the answer to a question that is sent in the same write, so that it costs
        the call no time. Raises as :meth:`send`."""
        connected, answered = self.send_all((commands.connect(), question), limit)
        data = self._taken(connected.wait())
        # The whole data is large, and belongs to the caller; a long call needs its id only.
        self.session_data = {"Unique-ID": data.get("Unique-ID", "")}
        return data, answered.wait().data

    def _taken(self, reply: Reply) -> Mapping[str, str]:
        if not reply.data.startswith("+OK"):
            raise SwitchError("switch.refused", f"FreeSWITCH refused connect: {reply.data}")
        self.session_data = reply.headers
        self._outbound_connected = True
        return reply.headers

    @property
    def uuid(self) -> str:
        """The channel's id. Replaces greenswitch's, which asks for ``variable_uuid``."""
        data: Mapping[str, str] = self.session_data or {}
        return data.get("Unique-ID", "")

    def execute(self, command: SwitchCommand, limit: float | None = None) -> PendingReply:
        """Send one of :mod:`~recorder.switch.commands`' applications without waiting for its reply."""
        return self.send_later(command, limit)

    def call_command(
        self,
        app_name: str,
        app_args: str | None = None,
        block: bool = False,
        response_timeout: float | None = None,
    ) -> Reply:
        """Replaces greenswitch's, which builds the command from any string: checked, with a time limit.
        Events report that an application has *ended*, so ``block`` is refused."""
        if block:
            raise TypeError("wait for CHANNEL_EXECUTE_COMPLETE instead")
        return self.send(commands.execute(app_name, app_args or ""), response_timeout)

    def myevents(self) -> None:
        """Replaces greenswitch's: subscribe to this channel's events, with a time limit."""
        self.send_later(commands.my_events()).accepted()

    def linger(self, timeout: int | None = None) -> None:
        """Replaces greenswitch's: stay connected for the call's last events, in seconds."""
        self.send_later(commands.linger(60 if timeout is None else timeout)).accepted()


class OutboundServer(greenswitch.OutboundESLServer):  # type: ignore[misc]
    """The server that calls arrive on. ``handler`` is called with an :class:`OutboundSession` in a greenlet
    for each call.

    No call is refused because there are too many, for that would cost its recording; ``connection_count``
    is a number to watch, no limit. What is limited is the number of connections that the handler has not
    admitted yet (:meth:`admit`): ``waiting`` says how, and ``crowded`` is called with the owner of each
    that finds no place. When the handler returns or raises, the socket is closed and the call's dialplan
    goes on."""

    def __init__(
        self,
        host: str,
        port: int,
        handler: Callable[[OutboundSession], object],
        *,
        waiting: UnverifiedConnections,
        crowded: Callable[[int | None], object],
        owner: Callable[[socket.socket], int | None] = peer_uid,
        backlog: int = 1024,
        limits: ConnectionLimits | None = None,
    ) -> None:
        """``port`` 0 takes a free one; see ``bound_port``."""
        super().__init__(host, port, application=handler)
        self._waiting = waiting
        self._crowded = crowded
        self._owner = owner
        self._visits: dict[OutboundSession, UnverifiedConnection] = {}
        self.backlog = backlog
        self.limits = limits or ConnectionLimits()
        self.failures = 0
        self.listening = Event()
        self.stopping = Event()
        self.server: socket.socket | None = None

    def adopt(self, server: socket.socket) -> bool:
        """Accept from a socket that another process has bound; return whether it has the right port."""
        host, port = server.getsockname()[:2]
        if (host, port) != (self.bind_address, self.bind_port[0]):
            return False
        self.server = server
        self.bound_port = int(port)
        self.listening.set()
        return True

    def bind(self) -> int:
        """Bind the port, unless a socket was given; from now on calls wait in the backlog. Return the
        port. Raises ``switch.port``."""
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
        turned_away = 0
        while not self.stopping.is_set():
            try:
                sock, address = server.accept()
            except OSError as error:
                if self.stopping.is_set():
                    break
                # Out of file descriptors, for example: the call waits in the backlog, and the others go on.
                log.error("switch.accept_failed", error=str(error))
                gevent.sleep(0.05)
                continue
            visit = UnverifiedConnection(self._owner(sock))
            if not self._waiting.enter(visit):
                self._crowded(visit.owner)
                sock.close()
                turned_away += 1
                if turned_away % TURN == 0:
                    gevent.sleep(0)  # thousands of connections must not keep the hub from calls
                continue
            greenlet = gevent.spawn(self._accept_call, sock, address, visit)
            self._greenlets.add(greenlet)
            greenlet.link(self._greenlets.discard)

    def admit(self, session: OutboundSession) -> None:
        """The peer is the switch: it occupies no place any more, and is logged."""
        session.quiet = False
        if (visit := self._visits.pop(session, None)) is not None:
            self._waiting.leave(visit)

    def _accept_call(self, sock: socket.socket, address: Any, visit: UnverifiedConnection) -> None:
        """Replaces greenswitch's, which drops calls above ``max_connections``."""
        self.connection_count += 1
        session = None
        try:
            if visit.left:
                return  # it had to make room before its turn
            session = OutboundSession(address, sock, self.limits, visit.owner)
            visit.close = session.close
            self._visits[session] = visit
            self.application(session)
        except SwitchError as error:
            log.warning(
                "switch.call_lost", channel=repr(session.uuid if session else ""), error=error.message
            )
        except Exception as error:
            self.failures += 1
            metrics.UNHANDLED_ERRORS.inc()
            log.exception(
                "switch.call_failed", channel=repr(session.uuid if session else ""), error=str(error)
            )
        finally:
            self.connection_count -= 1
            self._waiting.leave(visit)
            if session is not None:
                self._visits.pop(session, None)
                session.close("the handler has ended")
            else:
                sock.close()

    def stop(self, limit: float = 5.0) -> None:
        """Accept no more calls and wait at most ``limit`` seconds for the current ones; then close their
        sockets, so that their dialplans go on. The port is free again, unless another process accepts from
        it: it is not shut down."""
        self.stopping.set()
        if self.server is not None:
            self.server.close()
            self.server = None
            gevent.sleep(0)  # the hub closes the descriptor
        gevent.joinall(list(self._greenlets), timeout=limit)
        gevent.killall(list(self._greenlets))
