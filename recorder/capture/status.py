"""The daemon's status, served from the hub: nothing here waits, and no call waits for it."""

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
from recorder.health import HealthFinding, Readiness
from recorder.spool.disk_space import DiskLevel
from recorder.spool.layout import REASONS
from recorder.switch.standing_connection import Node

log = structlog.get_logger()

RECORDED: Final = "recorded"

SILENT: Final = 5.0
"""Seconds without a check of the spool's disk after which the disk counts as hanging."""

SHOWN_FOR: Final = timedelta(days=1)
"""How long a call that bypassed Accord is shown."""

LOOK: Final = 0.5
"""Seconds between two measurements of the hub's delay."""

WATCHERS: Final = 16
"""Maximum number of connections."""


@dataclass(frozen=True, slots=True)
class StatusSources:
    """The parts of the daemon that are shown."""

    calls: Mapping[str, CallController]
    knowledge: ConfigCache
    node: Node
    bypass: BypassedCalls

    def show(self) -> None:
        """Have gauges read on each request, and counters that have not counted yet shown as 0."""
        knowledge = self.knowledge
        metrics.CALLS_LIVE.set_function(lambda: len(self.calls))
        metrics.CALLS_ANNOUNCING.set_function(self._announcing)
        metrics.RECORDINGS_LIVE.set_function(self._capturing)
        metrics.SWITCH_UP.set_function(lambda: self.node.up.is_set())
        metrics.DISK_SIZE.set_function(lambda: knowledge.disk.size if knowledge.disk else 0)
        metrics.DISK_FREE.set_function(lambda: knowledge.disk.free if knowledge.disk else 0)
        metrics.DISK_USED.set_function(lambda: knowledge.disk.used if knowledge.disk else 0)
        for room in DiskLevel:
            metrics.DISK_STATE.labels(room.value).set_function(partial(self._is, room))
        metrics.SNAPSHOT_LOADED.set_function(lambda: knowledge.snapshot is not None)
        metrics.SNAPSHOT_LINES.set_function(
            lambda: len(knowledge.snapshot.lines) if knowledge.snapshot else 0
        )
        metrics.SNAPSHOT_DAMAGED.set_function(
            lambda: len(knowledge.snapshot.damaged) if knowledge.snapshot else 0
        )
        metrics.zero(metrics.CALLS, (RECORDED, *REASONS))
        metrics.zero(metrics.SWITCH_CONNECTIONS, ("up", "failed"))
        metrics.zero(metrics.SWITCH_COMMAND_FAILURES, metrics.COMMAND_FAILURES)
        metrics.zero(metrics.PEERS_REFUSED, admission.REASONS)
        metrics.zero(metrics.EVENTS_LOST, ("backlog", "failed"))
        metrics.zero(metrics.SPOOL_ERRORS, ("folder", "mark", "end", "discard", "sound"))

    def _is(self, room: DiskLevel) -> bool:
        return self.knowledge.room is room

    def _announcing(self) -> int:
        return sum(call.state.phase < Phase.ANNOUNCED for call in self.calls.values())

    def _capturing(self) -> int:
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
            "is it running? the log says why (switch.down); it is tried again by itself",
        )

    def _lines(self) -> HealthFinding:
        snapshot = self.knowledge.snapshot
        if snapshot is None:
            return HealthFinding(
                False,
                self.knowledge.complaint or "there is no snapshot of lines",
                "the worker writes it: is it running? `accord doctor`",
            )
        return HealthFinding(True, f"{len(snapshot.lines)} lines", self.knowledge.complaint)

    def _dialplan(self) -> HealthFinding:
        """Calls that bypassed Accord are no reason to send no more here."""
        last = self.bypass.last
        if last is None or self.bypass.now() - last.at > SHOWN_FOR:
            return HealthFinding(True, "the dialplan has asked about every call on a line that was seen")
        return HealthFinding(
            True,
            f"calls on our lines that were connected without asking Accord: {self.bypass.count}, the last at "
            f"{last.at:%Y-%m-%d %H:%M:%S} UTC: {last.direction}, line {last.number}, "
            f"context {last.context!r}",
            "put Accord's extensions ahead of what routes them: `accord doctor` names it (routes)",
        )

    def _disk(self) -> HealthFinding:
        silent = time.monotonic() - self.knowledge.looked
        disk = self.knowledge.disk
        if disk is None or silent > SILENT:
            return HealthFinding(
                False,
                self.knowledge.complaint or f"the spool's disk has not answered for {silent:.0f} s",
                "look at the disk (a network mount that hangs?); calls go on unrecorded",
            )
        used = f"{disk.used:.0%} of the spool's disk in use"
        if self.knowledge.room is DiskLevel.FULL:
            return HealthFinding(
                False,
                f"{used}: no new recording starts",
                "they start again by themselves once the worker has stored enough; nothing in the spool "
                "may be deleted",
            )
        filling = self.knowledge.room is DiskLevel.WARN
        return HealthFinding(True, used, "make room, or find out why the spool grows" if filling else "")


class _Handler(WSGIHandler):
    def handle(self) -> None:
        with gevent.Timeout(status_server.SLOW, False):  # type: ignore[arg-type]  # False: end the block quietly
            super().handle()


class _Server(WSGIServer):
    handler_class = _Handler


def serve(
    shown: StatusSources, host: str, port: int, neighbours: status_server.Neighbours
) -> list[gevent.Greenlet[[], None]]:
    """Serve, and measure the hub; return greenlets to be killed at the end. A port that is taken is
    retried."""
    metrics.introduce()
    shown.show()
    application = status_server.Watched(
        metrics.DAEMON, metrics.registry(metrics.DAEMON), shown.readiness(), neighbours
    )

    def run() -> None:
        said = False
        while True:
            server = _Server((host, port), application, log=None, error_log=None, spawn=Pool(WATCHERS))
            try:
                server.start()
            except OSError as error:
                if not said:
                    status_server.not_served(host, port, error)
                said = True
                gevent.sleep(status_server.AGAIN)
                continue
            log.info("metrics.served", address=f"{host}:{port}")
            try:
                server.serve_forever()
            finally:
                server.stop(0)

    return [gevent.spawn(run), gevent.spawn(_measure_hub)]


def _measure_hub() -> None:
    while True:
        began = time.monotonic()
        gevent.sleep(LOOK)
        metrics.HUB_LAG.observe(max(0.0, time.monotonic() - began - LOOK))
