"""Measures this node for its report to the catalogue."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from recorder import __version__
from recorder.features.fleet.service import NodeReport
from recorder.pipeline import queue_depth
from recorder.pipeline.queue_depth import CALL
from recorder.processes.spool_holders import last_watched
from recorder.spool.disk_space import measure_disk


def measure_node(
    node: str, spool: Path, now: datetime, root: str, keks: tuple[str, ...], calls: tuple[str, ...]
) -> NodeReport:
    """This node now, from its spool, with the ids of its worker's keys, and what it calls numbers for.
    Raises ``OSError`` where the spool cannot be read."""
    depth, disk = queue_depth.measure(spool), measure_disk(spool)
    return NodeReport(
        node, now, last_watched(spool), __version__, depth.counts[CALL], depth.finished, depth.oldest,
        depth.aside, disk.size, disk.free, root, keks, calls,
    )  # fmt: skip
