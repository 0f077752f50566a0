"""Handles what the standing connection reports: passes each event to the calls it concerns, and reconciles
with the switch when the connection is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import gevent
import structlog

from recorder.capture.bypassed_calls import LIST_DELAY
from recorder.capture.call_controller import CallController
from recorder.capture.call_intake import CallIntake
from recorder.capture.conferences import Conferences
from recorder.capture.config_cache import ConfigCache
from recorder.capture.event_lag import EventLag
from recorder.capture.other_recordings import OtherRecordings
from recorder.capture.reconciliation import Reconciliation
from recorder.capture.room_callers import ROOM, RoomCallers
from recorder.capture.room_conferences import RoomConferences
from recorder.clock import Now
from recorder.errors import SwitchError
from recorder.switch.conference_events import JOINED, MAINTENANCE, MEDIA_BUG_EVENTS
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveState, Node
from recorder.switch.translation import (
    BRIDGE_EVENTS,
    CALL_EVENTS,
    CODE_SUBCLASSES,
    TALK_EVENTS,
    bridge_legs,
)

log = structlog.get_logger()

_ONLY_IN_ANNOUNCEMENT: Final = frozenset({"CHANNEL_EXECUTE_COMPLETE"})
"""Reported for every application of every call of the switch, so subscribed to on a call's own socket
only."""

_LATE_ON_OWN_SOCKET: Final = frozenset({"PLAYBACK_START", "DTMF"})
"""Events that take effect at once, and that an outbound call's own socket reports only when the current sound
has ended."""

EVENTS: Final = tuple(
    dict.fromkeys(
        name for name in (*CALL_EVENTS, *TALK_EVENTS, *MEDIA_BUG_EVENTS) if name not in _ONLY_IN_ANNOUNCEMENT
    )
)
SUBCLASSES: Final = (*CODE_SUBCLASSES, MAINTENANCE, ROOM)
"""The events, and the subclasses of CUSTOM events, that the standing connection subscribes to."""


@dataclass(eq=False, repr=False)
class SwitchObserver:
    """Handles the standing connection of ``node``; ``calls`` are the current calls, by the external leg."""

    node: Node
    calls: Mapping[str, CallController]
    config: ConfigCache
    conferences: Conferences
    intake: CallIntake
    reconciliation: Reconciliation
    other_recordings: OtherRecordings
    room_callers: RoomCallers
    rooms: RoomConferences
    now: Now
    lag: EventLag = field(default_factory=EventLag, init=False)
    _recheck: gevent.Greenlet[..., None] = field(default_factory=gevent.Greenlet, init=False)

    def handle_event(self, event: EslEvent) -> None:
        """Pass an event to the calls that it concerns."""
        self.lag.begin(max(0.0, (self.now() - event.at).total_seconds()))
        try:
            self._handle(event)
        finally:
            self.lag.end()

    def _handle(self, event: EslEvent) -> None:
        if event.name in MEDIA_BUG_EVENTS or event.subclass == MAINTENANCE:
            self.conferences.handle_event(event)
            self.rooms.handle_event(event)
            if event.header("Action") == JOINED:
                self.intake.bypassed.handle_conference_join(event)
            return
        if event.subclass == ROOM:
            self.room_callers.handle_event(event)
            return
        call = self.calls.get(event.uuid)
        if event.name in TALK_EVENTS:
            # The internal leg is identified by the external leg at its other end.
            talk = call or self.calls.get(event.header("Other-Leg-Unique-ID"))
            if talk is not None:
                talk.receive_talk_event(event)
            self.conferences.handle_talk_event(event)
            if event.name not in ("CHANNEL_HOLD", "CHANNEL_UNHOLD") and not (
                event.name in _LATE_ON_OWN_SOCKET and call is not None and call.socket_lags
            ):
                return
        if event.name == "RECORD_START" and (
            call is None or call.writer.audio != Path(event.header("Record-File-Path"))
        ):
            # Also on a call that is only followed to its end, and so has no recording.
            self.reconciliation.stop_stray_recording(event)
        if event.name in ("RECORD_START", "RECORD_STOP"):
            self.other_recordings.handle_event(event)
        if event.name in BRIDGE_EVENTS:
            self._handle_bridge(event)
        if event.name == "CHANNEL_HANGUP_COMPLETE":
            self.other_recordings.handle_hangup(event)
            self.conferences.handle_hangup(event)
            self.intake.bypassed.handle_hangup(event)
            self.room_callers.handle_hangup(event)
        if call is not None:
            call.receive(event)
        elif event.name == "CHANNEL_HANGUP_COMPLETE":
            self.intake.unhandled.handle_hangup(event)

    def _handle_bridge(self, event: EslEvent) -> None:
        """One of the two legs reports a bridge or its end; it need not be the external one."""
        legs = bridge_legs(event)
        for leg in legs:
            if leg != event.uuid and (other := self.calls.get(leg)) is not None:
                other.receive(event)
        if event.name != "CHANNEL_BRIDGE":
            return
        if not self.calls.keys() & set(legs):
            internal = set(legs) - {""}
            for consultation in [each for each in self.calls.values() if each.state.internal.leg in internal]:
                consultation.hold_for_consultation(event)
        self.intake.bypassed.handle_bridge(event)
        self.other_recordings.handle_bridge(event)

    def connect(self, live: LiveState) -> None:
        """The connection is made: reconcile. Raises :class:`SwitchError`; all of it is repeated on the next
        connection."""
        self.conferences.reconcile(live)
        self.rooms.reconcile(live)
        self.reconciliation.reconcile(live, self.calls, self.config.unwatched_since())
        self.other_recordings.reconcile(live, self.now())
        # With another daemon beside this one, an unknown call may be its own.
        ringing = None if self.intake.unhandled.is_deferred else self.intake.unhandled.check(live, self.calls)
        self.config.begin_watch()  # not earlier: a failure half-way is repeated over the same time
        if ringing is not None:
            self._recheck_later(ringing)

    def disconnect(self, reason: str) -> None:
        """The connection has ended."""
        log.warning("daemon.unobserved", reason=reason)
        self.config.end_watch()

    def take_over(self, channels: Iterable[str]) -> None:
        """No other daemon is left beside this one: take over its calls. It has written the calls of these
        ``channels``."""
        try:
            live = self.node.reconcile()
            self.conferences.reconcile(live)
            self.rooms.reconcile(live)
            self.reconciliation.take_over(live)
            self.intake.unhandled.resume(channels, self.calls)
            self._recheck_later(self.intake.unhandled.check(live, self.calls))
        except SwitchError as error:
            # The next connection reconciles again.
            log.warning("daemon.reconcile_failed", error=error.message)
            self.intake.unhandled.resume(channels, self.calls)

    def stop(self) -> None:
        """Make no further check."""
        self._recheck.kill()

    def _recheck_later(self, ringing: frozenset[str]) -> None:
        self._recheck.kill(block=False)
        self._recheck = gevent.spawn_later(LIST_DELAY, self._check_again, ringing)

    def _check_again(self, ringing: frozenset[str]) -> None:
        """Check the calls that the switch had not listed yet, and those that no daemon has taken since."""
        try:
            live = self.node.reconcile()
            if not self.intake.unhandled.is_deferred:
                self.intake.unhandled.check(live, self.calls, ringing)
        except SwitchError as error:
            log.info("daemon.recheck_failed", error_id=error.error_id)  # the next connection checks again
