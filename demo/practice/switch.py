"""The practice switch: the other side of the wire, for tests and for machines without FreeSWITCH.

It listens as FreeSWITCH's event socket does, connects to the daemon when a call arrives, walks the
dialplan of ``freeswitch_conf/``, plays prompts, and writes two-channel recordings.  What it says and in
which order comes from transcripts of the real switch (``tests/scenarios/``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from uuid import UUID

import gevent
import structlog
from gevent import socket as gsocket
from gevent.event import Event
from gevent.pool import Group
from gevent.server import StreamServer

from demo.practice import wire
from demo.practice.api import Api
from demo.practice.dialplan import PracticeDialplan
from demo.practice.leg import Leg, inbound_leg
from demo.practice.listener import Happening, PracticeListener, Task
from demo.practice.outward import OutwardSession
from demo.practice.pace import Pace
from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from demo.practice.wire import Header
from recorder.ids import Entropy

log = structlog.get_logger()

CONF = Path(__file__).parents[2] / "freeswitch_conf"
"""The configuration that the real switch boots with, in a checkout."""

HOST = "practice"
HEARTBEAT = 20.0
"""Seconds between HEARTBEAT events, as FreeSWITCH has it."""


class PracticeSwitch:
    """A switch to practise with.

    ``daemon`` is ``host:port`` of the daemon's socket for calls; ``event_port`` 0 takes any free port;
    ``environment`` what ``env-set`` in the configuration reads; ``pace`` the clock of calls and sound.
    Use it as a context manager, or ``start()`` and ``stop()``.  Wait with gevent while it runs.

    ``die()`` ends it as SIGKILL ends FreeSWITCH, ``stall()`` and ``go_on()`` as SIGSTOP and SIGCONT do.
    """

    def __init__(self, *, password: str, daemon: str = "", event_port: int = 0, conf: Path = CONF,
                 pace: Pace | None = None, environment: Mapping[str, str] | None = None,
                 entropy: Entropy = os.urandom) -> None:  # fmt: skip
        self.password = password
        self.pace = pace or Pace()
        self.awake = Event()
        self.awake.set()
        self._entropy = entropy
        self.dialplan = PracticeDialplan(
            conf, {**(environment or {}), **({"ACCORD_DAEMON": daemon} if daemon else {})}
        )
        self.core_uuid = self.new_uuid()
        self.sessions: dict[str, PracticeCall] = {}
        self.called_out: list[tuple[str, Path]] = []
        self.calls_so_far = 0
        self.began = self.pace.seconds()
        self._sequence = 0
        self._tasks_so_far = 0
        self._scheduled: dict[int, tuple[str, gevent.Greenlet[..., None]]] = {}
        self._listeners: list[PracticeListener] = []
        self._api = Api(self)
        self._server = StreamServer(("127.0.0.1", event_port), self._serve, backlog=1024)
        self._greenlets: list[gevent.Greenlet[..., None]] = []
        self._later = Group()

    # --- life

    @property
    def event_port(self) -> int:
        """The port of the event socket, once started."""
        return int(self._server.server_port or 0)

    @property
    def watched(self) -> bool:
        """A daemon has logged in on the event socket and asked for events."""
        return any(listener.watching for listener in self._listeners)

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
        for listener in list(self._listeners):
            listener.cut()
        self._end()

    def close_event_socket(self) -> None:
        """Be reached by no standing connection any more, as behind a firewall; calls come as before."""
        self._server.stop()
        for listener in [each for each in self._listeners if each.standing]:
            listener.cut()

    def stall(self) -> None:
        """Be stopped: sockets stay open, nothing is read, said, played or recorded."""
        self.awake.clear()

    def go_on(self) -> None:
        """Go on after :meth:`stall`."""
        self.awake.set()

    def _end(self) -> None:
        self._server.stop()
        scheduled = [task for _, task in self._scheduled.values()]
        gevent.killall([*self._greenlets, *scheduled, *self._later])
        self._scheduled.clear()

    def __enter__(self) -> PracticeSwitch:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.go_on()
        self.stop()

    # --- calls

    def call(self, number: str, party: PracticeParty | None = None) -> PracticeCall:
        """A call comes in to ``number``.  Returns at once; the session goes its way by itself."""
        party = party or PracticeParty()
        self.calls_so_far += 1
        leg = inbound_leg(
            self.new_uuid(), number, party.number, party.name, "public", self.pace, self.calls_so_far,
            party.variables,
        )  # fmt: skip
        session = PracticeCall(self, leg, party)
        self.sessions[leg.uuid] = session
        session.start()
        return session

    def call_out(self, number: str, line: str, party: PracticeParty | None = None) -> OutwardSession:
        """A colleague on a line calls a number.  Of the ``party`` all but ``number`` and ``name`` counts; its
        outside end is whom they call."""
        party = party or PracticeParty()
        self.calls_so_far += 1
        leg = inbound_leg(
            self.new_uuid(), number, line, "", "outbound", self.pace, self.calls_so_far, party.variables
        )
        session = OutwardSession(self, leg, party)
        self.sessions[leg.uuid] = session
        session.start()
        return session

    def renamed(self, session: PracticeCall, before: str) -> None:
        """Another leg of a session is the outside one now."""
        del self.sessions[before]
        self.sessions[session.leg.uuid] = session

    def queue(self, uuid: str, task: Task) -> bool:
        """Have a channel run an application when it comes to it; ``False`` for an unknown channel."""
        session = self.sessions.get(uuid)
        if session is None:
            return False
        session.tasks.append(task)
        session.wake()
        return True

    def wake(self, uuid: str) -> None:
        """Let a channel look round."""
        if (session := self.sessions.get(uuid)) is not None:
            session.wake()

    def ended(self, session: PracticeCall) -> None:
        """A session has said its last event."""
        self.sessions.pop(session.leg.uuid, None)

    def listen(self, listener: PracticeListener) -> None:
        """Serve a connection, in the greenlet of the caller."""
        self._listeners.append(listener)
        try:
            listener.run()
        finally:
            self._listeners.remove(listener)

    def _serve(self, connection: gsocket.socket, _address: tuple[str, int]) -> None:
        self.listen(PracticeListener(self, connection))

    def later(self, seconds: float, what: Callable[[], object]) -> gevent.Greenlet[..., object]:
        """Do something after so many seconds of call time."""

        def fire() -> None:
            self.awake.wait()
            what()

        greenlet: gevent.Greenlet[..., object] = gevent.Greenlet(fire)
        self._later.add(greenlet)
        greenlet.start_later(self.pace.real(seconds))
        return greenlet

    # --- what is scheduled

    def schedule(self, seconds: float, what: Callable[[], object], group: str = "") -> int:
        """``sched_transfer``, ``sched_api``: the task's number."""
        self._tasks_so_far += 1
        number = self._tasks_so_far

        def fire() -> None:
            self.awake.wait()
            if self._scheduled.pop(number, None) is not None:
                what()

        self._scheduled[number] = group, gevent.spawn_later(self.pace.real(seconds), fire)
        return number

    def unschedule(self, what: str) -> int:
        """``sched_del`` of a task's number, or of a group: how many tasks went."""
        chosen = [
            number
            for number, (group, _) in self._scheduled.items()
            if (str(number) == what if what.isdecimal() else group == what)
        ]
        for number in chosen:
            self._scheduled.pop(number)[1].kill(block=False)
        return len(chosen)

    # --- what is said

    def api(self, line: str) -> str:
        """The answer to an ``api`` command."""
        return self._api.answer(line)

    def emit(self, name: str, leg: Leg | None, *, first: Iterable[Header] = (), last: Iterable[Header] = (),
             variables: bool = True, subclass: str = "") -> None:  # fmt: skip
        """Tell the listeners of an event: its own headers stand before or behind the channel's."""
        if not self._listeners:
            return
        headers = self.lead(name, "practice", name.lower(), subclass)
        headers += first
        if leg is not None:
            headers += leg.headers(variables=variables)
        headers += last
        self._tell(name, subclass, leg, headers)

    def custom(self, leg: Leg, subclass: str, more: list[Header]) -> None:
        """Tell of what the application ``event`` makes: its name is not its first header."""
        name, *rest = self.lead("CUSTOM", "mod_dptools.c", "event_function")
        headers = [("Event-Subclass", subclass), *rest, name, *more, *leg.headers(variables=True)]
        self._tell("CUSTOM", subclass, leg, headers)

    def _tell(self, name: str, subclass: str, leg: Leg | None, headers: list[Header]) -> None:
        happening = Happening(name, subclass, leg.uuid if leg else "", tuple(headers), wire.plain(headers))
        for listener in list(self._listeners):
            listener.offer(happening)

    def lead(self, name: str, file: str, function: str, subclass: str = "") -> list[Header]:
        """The headers that every event begins with."""
        self._sequence += 1
        micros = self.pace.micros()
        at = datetime.fromtimestamp(micros / 1_000_000, UTC)
        headers = [("Event-Subclass", subclass)] if subclass else []
        return [
            ("Event-Name", name),
            *headers,
            ("Core-UUID", self.core_uuid),
            ("FreeSWITCH-Hostname", HOST),
            ("FreeSWITCH-Switchname", HOST),
            ("FreeSWITCH-IPv4", "127.0.0.1"),
            ("FreeSWITCH-IPv6", "::1"),
            ("Event-Date-Local", f"{at:%Y-%m-%d %H:%M:%S}"),
            ("Event-Date-GMT", f"{at:%a, %d %b %Y %H:%M:%S} GMT"),
            ("Event-Date-Timestamp", str(micros)),
            ("Event-Calling-File", file),
            ("Event-Calling-Function", function),
            ("Event-Calling-Line-Number", "1"),
            ("Event-Sequence", str(self._sequence)),
        ]

    def new_uuid(self) -> str:
        """A channel's id, as FreeSWITCH makes them (version 4)."""
        return str(UUID(bytes=self._entropy(16), version=4))

    def legs(self) -> list[Leg]:
        """Every live channel."""
        both = ((session.leg, session.b) for session in self.sessions.values())
        return [leg for pair in both for leg in pair if leg is not None]

    def channels_json(self, like: str = "") -> str:
        """What ``show channels as json`` answers, of one leg or of all."""
        rows = [self._row(leg) for leg in self.legs() if like in leg.uuid]
        if not rows:
            return '{"row_count": 0}'
        return json.dumps({"row_count": len(rows), "rows": rows}, separators=(",", ":"))

    def _row(self, leg: Leg) -> dict[str, str]:
        seconds = leg.made_at // 1_000_000
        made = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
        return {
            "uuid": leg.uuid, "direction": leg.direction, "created": made, "created_epoch": str(seconds),
            "name": leg.channel_name, "state": leg.state, "cid_name": leg.caller_name,
            "cid_num": leg.caller_number, "ip_addr": "127.0.0.1", "dest": leg.destination,
            "application": leg.variables.get("current_application", ""),
            "application_data": leg.variables.get("current_application_data", ""),
            "dialplan": "XML", "context": leg.context, "read_codec": "PCMU", "read_rate": "8000",
            "read_bit_rate": "64000", "write_codec": "PCMU", "write_rate": "8000",
            "write_bit_rate": "64000", "secure": "", "hostname": HOST, "presence_id": "",
            "presence_data": "", "accountcode": "", "callstate": leg.call_state,
            "callee_name": leg.callee or "", "callee_num": leg.callee or "", "callee_direction": "",
            "call_uuid": leg.call_uuid, "sent_callee_name": "", "sent_callee_num": "",
            "initial_cid_name": leg.caller_name, "initial_cid_num": leg.caller_number,
            "initial_ip_addr": "127.0.0.1", "initial_dest": leg.destination, "initial_dialplan": "XML",
            "initial_context": leg.context,
        }  # fmt: skip

    def _beat(self) -> None:
        while True:
            self.pace.sleep(HEARTBEAT)
            self.awake.wait()
            up = self.pace.seconds() - self.began
            self.emit("HEARTBEAT", None, last=[
                ("Event-Info", "System Ready"),
                ("Uptime-msec", str(int(up * 1000))),
                ("Session-Count", str(len(self.legs()))),
                ("Session-Since-Startup", str(self.calls_so_far)),
            ])  # fmt: skip
