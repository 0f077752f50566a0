"""Accepts calls: the dialplan's ``socket`` connects each call here, with the variables that the dialplan
set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gevent import socket

from recorder import socket_owner
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.switch.caller_id import (
    callee,
    caller,
    caller_name,
    calling_numbers,
    is_outbound,
    outbound_caller,
)
from recorder.switch.commands import SwitchCommand
from recorder.switch.connection import ConnectionLimits
from recorder.switch.esl import OutboundServer, OutboundSession
from recorder.switch.media_address import Address, own_addresses, peer_address
from recorder.switch.unverified_connections import UnverifiedConnections

BACKLOG: Final = 4096
"""Length of the accept queue. When it is full, calls block in the switch's ``connect()``."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as the dialplan handed it over.

    ``channel`` is the leg's id on the switch. The dialplan set ``line`` (``accord_line``) and ``state``
    (``accord_state``) after a strict match. ``external_party``, ``caller_name`` and ``caller_numbers``
    (:func:`recorder.switch.caller_id.calling_numbers`) come from the caller. ``context`` is the dialplan
    context of an inbound call.

    For an outbound call the leg is the callee's, and the dialplan set everything: ``external_party`` is the
    callee, ``internal_party`` the caller, ``caller_numbers`` holds the numbers of both.

    ``own_media`` and ``peer_media``: where the leg and its peer receive audio
    (:mod:`recorder.switch.media_address`)."""

    channel: str
    line: str
    state: str
    direction: str
    external_party: Party
    caller_numbers: frozenset[str] = frozenset()
    caller_name: str = ""
    internal_party: Party | None = None
    context: str = ""
    own_media: frozenset[Address] = frozenset()
    peer_media: Address | None = None

    @property
    def new(self) -> bool:
        """Whether no daemon has handled the call yet, according to the switch."""
        return self.state == ("answered" if self.internal_party else "waiting")

    @classmethod
    def of(cls, data: Mapping[str, str], region: str | None = None) -> Arrival:
        """Read the reply to ``connect``."""
        if is_outbound(data):
            return cls(
                channel=data.get("Unique-ID", ""),
                line=data.get("variable_accord_line", ""),
                state=data.get("variable_accord_state", ""),
                direction="outbound",
                external_party=callee(data, region),
                caller_numbers=calling_numbers(data, region, "variable_accord_callee")
                | calling_numbers(data, region, "variable_accord_caller"),
                internal_party=outbound_caller(data, region),
                own_media=own_addresses(data),
                peer_media=peer_address(data),
            )
        return cls(
            channel=data.get("Unique-ID", ""),
            line=data.get("variable_accord_line", ""),
            state=data.get("variable_accord_state", ""),
            direction=data.get("Call-Direction", ""),
            external_party=caller(data, region),
            caller_numbers=calling_numbers(data, region),
            caller_name=caller_name(data),
            context=data.get("variable_accord_context", ""),
            own_media=own_addresses(data),
            peer_media=peer_address(data),
        )


INTRODUCTION: Final = 3.0
"""Seconds for a new connection to identify its call; the switch's own calls wait no longer, either."""

SILENT: Final = "silent"
CROWDED: Final = "crowded"
"""Why a connection is refused before its peer is checked."""


class Admission(Protocol):
    """Decides whether a peer is the switch: any process on this machine can connect."""

    @property
    def question(self) -> SwitchCommand:
        """The query that is sent to a peer together with ``connect``. It reveals nothing."""

    def is_stranger(self, owner: int | None) -> bool:
        """Whether a process of this user is certainly not the switch."""

    def admit(self, data: Mapping[str, str], answer: str, owner: int | None) -> Mapping[str, str] | None:
        """Return the channel's data, as far as it can be trusted. If the peer is not the switch, log and
        count it and return ``None``. ``answer`` is the peer's reply to :attr:`question`."""

    def refuse(self, why: str, owner: int | None) -> None:
        """Log and count a refused connection."""


class OutboundSocket:
    """Listens for calls. ``on_call`` receives each call that ``admission`` admits, with its connected
    session, in its own greenlet; when it returns or raises, the socket closes and the call's dialplan
    continues. A peer that is not admitted receives ``connect`` and a query, and nothing else.

    ``owner`` returns the user id of the process at the other end of a connection."""

    def __init__(
        self,
        host: str,
        port: int,
        on_call: Callable[[Arrival, OutboundSession], object],
        admission: Admission,
        *,
        region: str | None = None,
        limits: ConnectionLimits | None = None,
        owner: Callable[[socket.socket], int | None] = socket_owner.peer_uid,
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
            unverified=UnverifiedConnections(admission.is_stranger),
            crowded=lambda owner: admission.refuse(CROWDED, owner),
            owner=owner,
            backlog=BACKLOG,
            limits=limits,
        )

    def bind(self) -> int:
        """Bind the port, so that calls wait in the backlog from now on, and return it. Raises
        ``switch.port``."""
        return self.server.bind()

    def adopt(self, listener: socket.socket) -> bool:
        """Listen on a socket that another process has bound; return whether its address is the configured
        one."""
        return self.server.adopt(listener)

    @property
    def listener(self) -> socket.socket | None:
        """The listening socket; ``None`` once calls are no longer accepted."""
        return self.server.server

    def serve(self) -> None:
        """Accept calls until :meth:`stop`, in its own greenlet. If that greenlet is killed, calls
        wait."""
        self.server.listen()

    def stop(self, limit: float = 5.0) -> None:
        """Stop accepting calls; the current ones get ``limit`` seconds, then their dialplans continue."""
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
        """A separate function, so that a channel's complete data (20 KB) is not kept in a frame for as long
        as the call."""
        data = self._admitted_data(session)
        if data is None:
            return None
        self.server.admit(session)
        return Arrival.of(data, self._region)

    def _admitted_data(self, session: OutboundSession) -> Mapping[str, str] | None:
        """A separate function, so that the answer, which may be the key, is in no frame of a traceback."""
        try:
            data, answer = session.introduce(self._admission.question, self._introduction)
        except SwitchError:
            if not session.left_by_peer:  # a peer that only checks whether the port is open is not counted
                self._admission.refuse(SILENT, session.owner)
            return None
        return self._admission.admit(data, answer, session.owner)
