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

from recorder import metrics, status_server
from recorder.clock import Now, utc_now
from recorder.fault_log import FaultLog
from recorder.health import Check, HealthFinding, Readiness
from recorder.mail import outbox
from recorder.pipeline import queue_depth
from recorder.pipeline.queue_depth import QueueDepth
from recorder.pipeline.stages import STAGES
from recorder.processes.duties import DUTIES
from recorder.processes.readiness import CatalogueChecks, check_keyring, check_signing_key, check_store_folder
from recorder.processes.worker_loop import LANES, Worker
from recorder.seal.signing import USES
from recorder.store.contract import Store
from recorder.store.ping import StorePing

EVERY: Final = 10.0
"""Seconds between two looks at the spool."""

SHARE: Final = 20
"""The pause between two looks is at least this many times as long as the last look took."""

CHANGED_OUTSIDE: Final = (
    "the worker's log has more about each; a row that cannot be read was changed outside Accord: "
    "`accord audit run` names it"
)

STUCK_AFTER: Final = 60.0
"""Seconds without a turn of the worker's loop after which it is not alive."""


MOST_OBJECTS: Final = 20
"""How many objects the status names."""


def name_objects(faults: FaultLog) -> HealthFinding:
    """Name the objects that the duties could not deal with. The worker is ready all the same: it deals with
    all others."""
    found = faults.list_faults(metrics.OBJECT_FAULTS)
    if not found:
        return HealthFinding(True, "the duties deal with every object")
    names = [
        f"{each.event} {each.subject} for {each.seconds / 60:.0f} min: {each.message}"
        for each in found[:MOST_OBJECTS]
    ]
    rest = f"; and {len(found) - MOST_OBJECTS} more" if len(found) > MOST_OBJECTS else ""
    hint = next((each.hint for each in found if each.hint), CHANGED_OUTSIDE)
    return HealthFinding(True, "; ".join(names) + rest, hint)


@dataclass
class Overseer:
    """Measures the spool of one worker and serves its status.  ``probe`` is the store without retries and
    with short time limits; ``expiry`` is when the signing key's endorsement ends."""

    worker: Worker
    probe: Store
    expiry: datetime
    host: str = "127.0.0.1"
    port: int = 0
    allow: Iterable[str] = ()
    now: Now = utc_now
    _depth: QueueDepth = field(default_factory=QueueDepth)
    _problem: str = "the spool has not been measured yet"

    def start(self) -> None:
        """Start measuring and serving, for the life of the process; returns at once."""
        if not self.port:
            return
        metrics.expose_version()
        self._show()
        threading.Thread(target=self._keep_measuring, name="depth", daemon=True).start()
        application = status_server.StatusApp(
            metrics.WORKER,
            metrics.registry(metrics.WORKER),
            Readiness(self._checks()),
            status_server.AllowedClients(self.allow),
            self._alive,
        )
        status_server.serve_in_thread(application, self.host, self.port)

    def _checks(self) -> dict[str, Check]:
        services = self.worker.services
        settings = self.worker.settings
        catalogue = CatalogueChecks({"keys": partial(check_keyring, services.keyring, settings.keys_folder)})
        is_folder = settings.store.kind == "directory"
        return {
            "spool": self._spool,
            **catalogue.checks(),
            "store": StorePing(self.probe),
            **({"store_folder": partial(check_store_folder, settings.store_folder)} if is_folder else {}),
            "signing_key": partial(check_signing_key, services.signer, USES, services.trust, self.now),
            "objects": partial(name_objects, services.faults),
        }

    def _show(self) -> None:
        for stage in queue_depth.STAGES:
            metrics.SPOOL_TAKES.labels(stage).set_function(partial(self._count_waiting, stage))
        metrics.SPOOL_BYTES.set_function(lambda: self._depth.size)
        metrics.SPOOL_OLDEST.set_function(self._age)
        metrics.SPOOL_UNREADABLE.set_function(lambda: self._depth.closed)
        metrics.QUARANTINE_TAKES.set_function(lambda: self._depth.aside)
        metrics.SIGNING_KEY_EXPIRY.set(self.expiry.timestamp())
        for lane in LANES:
            metrics.WORKER_BUSY.labels(lane).set_function(partial(self._load, lane, 0))
            metrics.WORKER_SLOTS.labels(lane).set_function(partial(self._load, lane, 1))
        metrics.expose_zero(metrics.STAGE, STAGES)
        metrics.expose_zero(metrics.STAGE_FAILURES, STAGES, metrics.OBSTACLES)
        metrics.expose_zero(metrics.TAKES, ("stored", "noted", "quarantined"))
        metrics.expose_zero(metrics.TAKES_UNANNOUNCED, ("not_found_in_audio", "not_finished"))
        metrics.expose_zero(metrics.TAKES_DURATION_MISMATCH, ("shorter", "longer"))
        metrics.expose_zero(metrics.MAIL_QUEUED, outbox.STATES)
        metrics.expose_zero(metrics.DUTY_FAILURES, DUTIES)
        metrics.expose_zero(metrics.DUTY_DONE, DUTIES)
        metrics.expose_zero(metrics.OBJECT_FAILURES, metrics.OBJECT_FAULTS)
        metrics.expose_zero(metrics.RECORDINGS_ERASED, ("expired", "not_announced"))
        metrics.expose_zero(metrics.RECORDINGS_NOT_ERASED, ("refused", "failed", "holds"))
        metrics.expose_shared_zeros()

    def _count_waiting(self, stage: str) -> int:
        return self._depth.counts[stage]

    def _load(self, lane: str, which: int) -> int:
        return self.worker.load(lane)[which]

    def _age(self) -> float:
        oldest = self._depth.oldest
        return 0.0 if oldest is None else max(0.0, (self.now() - oldest).total_seconds())

    def _alive(self) -> bool:
        return time.monotonic() - self.worker.last_turn < STUCK_AFTER

    def _keep_measuring(self) -> None:
        while True:
            start = time.monotonic()
            try:
                self._depth = queue_depth.measure(self.worker.services.spool)
                self._problem = ""
            except OSError as error:
                self._problem = f"the spool cannot be read: {error}"
                self.worker.services.faults.report("spool.measure_failed", error)
            else:
                self.worker.services.faults.recover("spool.measure_failed")
            time.sleep(max(EVERY, SHARE * (time.monotonic() - start)))

    def _spool(self) -> HealthFinding:
        folder = self.worker.services.spool
        if self._problem or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return HealthFinding(
                False,
                self._problem or f"the worker may not write to {folder}",
                "give switch, daemon and worker one group, and the spool mode 2770; is its disk mounted?",
            )
        what = f"{self._depth.finished} takes wait in {folder}"
        closed, delays = self._depth.closed, self._depth.delays
        hint = f"{delays} of them fail: `accord take list` shows why" if delays else ""
        if closed:
            hint = f"{closed} folders cannot be read: run `chgrp -R` and `chmod -R g+rwX`"
        return HealthFinding(True, what, hint)
