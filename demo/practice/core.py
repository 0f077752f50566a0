"""What the parts of the practice switch share: its clock, its live calls, and its events."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import gevent
from gevent.event import Event
from gevent.pool import Group

from demo.practice import wire
from demo.practice.dialplan import PracticeDialplan
from demo.practice.leg import Leg
from demo.practice.pace import Pace
from demo.practice.sound import FRAME_SECONDS
from demo.practice.wire import Header
from recorder.ids import Entropy

HOST = "practice"


@dataclass(frozen=True, slots=True)
class SwitchEvent:
    """An event on its way to the listeners."""

    name: str
    subclass: str
    uuid: str
    headers: tuple[Header, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Task:
    """An application that a client asked a channel to run."""

    application: str
    argument: str
    event_uuid: str


class EventClient(Protocol):
    """A connection of the event socket, as the switch sees it."""

    @property
    def is_client(self) -> bool:
        """Whether a client opened it, rather than a call."""

    @property
    def is_subscribed(self) -> bool:
        """Whether it is a standing connection that receives events."""

    def run(self) -> None:
        """Serve the connection until either side ends it."""

    def offer(self, event: SwitchEvent) -> None:
        """Send an event if the client asked for it."""

    def say_goodbye(self) -> None:
        """End the connection in order."""

    def cut(self) -> None:
        """End the connection as the death of a process does."""


class LiveCall(Protocol):
    """A call, as the switch's registry sees it.  ``b`` is the internal leg, once there is one."""

    leg: Leg
    b: Leg | None
    tasks: deque[Task]

    def wake(self) -> None:
        """Check conditions again: something changed."""


CallT = TypeVar("CallT", bound=LiveCall)


