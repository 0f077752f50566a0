"""One look at all nodes, by what their workers last reported to the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime

from recorder.catalogue.tenant_queries import newest_tenant_key
from recorder.clock import to_iso
from recorder.features.fleet import service as fleet
from recorder.features.fleet.service import NodeReport, node_reports
from recorder.ops.doctor.findings import DoctorFinding, Patient, ok, warning, wrong
from recorder.ops.doctor.key_files import PAGE
from recorder.ops.status import format_duration


@dataclass
class FleetStatus:
    """The findings about each node, and the ``reports`` that they come from."""

    patient: Patient
    reports: tuple[NodeReport, ...] = field(default_factory=tuple)

    def look(self) -> Iterator[tuple[str, DoctorFinding]]:
        """A finding for each node with its name."""
        self.reports, now = node_reports(), self.patient.now()
        wrapped = newest_tenant_key()
        kek = None if wrapped is None else wrapped.wrapped_by
        for each in self.reports:
            yield each.node, self._look_at_keys(each, kek) or self._look_at(each, now)
        if not self.reports:
            yield "fleet", warning("no node has reported", "start a worker on each node")

    def figures(self) -> dict[str, object]:
        """The reports as JSON."""
        return {"nodes": [_as_json(each) for each in self.reports]}

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


def _as_json(report: NodeReport) -> dict[str, object]:
    return {
        name: to_iso(value) if isinstance(value, datetime) else value
        for name, value in asdict(report).items()
    }
