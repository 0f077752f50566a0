"""Passes the doctor's findings on to the provider's console."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recorder.features.fleet.doctor_reports import DoctorReport, report_findings
from recorder.ops.doctor.findings import WARNING, WRONG, DoctorFinding, Patient, examine, ok


def pass_on(
    patient: Patient, found: Iterable[tuple[str, DoctorFinding]]
) -> Iterator[tuple[str, DoctorFinding]]:
    """Yield the findings as they are made; then report to the catalogue which checks found something, with a
    finding about that."""
    states: dict[str, set[str]] = {}
    for check, finding in found:
        states.setdefault(check, set()).add(finding.state)
        yield check, finding

    def console(patient: Patient) -> Iterator[DoctorFinding]:
        wrong = tuple(check for check, of in states.items() if WRONG in of)
        warnings = tuple(check for check, of in states.items() if WARNING in of and WRONG not in of)
        report_findings(DoctorReport(patient.settings.node.name, patient.now(), wrong, warnings))
        yield ok("console: the provider's console has this node's findings")

    for finding in examine(console, patient):
        yield console.__name__, finding
