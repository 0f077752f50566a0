"""The socket that a call arrives on: the dialplan's ``socket`` brings each call, with what it set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from recorder.switch.caller import Caller, called, caller, calling, from_line, outward
from recorder.switch.esl import Limits, OutboundServer, OutboundSession

log = structlog.get_logger()

BACKLOG: Final = 1024
"""Calls that may wait to be accepted; with a full backlog the switch's ``connect()`` blocks the call."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as the dialplan handed it over.

    ``line`` (``accord_line``) and ``state`` (``accord_state``) are the dialplan's own words, set after a
    strict match; ``outside`` is a stranger's, and so is ``calling``
    (:func:`recorder.switch.caller.calling`).  ``channel`` is the switch's id of the leg.

    Of an outbound call it is the callee's leg, and all of it are the dialplan's words: ``outside`` is whom it
    called, ``inside`` who calls, ``calling`` both.
    """

    channel: str
    line: str
    state: str
    direction: str
    outside: Caller
    calling: frozenset[str] = frozenset()
    inside: Caller | None = None

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
        )


class Dialplan:
    """Listens for calls.  ``on_call`` gets each with its session, connected, in a greenlet of its own;
    when it returns or raises, the socket closes and the call's dialplan goes on."""

    def __init__(
        self,
        host: str,
        port: int,
        on_call: Callable[[Arrival, OutboundSession], object],
        *,
        region: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._on_call = on_call
        self._region = region
        self.server = OutboundServer(host, port, self._arrive, backlog=BACKLOG, limits=limits)

    def bind(self) -> int:
        """Take the port, so that calls wait from now on; returns it.  Raises ``switch.port``."""
        return self.server.bind()

    def serve(self) -> None:
        """Accept calls until :meth:`stop`; for a greenlet of its own."""
        self.server.listen()

    def stop(self, limit: float = 5.0) -> None:
        """Take no more calls; those at hand get ``limit`` seconds, then their dialplans go on."""
        self.server.stop(limit)

    @property
    def calls(self) -> int:
        """Calls that are at hand now."""
        return int(self.server.connection_count)

    def _arrive(self, session: OutboundSession) -> None:
        arrival = Arrival.of(session.connect(), self._region)
        self._on_call(arrival, session)
