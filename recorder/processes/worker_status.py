"""The worker's status: the queue depth, the work in progress, and what can be reached.

Threads beside the work measure it, so that a status is served while a store, a database or a disk hangs.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from recorder import metrics, status_server
from recorder.catalogue import ping as catalogue
from recorder.clock import Now, utc_now
from recorder.health import HealthFinding, Readiness
from recorder.pipeline import queue_depth
from recorder.pipeline.queue_depth import QueueDepth
from recorder.pipeline.stages import STAGES
from recorder.processes.duties import DUTIES
from recorder.processes.worker_loop import LANES, Worker
from recorder.store import ping as store
from recorder.store.contract import Store

log = structlog.get_logger()

EVERY: Final = 10.0
"""Seconds between two looks at the spool."""

SHARE: Final = 20
"""A spool that takes long to look at is looked at less often: so many times as long as it took."""

STUCK: Final = 60.0
"""Seconds without a turn of the worker's loop after which it is not alive."""


@dataclass
class Overseer:
    """Looks at one worker's surroundings and serves what it sees.  ``probe`` is the store without trying
    again and with short limits; ``expiry`` is when the signing key's endorsement ends."""

    worker: Worker
    probe: Store
    expiry: datetime
    host: str = "127.0.0.1"
    port: int = 0
    allow: Iterable[str] = ()
    now: Now = utc_now
    _depth: QueueDepth = field(default_factory=QueueDepth)
    _problem: str = "the spool was not looked at yet"

    def start(self) -> None:
        """Begin to look and to serve, for the life of the process; returns at once."""
        if not self.port:
            return
        metrics.introduce()
        self._show()
        threading.Thread(target=self._keep_measuring, name="depth", daemon=True).start()
        application = status_server.Watched(
            metrics.WORKER,
            metrics.registry(metrics.WORKER),
            Readiness(
                {
                    "spool": self._spool,
                    "catalogue": catalogue.reach,
                    "store": partial(store.ping_store, self.probe),
                }
            ),
            status_server.Neighbours(self.allow),
            self._alive,
        )
        status_server.in_thread(application, self.host, self.port)

    def _show(self) -> None:
        for stage in queue_depth.STAGES:
            metrics.SPOOL_TAKES.labels(stage).set_function(partial(self._waiting, stage))
        metrics.SPOOL_BYTES.set_function(lambda: self._depth.size)
        metrics.SPOOL_OLDEST.set_function(self._age)
        metrics.SPOOL_UNREADABLE.set_function(lambda: self._depth.closed)
        metrics.QUARANTINE_TAKES.set_function(lambda: self._depth.aside)
        metrics.SIGNING_KEY_EXPIRY.set(self.expiry.timestamp())
        for lane in LANES:
            metrics.LANE_BUSY.labels(lane).set_function(partial(self._load, lane, 0))
            metrics.LANE_ROOM.labels(lane).set_function(partial(self._load, lane, 1))
        metrics.zero(metrics.STAGE, STAGES)
        metrics.zero(metrics.STAGE_FAILURES, STAGES, metrics.OBSTACLES)
        metrics.zero(metrics.TAKES, ("stored", "noted", "quarantined"))
        metrics.zero(metrics.TAKES_UNANNOUNCED, ("not_found_in_audio", "not_finished"))
        metrics.zero(metrics.TAKES_OUT_OF_TIME, ("shorter", "longer"))
        metrics.zero(metrics.HOUSEKEEPING_FAILURES, DUTIES)
        metrics.zero(metrics.HOUSEKEEPING_DONE, DUTIES)
        metrics.zero(metrics.DESTROYED, ("expired", "not_announced"))
        metrics.zero(metrics.NOT_DESTROYED, ("refused", "failed", "holds"))
        metrics.zero_shared()

    def _waiting(self, stage: str) -> int:
        return self._depth.waiting[stage]

    def _load(self, lane: str, which: int) -> int:
        return self.worker.load(lane)[which]

    def _age(self) -> float:
        oldest = self._depth.oldest
        return 0.0 if oldest is None else max(0.0, (self.now() - oldest).total_seconds())

    def _alive(self) -> bool:
        return time.monotonic() - self.worker.turned < STUCK

    def _keep_measuring(self) -> None:
        while True:
            began = time.monotonic()
            try:
                self._depth = queue_depth.measure(self.worker.services.spool)
                self._problem = ""
            except OSError as error:
                self._problem = f"the spool cannot be looked at: {error}"
                log.warning("spool.measure_failed", error=str(error))
            time.sleep(max(EVERY, SHARE * (time.monotonic() - began)))

    def _spool(self) -> HealthFinding:
        folder = self.worker.services.spool
        if self._problem or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return HealthFinding(
                False,
                self._problem or f"the worker may not write to {folder}",
                "switch, daemon and worker need one group and mode 2770; is its disk mounted?",
            )
        said = f"{self._depth.finished} takes wait in {folder}"
        closed = self._depth.closed
        hint = f"{closed} folders cannot be looked into: `chgrp -R`, `chmod -R g+rwX`" if closed else ""
        return HealthFinding(True, said, hint)
