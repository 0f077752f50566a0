"""Handles what the standing connection reports: passes each event to the calls it concerns, and reconciles
with the switch when the connection is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
SUBCLASSES: Final = (*CODE_SUBCLASSES, MAINTENANCE)
"""The events, and the subclasses of CUSTOM events, that the standing connection subscribes to."""


class SwitchObserver:
    """Handles the standing connection of ``node``; ``calls`` are the current calls, by the external leg."""

    def __init__(
        self,
        node: Node,
        calls: Mapping[str, CallController],
        config: ConfigCache,
        conferences: Conferences,
        intake: CallIntake,
        reconciliation: Reconciliation,
        other_recordings: OtherRecordings,
        now: Now,
    ) -> None:
        self._node = node
        self._calls = calls
        self._config = config
        self._conferences = conferences
        self._bypassed = intake.bypassed
        self._unhandled = intake.unhandled
        self._reconciliation = reconciliation
        self._other_recordings = other_recordings
        self._now = now
        self.lag = EventLag()
        self._recheck: gevent.Greenlet[..., None] = gevent.Greenlet()

    def handle_event(self, event: EslEvent) -> None:
        """Pass an event to the calls that it concerns."""
        self.lag.begin(max(0.0, (self._now() - event.at).total_seconds()))
        try:
            self._handle(event)
        finally:
            self.lag.end()

    def _handle(self, event: EslEvent) -> None:
        if event.name in MEDIA_BUG_EVENTS or event.subclass == MAINTENANCE:
            self._conferences.handle_event(event)
            if event.header("Action") == JOINED:
                self._bypassed.handle_conference_join(event)
            return
        call = self._calls.get(event.uuid)
        if event.name in TALK_EVENTS:
            # The internal leg is identified by the external leg at its other end.
            talk = call or self._calls.get(event.header("Other-Leg-Unique-ID"))
            if talk is not None:
                talk.receive_talk_event(event)
            self._conferences.handle_talk_event(event)
            if event.name not in ("CHANNEL_HOLD", "CHANNEL_UNHOLD") and not (
                event.name in _LATE_ON_OWN_SOCKET and call is not None and call.socket_lags
            ):
                return
        if event.name == "RECORD_START" and (
            call is None or call.writer.audio != Path(event.header("Record-File-Path"))
        ):
            # Also on a call that is only followed to its end, and so has no recording.
            self._reconciliation.stop_stray_recording(event)
        if event.name in ("RECORD_START", "RECORD_STOP"):
            self._other_recordings.handle_event(event)
        if event.name in BRIDGE_EVENTS:
            self._handle_bridge(event)
        if event.name == "CHANNEL_HANGUP_COMPLETE":
            self._other_recordings.handle_hangup(event)
            self._conferences.handle_hangup(event)
            self._bypassed.handle_hangup(event)
        if call is not None:
            call.receive(event)
        elif event.name == "CHANNEL_HANGUP_COMPLETE":
            self._unhandled.handle_hangup(event)

    def _handle_bridge(self, event: EslEvent) -> None:
        """One of the two legs reports a bridge or its end; it need not be the external one."""
        legs = bridge_legs(event)
        for leg in legs:
            if leg != event.uuid and (other := self._calls.get(leg)) is not None:
                other.receive(event)
        if event.name != "CHANNEL_BRIDGE":
            return
        if not self._calls.keys() & set(legs):
            internal = set(legs) - {""}
            for consultation in [
                each for each in self._calls.values() if each.state.internal.leg in internal
            ]:
                consultation.hold_for_consultation(event)
        self._bypassed.handle_bridge(event)
        self._other_recordings.handle_bridge(event)

    def connect(self, live: LiveState) -> None:
        """The connection is made: reconcile. Raises :class:`SwitchError`; all of it is repeated on the next
        connection."""
        self._conferences.reconcile(live)
        self._reconciliation.reconcile(live, self._calls, self._config.unwatched_since())
        self._other_recordings.reconcile(live, self._now())
        # With another daemon beside this one, an unknown call may be its own.
        ringing = None if self._unhandled.is_deferred else self._unhandled.check(live, self._calls)
        self._config.begin_watch()  # not earlier: a failure half-way is repeated over the same time
        if ringing is not None:
            self._recheck_later(ringing)

    def disconnect(self, reason: str) -> None:
        """The connection has ended."""
        log.warning("daemon.unobserved", reason=reason)
        self._config.end_watch()

    def take_over(self, channels: Iterable[str]) -> None:
        """No other daemon is left beside this one: take over its calls. It has written the calls of these
        ``channels``."""
        try:
            live = self._node.reconcile()
            self._conferences.reconcile(live)
            self._reconciliation.take_over(live)
            self._unhandled.resume(channels, self._calls)
            self._recheck_later(self._unhandled.check(live, self._calls))
        except SwitchError as error:
            # The next connection reconciles again.
            log.warning("daemon.reconcile_failed", error=error.message)
            self._unhandled.resume(channels, self._calls)

    def stop(self) -> None:
        """Make no further check."""
        self._recheck.kill()

    def _recheck_later(self, ringing: frozenset[str]) -> None:
        self._recheck.kill(block=False)
        self._recheck = gevent.spawn_later(LIST_DELAY, self._check_again, ringing)

    def _check_again(self, ringing: frozenset[str]) -> None:
        """Check the calls that the switch had not listed yet, and those that no daemon has taken since."""
        try:
            live = self._node.reconcile()
            if not self._unhandled.is_deferred:
                self._unhandled.check(live, self._calls, ringing)
        except SwitchError as error:
            log.info("daemon.recheck_failed", error_id=error.error_id)  # the next connection checks again
