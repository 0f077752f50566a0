"""Queues of a connection: commands that wait for replies, and events that wait for handlers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import gevent
import structlog
from gevent.event import AsyncResult, Event

from recorder import metrics
from recorder.errors import SwitchError
from recorder.switch.commands import SwitchCommand
from recorder.switch.esl_events import EslEvent, Reply

log = structlog.get_logger()

Handler = Callable[[EslEvent], object]


class PendingReply:
    """The reply to a command that was sent; see :meth:`Connection.send_later`. ``limit`` is in seconds.
    ``quiet``: the peer is unverified, so its actions are neither logged nor counted."""

    __slots__ = ("_quiet", "_result", "_start", "_timer", "command", "limit")

    def __init__(self, command: SwitchCommand, limit: float, *, quiet: bool = False) -> None:
        self.command = command
        self._quiet = quiet
        self.limit = limit
        self._result: AsyncResult[Reply] = AsyncResult()
        self._timer = gevent.get_hub().loop.timer(limit)
        self._start = 0.0

    def wait(self) -> Reply:
        """Return the reply. Raises :class:`SwitchError`: ``switch.timeout`` when the limit has passed,
        ``switch.gone`` when the connection has ended."""
        reply = self._result.get()
        assert reply is not None  # set exactly once
        return reply

    def accepted(self) -> Reply:
        """Return the reply, as :meth:`wait`. Raises ``switch.refused`` if the switch refused the command."""
        reply = self.wait()
        if reply.refused:
            raise SwitchError(
                "switch.refused",
                f"FreeSWITCH refused {str(self.command)!r}: {reply.data}",
                "see FreeSWITCH's log, or try the command in fs_cli",
            )
        return reply

    @property
    def is_settled(self) -> bool:
        """Whether it was answered, timed out or failed, so that :meth:`wait` returns at once."""
        return bool(self._result.ready())

    def then(self, call: Callable[[PendingReply], object]) -> None:
        """Call ``call`` in the hub as soon as it is done; it must not block."""
        self._result.rawlink(lambda _result: call(self))

    def start(self) -> None:
        """Start the time limit."""
        self._start = time.monotonic()
        self._timer.start(self._too_late)

    def settle(self, reply: Reply) -> bool:
        """Set the reply; return ``False`` if the command had timed out before."""
        self._close_timer()
        if self._result.ready():
            return False
        if not self._quiet:
            metrics.SWITCH_COMMAND.observe(time.monotonic() - self._start)
        if reply.refused and not self._quiet:
            metrics.SWITCH_COMMAND_FAILURES.labels(metrics.REFUSED).inc()
        self._result.set(reply)
        return True

    def fail(self, error: SwitchError) -> None:
        """Set an error: there will be no reply."""
        self._close_timer()
        if not self._result.ready():
            late = error.error_id == "switch.timeout"
            if not self._quiet:
                metrics.SWITCH_COMMAND_FAILURES.labels(metrics.LATE if late else metrics.GONE).inc()
            self._result.set_exception(error)

    def _too_late(self) -> None:
        if not self._quiet:
            log.warning("switch.no_reply", command=str(self.command), limit=self.limit)
        self.fail(
            SwitchError(
                "switch.timeout",
                f"FreeSWITCH did not answer {str(self.command)!r} within {self.limit:g} s",
                "check whether FreeSWITCH is overloaded, or one of its API commands hangs",
            )
        )

    def _close_timer(self) -> None:
        self._timer.stop()
        self._timer.close()


class Lane:
    """The queue and greenlet of one handler, which receives its events in order."""

    __slots__ = ("_greenlet", "_is_ending", "_limit", "_queue", "_wake", "failures", "handler")

    def __init__(self, handler: Handler, limit: int) -> None:
        self.handler = handler
        self.failures = 0
        self._limit = limit
        self._is_ending = False
        self._queue: deque[EslEvent] = deque()
        self._wake = Event()
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def put(self, event: EslEvent) -> bool:
        """Queue an event; return ``False`` if the handler is too far behind."""
        if len(self._queue) >= self._limit:
            return False
        self._queue.append(event)
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)
        if not self._wake.is_set():
            self._wake.set()
        return True

    def finish(self) -> None:
        """No more events will come: let the greenlet end when the queued ones are handled."""
        self._is_ending = True
        self._wake.set()

    def join(self, limit: float) -> bool:
        """Wait at most ``limit`` seconds until the handler has processed all events; return whether it
        has."""
        if self._greenlet is None or self._greenlet is gevent.getcurrent():
            return True
        self._greenlet.join(timeout=limit)
        return bool(self._greenlet.dead)

    def _run(self) -> None:
        queue = self._queue
        while queue or not self._is_ending:
            self._wake.wait()
            self._wake.clear()
            turn = 0
            while queue:
                event = queue.popleft()
                try:
                    self.handler(event)
                except Exception:
                    # One failure must not stop the following events.
                    self.failures += 1
                    metrics.EVENTS_LOST.labels("failed").inc()
                    log.exception("switch.handler_failed", event_name=event.name, channel=repr(event.uuid))
                turn += 1
                if turn % 64 == 0:
                    gevent.sleep(0)
