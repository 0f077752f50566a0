"""Chooses the next take of the spool.

Tenants take turns, each with its oldest take, so that a customer with ten thousand calls after an outage
holds up no other. A take's folder is read when it is found and after each of its steps; otherwise only the
names in the spool are read, so that ten thousand takes cost little more than ten.

Safe to use from the worker's loop and its threads at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Final

from recorder.errors import TakeError
from recorder.fault_log import FaultLog
from recorder.pipeline import stages as pipeline
from recorder.pipeline.stages import Stage
from recorder.spool import disk_space
from recorder.spool.layout import AUDIO, END, QUARANTINE, read_start

SCAN_INTERVAL: Final = 1.0
"""Minimum of seconds between two scans of the spool."""

SCAN_REST: Final = 20.0
"""Minimum pause before the next scan, as a multiple of this one's duration."""

SCAN_BUDGET: Final = 0.5
"""Seconds of one scan in which new takes are opened; the others follow in the next scan."""

NO_TENANT: Final = ""
"""The tenant of calls without one, and of unreadable folders."""

LANE: Final[dict[Stage, str]] = {
    "encode": "encode",
    "note": "rest",
    "seal": "rest",
    "store": "rest",
    "catalogue": "rest",
}


_FREES_SPACE: Final = frozenset[Stage]({"seal", "store", "catalogue"})
"""Stages after which disk space is returned."""


@dataclass(slots=True)
class _Take:
    """``needs``: bytes of disk space, from encoding to sealing."""

    name: str
    tenant: str
    stage: Stage
    needs: int = 0
    failures: int = 0
    busy: bool = False

    @property
    def claims(self) -> int:
        """Bytes reserved on the disk: all that it needs while it is encoded, and half until it is sealed,
        when its objects are already there."""
        if self.stage == "encode":
            return self.needs if self.busy else 0
        return self.needs // 2 if self.stage == "seal" else 0


@dataclass(slots=True)
class _Lane:
    """Takes that are ready: by tenant, in the order of their turns, and by stage, oldest first."""

    turns: dict[str, dict[Stage, list[str]]] = field(default_factory=dict)

    def add(self, take: _Take) -> None:
        heappush(self.turns.setdefault(take.tenant, {}).setdefault(take.stage, []), take.name)

    def next(self, blocked: Container[Stage]) -> str | None:
        for tenant, stages in self.turns.items():
            open_ = [stage for stage, names in stages.items() if names and stage not in blocked]
            if not open_:
                continue
            name = heappop(stages[min(open_, key=lambda stage: stages[stage][0])])
            del self.turns[tenant]
            if any(stages.values()):
                self.turns[tenant] = stages  # behind all others
            return name
        return None

    def take_out(self, take: _Take) -> None:
        """Remove a waiting take out of turn."""
        names = self.turns[take.tenant][take.stage]
        names.remove(take.name)
        heapify(names)

    def queue(self, stage: Stage) -> Iterator[str]:
        for stages in self.turns.values():
            yield from stages.get(stage, ())


