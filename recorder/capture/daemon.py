"""The daemon: a gevent hub beside one switch."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import gevent
import structlog
from gevent.event import Event

from recorder import metrics
from recorder.call import announce_on_answer, initial, transitions
from recorder.call.state import CallState
from recorder.capture.admission import PeerAdmission
from recorder.capture.bypassed_calls import DID_NOT_ASK, LISTED, BypassedCalls
from recorder.capture.call_controller import CallController
from recorder.capture.command_listener import CommandListener
from recorder.capture.conferences import Conferences
from recorder.capture.config_cache import ConfigCache
from recorder.capture.handover import Handover, Predecessor, Successor
from recorder.capture.headroom import Headroom
from recorder.capture.moved_spool import MovedSpool
from recorder.capture.outbound_call import OutboundCaller
from recorder.capture.overflow_journal import OverflowJournal
from recorder.capture.reconciliation import Reconciliation
from recorder.capture.spool_writer import SpoolWriter, reason_for
from recorder.capture.status import StatusSources, serve
from recorder.capture.unhandled_calls import UnhandledCalls
from recorder.clock import Now, Uptime, uptime, utc_now
from recorder.domain.call_events import ChannelGone, FolderFailed, FolderWritten
from recorder.domain.call_plan import NOTICE
from recorder.domain.line_policy import INWARD, OFF, OUTWARD, LinePolicy
from recorder.domain.parties import Party
from recorder.errors import SwitchError
from recorder.ids import Entropy, uuid7
from recorder.spool.layout import AUDIO, CallEnd, CallStart
from recorder.status_server import Neighbours
from recorder.switch import commands
from recorder.switch.caller_id import external_party_of, outward
from recorder.switch.commands import SwitchCommand
from recorder.switch.conference_events import ATTACHED, CAME, MAINTENANCE
from recorder.switch.connection import ConnectionLimits
from recorder.switch.esl import OutboundSession
from recorder.switch.esl_events import EslEvent
from recorder.switch.outbound_socket import Arrival, OutboundSocket
from recorder.switch.standing_connection import Live, Node, variable_of
from recorder.switch.translation import (
    IN_TALK,
    JOINS,
    SUBCLASSES,
    WANTED,
    legs,
    observe,
)

log = structlog.get_logger()

BEAT: Final = 0.5
"""Seconds between two heartbeats of the hub."""

DRAIN: Final = 15.0
"""Seconds for current announcements to end when the daemon is asked to end; where another daemon takes
over, as long as they take."""

CONNECT: Final = 1.0
"""Seconds that arriving calls wait, at the start, for the standing connection: without it only a call's
own socket reports it, and that is left when the announcement is over."""

PREPARE: Final = 5.0
"""The same where another daemon goes on accepting calls meanwhile."""

SAY_WITHIN: Final = 2.0
"""Seconds after which a systemd that reads nothing is no longer notified."""

CLAIM: Final = 0.02
"""Seconds between two checks whether a daemon that has handed over is gone."""

CLAIM_WITHIN: Final = 20.0
"""Seconds until a daemon that has the spool, and does not answer, is reported."""

FLUSH: Final = 3.0
"""Seconds for the remaining writes after that."""

BEGUN: Final = 10_000
"""How many of its own recordings a daemon remembers by their ids."""

_LET_GO: Final = frozenset({"late", "unrecorded"})
"""The switch's states of a call that did not wait for us: ``late`` until its socket closes."""

_ONLY_IN_ANNOUNCEMENT: Final = frozenset({"CHANNEL_EXECUTE_COMPLETE"})
"""Every application of every call of the switch: subscribed to on a call's own socket alone."""

_LATE_ON_ITS_OWN: Final = frozenset({"PLAYBACK_START", "DTMF"})
"""Events that an outbound call's own socket reports only at the end of the current sound, and that count
at once."""

