"""The daemon: a gevent hub beside one switch. This module starts it, stops it and hands it over."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from typing import Final

import gevent
import structlog
from gevent.event import Event

from recorder.call import announce_on_answer
from recorder.capture.admission import PeerAdmission
from recorder.capture.call_controller import CallController
from recorder.capture.call_intake import CallIntake
from recorder.capture.command_listener import CommandListener
from recorder.capture.conferences import Conferences
from recorder.capture.config_cache import ConfigCache
from recorder.capture.handover import Handover, Predecessor, Successor
from recorder.capture.headroom import Headroom
from recorder.capture.moved_spool import MovedSpool
from recorder.capture.other_recordings import OtherRecordings
from recorder.capture.outbound_call import OutboundCaller
from recorder.capture.overflow_journal import OverflowJournal
from recorder.capture.reconciliation import Reconciliation
from recorder.capture.room_callers import RoomCallers
from recorder.capture.room_conferences import RoomConferences
from recorder.capture.settings import DaemonSettings
from recorder.capture.status import StatusSources, serve
from recorder.capture.switch_observer import EVENTS, SUBCLASSES, SwitchObserver
from recorder.clock import Now, Uptime, uptime, utc_now
from recorder.ids import Entropy
from recorder.spool.layout import AUDIO
from recorder.status_server import AllowedClients
from recorder.switch import commands
from recorder.switch.connection import ConnectionLimits
from recorder.switch.outbound_socket import OutboundSocket
from recorder.switch.standing_connection import Node, variable_of

log = structlog.get_logger()

BEAT: Final = 0.5
"""Seconds between two heartbeats of the hub."""

DRAIN: Final = 15.0
"""Seconds that a daemon waits for current announcements when it is asked to end. Where another daemon takes
over, it waits for as long as they take."""

CONNECT: Final = 1.0
"""Seconds that arriving calls wait, at the start, for the standing connection. Without it a call is reported
only on its own socket, which it leaves when its announcement has ended."""

PREPARE: Final = 5.0
"""The same, where another daemon accepts calls meanwhile."""

NOTIFY_LIMIT: Final = 2.0
"""Seconds after which a systemd that reads nothing is no longer notified."""

CLAIM_RETRY: Final = 0.02
"""Seconds between two attempts to claim the spool of a daemon that hands over."""

CLAIM_LIMIT: Final = 20.0
"""Seconds until a daemon that holds the spool and does not answer is reported."""

FLUSH: Final = 3.0
"""Seconds for the remaining writes after :data:`DRAIN`."""


class Daemon:
    """Create it, then call :meth:`run`; gevent must have monkey-patched the process.

    ``beat`` is called from the hub twice a second: the supervisor kills the process when it stops.
    ``report_stop`` is called once, when the daemon is asked to end. ``renew`` starts the next daemon, at
    SIGHUP. ``hand_on`` receives the id of the process that does the daemon's work from then on; it is called
    until it returns true. ``linger``: seconds for which the daemon continues after SIGTERM, in case the next
    one is about to start."""

    def __init__(
        self,
        settings: DaemonSettings,
        *,
        now: Now = utc_now,
        entropy: Entropy = os.urandom,
        chance: Callable[[], float] = random.random,
        beat: Callable[[], object] = lambda: None,
        report_stop: Callable[[], object] = lambda: None,
        since_boot: Callable[[], Uptime] = uptime,
        renew: Callable[[], object] | None = None,
        hand_on: Callable[[int], bool] = lambda _pid: True,
        linger: float = 0.0,
    ) -> None:
        self.settings = settings
        self.now = now
        self._beat = beat
        self._report_stop = report_stop
        self._renew = renew
        self._hand_on = hand_on
        self._linger = linger
        self.calls: dict[str, CallController] = {}
        """The current calls, by the channel of the external leg."""
        self.headroom = Headroom(settings.spool, self.calls)
        self.config = ConfigCache(
            settings.spool,
            settings.snapshot,
            settings.full_at,
            now,
            settings.warn_at,
            self.headroom,
            lambda: self.intake.stop_excess(),
            settings.region,
        )
        limits = ConnectionLimits(reply=settings.command_timeout)
        self.admission = PeerAdmission(
            settings.node,
            settings.spool,
            entropy=entropy,
            reach=lambda seconds: self.node.reach(seconds),
            ask=lambda command, limit: self.node.api(command, limit),
        )
        self.outbound_socket = OutboundSocket(
            settings.listen_host,
            settings.listen_port,
            lambda arrival, session: self.intake.arrive(arrival, session),
            self.admission,
            region=settings.region,
            limits=limits,
        )
        self.node = Node(
            settings.switch_host,
            settings.switch_port,
            settings.password,
            names=EVENTS,
            subclasses=SUBCLASSES,
            on_event=lambda event: self.observer.handle_event(event),
            on_up=lambda live: self.observer.connect(live),
            on_down=lambda reason: self.observer.disconnect(reason),
            on_login=self.admission.set_key,
            random=chance,
            limits=limits,
        )
        self.journal = OverflowJournal(settings.spool)
        caller = OutboundCaller(
            settings.switch_host, settings.switch_port, settings.password, settings.dial, settings.dial_as
        )
        self.rooms = RoomConferences(self.node)
        self.command_listener = CommandListener(
            settings.spool, self.calls, self.node, now, call_out=caller.call, rooms=self.rooms.answer
        )
        self.conferences = Conferences(self.calls, self.node.api, self.node.send_later, now)
        other_recordings = OtherRecordings(self.calls, settings.spool)
        self.intake = CallIntake(
            settings,
            self.calls,
            self.node,
            self.config,
            self.headroom,
            self.conferences,
            self.journal,
            lambda recording: self.moved_spool.add_own(recording),
            other_recordings.check,
            now=now,
            entropy=entropy,
            since_boot=since_boot,
        )
        self.reconciliation = Reconciliation(
            self.node,
            settings.spool,
            now,
            self.intake.adopt,
            self.config.script,
            self.conferences,
            settings.node,
        )
        self.observer = SwitchObserver(
            self.node,
            self.calls,
            self.config,
            self.conferences,
            self.intake,
            self.reconciliation,
            other_recordings,
            RoomCallers(self.node, settings.spool),
            self.rooms,
            now,
        )
        self.moved_spool = MovedSpool(
            settings.spool,
            self.calls,
            self.reconciliation,
            lambda channel: variable_of(self.node, channel, "accord_state") is not None,
        )
        self._handover = Handover(settings.spool, self._hand_over)
        self._successor: Successor | None = None
        """The daemon that takes over."""
        self._stop_event = Event()
        self._at_once = Event()
        self._end_requested = False
        self._server: gevent.Greenlet[..., None] = gevent.Greenlet()
        self._background: list[gevent.Greenlet[..., None]] = []

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain: calls are no longer accepted, so the switch continues at
        once or asks the next host; current announcements end. All other calls stay with the switch, which
        keeps recording, and the next daemon takes them over. A second signal breaks announcements off: the
        switch stops those recordings and continues. If the next daemon is there already
        (:mod:`recorder.capture.handover`), it takes the calls, and this one ends by itself.

        Raises :class:`ConfigError` (another daemon holds this spool) and :class:`SwitchError` (the port is
        taken, or no command can carry a folder's path). An absent switch or snapshot is no error: the daemon
        waits for it."""
        # A path that no command can carry would cost every call its recording: fail now.
        commands.record_stop("any", self.settings.spool / "any" / AUDIO)
        commands.record_stop("any", self.settings.snapshot / "prompts" / "any.wav")
        predecessor = self._claim()
        self.config.start()
        self.admission.start(beside=predecessor is not None)
        if predecessor is None:
            self._start_spool_work()
        else:
            self.intake.unhandled.defer()
            if predecessor.listener is not None and not self.outbound_socket.adopt(predecessor.listener):
                predecessor.listener.close()
        port = self.outbound_socket.bind()
        log.info("daemon.listening", port=port)
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._request_end)
        if self._renew is not None:
            gevent.signal_handler(signal.SIGHUP, self._renew)
        self.node.start()
        gevent.wait([self.node.up, self._stop_event], CONNECT if predecessor is None else PREPARE, count=1)
        if predecessor is not None:
            if not predecessor.confirm_ready() and not self.config.claim():
                raise self.config.claim_error()
            takeover = gevent.spawn(self._take_over, predecessor)
            takeover.link_exception(lambda _: self._stop_event.set())  # logged; the next start is a full one
            self._background.append(takeover)
        self._server = gevent.spawn(self.outbound_socket.serve)
        self._beat()
        log.info("daemon.ready", node=self.settings.node, port=port)
        while not self._stop_event.wait(BEAT):
            self._beat()
        self._stop()

    def _stop(self) -> None:
        if self._successor is None:
            self._report_stop()
        log.info("daemon.draining", calls=self.outbound_socket.calls)
        heartbeat = gevent.spawn(self._keep_beating)
        self._drain(gevent.spawn(self.outbound_socket.stop, DRAIN))
        self._flush()
        self.command_listener.stop()
        self.config.note_watch()
        self.node.stop()
        self._flush()
        self.observer.stop()
        for greenlet in (heartbeat, self._server, *self._background):
            greenlet.kill()
        self.config.stop()
        if self._successor is not None:
            self._successor.finish(self.intake.unhandled.written_channels())
        self._handover.stop()
        log.info("daemon.ended")

    def _start_spool_work(self) -> None:
        """This daemon alone holds the spool: handle what others left in it, and the commands that arrive
        through it."""
        self.journal.start()
        self.reconciliation.list_open_folders(self.config.last_watched(), frozenset(self.intake.recordings))
        self._background += [
            gevent.spawn(self.journal.run),
            gevent.spawn(self.moved_spool.run),
            *self._serve_status(),
        ]
        self.command_listener.start()
        self._handover.start()

    def _serve_status(self) -> list[gevent.Greenlet[[], None]]:
        settings = self.settings
        if not settings.metrics_port:
            return []
        return serve(
            StatusSources(self.calls, self.config, self.node, self.intake.bypassed, self.observer.lag),
            settings.metrics_host,
            settings.metrics_port,
            AllowedClients(settings.metrics_allow),
        )

    def _keep_beating(self) -> None:
        while True:
            self._beat()
            gevent.sleep(BEAT)

    # --- from the previous daemon

    def _claim(self) -> Predecessor | None:
        """Claim the spool; return the daemon that holds it and hands over, if there is one."""
        until = time.monotonic() + CLAIM_LIMIT
        while not self.config.claim():
            try:
                predecessor = Predecessor.connect(self.settings.spool, self.settings.replace)
            except OSError as error:
                # It is about to listen, or to end; or it is an older version, which cannot hand over.
                if not self.settings.replace or time.monotonic() > until:
                    raise self.config.claim_error() from error
                gevent.sleep(CLAIM_RETRY)
                continue
            if predecessor is None:
                raise self.config.claim_error()
            log.info("daemon.takeover_started", listening=predecessor.listener is not None)
            return predecessor
        return None

    def _take_over(self, predecessor: Predecessor) -> None:
        """Take over from the previous daemon once it has ended."""
        written_channels = predecessor.wait_for_end()
        while not self.config.claim():
            gevent.sleep(CLAIM_RETRY)
        self._start_spool_work()
        self.observer.take_over(written_channels)
        log.info("daemon.takeover_finished", calls=len(self.calls))

    # --- to the next daemon

    def _hand_over(self, successor: Successor) -> None:
        """The next daemon begins: finish the current announcements, and leave the rest to it."""
        if not successor.offer(self.outbound_socket.listener, self._end_requested):
            return  # it could not start: nothing has changed
        try:
            self._leave_calls(successor)
        except Exception:
            # The next daemon accepts the calls already, and takes the others over once this one has ended.
            self._stop_event.set()
            raise

    def _leave_calls(self, successor: Successor) -> None:
        self._successor = successor
        self._server.kill()
        self.intake.unhandled.defer()
        self._notify_main_process(successor.pid)
        log.info(
            "daemon.handover_started",
            calls=len(self.calls),
            announcing=self.outbound_socket.calls,
            to=successor.pid,
        )
        while self._is_announcing() and not self._at_once.is_set():
            if not successor.is_alive(BEAT):
                self._resume()
                return
        self._stop_event.set()

    def _resume(self) -> None:
        """The next daemon has died: accept calls again, and take over the calls that it had begun."""
        log.error("daemon.resumed", hint="the next daemon ended before it had taken over: see its log")
        self._successor = None
        self._notify_main_process(os.getpid())
        if self._end_requested:
            self.intake.unhandled.resume((), self.calls)
            self._stop_event.set()
            return
        self._server = gevent.spawn(self.outbound_socket.serve)
        own = {*self.intake.recordings, *(call.start.recording for call in self.calls.values())}
        self.reconciliation.list_open_folders(self.now(), own)
        self.observer.take_over(())

    def _notify_main_process(self, pid: int) -> None:
        """Report the main process to systemd, which may be slow to read."""
        with gevent.Timeout(NOTIFY_LIMIT, False):  # type: ignore[arg-type]  # False: end the block quietly
            while not self._hand_on(pid):
                gevent.sleep(BEAT / 10)

    # --- the end

    def _request_end(self) -> None:
        if self._end_requested:
            self._at_once.set()
            gevent.spawn(self.outbound_socket.stop, 0.0)
        self._end_requested = True
        if self._at_once.is_set():
            self._stop_event.set()
        else:
            gevent.spawn_later(self._linger, self._end_alone)

    def _end_alone(self) -> None:
        if self._successor is None:  # a daemon that hands over ends by itself
            self._stop_event.set()

    def _drain(self, stop: gevent.Greenlet[..., None]) -> None:
        """Wait for the current calls and, within the same time, for announcements on answer, which need the
        standing connection."""
        for _ in range(int(DRAIN / BEAT)):
            if self._at_once.is_set() or (stop.dead and not self._is_announcing()):
                break
            self._at_once.wait(BEAT)
        stop.join()

    def _is_announcing(self) -> bool:
        """Whether there are calls here that another daemon cannot take over."""
        return self.outbound_socket.calls > 0 or any(
            announce_on_answer.is_announcing(call.state) or call.state.rings_on
            for call in self.calls.values()
        )

    def _flush(self) -> None:
        writes = [gevent.spawn(call.writer.flush, FLUSH) for call in list(self.calls.values())]
        gevent.joinall(writes, timeout=FLUSH)
