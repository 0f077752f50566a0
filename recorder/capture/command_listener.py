"""Executes the commands for live calls that the worker forwards, and returns their outcomes.

Each command has its own connection and greenlet, so no call waits for it. A pause is sent to the switch, and
is marked and reported as done only once the switch has confirmed it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
from recorder.domain.live_command import DONE, NO_ANSWER, NO_SWITCH, NO_WAY_OUT, UNKNOWN, CallOut, Request
from recorder.domain.telephone_room import RoomAnswer, RoomRequest
from recorder.errors import SwitchError
from recorder.spool.command_socket import (
    MAX_BYTES,
    OUTCOME_TIMEOUT,
    OUTGOING_SOUNDS,
    SOCKET,
    encode_answer,
    encode_line,
    parse_request,
)
from recorder.switch import commands
from recorder.switch.commands import SwitchCommand
from recorder.switch.standing_connection import Node

log = structlog.get_logger()

REMEMBERED: Final = 1000
"""How many outcomes are kept, for a worker that lost its connection and repeats a command."""

SWITCH_LIMIT: Final = OUTCOME_TIMEOUT / 2
"""Seconds that the switch may take for its part."""


@dataclass(eq=False, repr=False)
class CommandListener:
    """Listens in a spool and executes commands for the ``calls`` of its node."""

    spool: Path
    calls: Mapping[str, CallController]
    node: Node
    now: Now
    monotonic: Callable[[], float] = time.monotonic
    call_out: Callable[[str, Path, str], str] = lambda _number, _sound, _room: NO_WAY_OUT
    rooms: Callable[[RoomRequest], RoomAnswer] = lambda _request: RoomAnswer(None)
    _outcomes: OrderedDict[str, str] = field(default_factory=OrderedDict, init=False)
    _greenlet: gevent.Greenlet[..., None] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start to listen. If no socket can be created, that is logged: the panel cannot reach the calls,
        which continue."""
        try:
            server = listen(self.spool, SOCKET, 64)
        except OSError as error:
            log.error("command.listen_failed", path=str(self.spool / SOCKET), error=str(error))
            return
        self._greenlet = gevent.spawn(self._serve, server)

    def stop(self) -> None:
        """Stop listening."""
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
                gevent.spawn(self._handle, connection)

    def _handle(self, connection: socket.socket) -> None:
        connection.settimeout(OUTCOME_TIMEOUT)
        try:
            with connection:
                request = parse_request(_read_line(connection))
                if isinstance(request, RoomRequest):
                    connection.sendall(encode_answer(self.rooms(request)))
                    return
                if self._is_late(request):
                    connection.sendall(encode_line({"outcome": NO_ANSWER}))
                    return
                connection.sendall(encode_line({"taken": True}))
                if (outcome := self._outcome_of(request)) is not None:
                    connection.sendall(encode_line({"outcome": outcome}))
        except (OSError, TypeError, ValueError) as error:
            log.warning("command.unheard", error=str(error))

    def _outcome_of(self, request: Request | CallOut) -> str | None:
        """Execute a request; return its outcome, ``None`` after a bug: no answer does not mean "done"."""
        try:
            return self._call_out(request) if isinstance(request, CallOut) else self.execute(request)
        except Exception:
            # A ValueError, too: only one in the line itself is the sender's.
            metrics.UNHANDLED_ERRORS.inc()
            log.exception("command.failed")
            return None

    def _is_late(self, request: Request | CallOut) -> bool:
        return request.id not in self._outcomes and request.until <= self.monotonic()

    def _call_out(self, request: CallOut) -> str:
        """Call a number, once; return the outcome."""
        known = self._outcomes.get(request.id)
        if known is not None:
            return known
        name = f"{UUID(request.id)}.wav"  # an id, not a path
        self._remember(request.id, UNKNOWN)  # while it rings
        outcome = self.call_out(request.number, self.spool / OUTGOING_SOUNDS / name, request.room)
        self._remember(request.id, outcome)
        log.info("command.call_made", call=request.id, outcome=outcome)
        return outcome

    def _remember(self, name: str, outcome: str) -> None:
        self._outcomes[name] = outcome
        if len(self._outcomes) > REMEMBERED:
            self._outcomes.popitem(last=False)

    def execute(self, request: Request) -> str:
        """Execute a command, once; return the outcome."""
        known = self._outcomes.get(request.id)
        if known is not None:
            return known
        call = next((one for one in self.calls.values() if one.start.recording == request.call), None)
        outcome = remote_commands.ENDED if call is None else self._command(call, request)
        self._remember(request.id, outcome)
        log.info(
            "command.received", recording=request.call, what=request.action, by=request.by, outcome=outcome
        )
        return outcome

    def _command(self, call: CallController, request: Request) -> str:
        with call.command_lock:
            if self._is_late(request):  # it waited for another command
                return NO_ANSWER
            refusal, lasts = remote_commands.refusal(call.state, request.action), timedelta(0)
            if not refusal and request.action in (PAUSE, RESUME):
                refusal, lasts = self._command_switch(call, request.action)
            if refusal:
                return refusal
            call.feed(CommandGiven(self.now(), request.action, request.by, lasts))
            return DONE

    def _command_switch(self, call: CallController, what: str) -> tuple[str, timedelta]:
        """Have the switch pause or resume: return the refusal, empty if it has done it, and the length of a
        pause."""
        channel, audio = call.channel, call.writer.audio
        if not self.node.up.is_set():
            return NO_SWITCH, timedelta(0)
        try:
            if what == RESUME:
                refusal = self._send(commands.resume(channel, audio), 0, remote_commands.NOT_PAUSED)
                return refusal, timedelta(0)
            seconds = pause_seconds(lambda command: self.node.api(command, SWITCH_LIMIT))
            pause = commands.pause(channel, audio, seconds)
            refusal = self._send(pause, len(pause) - 1, remote_commands.NOT_RECORDED)
            if refusal:
                self.node.send_all(commands.undo_pause(channel), SWITCH_LIMIT)
            return refusal, timedelta(seconds=seconds)
        except SwitchError as error:
            # Whether it took effect is unknown; the switch is asked when the connection is back.
            log.warning("command.order_failed", recording=call.start.recording, error=error.message)
            return UNKNOWN, timedelta(0)

    def _send(self, batch: list[SwitchCommand], decisive: int, refusal: str) -> str:
        """Send commands; return ``refusal`` if the switch refuses the one at index ``decisive``."""
        pending = self.node.send_all(batch, SWITCH_LIMIT)
        try:
            pending[decisive].accepted()
        except SwitchError as error:
            if error.error_id != "switch.refused":
                raise
            return refusal
        return ""


def _read_line(connection: socket.socket) -> bytes:
    """Read a line, and return it without its end. Raises ``ValueError`` if there is none."""
    content = b""
    while b"\n" not in content:
        piece = connection.recv(MAX_BYTES)
        if not piece or len(content) + len(piece) > MAX_BYTES:
            raise ValueError("not a line")
        content += piece
    return content.partition(b"\n")[0]
