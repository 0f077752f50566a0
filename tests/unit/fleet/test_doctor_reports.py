"""``accord doctor --report``: the findings of each node in the catalogue."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from click.testing import CliRunner
from peewee import SQL

from recorder.catalogue.database import writing
from recorder.catalogue.tables.doctor_report import DoctorReportTable
from recorder.cli import accord
from recorder.fault_log import FaultLog
from recorder.features.fleet.doctor_reports import DoctorReport, doctor_reports, report_findings
from tests.clock import Clock
from tests.house import Bakery


def test_a_report_replaces_the_last_one_and_gets_old(catalogue: str) -> None:
    clock = Clock()
    north = DoctorReport("north", clock(), ("dialplan", "store"), ("disk",))
    report_findings(north)
    assert doctor_reports(FaultLog()) == {"north": north}
    clock.forward(hours=3)
    assert not north.is_stale(clock())
    clock.forward(seconds=1)
    assert north.is_stale(clock())
    mended = DoctorReport("north", clock())
    report_findings(mended)
    report_findings(replace(north, node="south"))
    assert doctor_reports(FaultLog()) == {"north": mended, "south": replace(north, node="south")}
    later = replace(mended, made_at=clock() + timedelta(days=6, hours=23))
    report_findings(later)
    assert doctor_reports(FaultLog()) == {"north": later}, "a node out of service is forgotten"


def test_a_row_that_cannot_be_read_hides_no_other(catalogue: str) -> None:
    clock, faults = Clock(), FaultLog()
    north = DoctorReport("north", clock())
    for report in (north, replace(north, node="south")):
        report_findings(report)
    with writing():
        DoctorReportTable.update(made_at=SQL("'garbage'")).where(DoctorReportTable.node == "south").execute()
    assert doctor_reports(faults) == {"north": north}
    report_findings(replace(north, node="south"))
    assert len(doctor_reports(faults)) == 2


def test_the_doctor_reports_which_checks_found_something(house: Bakery) -> None:
    result = CliRunner().invoke(accord, ["doctor", "--report", "--json"], env=house.environment())
    findings = json.loads(result.stdout)["findings"]
    assert (findings[-1]["check"], findings[-1]["state"]) == ("console", "ok")
    wrong = {each["check"] for each in findings if each["state"] == "wrong"}
    warnings = {each["check"] for each in findings if each["state"] == "warning"} - wrong
    assert {"switch", "daemon"} <= wrong, "nothing runs here"
    (report,) = doctor_reports(FaultLog()).values()
    assert ({*report.wrong}, {*report.warnings}) == (wrong, warnings)
    assert len(report.wrong) == len(wrong), "each once"


def test_a_plain_doctor_reports_nothing(house: Bakery) -> None:
    CliRunner().invoke(accord, ["doctor"], env=house.environment())
    assert doctor_reports(FaultLog()) == {}
    result = CliRunner().invoke(accord, ["doctor", "--panel", "--report"], env=house.environment())
    assert result.exit_code == 2


def test_a_report_that_cannot_be_written_is_a_finding(house: Bakery) -> None:
    with writing():
        DoctorReportTable.drop_table()
    result = CliRunner().invoke(accord, ["doctor", "--report", "--json"], env=house.environment())
    (last,) = (each for each in json.loads(result.stdout)["findings"] if each["check"] == "console")
    assert last["state"] == "wrong"
    assert "Traceback" not in result.output
