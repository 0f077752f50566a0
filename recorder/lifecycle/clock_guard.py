"""Decides whether this machine's clock can be trusted. Nothing is erased by a clock that has jumped.

The clocks of the object store and of the database are consulted, if they are on other machines. If one of
them disagrees, the clock is in doubt, whatever else agrees. If neither answers, the clock must have advanced
since the last check by as much as the clock since boot, which nobody sets. The last trusted time is kept in a
file, so that this holds across restarts.

The kernel's word is not used. It reports this very clock, and synchronisation by NTP proves nothing: with a
wrong or malicious server, the kernel calls a clock ten years ahead synchronised.

Erasing too early cannot be undone, and erasing too late can: in doubt, nothing is erased.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from recorder.clock import HIDDEN_BOOT_ID, SLACK, Now, Uptime, from_iso, to_iso, uptime, utc_now
from recorder.errors import AccordError, ClockError
from recorder.fault_log import FaultLog
from recorder.spool.atomic_files import write_file

NAME: Final = ".clock"
"""In the spool: the last trusted time."""

LONGEST_OFF: Final = timedelta(days=1)
"""How long the machine may have been off, if no other clock can be consulted."""

Witness = Callable[[], datetime | None]
"""Another machine's time; ``None`` if there is none. If it raises, it is ignored."""


@dataclass(frozen=True, slots=True)
class _Reading:
    boot: str
    up: float
    at: datetime


@dataclass(eq=False, repr=False)
class ClockGuard:
    """Watches one clock, ``now``. ``witnesses`` are other clocks, by name; ``since_boot`` reads the clock
    since boot."""

    path: Path
    witnesses: Mapping[str, Witness]
    now: Now = utc_now
    _: KW_ONLY
    since_boot: Callable[[], Uptime] = uptime
    _faults: FaultLog = field(default_factory=FaultLog, init=False)

    def check(self) -> datetime:
        """The time, if it can be trusted. Raises :class:`ClockError` (``clock.doubtful``)."""
        since = self.since_boot()
        look = _Reading(since.boot, since.up, self.now())
        agreed, doubts = False, []
        for name, witness in self.witnesses.items():
            other = self._ask(name, witness)
            if other is None:
                continue
            if abs(other - look.at) <= SLACK:
                agreed = True
            else:
                doubts.append(f"{name} says {to_iso(other)}")
        if not agreed and not doubts and (jump := self._jump(look)) is not None:
            doubts.append(jump)
        if doubts:
            raise ClockError(
                "clock.doubtful",
                f"this machine's clock says {to_iso(look.at)}, but {' and '.join(doubts)}",
                f"nothing is erased until this is settled: set the clock (NTP) or, if it is right, remove "
                f"{self.path}",
            )
        self._believe(look)
        return look.at

    def _ask(self, name: str, witness: Witness) -> datetime | None:
        try:
            time = witness()
        except (AccordError, OSError) as error:
            self._faults.report("clock.source_unreachable", error, name, level="info", witness=name)
            return None
        self._faults.recover("clock.source_unreachable", name, witness=name)
        return time

    def _jump(self, look: _Reading) -> str | None:
        """How the clock deviates from its expected value; ``None`` if it does not."""
        before = self._read()
        if before is None:
            return None
        if self._same_start(before, look):
            expected = before.at + timedelta(seconds=look.up - before.up)
            if abs(look.at - expected) <= SLACK:
                return None
            return f"going by the time that has passed it is {to_iso(expected)}"
        if before.at - SLACK <= look.at <= before.at + LONGEST_OFF:
            return None
        return f"before this machine started it was {to_iso(before.at)}"

    @staticmethod
    def _same_start(before: _Reading, look: _Reading) -> bool:
        """Whether the machine has not been restarted in between; where the boot id is hidden, its uptime
        tells."""
        if HIDDEN_BOOT_ID in (before.boot, look.boot):
            return look.up >= before.up
        return before.boot == look.boot

    def _read(self) -> _Reading | None:
        try:
            body = json.loads(self.path.read_bytes())
            return _Reading(str(body["boot"]), float(body["up"]), from_iso(body["at"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            self._faults.report("clock.file_damaged", error, path=str(self.path))
            return None

    def _believe(self, look: _Reading) -> None:
        body = {"boot": look.boot, "up": look.up, "at": to_iso(look.at)}
        try:
            write_file(self.path, json.dumps(body).encode())
        except OSError as error:
            self._faults.report("clock.write_failed", error, path=str(self.path))
        else:
            self._faults.recover("clock.write_failed")
            self._faults.recover("clock.file_damaged")
