"""The daemon's status, served from the hub; it never blocks, so no call waits for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

import gevent
import structlog
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from recorder import metrics, status_server
from recorder.call.state import Phase
from recorder.capture import admission
from recorder.capture.bypassed_calls import BypassedCalls
from recorder.capture.call_controller import CallController
from recorder.capture.config_cache import ConfigCache
from recorder.capture.event_lag import EventLag
from recorder.fault_log import FaultLog
from recorder.health import HealthFinding, Readiness
from recorder.spool.disk_space import DiskLevel
from recorder.spool.layout import REASONS
from recorder.switch.standing_connection import Node

log = structlog.get_logger()

RECORDED: Final = "recorded"

DISK_TIMEOUT: Final = 5.0
"""Seconds without a check of the spool's disk after which it counts as hanging."""

SHOWN_FOR: Final = timedelta(days=1)
"""How long a call that bypassed Accord is shown."""

HUB_INTERVAL: Final = 0.5
"""Seconds between two measurements of the hub's delay."""

MAX_CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class StatusSources:
    """The parts of the daemon whose status is shown."""

    calls: Mapping[str, CallController]
    config: ConfigCache
    node: Node
    bypassed: BypassedCalls
    lag: EventLag

    def register(self) -> None:
        """Have gauges read at each request, and counters without a value yet shown as 0."""
        config = self.config
        metrics.CALLS_LIVE.set_function(lambda: len(self.calls))
        metrics.CALLS_ANNOUNCING.set_function(self._count_announcements)
        metrics.RECORDINGS_LIVE.set_function(self._count_captures)
        metrics.SWITCH_UP.set_function(lambda: self.node.up.is_set())
        metrics.EVENT_LAG_MAX.set_function(self.lag.longest)
        metrics.DISK_SIZE.set_function(lambda: config.disk.size if config.disk else 0)
        metrics.DISK_FREE.set_function(lambda: config.disk.free if config.disk else 0)
        metrics.DISK_USED.set_function(lambda: config.disk.share_used if config.disk else 0)
        for room in DiskLevel:
            metrics.DISK_STATE.labels(room.value).set_function(partial(self._is, room))
        metrics.SNAPSHOT_LOADED.set_function(lambda: config.snapshot is not None)
        metrics.SNAPSHOT_LINES.set_function(lambda: len(config.snapshot.lines) if config.snapshot else 0)
        metrics.SNAPSHOT_DAMAGED.set_function(lambda: len(config.snapshot.damaged) if config.snapshot else 0)
        metrics.expose_zero(metrics.CALLS, (RECORDED, *REASONS))
        metrics.expose_zero(metrics.SWITCH_CONNECTIONS, ("up", "failed"))
        metrics.expose_zero(metrics.SWITCH_COMMAND_FAILURES, metrics.COMMAND_FAILURES)
        metrics.expose_zero(metrics.PEERS_REFUSED, admission.REASONS)
        metrics.expose_zero(metrics.EVENTS_LOST, ("backlog", "failed"))
        metrics.expose_zero(metrics.SPOOL_ERRORS, ("folder", "marker", "end", "discard", "sound"))

    def _is(self, room: DiskLevel) -> bool:
        return self.config.room is room

    def _count_announcements(self) -> int:
        return sum(call.state.phase < Phase.ANNOUNCED for call in self.calls.values())

    def _count_captures(self) -> int:
        return sum(call.state.recording.capturing for call in self.calls.values())

    def readiness(self) -> Readiness:
        """Return the conditions for recording the next call."""
        return Readiness({
            "switch": self._switch, "lines": self._lines, "disk": self._disk, "dialplan": self._dialplan,
        })  # fmt: skip

    def _switch(self) -> HealthFinding:
        where = f"{self.node.host}:{self.node.port}"
        if self.node.up.is_set():
            return HealthFinding(True, f"connected to FreeSWITCH at {where}")
        return HealthFinding(
            False,
            f"not connected to FreeSWITCH at {where}",
            "is it running? the log says why (switch.down); the daemon reconnects by itself",
        )

    def _lines(self) -> HealthFinding:
        snapshot = self.config.snapshot
        if snapshot is None:
            return HealthFinding(
                False,
                self.config.problem or "there is no configuration snapshot",
                "the worker writes it: is it running? run `accord doctor`",
            )
        return HealthFinding(True, f"{len(snapshot.lines)} lines", self.config.problem)

    def _dialplan(self) -> HealthFinding:
        """Calls that bypassed Accord do not make the daemon unready."""
        last = self.bypassed.last
        if last is None or self.bypassed.now() - last.at > SHOWN_FOR:
            return HealthFinding(True, "the dialplan has passed every call on a line to Accord")
        return HealthFinding(
            True,
            f"calls on lines connected without asking Accord: {self.bypassed.count}, the last at "
            f"{last.at:%Y-%m-%d %H:%M:%S} UTC: {last.direction}, line {last.number}, "
            f"context {last.context!r}",
            "put Accord's extensions ahead of the one that routes them: `accord doctor` names it (routes)",
        )

    def _disk(self) -> HealthFinding:
        silent = time.monotonic() - self.config.checked_at
        disk = self.config.disk
        if disk is None or silent > DISK_TIMEOUT:
            return HealthFinding(
                False,
                self.config.problem or f"the spool's disk has not answered for {silent:.0f} s",
                "check the disk (does a network mount hang?); calls continue unrecorded",
            )
        share = f"{disk.share_used:.0%} of the spool's disk in use"
        if self.config.room is DiskLevel.FULL:
            return HealthFinding(
                False,
                f"{share}: no new recording starts",
                "recording resumes by itself once the worker has stored enough; nothing in the spool may be "
                "deleted",
            )
        is_low = self.config.room is DiskLevel.WARN
        return HealthFinding(True, share, "make room, or find out why the spool grows" if is_low else "")


class _Handler(WSGIHandler):
    def handle(self) -> None:
        with gevent.Timeout(status_server.REQUEST_TIMEOUT_S, False):  # type: ignore[arg-type]  # False: end the block quietly
            super().handle()


class _Server(WSGIServer):
    handler_class = _Handler


def serve(
    sources: StatusSources, host: str, port: int, neighbours: status_server.AllowedClients
) -> list[gevent.Greenlet[[], None]]:
    """Serve the status, and measure the hub's delay; return the greenlets to kill at the end. A port that is
    taken is tried again."""
    metrics.expose_version()
    sources.register()
    application = status_server.StatusApp(
        metrics.DAEMON, metrics.registry(metrics.DAEMON), sources.readiness(), neighbours
    )

    def run() -> None:
        faults = FaultLog()
        while True:
            server = _Server((host, port), application, log=None, error_log=None, spawn=Pool(MAX_CONNECTIONS))
            try:
                server.start()
            except OSError as error:
                status_server.report_listen_failure(faults, host, port, error)
                gevent.sleep(status_server.RETRY_S)
                continue
            faults.recover("metrics.listen_failed")
            log.info("metrics.served", address=f"{host}:{port}")
            try:
                server.serve_forever()
            finally:
                server.stop(0)

    return [gevent.spawn(run), gevent.spawn(_measure_hub), gevent.spawn(partial(_keep_checking, application))]


def _keep_checking(application: status_server.StatusApp) -> None:
    while True:
        application.expose_readiness()
        gevent.sleep(status_server.CHECK_INTERVAL)


def _measure_hub() -> None:
    while True:
        start = time.monotonic()
        gevent.sleep(HUB_INTERVAL)
        metrics.HUB_LAG.observe(max(0.0, time.monotonic() - start - HUB_INTERVAL))
