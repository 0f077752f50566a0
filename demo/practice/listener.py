"""One connection of the event socket, seen from the switch: the standing one that a client opens, or the
one that the ``socket`` application opens for a call.

Only what ``recorder/switch/commands.py`` sends is understood; another command gets the answer that the
real switch gives to one it does not know.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Any
from uuid import uuid4

import gevent
import structlog
from gevent import socket as gsocket
from gevent.event import Event
from gevent.queue import Queue

from demo.practice import wire
from demo.practice.core import SwitchCore, SwitchEvent, Task
from demo.practice.leg import Leg
from demo.practice.wire import Order

log = structlog.get_logger()

MY_EVENTS = frozenset(
    {
        "CHANNEL_ANSWER", "CHANNEL_APPLICATION", "CHANNEL_BRIDGE", "CHANNEL_CREATE", "CHANNEL_DATA",
        "CHANNEL_DESTROY", "CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE", "CHANNEL_HANGUP",
        "CHANNEL_HANGUP_COMPLETE", "CHANNEL_ORIGINATE", "CHANNEL_UUID", "CHANNEL_OUTGOING", "CHANNEL_PARK",
        "CHANNEL_PROGRESS", "CHANNEL_PROGRESS_MEDIA", "CHANNEL_STATE", "CHANNEL_UNBRIDGE", "CHANNEL_UNPARK",
        "DETECTED_SPEECH", "DTMF", "NOTALK", "TALK",
    }
)  # fmt: skip
"""What ``myevents`` subscribes to: neither RECORD_START nor PLAYBACK_STOP (``mod_event_socket.c``)."""

LONGEST_QUEUE = 100_000
"""Events that wait for a client that does not read (``mod_event_socket.c``)."""


class PracticeListener:
    """A connection.  ``leg`` is the call that an outbound connection belongs to, ``None`` for a standing
    one; ``tasks`` are the applications that the client asked that call to run, oldest first.  ``in_turn``: a
    socket that is not ``async``: while the call runs one of them, nothing is read or sent on it."""

    def __init__(
        self,
        switch: SwitchCore[Any],
        connection: gsocket.socket,
        leg: Leg | None = None,
        *,
        in_turn: bool = False,
    ) -> None:
        self._switch = switch
        self._socket = connection
        self._leg = leg
        self._authed = leg is not None
        self._names: set[str] = set()
        self._all = False
        self._subclasses: set[str] = set()
        self._filters: list[tuple[str, str]] = []
        self._mine = False
        self._out: Queue[bytes | None] = Queue()
        self.connected = False
        self.finished = False
        self.linger: int | None = None
        self.tasks: deque[Task] = deque()
        self.in_turn = in_turn
        self.ran = Event()
        self._buffer: list[bytes] | None = None

    @property
    def is_client(self) -> bool:
        """Whether a client opened it, rather than a call."""
        return self._leg is None

    @property
    def is_subscribed(self) -> bool:
        """Whether it is a standing connection that receives events."""
        return self.is_client and not self.finished and (self._all or bool(self._names))

    # --- life

    def run(self) -> None:
        """Serve the connection until either side ends it."""
        writer = gevent.spawn(self._write)
        try:
            if self._leg is None:
                self._out.put(wire.AUTH_REQUEST)
            self._read()
        finally:
            self.finished = True
            self._out.put(None)
            writer.join()
            self._socket.close()

    def say_goodbye(self) -> None:
        """End the connection in order; no further event is sent."""
        self._names.clear()
        self._all = False
        self._out.put(wire.DISCONNECT)
        self._out.put(None)

    def cut(self) -> None:
        """End the connection as the death of a process does: no goodbye, unsent data is lost."""
        self.finished = True
        self._socket.setsockopt(gsocket.SOL_SOCKET, gsocket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def over(self) -> None:
        """The call is over: linger if asked to, otherwise say goodbye."""
        self.ran.set()
        if self._leg is None or self.finished:
            return
        if self.linger is None:
            self.say_goodbye()
            return
        self._out.put(wire.linger_notice(self._leg.uuid, self._leg.channel_name, self.linger))
        if self.linger >= 0:
            gevent.spawn_later(self._switch.pace.real(self.linger), self.say_goodbye)

    def _read(self) -> None:
        orders = wire.OrderReader()
        while not self.finished:
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            self._switch.awake.wait()
            for order in orders.feed(data):
                if not self._obey(order):
                    return

    def _write(self) -> None:
        while (data := self._out.get()) is not None:
            self._switch.awake.wait()
            try:
                self._socket.sendall(data)
            except OSError:
                break
        self.finished = True
        try:
            self._socket.shutdown(gsocket.SHUT_RDWR)
        except OSError:
            log.debug("practice.listener_gone")

    # --- events

    def offer(self, event: SwitchEvent) -> None:
        """Send an event if the client asked for it."""
        if not self._wants(event):
            return
        if self._out.qsize() >= LONGEST_QUEUE:
            log.warning("practice.client_stalled")
            self.cut()
            return
        if self._buffer is not None:
            self._buffer.append(wire.framed(event.data))
        else:
            self._out.put(wire.framed(event.data))

    def _wants(self, event: SwitchEvent) -> bool:
        if self.finished or not (self._names or self._all):
            return False
        if event.name == "CUSTOM":
            subscribes = self._all or ("CUSTOM" in self._names and event.subclass in self._subclasses)
        else:
            subscribes = self._all or event.name in self._names
        if subscribes and self._mine and self._leg is not None:
            subscribes = event.uuid == self._leg.uuid
        if subscribes and self._filters:
            subscribes = any(pair in event.headers for pair in self._filters)
        return subscribes

    # --- commands

    def _obey(self, order: Order) -> bool:
        """Carry out one command; ``False`` when it ends the connection."""
        word, _, rest = order.line.partition(" ")
        if not self._authed:
            return self._log_in(word, rest)
        if self._leg is not None and not self.connected and word != "connect":
            return True  # as in the real switch: unanswered until "connect"
        if word == "exit":
            self._out.put(wire.reply("+OK bye"))
            self._out.put(wire.DISCONNECT)
            return False
        if word == "api":
            self._out.put(wire.api_response(self._switch.api(rest)))
            return True
        if word == "connect" and self._leg is not None:
            self._connect(self._leg)
            return True
        self._out.put(wire.reply(self._answer(word, rest, order)))
        return True

    def _log_in(self, word: str, rest: str) -> bool:
        if word == "exit":
            self._out.put(wire.reply("+OK bye"))
            return False
        if word == "auth" and rest == self._switch.password:
            self._authed = True
            self._out.put(wire.reply("+OK accepted"))
            return True
        self._out.put(wire.reply("-ERR invalid" if word == "auth" else "-ERR command not found"))
        return word != "auth"

    def _connect(self, leg: Leg) -> None:
        headers = self._switch.lead("CHANNEL_DATA", "mod_event_socket.c", "parse_command")
        headers += leg.profile_headers("Channel") + leg.headers(variables=True)
        headers += [
            ("Content-Type", "command/reply"),
            ("Reply-Text", "+OK\n"),
            ("Socket-Mode", "static" if self.in_turn else "async"),
            ("Control", "full"),
        ]
        # The one event whose last headers are not encoded by name: a slash stays a slash.
        self._out.put(wire.plain(headers))
        self.connected = True
        self._switch.wake(leg.uuid)

    def _answer(self, word: str, rest: str, order: Order) -> str:
        if word in {"event", "nixevent", "noevents"}:
            return self._subscribe(word, rest)
        if word == "filter":
            return self._filter(rest)
        if word == "sendmsg":
            return self._send_message(rest, order)
        if self._leg is not None and word == "myevents":
            if self._mine:
                return "-ERR aready enabled."
            self._mine = True
            self._names |= MY_EVENTS
            return "+OK Events Enabled"
        if word == "linger":
            if self._leg is None:
                return "-ERR not controlling a session"
            self.linger = int(rest) if rest.isdecimal() else -1
            return f"+OK will linger {self.linger} seconds" if self.linger >= 0 else "+OK will linger"
        return "-ERR command not found"

    def _subscribe(self, word: str, rest: str) -> str:
        if word == "noevents":
            self._names.clear()
            self._subclasses.clear()
            self._all = False
            return "+OK no longer listening for events"
        names = rest.split()
        if names[:1] == ["plain"]:
            names = names[1:]
        if not names:
            return "-ERR no keywords supplied"
        if word == "nixevent":
            self._names -= set(names)
            return "+OK events nixed"
        for at, name in enumerate(names):
            if name.upper() == "ALL":
                self._all = True
            elif name == "CUSTOM":  # every word after it is a subclass
                self._names.add(name)
                self._subclasses |= set(names[at + 1 :])
                break
            else:
                self._names.add(name)
        return "+OK event listener enabled plain"

    def _filter(self, rest: str) -> str:
        words = rest.split(" ", 1)
        if words[0] == "delete" and len(words) == 2:
            name, _, value = words[1].partition(" ")
            self._filters = [pair for pair in self._filters if pair != (name, value)]
            return f"+OK filter deleted. [{name}][{value}]"
        if len(words) != 2:
            return "-ERR invalid syntax"
        self._filters.append((words[0], words[1]))
        return f"+OK filter added. [{words[0]}]=[{words[1]}]"

    def _send_message(self, uuid: str, order: Order) -> str:
        if order.headers.get("call-command") != "execute":
            return "-ERR command not found"
        task = Task(
            order.headers.get("execute-app-name", ""),
            order.headers.get("execute-app-arg", ""),
            order.headers.get("event-uuid") or str(uuid4()),
        )
        if self._leg is not None and uuid in {"", self._leg.uuid}:
            uuid = self._leg.uuid
        self.ran.clear()
        if not self._switch.queue(uuid, task):
            return f"-ERR invalid session id [{uuid}]"
        if self.in_turn:
            self._buffer = []
            self.ran.wait()
            queued, self._buffer = self._buffer, None
            for data in queued:
                self._out.put(data)
        return "+OK"
