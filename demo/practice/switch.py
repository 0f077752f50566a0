"""The practice switch: the other side of the wire, for tests and for machines without FreeSWITCH.

It listens like FreeSWITCH's event socket, connects to the daemon when a call arrives, walks the dialplan of
``freeswitch_conf/``, plays prompts, and writes two-channel recordings. Its events and their order come from
transcripts of the real switch (``tests/scenarios/``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import gevent
import structlog
from gevent import socket as gsocket
from gevent.server import StreamServer

from demo.practice.api import Api
from demo.practice.applications import APPLICATIONS
from demo.practice.core import SwitchCore
from demo.practice.dialplan import PracticeDialplan
from demo.practice.leg import inbound_leg
from demo.practice.listener import PracticeListener
from demo.practice.outbound import AnsweredCall, OutboundCall
from demo.practice.pace import Pace
from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from recorder.ids import Entropy

log = structlog.get_logger()

CONF = Path(__file__).parents[2] / "freeswitch_conf"
"""The configuration that the real switch boots with, in a checkout."""

HEARTBEAT = 20.0
"""Seconds between HEARTBEAT events, as FreeSWITCH has it."""


class PracticeSwitch(SwitchCore[PracticeCall]):
    """A switch to practise with.

    ``daemon`` is ``host:port`` of the daemon's socket for calls; ``event_port`` 0 takes any free port;
    ``environment`` is what ``env-set`` in the configuration reads; ``pace`` is the clock of calls and sound.
    Use it as a context manager, or ``start()`` and ``stop()``. Wait with gevent while it runs.

    ``die()`` ends it as SIGKILL ends FreeSWITCH, ``stall()`` and ``go_on()`` act as SIGSTOP and SIGCONT.
    """

    def __init__(self, *, password: str, daemon: str = "", event_port: int = 0, conf: Path = CONF,
                 pace: Pace | None = None, environment: Mapping[str, str] | None = None,
                 entropy: Entropy = os.urandom) -> None:  # fmt: skip
        dialplan = PracticeDialplan(
            conf, {**(environment or {}), **({"ACCORD_DAEMON": daemon} if daemon else {})}
        )
        super().__init__(password, dialplan, pace or Pace(), entropy)
        self._api = Api(self)
        self._server = StreamServer(("127.0.0.1", event_port), self._serve, backlog=1024)
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    # --- life

    @property
    def event_port(self) -> int:
        """The port of the event socket, once started."""
        return int(self._server.server_port or 0)

    @property
    def has_daemon(self) -> bool:
        """Whether a daemon has logged in on the event socket and subscribed to events."""
        return any(listener.is_subscribed for listener in self._listeners)

    def start(self) -> None:
        """Listen.  Raises ``OSError`` where the port is taken."""
        self._server.start()
        self._greenlets.append(gevent.spawn(self._beat))
        log.info("practice.ready", event_port=self.event_port)

    def stop(self) -> None:
        """Hang up every call, close every recording, and stop in order."""
        for session in list(self.sessions.values()):
            session.hang_up("MANAGER_REQUEST")
        for session in list(self.sessions.values()):
            session.wait("ended", 10.0)
        for listener in list(self._listeners):
            listener.say_goodbye()
        self._end()

    def die(self) -> None:
        """Be killed: no event, no goodbye; recordings stay as a killed switch leaves them."""
        for session in list(self.sessions.values()):
            session.abandon()
        self.sessions.clear()
        for conference in list(self.conferences.values()):
            conference.end()
        for listener in list(self._listeners):
            listener.cut()
        self._end()

    def close_event_socket(self) -> None:
        """Become unreachable for standing connections, as behind a firewall; calls arrive as before."""
        self._server.stop()
        for listener in [each for each in self._listeners if each.is_client]:
            listener.cut()

    def stall(self) -> None:
        """Stop as by SIGSTOP: sockets stay open, nothing is read, sent, played or recorded."""
        self.awake.clear()

    def go_on(self) -> None:
        """Continue after :meth:`stall`."""
        self.awake.set()

    def _end(self) -> None:
        self._server.stop()
        gevent.killall(self._greenlets)
        self.drop_scheduled()

    def __enter__(self) -> PracticeSwitch:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.go_on()
        self.stop()

    # --- calls

    def call(self, number: str, party: PracticeParty | None = None) -> PracticeCall:
        """A call arrives for ``number``. Returns at once; the call then runs by itself."""
        party = party or PracticeParty()
        self.calls_so_far += 1
        leg = inbound_leg(
            self.new_uuid(), number, party.number, party.name, "public", self.pace, self.calls_so_far,
            party.variables,
        )  # fmt: skip
        session = PracticeCall(self, leg, party, APPLICATIONS)
        self.sessions[leg.uuid] = session
        session.start()
        return session

    def call_out(self, number: str, line: str, party: PracticeParty | None = None) -> OutboundCall:
        """A colleague on a line calls a number. Everything in ``party`` but ``number`` and ``name`` counts;
        its caller is the person whom they call."""
        party = party or PracticeParty()
        self.calls_so_far += 1
        leg = inbound_leg(
            self.new_uuid(), number, line, "", "outbound", self.pace, self.calls_so_far, party.variables
        )
        session = OutboundCall(self, leg, party, APPLICATIONS)
        self.sessions[leg.uuid] = session
        session.start()
        return session

    def call_into(
        self, where: str, extension: str, context: str, variables: Mapping[str, str]
    ) -> PracticeCall:
        """Somebody outside answers a call, and is in an extension."""
        self.calls_so_far += 1
        leg = inbound_leg(
            self.new_uuid(), extension, variables.get("origination_caller_id_number", ""), "", context,
            self.pace, self.calls_so_far, variables,
        )  # fmt: skip
        leg.direction, leg.callee = "outbound", where.rpartition("/")[2]
        session = AnsweredCall(self, leg, PracticeParty(), APPLICATIONS)
        self.sessions[leg.uuid] = session
        session.start()
        return session

    def _serve(self, connection: gsocket.socket, _address: tuple[str, int]) -> None:
        self.listen(PracticeListener(self, connection))

    # --- what is said

    def api(self, line: str) -> str:
        """The answer to an ``api`` command."""
        return self._api.answer(line)

    def add_command(self, name: str, command: Callable[[str], str]) -> None:
        """Have ``api`` answer a command that FreeSWITCH does not have."""
        self._api.add(name, command)

    def _beat(self) -> None:
        while True:
            self.pace.sleep(HEARTBEAT)
            self.awake.wait()
            up = self.pace.seconds() - self.started_at
            self.emit("HEARTBEAT", None, last=[
                ("Event-Info", "System Ready"),
                ("Uptime-msec", str(int(up * 1000))),
                ("Session-Count", str(len(self.legs()))),
                ("Session-Since-Startup", str(self.calls_so_far)),
            ])  # fmt: skip
