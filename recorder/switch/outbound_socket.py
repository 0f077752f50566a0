"""The socket that a call arrives on: the dialplan's ``socket`` brings each call, with what it set."""

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
from recorder.switch.unverified_connections import WaitingRoom

BACKLOG: Final = 4096
"""Connections that may wait to be accepted; with a full backlog the switch's ``connect()`` blocks calls."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as the dialplan handed it over.

    ``line`` (``accord_line``) and ``state`` (``accord_state``) are the dialplan's own words, set after a
    strict match; ``outside`` is a stranger's, and so is ``calling``
    (:func:`recorder.switch.caller_id.calling`).  ``channel`` is the switch's id of the leg.

    Of an outbound call it is the callee's leg, and all of it are the dialplan's words: ``outside`` is whom it
    called, ``inside`` who calls, ``calling`` both.  ``context`` is what brought a call that comes in.
    """

    channel: str
    line: str
    state: str
    direction: str
    outside: Party
    calling: frozenset[str] = frozenset()
    inside: Party | None = None
    context: str = ""

    @property
    def new(self) -> bool:
        """Whether nobody has had it in hand yet, by the switch's own word."""
        return self.state == ("answered" if self.inside else "waiting")

    @classmethod
    def of(cls, data: Mapping[str, str], region: str | None = None) -> Arrival:
        """Read the reply to ``connect``."""
        if outward(data):
            return cls(
                channel=data.get("Unique-ID", ""),
                line=data.get("variable_accord_line", ""),
                state=data.get("variable_accord_state", ""),
                direction="outbound",
                outside=called(data, region),
                calling=calling(data, region, "variable_accord_callee")
                | calling(data, region, "variable_accord_caller"),
                inside=from_line(data, region),
            )
        return cls(
            channel=data.get("Unique-ID", ""),
            line=data.get("variable_accord_line", ""),
            state=data.get("variable_accord_state", ""),
            direction=data.get("Call-Direction", ""),
            outside=caller(data, region),
            calling=calling(data, region),
            context=data.get("variable_accord_context", ""),
        )


INTRODUCTION: Final = 3.0
"""Seconds that whoever connects has to say what call it is; the switch's own calls wait no longer, either."""

SILENT: Final = "silent"
CROWDED: Final = "crowded"
"""Why a connection is refused before anything is known of it."""


class Admission(Protocol):
    """Whether who connects is the switch: everybody on this machine can."""

    @property
    def question(self) -> SwitchCommand:
        """What is asked of who connects, together with ``connect``.  It tells them nothing."""

    def stranger(self, owner: int | None) -> bool:
        """Whether a process of this user is certainly not the switch."""

    def admit(self, data: Mapping[str, str], answer: str, owner: int | None) -> Mapping[str, str] | None:
        """The channel's data, as far as it is to be believed; ``None``, once that was said and counted, where
        it is not the switch who connects.  ``answer`` is theirs to :attr:`question`."""

    def refuse(self, why: str, owner: int | None) -> None:
        """Say and count that a connection was refused."""


class OutboundSocket:
    """Listens for calls.  ``on_call`` gets each that ``admission`` admits with its session, connected, in a
    greenlet of its own; when it returns or raises, the socket closes and the call's dialplan goes on.
    Whoever is not admitted is sent ``connect`` and a question, and nothing else.

    ``owner`` says whose process has the other end of a connection."""

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
            waiting=WaitingRoom(admission.stranger),
            crowded=lambda whose: admission.refuse(CROWDED, whose),
            owner=owner,
            backlog=BACKLOG,
            limits=limits,
        )

    def bind(self) -> int:
        """Take the port, so that calls wait from now on; returns it.  Raises ``switch.port``."""
        return self.server.bind()

    def adopt(self, listener: socket.socket) -> bool:
        """Listen on a socket that another process has bound; whether it is the one to listen on."""
        return self.server.adopt(listener)

    @property
    def listener(self) -> socket.socket | None:
        """Where calls arrive; ``None`` once none are taken any more."""
        return self.server.server

    def serve(self) -> None:
        """Accept calls until :meth:`stop`; for a greenlet of its own, whose end leaves calls waiting."""
        self.server.listen()

    def stop(self, limit: float = 5.0) -> None:
        """Take no more calls; those at hand get ``limit`` seconds, then their dialplans go on."""
        self.server.stop(limit)

    @property
    def calls(self) -> int:
        """Calls that are at hand now."""
        return int(self.server.connection_count)

    def _arrive(self, session: OutboundSession) -> None:
        arrival = self._arrival(session)
        if arrival is not None:
            self._on_call(arrival, session)

    def _arrival(self, session: OutboundSession) -> Arrival | None:
        """By itself: all that a switch says of a channel, 20 KB, is in no frame that lasts as long as it."""
        believed = self._introduced(session)
        if believed is None:
            return None
        self.server.admit(session)
        return Arrival.of(believed, self._region)

    def _introduced(self, session: OutboundSession) -> Mapping[str, str] | None:
        """By itself: their answer, which may be the key, is in no frame that a traceback of a call shows."""
        try:
            data, answer = session.introduce(self._admission.question, self._introduction)
        except SwitchError:
            if not session.left_by_peer:  # whoever only looks whether somebody listens does no harm
                self._admission.refuse(SILENT, session.owner)
            return None
        return self._admission.admit(data, answer, session.owner)
