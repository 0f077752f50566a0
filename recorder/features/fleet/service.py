"""What each node's worker reports of it, once a minute, for one look at all nodes.

Reports are not signed: they inform, and decide nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recorder.catalogue.database import connected, writing
from recorder.catalogue.row_values import columns_of, read_value
from recorder.catalogue.tables.node_report import NodeReportTable

SILENT_AFTER: Final = timedelta(minutes=3)
"""A node whose last report is older has missed two: its worker, or its way to the catalogue, is away."""

UNWATCHED_AFTER: Final = timedelta(minutes=2)
"""How long a daemon may not have watched its switch before the report."""

LONGEST_WAIT: Final = timedelta(minutes=10)
"""How long a call may wait for the worker before it falls behind."""

DISK_WARNING: Final = 0.85
"""Share of the spool's disk in use from which somebody is to make room."""

FINE: Final = "fine"
SILENT: Final = "silent"
UNWATCHED: Final = "unwatched"
BEHIND: Final = "behind"
DISK_FILLS: Final = "disk_fills"

WORST_FIRST: Final = (SILENT, UNWATCHED, BEHIND, DISK_FILLS, FINE)

FORGOTTEN_AFTER: Final = timedelta(days=7)
"""A node that has been silent for so long was taken out of service."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    """A node at ``reported_at``. ``watched_at`` is when its daemon last watched the switch (``None`` if there
    never was one); ``live`` calls, the ``backlog`` of takes that wait for the worker, the end of the call
    that has waited longest (``oldest_at``), takes in ``quarantine``; the spool's disk in bytes; the ids of
    the root's key (``root``) and of the key-encryption keys (``keks``, the current one first), empty where a
    version reports none; what it ``calls`` numbers for (:data:`recorder.verification_calls.register.USES`),
    empty where it cannot call out."""

    node: str
    reported_at: datetime
    watched_at: datetime | None
    software: str
    live: int
    backlog: int
    oldest_at: datetime | None
    quarantine: int
    disk_size: int
    disk_free: int
    root: str = ""
    keks: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()

    @property
    def share_used(self) -> float:
        """The share of the spool's disk that is in use, from 0 to 1."""
        return 1 - self.disk_free / self.disk_size if self.disk_size else 0.0

    @property
    def wait(self) -> timedelta:
        """How long the oldest take had waited; zero where none did."""
        return timedelta() if self.oldest_at is None else self.reported_at - self.oldest_at

    def state(self, now: datetime) -> str:
        """The worst that is to be said of the node."""
        if now - self.reported_at > SILENT_AFTER:
            return SILENT
        if self.watched_at is not None and self.reported_at - self.watched_at > UNWATCHED_AFTER:
            return UNWATCHED
        if self.wait > LONGEST_WAIT:
            return BEHIND
        return DISK_FILLS if self.share_used >= DISK_WARNING else FINE


def report_node(report: NodeReport) -> None:
    """Put a node's report in place of its last one, and forget nodes that are no longer in service."""
    lists = {"keks": " ".join(report.keks), "calls": " ".join(report.calls)}
    columns = columns_of(report, NodeReportTable, *lists) | lists
    others = {name: value for name, value in columns.items() if name != "node"}
    oldest = report.reported_at - FORGOTTEN_AFTER
    with writing():
        NodeReportTable.insert(**columns).on_conflict(
            conflict_target=[NodeReportTable.node], update=others
        ).execute()
        NodeReportTable.delete().where(NodeReportTable.reported_at < oldest).execute()


def node_reports() -> tuple[NodeReport, ...]:
    """The latest report of each node, by name."""
    with connected():
        return tuple(
            read_value(NodeReport, row, keks=tuple(row.keks.split()), calls=tuple(row.calls.split()))
            for row in NodeReportTable.select().order_by(NodeReportTable.node)
        )


def can_call(use: str) -> bool:
    """Whether some node calls numbers for a use. One that is silent counts until it is forgotten: that nobody
    took a call is said within seconds."""
    return any(use in each.calls for each in node_reports())


def worst_state(reports: Iterable[NodeReport], now: datetime) -> str:
    """The worst that is to be said of any node; empty if there is none."""
    return min((each.state(now) for each in reports), key=WORST_FIRST.index, default="")
