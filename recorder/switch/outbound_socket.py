"""The socket that calls arrive on: the dialplan's ``socket`` connects each call, with the variables it
set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gevent import socket

from recorder import socket_owner
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.switch.caller_id import called, caller, calling, from_line, outward
from recorder.switch.commands import SwitchCommand
from recorder.switch.connection import ConnectionLimits
from recorder.switch.esl import OutboundServer, OutboundSession
from recorder.switch.unverified_connections import UnverifiedConnections

BACKLOG: Final = 4096
"""Length of the accept queue; when it is full, the switch's ``connect()`` blocks calls."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as the dialplan handed it over.

    ``line`` (``accord_line``) and ``state`` (``accord_state``) were set by the dialplan after a strict match;
    ``external_party`` comes from a stranger, and so does ``calling``
    (:func:`recorder.switch.caller_id.calling`). ``channel`` is the switch's id of the leg.

    For an outbound call it is the callee's leg, and the dialplan set everything: ``external_party`` is the
    callee, ``internal_party`` the caller, ``calling`` both. ``context`` is the dialplan context that an
    inbound call came through."""

    channel: str
    line: str
    state: str
    direction: str
    external_party: Party
    calling: frozenset[str] = frozenset()
    internal_party: Party | None = None
    context: str = ""

    @property
    def new(self) -> bool:
        """Whether no daemon has taken the call yet, by the switch's own word."""
        return self.state == ("answered" if self.internal_party else "waiting")

    @classmethod
    def of(cls, data: Mapping[str, str], region: str | None = None) -> Arrival:
        """Read the reply to ``connect``."""
        if outward(data):
            return cls(
                channel=data.get("Unique-ID", ""),
                line=data.get("variable_accord_line", ""),
                state=data.get("variable_accord_state", ""),
                direction="outbound",
                external_party=called(data, region),
                calling=calling(data, region, "variable_accord_callee")
                | calling(data, region, "variable_accord_caller"),
                internal_party=from_line(data, region),
            )
        return cls(
            channel=data.get("Unique-ID", ""),
            line=data.get("variable_accord_line", ""),
            state=data.get("variable_accord_state", ""),
            direction=data.get("Call-Direction", ""),
            external_party=caller(data, region),
            calling=calling(data, region),
            context=data.get("variable_accord_context", ""),
        )


INTRODUCTION: Final = 3.0
"""Seconds for a new connection to say what call it is; the switch's own calls wait no longer, either."""

SILENT: Final = "silent"
CROWDED: Final = "crowded"
"""Why a connection is refused before anything is known about it."""


class Admission(Protocol):
    """Decides whether a peer is the switch: anybody on this machine can connect."""

    @property
    def question(self) -> SwitchCommand:
        """The command that is sent to a peer together with ``connect``. It reveals nothing."""

    def stranger(self, owner: int | None) -> bool:
        """Whether a process of this user is certainly not the switch."""

    def admit(self, data: Mapping[str, str], answer: str, owner: int | None) -> Mapping[str, str] | None:
        """Return the channel's data, as far as it can be trusted; ``None``, after logging and counting it,
        where the peer is not the switch. ``answer`` is its reply to :attr:`question`."""

    def refuse(self, why: str, owner: int | None) -> None:
        """Log and count a refused connection."""


class OutboundSocket:
    """Listens for calls. ``on_call`` gets each call that ``admission`` admits, with its connected session, in
    a greenlet of its own; when it returns or raises, the socket closes and the call's dialplan goes on. A
    peer that is not admitted is sent ``connect`` and a question, and nothing else.

    ``owner`` returns the user of the process at the other end of a connection."""

    def __init__(
        self,
        host: str,
        port: int,
        on_call: Callable[[Arrival, OutboundSession], object],
        admission: Admission,
        *,
        region: str | None = None,
        limits: ConnectionLimits | None = None,
        owner: Callable[[socket.socket], int | None] = socket_owner.peer,
    ) -> None:
        self._on_call = on_call
        self._admission = admission
        self._region = region
        limits = limits or ConnectionLimits()
        self._introduction = min(limits.reply, INTRODUCTION)
        self.server = OutboundServer(
            host,
            port,
            self._arrive,
            waiting=UnverifiedConnections(admission.stranger),
            crowded=lambda whose: admission.refuse(CROWDED, whose),
            owner=owner,
            backlog=BACKLOG,
            limits=limits,
        )

    def bind(self) -> int:
        """Bind the port, so that calls wait from now on, and return it. Raises ``switch.port``."""
        return self.server.bind()

    def adopt(self, listener: socket.socket) -> bool:
        """Listen on a socket that another process has bound; return whether it is the right one."""
        return self.server.adopt(listener)

    @property
    def listener(self) -> socket.socket | None:
        """The listening socket; ``None`` once no calls are accepted any more."""
        return self.server.server

    def serve(self) -> None:
        """Accept calls until :meth:`stop`, in a greenlet of its own; if it ends, calls wait."""
        self.server.listen()

    def stop(self, limit: float = 5.0) -> None:
        """Accept no more calls; the current ones get ``limit`` seconds, then their dialplans go on."""
        self.server.stop(limit)

    @property
    def calls(self) -> int:
        """The current number of calls."""
        return int(self.server.connection_count)

    def _arrive(self, session: OutboundSession) -> None:
        arrival = self._arrival(session)
        if arrival is not None:
            self._on_call(arrival, session)

    def _arrival(self, session: OutboundSession) -> Arrival | None:
        """A function of its own, so that a channel's whole data, 20 KB, is in no frame that lasts as long
        as the call."""
        believed = self._introduced(session)
        if believed is None:
            return None
        self.server.admit(session)
        return Arrival.of(believed, self._region)

    def _introduced(self, session: OutboundSession) -> Mapping[str, str] | None:
        """A function of its own, so that the answer, which may be the key, is in no frame of a traceback."""
        try:
            data, answer = session.introduce(self._admission.question, self._introduction)
        except SwitchError:
            if not session.left_by_peer:  # a peer that only checks whether the port is open does no harm
                self._admission.refuse(SILENT, session.owner)
            return None
        return self._admission.admit(data, answer, session.owner)