class SwitchCore(ABC, Generic[CallT]):
    """The clock (``pace``), the dialplan, the live calls by their external leg's id, and the event socket's
    connections.

    ``awake`` is clear while the switch is stopped as by SIGSTOP; ``called_out``: whom ``originate`` called,
    with which sound; ``hear`` is called with each of them. ``ring`` rings the telephone of somebody who is
    called into an extension, at most so many seconds: it connects the call once they answer, or returns
    ``None``.
    """

    def __init__(
        self, password: str, dialplan: PracticeDialplan, pace: Pace, entropy: Entropy = os.urandom
    ) -> None:
        self.password = password
        self.dialplan = dialplan
        self.pace = pace
        self.awake = Event()
        self.awake.set()
        self._entropy = entropy
        self.core_uuid = self.new_uuid()
        self.sessions: dict[str, CallT] = {}
        self.called_out: list[tuple[str, Path]] = []
        self.hear: Callable[[str, Path], object] = lambda _where, _sound: None
        self.ring: Callable[[Callable[[], CallT], float], CallT | None] = lambda connect, _seconds: connect()
        self.conferences: dict[str, Any] = {}
        """By name (:mod:`demo.practice.conference`)."""
        self.calls_so_far = 0
        self.started_at = pace.seconds()
        self._sequence = 0
        self._tasks_so_far = 0
        self._scheduled: dict[int, tuple[str, gevent.Greenlet[..., None]]] = {}
        self._listeners: list[EventClient] = []
        self._later = Group()

    @abstractmethod
    def api(self, line: str) -> str:
        """The answer to an ``api`` command."""

    # --- calls

    @abstractmethod
    def call_into(self, where: str, extension: str, context: str, variables: Mapping[str, str]) -> CallT:
        """Somebody outside answers a call, and is in an extension."""

    def call_outside(self, where: str, sound: Path) -> None:
        """Somebody outside answers a call, and hears a sound."""
        self.called_out.append((where, sound))
        self.hear(where, sound)

    def renamed(self, session: CallT, before: str) -> None:
        """Another leg of a call is the external one now."""
        del self.sessions[before]
        self.sessions[session.leg.uuid] = session

    def queue(self, uuid: str, task: Task) -> bool:
        """Have a channel run an application when it gets to it; ``False`` for an unknown channel."""
        session = self.sessions.get(uuid)
        if session is None:
            return False
        session.tasks.append(task)
        session.wake()
        return True

    def wake(self, uuid: str) -> None:
        """Let a channel check its conditions."""
        if (session := self.sessions.get(uuid)) is not None:
            session.wake()

    def ended(self, session: CallT) -> None:
        """A call has sent its last event."""
        self.sessions.pop(session.leg.uuid, None)

    def listen(self, listener: EventClient) -> None:
        """Serve a connection, in the greenlet of the caller."""
        self._listeners.append(listener)
        try:
            listener.run()
        finally:
            self._listeners.remove(listener)

    def later(self, seconds: float, what: Callable[[], object]) -> gevent.Greenlet[..., object]:
        """Do something after so many seconds of call time."""

        def fire() -> None:
            self.awake.wait()
            what()

        greenlet: gevent.Greenlet[..., object] = gevent.Greenlet(fire)
        self._later.add(greenlet)
        greenlet.start_later(self.pace.real(seconds))
        return greenlet

    def run_frames(self, tick: Callable[[], object]) -> None:
        """Call ``tick`` for every 20 ms of call time, until the greenlet is killed."""
        at = self.pace.seconds()
        while True:
            at += FRAME_SECONDS
            ahead = at - self.pace.seconds()
            if ahead > 0:
                self.pace.sleep(ahead)
            elif ahead < -1.0:
                at = self.pace.seconds()  # it was stopped, or the machine slept: that time has no audio
            if not self.awake.is_set():
                self.awake.wait()
                at = self.pace.seconds()
            tick()

    # --- what is scheduled

    def schedule(self, seconds: float, what: Callable[[], object], group: str = "") -> int:
        """``sched_transfer``, ``sched_api``: returns the task's number."""
        self._tasks_so_far += 1
        number = self._tasks_so_far

        def fire() -> None:
            self.awake.wait()
            if self._scheduled.pop(number, None) is not None:
                what()

        self._scheduled[number] = group, gevent.spawn_later(self.pace.real(seconds), fire)
        return number

    def unschedule(self, what: str) -> int:
        """``sched_del`` of a task's number, or of a group: returns how many tasks were removed."""
        numbers = [
            number
            for number, (group, _) in self._scheduled.items()
            if (str(number) == what if what.isdecimal() else group == what)
        ]
        for number in numbers:
            self._scheduled.pop(number)[1].kill(block=False)
        return len(numbers)

    def drop_scheduled(self) -> None:
        """Forget everything that is scheduled."""
        gevent.killall([*(task for _, task in self._scheduled.values()), *self._later])
        self._scheduled.clear()

    # --- events

    def emit(self, name: str, leg: Leg | None, *, first: Iterable[Header] = (), last: Iterable[Header] = (),
             variables: bool = True, subclass: str = "") -> None:  # fmt: skip
        """Send an event to the listeners, with headers of its own before or after the channel's."""
        if not self._listeners:
            return
        headers = self.lead(name, "practice", name.lower(), subclass)
        headers += first
        if leg is not None:
            headers += leg.headers(variables=variables)
        headers += last
        self._tell(name, subclass, leg, headers)

    def custom(self, leg: Leg, subclass: str, more: list[Header]) -> None:
        """Send the event that the application ``event`` makes: its name is not its first header."""
        name, *rest = self.lead("CUSTOM", "mod_dptools.c", "event_function")
        headers = [("Event-Subclass", subclass), *rest, name, *more, *leg.headers(variables=True)]
        self._tell("CUSTOM", subclass, leg, headers)

    def emit_conference(self, subclass: str, leg: Leg | None, more: list[Header]) -> None:
        """Send an event about a conference, and a member's leg in it."""
        headers = [*self.lead("CUSTOM", "conference_event.c", "conference_event_add_data", subclass), *more]
        self._tell("CUSTOM", subclass, leg, headers)

    def _tell(self, name: str, subclass: str, leg: Leg | None, headers: list[Header]) -> None:
        event = SwitchEvent(name, subclass, leg.uuid if leg else "", tuple(headers), wire.plain(headers))
        for listener in list(self._listeners):
            listener.offer(event)

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
        """The answer to ``show channels as json``, for one leg or all."""
        rows = [self._row(leg) for leg in self.legs() if like in leg.uuid]
        if not rows:
            return '{"row_count": 0}'
        return json.dumps({"row_count": len(rows), "rows": rows}, separators=(",", ":"))

    def _row(self, leg: Leg) -> dict[str, str]:
        seconds = leg.made_at // 1_000_000
        created = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
        return {
            "uuid": leg.uuid, "direction": leg.direction, "created": created, "created_epoch": str(seconds),
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
