"""One customer's, recording's or row's failure stops no other one's duties."""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from wsgiref.simple_server import make_server

import pytest
from structlog.testing import capture_logs

import recorder
import web
from recorder import metrics
from recorder.catalogue import queries
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.tables.amendment import AmendmentTable
from recorder.errors import CatalogueError, SealError
from recorder.fault_log import FaultLog
from recorder.health import Readiness
from recorder.isolation import isolate_object
from recorder.lifecycle import recordings
from recorder.lifecycle.clock_guard import ClockGuard
from recorder.ops.doctor import machine
from recorder.processes.checkpoint_witnesses import CheckpointWitnesses
from recorder.processes.duties import DUTIES, Duties
from recorder.processes.mail_delivery import DUTY as OUTGOING_MAIL
from recorder.processes.worker_status import MOST_OBJECTS, name_objects
from recorder.seal.amendment import By
from recorder.status_server import AllowedClients, StatusApp
from recorder.store.contract import Unreachable
from tests.amendments import amend
from tests.stored_recordings import put_small


@pytest.fixture
def duties(house) -> Duties:
    keeper = ClockGuard(house.spool / ".clock", {}, house.clock, since_boot=house.services.uptime)
    return Duties(house.services, CheckpointWitnesses(), keeper)


def duty_times() -> dict[str, float]:
    return {name: metrics.DUTY_DONE.labels(name)._value.get() for name in DUTIES if name != OUTGOING_MAIL}


def erased(house, recording: str) -> bool:
    row = queries.recording(house.tenant, recording)
    assert row is not None
    return row.erased_at is not None


def write(statement: str) -> None:
    with writing():
        database.execute_sql(statement)


def test_a_malformed_amendment_stops_no_duty(house, duties) -> None:
    on_hold, readable, free = put_small(house), put_small(house), put_small(house)
    for each in (on_hold, readable):
        amend(house.changes.hold, house.tenant, each, By("operator"), owner="claire", purposes=["agreement"],
            reason="a court asks", review_at=house.clock() + timedelta(days=1),
        )  # fmt: skip
    write(f"UPDATE amendment SET data = '{{\"x\": 1}}' WHERE recording_id = '{on_hold}'")
    house.clock.forward(days=31)
    with capture_logs() as logs:
        duties.keep()
    assert erased(house, free)
    assert not erased(house, on_hold)
    assert duty_times() == dict.fromkeys(duty_times(), house.clock().timestamp())
    assert [line["row"] for line in logs if line["event"] == "hold.unreadable"] == [f"{on_hold}/1"]
    assert [line["recording"] for line in logs if line["event"] == "hold.review_due"] == [readable]


def test_doctor_names_an_object_until_the_duties_can_deal_with_it(house, duties) -> None:
    on_hold = put_small(house)
    amend(house.changes.hold, house.tenant, on_hold, By("operator"), owner="claire", purposes=["agreement"],
        reason="a court asks", review_at=house.clock() + timedelta(days=9),
    )  # fmt: skip
    (whole,) = rows("SELECT data FROM amendment")
    write("UPDATE amendment SET data = '{\"x\": 1}'")
    duties.keep()
    with served(house) as port:
        (finding,) = [each for each in machine._readiness("worker", "127.0.0.1", port) if each.hint]
    assert finding.state == "warning"
    assert finding.what.startswith(f"worker: objects: hold.unreadable {on_hold}/1 for 0 min: ")
    assert "accord audit run" in finding.hint
    with writing():
        AmendmentTable.update(data=json.loads(whole)).execute()
    house.clock.forward(hours=1)
    duties.keep()
    with served(house) as port:
        assert not [each for each in machine._readiness("worker", "127.0.0.1", port) if each.hint]


def test_status_names_a_bounded_number_of_objects() -> None:
    faults = FaultLog(lambda: 0.0)
    for number in range(MOST_OBJECTS + 3):
        faults.report("usage.count_failed", "it failed", f"tenant-{number}")
    faults.report("duty.delayed", "it failed", "usage")
    finding = name_objects(faults)
    assert finding.what.count("usage.count_failed") == MOST_OBJECTS
    assert finding.what.endswith("; and 3 more")
    assert "duty.delayed" not in finding.what


@contextmanager
def served(house) -> Iterator[int]:
    """Serves the worker's status on a port."""
    checks = {"objects": partial(name_objects, house.services.faults)}
    application = StatusApp("worker", metrics.registry("worker"), Readiness(checks), AllowedClients())
    with make_server("127.0.0.1", 0, application) as server:
        threading.Thread(target=server.handle_request).start()
        yield server.server_port


def rows(query: str) -> list[str]:
    with connected():
        return [row[0] for row in database.execute_sql(query)]


