"""The standing connection to one FreeSWITCH: subscribes, reconciles, detects a dead switch, and
reconnects."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Final

import gevent
import structlog
from gevent.event import Event

from recorder import metrics
from recorder.errors import SwitchError
from recorder.fault_log import FaultLog
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.conference_events import EAVESDROP, THREE_WAY, attached_legs, read_conference_list
from recorder.switch.connection import ConnectionLimits
from recorder.switch.dispatch import PendingReply
from recorder.switch.esl import Inbound
from recorder.switch.esl_events import EslEvent

log = structlog.get_logger()

Random = Callable[[], float]
"""Returns a number from 0 to below 1; ``random.random`` in production."""

MAX_PENDING: Final = 100
"""How many queries are pending at once when reconciling."""

_BUG = re.compile(r"<media-bug>(.*?)</media-bug>", re.DOTALL)
_FUNCTION = re.compile(r"<function>(.*?)</function>")
_TARGET = re.compile(r"<target>(.*?)</target>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """A live channel, from ``show channels`` and ``uuid_buglist``.

    ``call_state`` is ``ACTIVE``, ``HELD``, ``EARLY``, ``RINGING`` …; ``recordings`` are the paths being
    written now; ``first_context`` and ``first_number`` are those of its first routing."""

    uuid: str
    direction: str
    call_state: str
    context: str
    recordings: tuple[str, ...]
    first_context: str = ""
    first_number: str = ""


@dataclass(frozen=True, slots=True)
class LiveState:
    """The live channels of a switch when it was asked, except those that no command can address
    (:func:`recorder.switch.commands.addressable`).

    ``show channels`` reads a database that the switch writes with a delay: up to a second on a busy machine,
    70 ms on an idle one. So absence proves nothing; ask for a known channel by its id
    (:meth:`Node.recordings_of`).

    ``conferences`` are its conferences, each with its id, its name, and its members' numbers by their legs.
    ``third_parties`` and ``supervisors`` are the legs of third parties and supervisors, by the leg that they
    are attached to (:mod:`recorder.switch.conference_events`)."""

    channels: Mapping[str, LiveChannel]
    conferences: tuple[tuple[str, str, Mapping[str, str]], ...] = ()
    third_parties: Mapping[str, list[str]] = field(default_factory=dict)
    supervisors: Mapping[str, list[str]] = field(default_factory=dict)

    def recorded_by(self, path: str) -> LiveChannel | None:
        """Return the channel that is being recorded to ``path``."""
        return next((channel for channel in self.channels.values() if path in channel.recordings), None)


@dataclass(frozen=True, slots=True)
class ReconnectBackoff:
    """Seconds between attempts: doubled each time from ``first`` to ``longest``, then multiplied by a random
    factor from 0.5 to 1, so that many nodes do not reconnect in step."""

    first: float = 0.25
    longest: float = 15.0
    steady: float = 10.0
    """A connection that lived this long (seconds) resets the count."""

    def delay(self, attempt: int, random: Random) -> float:
        """Return the seconds to wait after the ``attempt``-th failure in a row, counted from 0."""
        whole = min(self.longest, self.first * 2.0 ** min(attempt, 30))
        return whole * (0.5 + 0.5 * random())


@dataclass(slots=True)
class Node:
    """One switch. Start it once; it stays connected until :meth:`stop`.

    On each connection, in this order: log in, ``on_login(connection)``, subscribe, :meth:`reconcile`,
    ``on_up(live)``, and then ``on_event`` for every event since the subscription, in order. So no event is
    lost, and an event may repeat a fact in ``live``. When the connection ends, ``on_down(reason)``.

    If ``on_up`` raises, the connection ends and is made again. An exception of ``on_event`` is logged and
    counted (:attr:`handler_failures`), and the next event follows."""

    host: str
    port: int
    password: str = field(repr=False)
    names: Iterable[str]
    on_event: Callable[[EslEvent], object]
    on_up: Callable[[LiveState], object]
    on_down: Callable[[str], object]
    random: Random
    subclasses: Iterable[str] = ()
    on_login: Callable[[Inbound], object] = lambda _connection: None
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    backoff: ReconnectBackoff = field(default_factory=ReconnectBackoff)
    heartbeat: float = 5.0
    """Seconds between two pings; each may take ``limits.reply``."""

    up: Event = field(default_factory=Event, init=False)
    logged_in: Event = field(default_factory=Event, init=False)
    handler_failures: int = field(default=0, init=False)
    connections: int = field(default=0, init=False)
    _stop: Event = field(default_factory=Event, init=False)
    _retry_now: Event = field(default_factory=Event, init=False)
    _connection: Inbound | None = field(default=None, init=False)
    _greenlet: gevent.Greenlet[[], None] | None = field(default=None, init=False)
    _skipped: frozenset[str] = field(default=frozenset(), init=False)
    _faults: FaultLog = field(default_factory=FaultLog, init=False)

    def start(self) -> None:
        """Start to connect; returns at once."""
        self._greenlet = gevent.spawn(self.run)

    def stop(self) -> None:
        """Close the connection and open no other."""
        self._stop.set()
        if self._connection is not None:
            self._connection.close("the daemon stops")
        if self._greenlet is not None:
            self._greenlet.join(timeout=self.limits.connect)

    def reach(self, seconds: float) -> bool:
        """Return whether the switch can be asked now, or within ``seconds``. If it cannot be asked now, the
        next attempt to connect is made at once."""
        if not self.logged_in.is_set():
            self._retry_now.set()
        return bool(self.logged_in.wait(seconds))

    def api(self, command: SwitchCommand, limit: float | None = None) -> str:
        """Send an API command and return the answer. Raises :class:`SwitchError` (``switch.gone``,
        ``switch.timeout``, ``switch.refused``)."""
        return self._connected().api(command, limit)

    def send_later(self, command: SwitchCommand, limit: float | None = None) -> PendingReply:
        """Send a command without waiting. Raises ``switch.gone``."""
        return self._connected().send_later(command, limit)

    def send_all(self, batch: Iterable[SwitchCommand], limit: float | None = None) -> list[PendingReply]:
        """Send several commands without waiting, in order and in one write. Raises ``switch.gone``."""
        return self._connected().send_all(batch, limit)

    def reconcile(self) -> LiveState:
        """Ask for all live channels and their recordings. Raises as :meth:`api`."""
        listing, conference_list = self._connected().send_all(
            [commands.show_channels(), commands.list_conferences()]
        )
        rows = channels(listing.accepted().data)
        found = self._addressable(rows)
        live: dict[str, LiveChannel] = {}
        for start in range(0, len(found), MAX_PENDING):
            batch = found[start : start + MAX_PENDING]
            queries = self._connected().send_all([commands.media_bugs(row["uuid"]) for row in batch])
            for row, query in zip(batch, queries, strict=True):
                reply = query.wait()
                if reply.refused:
                    continue  # it has hung up
                live[row["uuid"]] = LiveChannel(
                    uuid=row["uuid"],
                    direction=row.get("direction", ""),
                    call_state=row.get("callstate", ""),
                    context=row.get("context", ""),
                    recordings=recordings(reply.data),
                    first_context=row.get("initial_context", ""),
                    first_number=row.get("initial_dest", ""),
                )
        answer = conference_list.wait()
        # A switch without mod_conference refuses the command.
        conferences = () if answer.refused else tuple(read_conference_list(answer.data))
        return LiveState(live, conferences, attached_legs(rows, THREE_WAY), attached_legs(rows, EAVESDROP))

    def _addressable(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Return the channels that a command can address. The others are logged once each: one odd id must
        not affect other calls."""
        odd = frozenset(row["uuid"] for row in rows if not commands.addressable(row["uuid"]))
        for uuid in odd - self._skipped:
            log.warning(
                "switch.channel_skipped",
                channel=repr(uuid[:128]),
                hint="Accord does not record a channel whose id contains characters other than letters, "
                "digits, '.', '_' and '-': is inbound-use-callid-as-uuid or an origination_uuid set?",
            )
        self._skipped = odd
        return [row for row in rows if row["uuid"] not in odd]

    def recordings_of(self, uuid: str) -> tuple[str, ...] | None:
        """Return the paths that a channel is being recorded to now, according to the channel itself; ``None``
        if it does not exist. Raises ``switch.gone``, ``switch.timeout``."""
        reply = self.send_later(commands.media_bugs(uuid)).wait()
        return None if reply.refused else recordings(reply.data)

    def run(self) -> None:
        """Connect, serve, and reconnect, until :meth:`stop`."""
        attempt = 0
        while not self._stop.is_set():
            start = time.monotonic()
            reason = self._run_connection()
            lifetime = time.monotonic() - start
            if self._stop.is_set():
                break
            attempt = 0 if lifetime >= self.backoff.steady else attempt + 1
            seconds = self.backoff.delay(max(0, attempt - 1), self.random)
            self._faults.report("switch.down", reason, host=self.host, port=self.port)
            self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        """Wait for the next attempt, at least for the shortest delay, however often :meth:`reach` is
        called."""
        shortest = min(seconds, self.backoff.first)
        if self._stop.wait(shortest):
            return
        gevent.wait([self._stop, self._retry_now], timeout=seconds - shortest, count=1)
        self._retry_now.clear()

    def _run_connection(self) -> str:
        """Run one connection from beginning to end; return why it ended."""
        connection = Inbound(
            self.host, self.port, self.password, timeout=self.limits.connect, limits=self.limits
        )
        ready = Event()
        reconciled = False

        def deliver(event: EslEvent) -> None:
            # Events since the subscription wait until the switch's state has been read.
            ready.wait()
            if reconciled:
                self.on_event(event)

        connection.register_handle("*", deliver)
        self._connection = connection
        try:
            connection.connect()
            self.on_login(connection)
            self.logged_in.set()
            connection.send_later(commands.subscribe(self.names, self.subclasses)).accepted()
            pinger = gevent.spawn(self._ping, connection)
            connection.on_close(lambda _reason: pinger.kill(block=False))
            live = self.reconcile()
            self.connections += 1
            self.on_up(live)
            reconciled = True
            self.up.set()
            self._faults.recover("switch.down")
            metrics.SWITCH_CONNECTIONS.labels("up").inc()
            log.info("switch.up", host=self.host, port=self.port, channels=len(live.channels))
            ready.set()
            connection.closed.wait()
        except SwitchError as error:
            connection.close(error.message)
        except Exception as error:
            # A bug ends this connection, not the daemon: the next one reconciles again.
            metrics.UNHANDLED_ERRORS.inc()
            log.exception("switch.resume_failed")
            connection.close(f"reconciling failed: {error!r}")
        finally:
            connection.close("ended")
            self.up.clear()
            self.logged_in.clear()
            self._connection = None
            self.handler_failures += connection.handler_failures
            ready.set()
            if not reconciled and not self._stop.is_set():
                metrics.SWITCH_CONNECTIONS.labels("failed").inc()
            if reconciled:
                # Events of this connection are handled before the next connection reconciles.
                connection.join_handlers(self.limits.reply)
                self.on_down(connection.reason)
        return str(connection.reason)

    def _ping(self, connection: Inbound) -> None:
        """Detect a switch that is stopped or hangs: its kernel still answers TCP, but the switch does not."""
        while not connection.closed.wait(self.heartbeat):
            try:
                connection.api(commands.status())
            except SwitchError as error:
                connection.close(f"no heartbeat: {error.message}")

    def _connected(self) -> Inbound:
        if self._connection is None:
            raise SwitchError("switch.gone", "not connected to FreeSWITCH", "the daemon reconnects by itself")
        return self._connection


