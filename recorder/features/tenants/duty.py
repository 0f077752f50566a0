"""The worker's duty for lines: it keeps the node's configuration snapshot equal to the catalogue."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from peewee import PeeweeException

from recorder import metrics
from recorder.catalogue import change_counter
from recorder.errors import AccordError
from recorder.features.tenants import snapshot
from recorder.features.tenants.line_policies import PolicyCache
from recorder.prompts.sound_sources import Sources
from recorder.services import Services

SNAPSHOT_ANYWAY: Final = 3600.0
"""Seconds after which the snapshot is written even if no line has changed: unused prompts are dropped
then."""

SNAPSHOT_WHOLE = 60.0
"""Seconds after which the files of an unchanged snapshot are verified: the disk may have damaged them, or the
operator may have deleted a damaged one, as instructed."""

log = structlog.get_logger()


@dataclass
class SnapshotDuty:
    """``never_record`` are numbers that the node neither announces nor records; ``sources`` provide the sound
    of sentences."""

    services: Services
    never_record: tuple[str, ...]
    sources: Sources
    monotonic: Callable[[], float] = time.monotonic
    _revision: int = -1
    _anyway_due: float = 0.0
    _whole_due: float = 0.0
    _policies: PolicyCache = field(default_factory=PolicyCache)

    def refresh(self) -> bool:
        """Write the snapshot if the catalogue has changed or a file is damaged; false if it cannot be written
        now (the disk is full, the catalogue is unavailable)."""
        services = self.services
        try:
            revision = change_counter.revision(change_counter.LINES)
            anyway = self.monotonic() >= self._anyway_due
            if anyway:
                self._policies.clear()
            if anyway or revision != self._revision or not self._whole():
                if snapshot.write(
                    services.snapshot, services.spool, self.never_record, services.now(), self.sources,
                    self._policies.read, services.faults,
                ):  # fmt: skip
                    log.info("snapshot.written", revision=revision)
                self._revision = revision
                self._anyway_due = self.monotonic() + SNAPSHOT_ANYWAY
        except (AccordError, OSError, PeeweeException) as error:
            services.faults.report("snapshot.write_failed", error, level="error")
            return False
        services.faults.recover("snapshot.write_failed")
        metrics.SNAPSHOT_CHECKED.set(services.now().timestamp())
        return True

    def _whole(self) -> bool:
        """Whether the snapshot's files are intact, and no line lacks a sound; verified only once in a
        while."""
        if self.monotonic() < self._whole_due:
            return True
        self._whole_due = self.monotonic() + SNAPSHOT_WHOLE
        silent = self.services.faults.lasts(snapshot.SOUND_MISSING)
        return not silent and snapshot.is_intact(self.services.snapshot)
