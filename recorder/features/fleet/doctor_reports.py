"""What the doctor last found on each node (``accord doctor --report``), for one look at all nodes.

Reports are not signed: they inform, and decide nothing. They name checks, and have no text of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recorder.catalogue.database import writing
from recorder.catalogue.row_reader import read_rows
from recorder.catalogue.row_values import columns_of, read_value
from recorder.catalogue.tables.doctor_report import DoctorReportTable
from recorder.fault_log import FaultLog
from recorder.features.fleet.service import FORGOTTEN_AFTER

STALE_AFTER: Final = timedelta(hours=3)
"""An older report says little about now: it is made every hour (``deploy/systemd/accord-doctor.timer``)."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What the doctor found on a node at ``made_at``: the names of the checks that found something ``wrong``,
    and of those that only gave ``warnings``."""

    node: str
    made_at: datetime
    wrong: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def is_stale(self, now: datetime) -> bool:
        """Whether a newer one is missing."""
        return now - self.made_at > STALE_AFTER


def report_findings(report: DoctorReport) -> None:
    """Put a node's report in place of its last one, and forget nodes that are no longer in service."""
    others = {"wrong": " ".join(report.wrong), "warnings": " ".join(report.warnings)}
    columns = columns_of(report, DoctorReportTable, *others) | others
    with writing():
        DoctorReportTable.insert(**columns).on_conflict(
            conflict_target=[DoctorReportTable.node], update=others | {"made_at": report.made_at}
        ).execute()
        oldest = report.made_at - FORGOTTEN_AFTER
        DoctorReportTable.delete().where(DoctorReportTable.made_at < oldest).execute()


def doctor_reports(faults: FaultLog) -> dict[str, DoctorReport]:
    """The latest report of each node, by its name. Rows that cannot be read are left out, and reported as
    ``doctor_report.unreadable``."""
    query = DoctorReportTable.select().order_by(DoctorReportTable.node)
    return {each.node: each for each in read_rows(query, _report_of, faults, "doctor_report.unreadable")}


def _report_of(row: DoctorReportTable) -> DoctorReport:
    wrong, warnings = tuple(row.wrong.split()), tuple(row.warnings.split())
    return read_value(DoctorReport, row, wrong=wrong, warnings=warnings)
