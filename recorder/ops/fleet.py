"""One look at all nodes, by what their workers last reported to the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime

from recorder.catalogue.tenant_queries import newest_tenant_key
from recorder.clock import to_iso
from recorder.fault_log import FaultLog
from recorder.features.fleet import service as fleet
from recorder.features.fleet.doctor_reports import DoctorReport, doctor_reports
from recorder.features.fleet.service import NodeReport, node_reports
from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning, wrong
from recorder.ops.doctor.key_files import PAGE
from recorder.ops.status import format_duration


@dataclass
class FleetStatus:
    """The findings about each node, and the ``reports`` of workers and doctors that they come from."""

    patient: Patient
    reports: tuple[NodeReport, ...] = field(default_factory=tuple)
    doctors: dict[str, DoctorReport] = field(default_factory=dict)

    def look(self) -> Iterator[tuple[str, DoctorFinding]]:
        """A finding for each node with its name, and another for what the doctor last found there."""
        self.reports, now = node_reports(), self.patient.now()
        self.doctors = doctor_reports(FaultLog())
        wrapped = newest_tenant_key()
        kek = None if wrapped is None else wrapped.wrapped_by
        for each in self.reports:
            yield each.node, self._look_at_keys(each, kek) or self._look_at(each, now)
            if each.node in self.doctors:
                yield from self._read_doctor(self.doctors[each.node], now)
        if not self.reports:
            yield "fleet", warning("no node has reported", "start a worker on each node")

    def figures(self) -> dict[str, object]:
        """The reports as JSON."""
        nodes = [_as_json(each) | {"doctor": self._doctor(each.node)} for each in self.reports]
        return {"nodes": nodes}

    def _doctor(self, node: str) -> dict[str, object] | None:
        found = self.doctors.get(node)
        return None if found is None else _as_json(found)

    def _read_doctor(self, report: DoctorReport, now: datetime) -> Iterator[tuple[str, DoctorFinding]]:
        """What the doctor found on a node, if it found anything or has not looked for long."""
        node, age = report.node, format_duration(now - report.made_at)
        names = ", ".join([*report.wrong, *(f"{each} (a warning)" for each in report.warnings)])
        if names:
            kind = wrong if report.wrong else warning
            yield node, kind(f"{node}: the doctor found, {age} ago: {names}", "run `accord doctor` there")
        if report.is_stale(now):
            what = f"{node}: the doctor has not looked for {age}"
            yield node, warning(what, "`systemctl start accord-doctor.timer` there")

    def _look_at(self, report: NodeReport, now: datetime) -> DoctorFinding:
        age, node = format_duration(now - report.reported_at), report.node
        figures = (
            f"{report.live} live, {report.backlog} waiting, {report.quarantine} in quarantine, disk"
            f" {report.share_used:.0%} used, version {report.software}, reported {age} ago"
        )
        match report.state(now):
            case fleet.SILENT:
                hint = "see whether its worker runs and reaches the catalogue"
                return wrong(f"{node}: no report for {age}", hint)
            case fleet.UNWATCHED:
                what = f"{node}: its daemon does not watch the switch; {figures}"
                return wrong(what, "its calls are not recorded: run `accord doctor` there")
            case fleet.BEHIND:
                what = f"{node}: a call has waited for {format_duration(report.wait)}; {figures}"
                return warning(what, "the log of its worker has the reason (take.delayed)")
            case fleet.DISK_FILLS:
                return warning(f"{node}: {figures}", "make room on the disk of its spool")
        return ok(f"{node}: {figures}")

    def _look_at_keys(self, report: NodeReport, kek: str | None) -> DoctorFinding | None:
        """A node that has other keys than the nodes beside it, or lacks ``kek``, which wraps the newest
        customer's key."""
        if not report.root:
            return None  # a version before reports no keys
        if kek is not None and kek not in report.keks:
            what = f"{report.node}: it lacks the key-encryption key {kek}, which wraps customers' keys"
            return wrong(what, PAGE)
        count = Counter(each.root for each in self.reports if each.root)
        if any(number >= count[report.root] for root, number in count.items() if root != report.root):
            what = f"{report.node}: its root {report.root} is not that of the other nodes"
            return wrong(what, PAGE)
        return None


def _as_json(report: NodeReport | DoctorReport) -> dict[str, object]:
    return {
        name: to_iso(value) if isinstance(value, datetime) else value
        for name, value in asdict(report).items()
    }
