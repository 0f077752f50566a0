"""What a PostgreSQL server has used: processor time, statements, and WAL."""

from __future__ import annotations

import os
import statistics
import subprocess
from pathlib import Path

from recorder.catalogue.database import connected, database


class Watch:
    """What PostgreSQL has used so far."""

    def __init__(self, server_pid: int) -> None:
        self.server_pid = server_pid

    def figures(self) -> dict[str, float]:
        """Server and client seconds of processor time, statements, bytes of WAL."""
        with connected():
            ran, wal = database.execute_sql(
                "SELECT (SELECT sum(calls) FROM pg_stat_statements),"
                " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
            ).fetchone()
        cpu = os.times()
        return {
            "server": server_seconds(self.server_pid),
            "client": cpu.user + cpu.system,
            "statements": float(ran),
            "wal": float(wal),
        }


def server_seconds(pid: int) -> float:
    """The processor time of PostgreSQL: of its processes, and of those that have ended."""
    ticks = 0
    for each in (pid, *child_processes(pid)):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += sum(map(int, fields[11 : 15 if each == pid else 13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def child_processes(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(each) for each in found.stdout.split()]


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def times(values: list[float]) -> dict[str, float]:
    """Median and 95th percentile, in milliseconds."""
    if not values:
        return {}
    return {
        "p50_ms": round(statistics.median(values) * 1000, 2),
        "p95_ms": round(percentile(values, 0.95) * 1000, 2),
    }