def channels(answer: str) -> list[dict[str, str]]:
    """Return the rows of ``show channels as json`` that have an id. Raises ``switch.answer``.

    Bytes of a caller's name that are not UTF-8 were replaced when the answer was read."""
    try:
        rows = json.loads(answer, strict=False).get("rows", [])
        texts = [{name: value for name, value in row.items() if isinstance(value, str)} for row in rows]
        return [row for row in texts if row["uuid"]]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise SwitchError(
            "switch.answer",
            f"invalid answer to 'show channels as json': {error}",
            "run `accord doctor`; a module of the switch may have changed the reply",
        ) from error


def recordings(answer: str) -> tuple[str, ...]:
    """Return the paths being recorded, from ``uuid_buglist``'s answer."""
    paths = []
    for bug in _BUG.findall(answer):
        function, target = _FUNCTION.search(bug), _TARGET.search(bug)
        if function and target and function[1] == "session_record":
            paths.append(unescape(target[1]))
    return tuple(paths)


def data_of(node: Node, uuid: str) -> EslEvent | None:
    """Return the data of a channel; ``None`` if it does not exist. Raises ``switch.gone``,
    ``switch.timeout``."""
    try:
        return EslEvent(b"\n" + node.api(commands.channel_data(uuid)).encode())
    except SwitchError as error:
        if error.error_id == "switch.refused":
            return None
        raise


def variable_of(node: Node, uuid: str, name: str) -> str | None:
    """Return a channel's variable, empty if it is not set; ``None`` if the channel does not exist. Raises
    ``switch.gone``, ``switch.timeout``."""
    try:
        answer = node.api(commands.get_variable(uuid, name))
    except SwitchError as error:
        if error.error_id == "switch.refused":
            return None
        raise
    return "" if answer == "_undef_" else answer
