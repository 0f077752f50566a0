"""Carries out the commands for live calls that the worker forwards, in the hub, and answers.

Each command has a connection and a greenlet of its own: nothing in a call waits for it. A pause is ordered
from the switch; only once the switch has confirmed it, it is marked and reported as done.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import gevent
import structlog
from gevent import socket

from recorder import metrics
from recorder.call import remote_commands
from recorder.capture.call_controller import CallController
from recorder.capture.pause_query import pause_seconds
from recorder.capture.unix_socket import listen
from recorder.clock import Now
from recorder.domain.call_events import PAUSE, RESUME, CommandGiven
from recorder.domain.live_command import (
    DONE,
    LONGEST,
    NO_ANSWER,
    NO_SWITCH,
    NO_WAY_OUT,
    PATIENCE,
    SAID,
    SOCKET,
    UNKNOWN,
    CallOut,
    Request,
    line,
    read,
)
from recorder.errors import SwitchError
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.standing_connection import Node

log = structlog.get_logger()

REMEMBERED: Final = 1000
"""How many answers are kept, for a worker that was away when they came."""

ORDER: Final = PATIENCE / 2
"""Seconds that the switch has for its part."""


class CommandListener:
    """Listens in a spool and carries out commands for the ``calls`` of its node."""

    def __init__(
        self,
        spool: Path,
        calls: Mapping[str, CallController],
        node: Node,
        now: Now,
        monotonic: Callable[[], float] = time.monotonic,
        call_out: Callable[[str, Path], str] = lambda _number, _sound: NO_WAY_OUT,
    ) -> None:
        self._spool = spool
        self._calls = calls
        self._node = node
        self._now = now
        self._monotonic = monotonic
        self._call_out = call_out
        self._answered: OrderedDict[str, str] = OrderedDict()
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Start to listen. A spool in which no socket can be created leaves the calls as they are; the
        panel cannot reach them, and that is logged."""
        try:
            server = listen(self._spool, SOCKET, 64)
        except OSError as error:
            log.error("command.listen_failed", path=str(self._spool / SOCKET), error=str(error))
            return
        self._greenlet = gevent.spawn(self._serve, server)

    def stop(self) -> None:
        """Answer nobody any more."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _serve(self, server: socket.socket) -> None:
        with server:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError as error:
                    log.error("command.accept_failed", error=str(error))
                    gevent.sleep(0.1)
                    continue
                gevent.spawn(self._hear, connection)

    def _hear(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        try:
            with connection:
                request = read(_line(connection))
                if self._too_late(request):
                    connection.sendall(line({"outcome": NO_ANSWER}))
                    return
                connection.sendall(line({"taken": True}))
                done = self._out(request) if isinstance(request, CallOut) else self.do(request)
                connection.sendall(line({"outcome": done}))
        except (OSError, TypeError, ValueError) as error:
            log.warning("command.unheard", error=str(error))
        except Exception:
            # A mistake of ours: logged; the client gets no answer, which is not "done".
            metrics.UNFORESEEN.inc()
            log.exception("command.failed")

    def _too_late(self, request: Request | CallOut) -> bool:
        return request.id not in self._answered and request.until <= self._monotonic()

    def _out(self, request: CallOut) -> str:
        """Call a number, once; return the outcome."""
        known = self._answered.get(request.id)
        if known is not None:
            return known
        name = f"{UUID(request.id)}.wav"  # an id, not a path
        self._remember(request.id, UNKNOWN)  # while it rings
        outcome = self._call_out(request.number, self._spool / SAID / name)
        self._remember(request.id, outcome)
        log.info("command.call_made", call=request.id, outcome=outcome)
        return outcome

    def _remember(self, name: str, outcome: str) -> None:
        self._answered[name] = outcome
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)

    def do(self, request: Request) -> str:
        """Carry out a command, once; return the outcome."""
        known = self._answered.get(request.id)
        if known is not None:
            return known
        call = next((one for one in self._calls.values() if one.start.recording == request.call), None)
        outcome = remote_commands.ENDED if call is None else self._ask(call, request)
        self._remember(request.id, outcome)
        log.info(
            "command.received", recording=request.call, what=request.action, by=request.by, outcome=outcome
        )
        return outcome

    def _ask(self, call: CallController, request: Request) -> str:
        with call.asking:
            if self._too_late(request):  # it waited for another command
                return NO_ANSWER
            why, lasts = remote_commands.refusal(call.state, request.action), timedelta(0)
            if not why and request.action in (PAUSE, RESUME):
                why, lasts = self._order(call, request.action)
            if why:
                return why
            call.feed(CommandGiven(self._now(), request.action, request.by, lasts))
            return DONE

    def _order(self, call: CallController, what: str) -> tuple[str, timedelta]:
        """Have the switch do it: return why it has not, empty where it has, and how long a pause lasts."""
        channel, audio = call.channel, call.writer.audio
        if not self._node.up.is_set():
            return NO_SWITCH, timedelta(0)
        try:
            if what == RESUME:
                return self._all(commands.resume(channel, audio), 0, remote_commands.NOT_PAUSED), timedelta(0)
            seconds = pause_seconds(lambda command: self._node.api(command, ORDER))
            orders = commands.pause(channel, audio, seconds)
            why = self._all(orders, len(orders) - 1, remote_commands.NOT_RECORDED)
            if why:
                self._node.send_all(commands.pause_refused(channel), ORDER)
            return why, timedelta(seconds=seconds)
        except SwitchError as error:
            # Whether it arrived is unknown; the switch is asked when the connection is back.
            log.warning("command.order_failed", recording=call.start.recording, error=error.message)
            return UNKNOWN, timedelta(0)

    def _all(self, orders: list[SwitchCommand], decides: int, refused: str) -> str:
        """Send commands; ``refused`` where the switch refuses the decisive one."""
        pending = self._node.send_all(orders, ORDER)
        try:
            pending[decides].accepted()
        except SwitchError as error:
            if error.error_id != "switch.refused":
                raise
            return refused
        return ""


def _line(connection: socket.socket) -> bytes:
    """Return the bytes before the end of the line. Raises ``ValueError`` where there is none."""
    content = b""
    while b"\n" not in content:
        piece = connection.recv(LONGEST)
        if not piece or len(content) + len(piece) > LONGEST:
            raise ValueError("not a line")
        content += piece
    return content.partition(b"\n")[0]
