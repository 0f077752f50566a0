"""The processes' usage from /proc: CPU time, memory, open files; and how busy the machine is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Use:
    """Of the processes with one name together: ``cpu`` in seconds since their start, ``rss`` and ``pss`` in
    bytes (``pss`` is 0 unless asked for), ``files`` open, ``processes``."""

    cpu: float = 0.0
    rss: int = 0
    pss: int = 0
    files: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """Seconds since boot, of all cores together; ``pressure``: at least one task had no core."""

    idle: float
    steal: float
    pressure: float


def use(pids: Iterable[int], shared: bool = False) -> Use:
    """The current usage of some processes, without those that have ended. ``shared``: include ``pss``, which
    takes a while."""
    cpu, rss, pss, files, processes = 0.0, 0, 0, 0, 0
    for pid in pids:
        place = Path("/proc", str(pid))
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            own = sum(int(fields[at]) for at in (11, 12, 13, 14)) / _TICKS  # with ended children
            resident = int((place / "statm").read_text().split()[1]) * _PAGE
            opened = len(os.listdir(place / "fd"))
            part = _pss(place) if shared else 0
        except OSError:
            continue
        cpu, rss, pss = cpu + own, rss + resident, pss + part
        files, processes = files + opened, processes + 1
    return Use(cpu, rss, pss, files, processes)


def _pss(place: Path) -> int:
    for line in (place / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def machine() -> Machine:
    """The whole machine's; ``pressure`` is 0 if the kernel does not provide it."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    pressure = Path("/proc/pressure/cpu")
    pressure_s = 0.0
    if pressure.exists():
        pressure_s = int(pressure.read_text().partition("total=")[2].split()[0]) / 1e6
    return Machine(int(fields[3]) / _TICKS, int(fields[7]) / _TICKS, pressure_s)


def descendants(pid: int) -> dict[int, list[str]]:
    """A process and all below it, with their command lines."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = {}, [pid]
    while todo:
        one = todo.pop()
        todo += parents.get(one, [])
        try:
            line = Path("/proc", str(one), "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        found[one] = line.split("\0")[:-1]
    return found


def policies(pids: Mapping[str, list[int]]) -> dict[str, str]:
    """Each process's scheduling class and niceness, for the report."""
    names = {os.SCHED_OTHER: "normal", os.SCHED_BATCH: "batch", os.SCHED_IDLE: "idle",
             os.SCHED_FIFO: "real time", os.SCHED_RR: "real time"}  # fmt: skip
    found = {}
    for name, some in pids.items():
        for pid in some[:1]:
            try:
                kind, nice = os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid)
            except OSError:
                continue
            found[name] = f"{names.get(kind, str(kind))}, nice {nice}"
    return found
