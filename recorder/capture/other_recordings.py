"""Notices recordings of a call that are not Accord's: the telephone system's own begin before the
announcement and continue in pauses, and nobody was told of them.

The switch reports each one's start. One that began before the call came to Accord, or on a leg before it was
connected, is remembered until its leg hangs up. One that began or stopped while the daemon was not connected
is found when it is again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from recorder import metrics
from recorder.capture.call_controller import CallController
from recorder.domain.call_events import EXTERNAL, INTERNAL
from recorder.spool.spool_paths import SpoolPaths
from recorder.switch.esl_events import EslEvent
from recorder.switch.standing_connection import LiveState
from recorder.switch.translation import bridge_legs

log = structlog.get_logger()

_MESSAGES: Final = frozenset({"record", "voicemail"})
"""Applications that record one party's message, and no call."""


class OtherRecordings:
    """``calls`` are the current calls, by the external leg; Accord's own recordings are under ``spool``."""

    def __init__(self, calls: Mapping[str, CallController], spool: Path) -> None:
        self._calls = calls
        self._own_paths = SpoolPaths(spool)
        self._started: dict[str, dict[str, datetime]] = {}
        """By leg: the files that others record it to, and since when."""

    def handle_event(self, event: EslEvent) -> None:
        """Note that a recording started or stopped, and mark it in the call."""
        path, other = event.header("Record-File-Path"), event.header("Other-Leg-Unique-ID")
        if event.recording_variable("accord_recording") or event.variable("current_application") in _MESSAGES:
            return
        if event.name == "RECORD_STOP":
            if self._started.get(event.uuid, {}).pop(path, None) is not None:
                self._mark(event.uuid, other, "other_recording_stopped", event.at)
            return
        self._started.setdefault(event.uuid, {})[path] = event.at
        self._report(event.uuid, other, event.at)

    def handle_bridge(self, event: EslEvent) -> None:
        """Mark the recordings of a leg that is connected with a call's external leg."""
        for leg, other in (legs := bridge_legs(event)), legs[::-1]:
            if leg not in self._calls and other in self._calls and self._started.get(leg):
                self._report(leg, other, event.at)

    def reconcile(self, live: LiveState, at: datetime) -> None:
        """Mark what began or stopped while nobody listened to the switch."""
        external = {call.state.internal.leg: leg for leg, call in self._calls.items()}
        for leg, channel in live.channels.items():
            known = self._started.get(leg, {})
            paths = {path for path in channel.recordings if not self._own_paths.contain(path)}
            for path in known.keys() - paths:
                del known[path]
                self._mark(leg, external.get(leg, ""), "other_recording_stopped", at, later=True)
            for path in paths - known.keys():
                self._started.setdefault(leg, {})[path] = at
                self._report(leg, external.get(leg, ""), at, later=True)

    def handle_hangup(self, event: EslEvent) -> None:
        """Forget a leg."""
        self._started.pop(event.uuid, None)

    def check(self, call: CallController) -> None:
        """Mark the recordings of a call that had begun before it came to Accord."""
        if self._started.get(call.channel):
            self._report(call.channel, "", call.start.started_at)

    def _report(self, leg: str, other: str, at: datetime, *, later: bool = False) -> None:
        call = self._mark(leg, other, "other_recording_started", at, later=later)
        if call is not None:
            metrics.OTHER_RECORDINGS.inc()
            call.log.error(
                "call.recorded_elsewhere",
                hint="the telephone system records this call by itself, without an announcement and through "
                "every pause: `accord doctor` (recordings) names the extension",
            )

    def _mark(
        self, leg: str, other: str, kind: str, at: datetime, *, later: bool = False
    ) -> CallController | None:
        call, side = self._calls.get(leg), EXTERNAL
        if call is None:
            call, side = self._calls.get(other), INTERNAL
        if call is not None:
            call.mark_other_recording(kind, side, at, later=later)
        return call