_STANDING: Final = tuple(
    dict.fromkeys(name for name in (*WANTED, *IN_TALK, *ATTACHED) if name not in _ONLY_IN_ANNOUNCEMENT)
)


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """Plain settings. ``full_at``: share of the spool's disk in use above which no recording starts,
    ``warn_at`` above which the operator is warned (``None``: no sooner). ``region`` (``BE``): the country
    of numbers without a country code. ``command_timeout`` is in seconds. ``dial`` is the dial string for
    external numbers (empty: none), ``dial_as`` the number to show. ``metrics_port`` 0: no metrics;
    ``metrics_allow``: networks beside loopback that may read them. ``replace``: take over from the daemon
    that has the spool (:mod:`recorder.capture.handover`)."""

    node: str
    spool: Path
    snapshot: Path
    password: str = field(repr=False)
    switch_host: str = "127.0.0.1"
    switch_port: int = 8021
    listen_host: str = "127.0.0.1"
    listen_port: int = 8084
    command_timeout: float = 5.0
    full_at: float = 0.95
    warn_at: float | None = None
    region: str | None = None
    dial: str = ""
    dial_as: str = ""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    metrics_allow: tuple[str, ...] = ()
    replace: bool = False


class Daemon:
    """Create it, then call :meth:`run`; gevent must have monkey-patched the process.

    ``beat`` is called from the hub twice a second: the supervisor kills the process when that stops;
    ``leaving`` once, when it is asked to end. ``renew`` starts the next daemon, at SIGHUP; ``hand_on`` is
    called with the id of the process that does the daemon's work from now on, until it returns true.
    ``linger``: seconds that it goes on after SIGTERM, for the next daemon, which may be about to start."""

    def __init__(
        self,
        settings: DaemonSettings,
        *,
        now: Now = utc_now,
        entropy: Entropy = os.urandom,
        chance: Callable[[], float] = random.random,
        beat: Callable[[], object] = lambda: None,
        leaving: Callable[[], object] = lambda: None,
        since_boot: Callable[[], Uptime] = uptime,
        renew: Callable[[], object] | None = None,
        hand_on: Callable[[int], bool] = lambda _pid: True,
        linger: float = 0.0,
    ) -> None:
        self.settings = settings
        self._renew = renew
        self._hand_on = hand_on
        self._linger = linger
        self.now = now
        self._since_boot = since_boot
        self.calls: dict[str, CallController] = {}
        self._entropy = entropy
        self._beat = beat
        self._stopping = Event()
        self._at_once = Event()
        self._leaving = leaving
        self.headroom = Headroom(settings.spool, self.calls)
        self.knowledge = ConfigCache(
            settings.spool,
            settings.snapshot,
            settings.full_at,
            now,
            settings.warn_at,
            self.headroom,
            self._end_for_room,
        )
        limits = ConnectionLimits(reply=settings.command_timeout)
        self.admission = PeerAdmission(
            settings.node,
            settings.spool,
            entropy=entropy,
            reach=lambda seconds: self.node.reach(seconds),
            ask=lambda command, limit: self.node.api(command, limit),
        )
        self.dialplan = OutboundSocket(
            settings.listen_host,
            settings.listen_port,
            self._arrive,
            self.admission,
            region=settings.region,
            limits=limits,
        )
        self.node = Node(
            settings.switch_host,
            settings.switch_port,
            settings.password,
            names=_STANDING,
            subclasses=(*SUBCLASSES, MAINTENANCE),
            on_event=self._event,
            on_up=self._up,
            on_down=self._down,
            on_login=self.admission.log_in,
            random=chance,
            limits=limits,
        )
        self.notes = OverflowJournal(settings.spool)
        way_out = OutboundCaller(
            settings.switch_host, settings.switch_port, settings.password, settings.dial, settings.dial_as
        )
        self.controls = CommandListener(settings.spool, self.calls, self.node, now, call_out=way_out.call)
        self.rooms = Conferences(self.calls, self.node.api, self.node.send_later, now)
        self._takeover = Reconciliation(
            self.node, settings.spool, now, self._adopt, self.knowledge.script, self.rooms, settings.node
        )
        self._moved = MovedSpool(
            settings.spool,
            self.calls,
            self._takeover,
            lambda channel: variable_of(self.node, channel, "accord_state") is not None,
        )
        self.bypass = BypassedCalls(
            self.node,
            settings.region,
            now,
            line=self.knowledge.line,
            follow=self._follow,
            ended=self._ended_meanwhile,
            over=lambda channel: channel in self.calls or self._passed.over(channel),
        )
        self._passed = UnhandledCalls(
            self.node, settings.region, self._passed_by, self._follow, self.bypass.look
        )
        self._looking_again: gevent.Greenlet[..., None] = gevent.Greenlet()
        self._begun: deque[str] = deque(maxlen=BEGUN)
        self._serving: gevent.Greenlet[..., None] = gevent.Greenlet()
        self._handover = Handover(settings.spool, self._hand_over)
        self._successor: Successor | None = None
        """The daemon that takes over."""
        self._asked = False
        self._beside: list[gevent.Greenlet[..., None]] = []
        """What is ended with the daemon."""

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain: nobody listens for calls any more, so that the switch
        goes on at once or asks the next host; current announcements end; the other calls stay with the
        switch, which goes on recording, and the next daemon takes them over. A second signal breaks
        announcements off: the switch stops those recordings and goes on. Where the next daemon is there
        (:mod:`recorder.capture.handover`), it takes the calls, and this one ends by itself.

        Raises :class:`ConfigError` (another daemon has this spool), :class:`SwitchError` (the port is
        taken, or no command can carry a folder's path). A switch or snapshot that is away is no error: the
        daemon waits for it."""
        # A path that no command can carry would cost every call its recording: fail now.
        commands.record_stop("any", self.settings.spool / "any" / AUDIO)
        commands.record_stop("any", self.settings.snapshot / "prompts" / "any.wav")
        before = self._claim()
        self.knowledge.start()
        self.admission.start(beside=before is not None)
        if before is None:
            self._own_spool()
        else:
            self._passed.wait()
            if before.listener is not None and not self.dialplan.adopt(before.listener):
                before.listener.close()
        port = self.dialplan.bind()
        log.info("daemon.listening", port=port)
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._asked_to_end)
        if self._renew is not None:
            gevent.signal_handler(signal.SIGHUP, self._renew)
        self.node.start()
        gevent.wait([self.node.up, self._stopping], CONNECT if before is None else PREPARE, count=1)
        if before is not None:
            if not before.ready() and not self.knowledge.claim():
                raise self.knowledge.second()
            taking = gevent.spawn(self._take_over, before)
            taking.link_exception(lambda _: self._stopping.set())  # logged; the next start is a full one
            self._beside.append(taking)
        self._serving = gevent.spawn(self.dialplan.serve)
        self._beat()
        log.info("daemon.ready", node=self.settings.node, port=port)
        while not self._stopping.wait(BEAT):
            self._beat()
        if self._successor is None:
            self._leaving()
        log.info("daemon.draining", calls=self.dialplan.calls)
        beating = gevent.spawn(self._keep_beating)
        self._let_finish(gevent.spawn(self.dialplan.stop, DRAIN))
        self._flush()
        self.controls.stop()
        self.knowledge.seen()
        self.node.stop()
        self._flush()
        for greenlet in (beating, self._serving, self._looking_again, *self._beside):
            greenlet.kill()
        self.knowledge.stop()
        if self._successor is not None:
            self._successor.done(self._passed.all_written())
        self._handover.stop()
        log.info("daemon.ended")

    def _flush(self) -> None:
        flushing = [gevent.spawn(call.writer.flush, FLUSH) for call in list(self.calls.values())]
        gevent.joinall(flushing, timeout=FLUSH)

    # --- one daemon after the other

    def _claim(self) -> Predecessor | None:
        """Claim the spool; return the daemon that has it and hands over, if there is one."""
        until = time.monotonic() + CLAIM_WITHIN
        while not self.knowledge.claim():
            try:
                before = Predecessor.ask(self.settings.spool, self.settings.replace)
            except OSError as error:
                # It is about to listen, or to end; or it is an older version, which cannot hand over.
                if not self.settings.replace or time.monotonic() > until:
                    raise self.knowledge.second() from error
                gevent.sleep(CLAIM)
                continue
            if before is None:
                raise self.knowledge.second()
            log.info("daemon.takeover_started", listening=before.listener is not None)
            return before
        return None

    def _own_spool(self) -> None:
        """The spool is ours alone: handle what others left in it, and the commands that come through it."""
        self.notes.start()
        self._takeover.look(self.knowledge.left(), frozenset(self._begun))
        self._beside += [
            gevent.spawn(self.notes.keep_settling),
            gevent.spawn(self._moved.keep_looking),
            *self._show(),
        ]
        self.controls.start()
        self._handover.start()

    def _take_over(self, before: Predecessor) -> None:
        """Take over from the daemon before once it has ended."""
        written = before.ended()
        while not self.knowledge.claim():
            gevent.sleep(CLAIM)
        self._own_spool()
        self._go_on(written)
        log.info("daemon.takeover_finished", calls=len(self.calls))

    def _go_on(self, written: Iterable[str]) -> None:
        """No other daemon is left beside this one: handle what it has left."""
        try:
            live = self.node.reconcile()
            self.rooms.look(live)
            self._takeover.take_over(live)
            self._passed.go_on(written, self.calls)
            self._look_again_later(self._passed.look(live, self.calls))
        except SwitchError as error:
            log.warning("daemon.reconcile_failed", error=error.message)  # the next connection checks again
            self._passed.go_on(written, self.calls)

    def _hand_over(self, successor: Successor) -> None:
        """Another daemon begins: finish our announcements, and leave the rest to it."""
        if not successor.give(self.dialplan.listener, self._asked):
            return  # it could not start: nothing has changed
        self._successor = successor
        self._serving.kill()
        self._passed.wait()
        self._say_who(successor.pid)
        log.info(
            "daemon.handover_started", calls=len(self.calls), announcing=self.dialplan.calls, to=successor.pid
        )
        while self._announcing() and not self._at_once.is_set():
            if not successor.there(BEAT):
                self._resume()
                return
        self._stopping.set()

    def _resume(self) -> None:
        """The next daemon has died: take calls again, and the ones that it had begun."""
        log.error("daemon.resumed", hint="the next daemon ended before it had taken over: see its log")
        self._successor = None
        self._say_who(os.getpid())
        if self._asked:
            self._passed.go_on((), self.calls)
            self._stopping.set()
            return
        self._serving = gevent.spawn(self.dialplan.serve)
        ours = {*self._begun, *(call.start.recording for call in self.calls.values())}
        self._takeover.look(self.now(), ours)
        self._go_on(())

    def _say_who(self, pid: int) -> None:
        """Report the main process to a systemd that may have much else to read."""
        with gevent.Timeout(SAY_WITHIN, False):  # type: ignore[arg-type]  # False: end the block quietly
            while not self._hand_on(pid):
                gevent.sleep(BEAT / 10)

    def _announcing(self) -> bool:
        """Whether there are calls here that another daemon cannot take over."""
        return self.dialplan.calls > 0 or any(
            announce_on_answer.is_announcing(call.state) for call in self.calls.values()
        )

    def _let_finish(self, stopping: gevent.Greenlet[..., None]) -> None:
        """Wait for the current calls and, within the same time, for announcements on answer, which need
        the standing connection."""
        for _ in range(int(DRAIN / BEAT)):
            if self._at_once.is_set() or (stopping.dead and not self._announcing()):
                break
            self._at_once.wait(BEAT)
        stopping.join()

    def _asked_to_end(self) -> None:
        if self._asked:
            self._at_once.set()
            gevent.spawn(self.dialplan.stop, 0.0)
        self._asked = True
        if self._at_once.is_set():
            self._stopping.set()
        else:
            gevent.spawn_later(self._linger, self._end_alone)

    def _end_alone(self) -> None:
        if self._successor is None:  # a daemon that hands over ends by itself
            self._stopping.set()

    def _show(self) -> list[gevent.Greenlet[[], None]]:
        chosen = self.settings
        if not chosen.metrics_port:
            return []
        return serve(
            StatusSources(self.calls, self.knowledge, self.node, self.bypass),
            chosen.metrics_host,
            chosen.metrics_port,
            Neighbours(chosen.metrics_allow),
        )

    def _keep_beating(self) -> None:
        while True:
            self._beat()
            gevent.sleep(BEAT)

    # --- a call arrives

    def _arrive(self, arrival: Arrival, own: OutboundSession) -> None:
        """Handle an arriving call, in a greenlet of its own; when it returns the switch has its call back."""
        at = self.now()
        self.bypass.brought(arrival.context)
        policy, reason = self.knowledge.decide(arrival.line, arrival.calling)
        if not arrival.new or arrival.channel in self.calls or self._passed.over(arrival.channel):
            # Handled already or listed as unhandled, not passed to us by our dialplan, or over before we
            # came to it.
            log.warning("call.foreign", channel=repr(arrival.channel), state=repr(arrival.state))
            if arrival.state in _LET_GO and arrival.channel not in self.calls:
                self._passed.late(arrival.channel, arrival.line, arrival.direction, arrival.external_party)
            return
        if not _concerns_us(policy, arrival.direction):
            return
        if not commands.addressable(arrival.channel):
            # No command can address it: it goes on, and is listed.
            log.warning("call.unaddressable", channel=repr(arrival.channel))
            self._follow(
                arrival.channel,
                arrival.line,
                arrival.direction,
                arrival.external_party,
                "announcement_failed",
            )
            return
        outwards = arrival.direction == OUTWARD
        start = self._start(
            arrival.channel, arrival.line, arrival.direction, arrival.external_party, policy, at,
            self._since_boot()
        )  # fmt: skip
        writer = self._writer(start)
        if reason is None:
            try:
                writer.prepare()
            except OSError as error:
                metrics.SPOOL_ERRORS.labels("folder").inc()
                reason = reason_for(error)
                log.error("spool.open_failed", recording=start.recording, error=str(error), reason=reason)
            if self._passed.over(arrival.channel):
                # It hung up while its folder was created, and is listed.
                log.warning("call.foreign", channel=repr(arrival.channel), state=repr(arrival.state))
                writer.abandon()
                return
        # Not earlier: between this and taking the call in, no other call is considered.
        if reason is None and policy is not None and not self.headroom.admits(policy.formats):
            reason = "full_disk"
        if reason is None and policy is not None:
            state, actions = initial.arrive(self.knowledge.plan(policy, arrival.direction), at)
            starts = tuple(
                replace(
                    start,
                    announcement=each.announcement,
                    question=each.question,
                    keep=each.keep,
                    delete=each.delete,
                    transfer_notice=each.transfer_notice,
                )
                for each in policy.languages
            )
        else:
            start = replace(start, refused=reason or "no_line")
            state, actions = initial.refuse(reason or "no_line")
            starts = (start,)
        longest = transitions.longest(state.plan)
        if arrival.internal_party is not None:
            state = replace(state, internal=replace(state.internal, party=arrival.internal_party))
        call = self._take_in(CallController(
            start, state, writer, now=self.now,
            # On an outbound call the switch replies to a command when it has carried it out.
            to_call=lambda orders: own.send_all(orders, longest if outwards else None),
            to_switch=self.node.send_later, ask=self.node.api, ended=self._forget, starts=starts,
            tell_in_room=self.rooms.tell, cut_in_room=self.rooms.cut, let_back=self.rooms.let_back,
        ))  # fmt: skip
        own.register_handle("*", call.event)
        own.on_close(lambda _reason: call.let_go())
        call.log.info("call.arrived", line=start.line, reason=reason)
        try:
            own.send_all([commands.only_channel(arrival.channel), commands.subscribe(WANTED)])
        except SwitchError as error:
            # The switch has gone on while we were stopped: the call is taken in and listed all the same.
            call.log.warning("call.lost", error=error.message)
            call.let_go()
        call.act(actions)
        call.watch()
        if not call.leave.wait(timeout=longest):
            call.log.error("call.release_failed")
        if not own.closed.is_set():
            own.stop()
        call.drop_socket()

    def _start(
        self,
        channel: str,
        number: str,
        direction: str,
        external_party: Party,
        policy: LinePolicy | None,
        at: datetime,
        up: Uptime | None = None,
        refused: str | None = None,
    ) -> CallStart:
        recording = str(uuid7(at, self._entropy))
        self._begun.append(recording)
        return CallStart(
            recording=recording,
            tenant=policy.tenant if policy else None,
            line=policy.line if policy else None,
            number=number,
            direction=direction,
            node=self.settings.node,
            channel=channel,
            external_party=external_party,
            started_at=at,
            formats=policy.formats if policy else (),
            announcement=policy.announcement if policy else None,
            mode=policy.mode if policy else NOTICE,
            at_pickup=policy is not None and policy.once_connected(direction),
            beep=policy.beep if policy else "",
            uptime=up,
            refused=refused,
        )

    def _writer(self, start: CallStart) -> SpoolWriter:
        self._moved.made(start.recording)
        return SpoolWriter(
            self.settings.spool,
            start.recording,
            lambda error: self._opened(start.channel, error),
            self.notes.keep,
        )

    def _take_in(self, call: CallController) -> CallController:
        self.calls[call.channel] = call
        return call

    def _forget(self, call: CallController) -> None:
        if self.calls.get(call.channel) is call:
            del self.calls[call.channel]
            self._passed.written(call.channel)

    def _opened(self, channel: str, error: OSError | None) -> None:
        if call := self.calls.get(channel):
            now = self.now()
            call.feed(FolderWritten(now) if error is None else FolderFailed(now, reason_for(error)))

    def _end_for_room(self) -> None:
        for call in self.headroom.excess():
            call.end_for_room()

    # --- the rest of the calls

    def _event(self, event: EslEvent) -> None:
        metrics.EVENT_LAG.observe(max(0.0, (self.now() - event.at).total_seconds()))
        if event.name in ATTACHED or event.subclass == MAINTENANCE:
            self.rooms.event(event)
            if event.header("Action") == CAME:
                self.bypass.joined(event)
            return
        call = self.calls.get(event.uuid)
        if event.name in IN_TALK:
            # A colleague's leg is known by the one at its other end.
            talk = call or self.calls.get(event.header("Other-Leg-Unique-ID"))
            if talk is not None:
                talk.in_talk(event)
            self.rooms.in_talk(event)
            if event.name not in ("CHANNEL_HOLD", "CHANNEL_UNHOLD") and not (
                event.name in _LATE_ON_ITS_OWN and call is not None and call.told_late
            ):
                return
        if event.name == "RECORD_START" and (
            call is None or call.writer.audio != Path(event.header("Record-File-Path"))
        ):
            self._takeover.stray(event)  # also on a call that is followed to its end, and has no recording
        if event.name in JOINS:
            # One of the two legs reports it, which need not be the external one.
            for leg in legs(event):
                if leg != event.uuid and (other := self.calls.get(leg)) is not None:
                    other.event(event)
            if event.name == "CHANNEL_BRIDGE" and not self.calls.keys() & set(legs(event)):
                colleagues = set(legs(event)) - {""}
                for waits in [each for each in self.calls.values() if each.state.internal.leg in colleagues]:
                    waits.asks_another(event)
            if event.name == "CHANNEL_BRIDGE":
                self.bypass.bridged(event)
        if event.name == "CHANNEL_HANGUP_COMPLETE":
            self.rooms.hung_up(event)
            self.bypass.hung_up(event)
        if call is not None:
            call.event(event)
        elif event.name == "CHANNEL_HANGUP_COMPLETE":
            self._passed.hung_up(event)

    def _passed_by(self, event: EslEvent, number: str, reason: str) -> None:
        """Write a call that the switch let go by itself and that has ended, with the reason."""
        observed = observe(event)
        assert observed is not None  # a hang-up always means something
        direction = OUTWARD if outward(event.headers) else INWARD
        if not _concerns_us(self.knowledge.decide(number)[0], direction):
            return
        party = external_party_of(event.headers, self.settings.region)
        start, told = self._unannounced(event.uuid, number, direction, party, reason, observed.at)
        if told == DID_NOT_ASK:
            self.bypass.found(direction, event.header("Caller-Context"), number)
        writer = self._writer(start)
        writer.open(start)
        writer.close(CallEnd("not_recorded", told, observed.at, None), lambda: None)
        metrics.CALLS.labels(told).inc()
        log.info("call.excluded", recording=start.recording, reason=told)

    def _follow(self, channel: str, number: str, direction: str, external_party: Party, reason: str) -> None:
        """Follow a call that goes on."""
        if not _concerns_us(self.knowledge.decide(number)[0], direction):
            return
        start, told = self._unannounced(channel, number, direction, external_party, reason, self.now())
        state, _ = initial.refuse(told)
        self._adopt(start, state).writer.open(start)

    def _ended_meanwhile(self, channel: str, at: datetime) -> None:
        """End a call that hung up while the switch was asked about it; its own event has passed."""
        if call := self.calls.get(channel):
            call.feed(ChannelGone(at))

    def _unannounced(
        self, channel: str, number: str, direction: str, external_party: Party, reason: str, at: datetime
    ) -> tuple[CallStart, str]:
        # A caller's word is no reason to keep quiet about the dialplan.
        calling = () if reason == DID_NOT_ASK and direction != OUTWARD else (external_party.value,)
        policy, refused = self.knowledge.decide(number, calling)
        told = reason if reason == "never_record" or refused not in {"no_line", "never_record"} else refused
        return self._start(channel, number, direction, external_party, policy, at, refused=told), told

    def _up(self, live: Live) -> None:
        self.rooms.look(live)
        self._takeover.reconcile(live, self.calls, self.knowledge.watched_until())
        # With another daemon beside us, a call that is not ours may be its.
        left = None if self._passed.waits else self._passed.look(live, self.calls)
        self.knowledge.watching()  # not earlier: a failure half-way is repeated, over the same time
        if left is not None:
            self._look_again_later(left)

    def _look_again_later(self, left: frozenset[str]) -> None:
        self._looking_again.kill(block=False)
        self._looking_again = gevent.spawn_later(LISTED, self._look_again, left)

    def _look_again(self, left: frozenset[str]) -> None:
        """Check the calls that the switch had not listed yet, and those that nobody has come for
        meanwhile."""
        try:
            live = self.node.reconcile()
            if not self._passed.waits:
                self._passed.look(live, self.calls, left)
        except SwitchError as error:
            log.info("daemon.recheck_failed", error_id=error.error_id)  # the next connection checks again

    def _down(self, reason: str) -> None:
        log.warning("daemon.unobserved", reason=reason)
        self.knowledge.unwatched()

    def _adopt(self, start: CallStart, state: CallState) -> CallController:
        """Adopt a call that an earlier daemon began: it has no socket of its own any more."""
        call = self._take_in(CallController(
            start, state, self._writer(start), now=self.now, to_call=_no_socket,
            to_switch=self.node.send_later, ask=self.node.api, ended=self._forget,
            tell_in_room=self.rooms.tell, cut_in_room=self.rooms.cut, let_back=self.rooms.let_back,
        ))  # fmt: skip
        call.left_at = start.started_at
        return call


def _concerns_us(policy: LinePolicy | None, direction: str) -> bool:
    """Whether a call is to be recorded, or listed where it was not: an outbound call only where its line
    says so."""
    return direction != OUTWARD or (policy is not None and policy.outbound != OFF)


def _no_socket(_orders: list[SwitchCommand]) -> None:
    raise SwitchError("switch.gone", "this call was begun by an earlier daemon", "")