class Backlog:
    """The finished takes of one spool. ``monotonic`` is seconds, passed in for tests."""

    def __init__(self, spool: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._spool = spool
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._takes: dict[str, _Take] = {}
        self._lanes = {name: _Lane() for name in set(LANE.values())}
        self._asleep: list[tuple[float, str]] = []
        self._scan_due = 0.0
        self._faults = FaultLog()

    def __len__(self) -> int:
        return len(self._takes)

    def scan_spool(self) -> None:
        """Find new takes in the spool, if a scan is due. An unreadable spool is logged and scanned again."""
        start = self._monotonic()
        if start < self._scan_due:
            return
        try:
            more = self._scan(start + SCAN_BUDGET)
        except OSError as error:
            self._report(f"the spool cannot be read: {error}", disk_space.hint_for(error))
            more = False
        end = self._monotonic()
        self._scan_due = end + (0.0 if more else max(SCAN_INTERVAL, SCAN_REST * (end - start)))

    def next_take(
        self, lane: str, blocked: Container[Stage] = (), free: int | None = None
    ) -> tuple[Path, Stage] | None:
        """The next take of a lane whose stage is not ``blocked``, and that stage. The take is in progress
        until :meth:`finish_step` or :meth:`fail_step`. ``free``: free bytes on the disk, if space is short;
        the space that takes in progress have reserved counts as used."""
        with self._lock:
            self._wake()
            while (name := self._lanes[lane].next(blocked)) is not None:
                take = self._takes.get(name)
                if take is not None and not take.busy and LANE[take.stage] == lane:
                    if free is not None and take.stage == "encode":
                        left = free - sum(each.claims for each in self._takes.values())
                        if take.needs > left:
                            self._lanes[lane].add(take)
                            take = self._smallest(lane, left)
                            if take is None:
                                return None
                            self._lanes[lane].take_out(take)
                    take.busy = True
                    return self._spool / take.name, take.stage
        return None

    def _smallest(self, lane: str, left: int) -> _Take | None:
        """The smallest take to encode, if there is space for it. If there is not, and no other take will free
        space, it is tried anyway: it may need less, and otherwise the error is reported."""
        found = (self._takes.get(name) for name in self._lanes[lane].queue("encode"))
        ready = [take for take in found if take is not None and not take.busy and take.stage == "encode"]
        smallest = min(ready, key=lambda take: (take.needs, take.name), default=None)
        if smallest is None or smallest.needs <= left:
            return smallest
        others = any(take.busy or take.stage in _FREES_SPACE for take in self._takes.values())
        return None if others else smallest

    def finish_step(self, folder: Path) -> None:
        """Note that a step succeeded: the take waits for its next stage."""
        stage = _stage(folder)
        with self._lock:
            take = self._takes.get(folder.name)
            if take is not None:
                take.failures = 0
                self._put_back(take, stage)

    def fail_step(self, folder: Path, pause: Callable[[int], float]) -> int:
        """Note that a step failed: the take waits for ``pause(failures)`` seconds. Returns the number of
        failures."""
        stage = _stage(folder)
        with self._lock:
            take = self._takes.get(folder.name)
            if take is None:
                return 0
            seconds = pause(take.failures)
            take.failures += 1
            take.busy, take.stage = False, stage or take.stage
            heappush(self._asleep, (self._monotonic() + seconds, take.name))
            return take.failures

    def is_alone(self, folder: Path, stage: Stage) -> bool:
        """Whether no other take waits for the stage."""
        with self._lock:
            return not any(take.stage == stage for take in self._takes.values() if take.name != folder.name)

    def _put_back(self, take: _Take, stage: Stage | None) -> None:
        take.busy = False
        if stage is None:
            del self._takes[take.name]
        else:
            take.stage = stage
            self._lanes[LANE[stage]].add(take)

    def _wake(self) -> None:
        now = self._monotonic()
        while self._asleep and self._asleep[0][0] <= now:
            _, name = heappop(self._asleep)
            if (take := self._takes.get(name)) is not None and not take.busy:
                self._lanes[LANE[take.stage]].add(take)

    def _scan(self, until: float) -> bool:
        """Whether more new takes remain to be opened. Raises ``OSError``."""
        with os.scandir(self._spool) as entries:
            names = {
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.name != QUARANTINE and entry.is_dir()
            }
        with self._lock:
            for name in [name for name, take in self._takes.items() if name not in names and not take.busy]:
                del self._takes[name]  # removed by hand
            new = sorted(names - self._takes.keys())
        closed = 0
        for name in new:
            if self._monotonic() > until:
                return True
            try:
                self._add(self._spool / name)
            except OSError:
                closed += 1
        self._report(
            f"{closed} folders in the spool cannot be read" if closed else "",
            "switch, daemon and worker need one group: `chgrp -R` and `chmod -R g+rwX` those folders",
        )
        return False

    def _add(self, folder: Path) -> None:
        try:
            os.stat(folder / END)
        except (FileNotFoundError, NotADirectoryError):
            return  # the call continues
        if not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionError(folder)
        stage = pipeline.next_stage(folder)
        if stage is None:
            return
        try:
            start = read_start(folder)
            tenant, needs = (
                start.tenant or NO_TENANT,
                disk_space.bytes_to_finish(_length(folder / AUDIO), start.formats),
            )
        except TakeError:
            tenant, needs = NO_TENANT, 0  # the step reports the error
        take = _Take(folder.name, tenant, stage, needs)
        with self._lock:
            self._takes[take.name] = take
            self._lanes[LANE[stage]].add(take)

    def _report(self, what: str, hint: str) -> None:
        if what:
            self._faults.report("spool.unreadable", what, level="error", hint=hint)
        else:
            self._faults.recover("spool.unreadable", spool=str(self._spool))


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _stage(folder: Path) -> Stage | None:
    """The next stage; also ``None`` if the folder cannot be read: the next scan finds it again."""
    try:
        return pipeline.next_stage(folder)
    except OSError:
        return None
