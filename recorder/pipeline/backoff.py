"""Chooses the pause after a failure: for one take, or for all takes if all need the same resource.

If the store or the catalogue is unavailable, the disk is full, file handles run out or no encoder starts,
every take fails. Then a few takes try for all of them, with growing pauses, so that the log is not flooded. A
take that fails for its own reasons backs off alone and delays no other.
"""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

import structlog

from recorder.errors import CatalogueError, EncoderError, StoreError, TakeError
from recorder.pipeline.stages import Stage
from recorder.spool import disk_space
from recorder.spool.disk_space import DiskLevel
from recorder.spool.layout import read_failure
from recorder.store.contract import Unreachable

log = structlog.get_logger()

BACK_OFF: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds before the next try, by the number of failures; multiplied by a random 0.5 to 1."""

AWAY_BACK_OFF: Final = (1.0, 2.0, 5.0, 10.0)
"""The same for a resource that all takes need."""

Need = Literal["store", "catalogue", "encode", "rest"]
"""Resources that all takes need: the store, the catalogue, and the machine's resources for either lane."""

NEEDS: Final[tuple[Need, ...]] = get_args(Need)

BLOCKED_STAGES: Final[dict[Need, frozenset[Stage]]] = {
    "store": frozenset({"store"}),
    "catalogue": frozenset({"note", "seal", "store", "catalogue"}),
    "encode": frozenset({"encode"}),
    "rest": frozenset({"note", "seal", "store", "catalogue"}),
}

GROWING_STAGES: Final = frozenset[Stage]({"encode", "seal"})
"""Stages that need more space on the spool's disk."""

STORE_WIDE: Final = frozenset({"store.denied", "store.no_bucket", "store.not_mounted", "store.clock"})
"""Errors of the store that every take meets."""

NODE_WIDE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
)
"""Errors of the machine that every take meets."""


@dataclass
class _Pause:
    failures: int = 0
    until: float = 0.0


@dataclass
class Backoff:
    """The pauses common to all takes of a spool; safe for the worker's loop and its threads."""

    spool: Path
    warn_at: float
    full_at: float
    monotonic: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    _needs: dict[Need, _Pause] = field(default_factory=lambda: {need: _Pause() for need in NEEDS})
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _room: DiskLevel = DiskLevel.OK
    _throttled: bool = False

    def blocked_stages(self) -> frozenset[Stage]:
        """The stages that pause now.

        While the store is unavailable and the disk fills, takes wait unencoded: encoding would fill the disk
        faster."""
        at = self.monotonic()
        backoffs = [BLOCKED_STAGES[need] for need in NEEDS if at < self._needs[need].until]
        throttled = self._needs["store"].failures > 0 and self._tight()
        if throttled and not self._throttled:
            log.warning(
                "worker.throttled",
                hint="the store is unavailable and the spool's disk fills: restore the store",
            )
        elif self._throttled and not throttled:
            log.info("worker.resumed")
        self._throttled = throttled
        return frozenset[Stage]().union(*backoffs, GROWING_STAGES if throttled else ())

    def upload_limit(self, most: int) -> int:
        """How many takes may be stored at once: one, as a trial, while the store is unavailable, because a
        hung store would block every thread for minutes."""
        return 1 if self._needs["store"].failures else most

    def note_failure(self, error: Exception, stage: Stage) -> Callable[[int], float]:
        """Note a failed step; returns the function from a take's number of failures to its pause in
        seconds."""
        need = missing_need(error, stage)
        if need is None:
            return lambda failures: self._pause(failures, BACK_OFF)
        with self._lock:
            backoff = self._needs[need]
            if self.monotonic() >= backoff.until:  # once for all that failed together
                backoff.until = self.monotonic() + self._pause(backoff.failures, AWAY_BACK_OFF)
                backoff.failures += 1
        return lambda failures: self._pause(failures, AWAY_BACK_OFF)

    def note_success(self, stage: Stage) -> None:
        """Note that a step succeeded: the resources that it needs are available."""
        with self._lock:
            for need in NEEDS:
                if stage in BLOCKED_STAGES[need]:
                    self._needs[need] = _Pause()

    def _pause(self, failures: int, pauses: tuple[float, ...]) -> float:
        return pauses[min(failures, len(pauses) - 1)] * (0.5 + self.chance() / 2)

    def _tight(self) -> bool:
        try:
            found = disk_space.measure_disk(self.spool)
        except OSError:
            return True  # the scan of the spool reports it
        self._room = found.level(self.warn_at, self.full_at, self._room)
        return self._room is not DiskLevel.OK


def missing_need(error: Exception, stage: Stage) -> Need | None:
    """The common resource that is missing by an error; ``None`` if the error concerns one take."""
    if isinstance(error, Unreachable) or (isinstance(error, StoreError) and error.error_id in STORE_WIDE):
        return "store"
    if isinstance(error, CatalogueError) and error.error_id == "catalogue.away":
        return "catalogue"
    if isinstance(error, EncoderError):
        return "encode"
    cause = read_failure(error) if isinstance(error, TakeError) else error
    if isinstance(cause, OSError) and cause.errno in NODE_WIDE:
        return "encode" if stage == "encode" else "rest"
    return None