@pytest.mark.parametrize(
    "change",
    [
        "objects = '[1]'", "consented_until = '[]'", "keep_until = ' '", "prefix = '../'",
        "stored_at = 'yesterday'",
    ],
)  # fmt: skip
def test_an_unreadable_recording_delays_no_other(house, duties, change: str) -> None:
    damaged_one, free = put_small(house), put_small(house)
    write(f"UPDATE recording SET {change} WHERE id = '{damaged_one}'")
    house.clock.forward(days=31)
    with capture_logs() as logs:
        duties.keep()
    assert erased(house, free)
    assert (house.tenant, damaged_one) in recordings.due(house.clock())
    assert damaged_one in {line.get("recording") for line in logs if line["log_level"] == "error"}
    assert metrics.OBJECT_FAILURES.labels("recording.erasure_failed")._value.get() > 0


def test_a_malformed_customer_delays_no_other(house, duties) -> None:
    free = put_small(house)
    other = house.tenant.replace("0", "1", 1)
    write(
        "INSERT INTO tenant (id, name, language, languages, time_zone, country, plan, wrapped_key,"
        f" created_at, log_size, log_epoch) VALUES ('{other}', 'x', 'en', '{{', 'Nowhere', 'be', '', '',"
        " 'today', 'many', 0)"
    )
    house.clock.forward(days=31)
    with capture_logs() as logs:
        duties.keep()
    assert erased(house, free)
    late = {name for name, at in duty_times().items() if at != house.clock().timestamp()}
    assert late == {"logs"}, "a log that cannot be signed is told, and delays no other"
    assert {line["row"] for line in logs if line["event"] == "customer.unreadable"} == {other}


def test_a_duty_that_nobody_foresaw_to_fail_stops_no_other(house, duties, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("purposes")

    monkeypatch.setattr("recorder.processes.duties.amendment_recovery.list_pending", fail)
    free = put_small(house)
    house.clock.forward(days=31)
    with capture_logs() as logs:
        duties.keep()
    (line,) = [line for line in logs if line["event"] == "duty.delayed"]
    assert (line["duty"], line["log_level"], repr(line["exc_info"])) == (
        "amendments", "error", "KeyError('purposes')",
    )  # fmt: skip
    assert erased(house, free)


UNREACHABLE = Unreachable("store.unreachable", "nobody there", "try again")
AWAY = CatalogueError("catalogue.away", "no answer", "run `accord doctor`")


@pytest.mark.parametrize("error", [UNREACHABLE, AWAY, OSError(28, "No space left on device")])
def test_what_every_object_would_meet_ends_the_pass(error: Exception) -> None:
    faults, names = FaultLog(), list[str]()
    with pytest.raises(type(error)), capture_logs() as logs:
        _pass(faults, names, {"a": error})
    assert (names, logs) == ([], [])


@pytest.mark.parametrize(
    "error", [SealError("seal.x", "broken", ""), TypeError("x"), OSError(5, "bad sector")]
)
def test_what_concerns_one_object_is_reported_and_ends(error: Exception) -> None:
    faults, names = FaultLog(), list[str]()
    before = metrics.OBJECT_FAILURES.labels("usage.count_failed")._value.get()
    with capture_logs() as logs:
        _pass(faults, names, {"a": error})
        _pass(faults, names, {"a": error})
        _pass(faults, names, {})
    assert names == ["b", "b", "a", "b"]
    assert [(line["event"], line["tenant"]) for line in logs] == [
        ("usage.count_failed", "a"), ("usage.recovered", "a"),
    ]  # fmt: skip
    assert metrics.OBJECT_FAILURES.labels("usage.count_failed")._value.get() == before + 2


def _pass(faults: FaultLog, names: list[str], errors: dict[str, Exception]) -> None:
    for name in ("a", "b"):
        with isolate_object(faults, "usage.count_failed", name, tenant=name) as attempt:
            if name in errors:
                raise errors[name]
            names.append(name)
        assert attempt.error is errors.get(name)


def test_metrics_count_every_object_fault_from_zero() -> None:
    folders = [Path(package.__file__).parent for package in (recorder, web)]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    found = {name for path in paths for name in _object_faults(ast.parse(path.read_text()))}
    assert found == {*metrics.OBJECT_FAULTS}


def _object_faults(tree: ast.Module) -> set[str]:
    positions: dict[str, int] = {"isolate_object": 1, "read_rows": 3}
    names = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in [node.target]
        if isinstance(target, ast.Name)
    }
    found: set[str] = set()
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in positions:
            match call.args[positions[call.func.id]]:
                case ast.Constant(value=str() as text):
                    found.add(text)
                case ast.Name(id=name) if name in names:
                    found.add(names[name])
                case ast.Name():  # one of the module's constants, chosen while it runs
                    found |= set(names.values())
    return found
