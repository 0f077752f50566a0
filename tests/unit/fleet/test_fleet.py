"""``accord status --fleet``: every node by what its worker reported."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner

from recorder import config
from recorder.cli import accord
from recorder.features.fleet.doctor_reports import STALE_AFTER, DoctorReport, report_findings
from recorder.features.fleet.service import NodeReport, node_reports, report_node
from recorder.ops.doctor.findings import Patient
from recorder.ops.fleet import FleetStatus
from recorder.processes.services import Context
from tests.clock import Clock
from tests.house import Bakery


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def north(clock: Clock, catalogue: str) -> NodeReport:
    return NodeReport("north", clock(), clock(), "0.1.0", 5, 12, clock(), 0, 1000, 500)


def states(clock: Clock) -> dict[str, str]:
    patient = Patient(Context(config.load(None, {}), None), clock)
    return {name: finding.state for name, finding in FleetStatus(patient).look()}


def test_a_node_that_reports_is_fine_until_it_is_silent(clock: Clock, north: NodeReport) -> None:
    report_node(north)
    clock.forward(minutes=3)
    assert states(clock) == {"north": "ok"}
    clock.forward(seconds=1)
    assert states(clock) == {"north": "wrong"}
    report_node(replace(north, reported_at=clock(), watched_at=clock(), oldest_at=clock()))
    assert states(clock) == {"north": "ok"}
    assert len(node_reports()) == 1


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"watched_at": None}, "ok"),
        ({"watched_at": timedelta(minutes=-2)}, "ok"),
        ({"watched_at": timedelta(minutes=-2, seconds=-1)}, "wrong"),
        ({"oldest_at": timedelta(minutes=-10)}, "ok"),
        ({"oldest_at": timedelta(minutes=-11)}, "warning"),
        ({"disk_free": 160}, "ok"),
        ({"disk_free": 150}, "warning"),
        ({"disk_free": 0, "disk_size": 0}, "ok"),
    ],
)
def test_what_is_wrong_with_a_node(clock: Clock, north: NodeReport, change: dict, state: str) -> None:
    values = {
        name: clock() + value if isinstance(value, timedelta) else value for name, value in change.items()
    }
    report_node(replace(north, **values))
    assert states(clock) == {"north": state}


def test_what_the_doctor_found_on_a_node_is_named_with_it(clock: Clock, north: NodeReport) -> None:
    patient = Patient(Context(config.load(None, {}), None), clock)

    def texts() -> list[tuple[str, str]]:
        return [(found.state, found.what) for _node, found in FleetStatus(patient).look()][1:]

    report_node(north)
    report_findings(DoctorReport("gone", clock(), ("store",)))
    report_findings(DoctorReport("north", clock()))
    assert texts() == [], "of a node that finds nothing, and of one that reports no more"
    report_findings(DoctorReport("north", clock(), ("store", "sounds"), ("clock",)))
    clock.forward(minutes=2)
    assert texts() == [("wrong", "north: the doctor found, 02:00 ago: store, sounds, clock (a warning)")]
    report_findings(DoctorReport("north", clock(), (), ("clock",)))
    report_node(replace(north, reported_at=clock()))
    assert [state for state, _text in texts()] == ["warning"]
    clock.forward(seconds=STALE_AFTER.total_seconds() + 1)
    report_node(replace(north, reported_at=clock()))
    assert [state for state, _text in texts()] == ["warning", "warning"]
    nodes = FleetStatus(patient)
    list(nodes.look())
    (figures,) = json.loads(json.dumps(nodes.figures()))["nodes"]
    assert figures["doctor"]["warnings"] == ["clock"]


def test_node_with_other_keys_than_the_others_is_named(
    clock: Clock, north: NodeReport, house: Bakery
) -> None:
    """``house`` has a customer, whose key is wrapped by its key-encryption key."""
    good = replace(north, root="a root", keks=(house.keyring.current, "a former one"))
    for name in ("north", "south", "west"):
        report_node(replace(good, node=name))
    report_node(replace(good, node="before", root="", keks=()))
    assert set(states(clock).values()) == {"ok"}
    report_node(replace(good, node="south", keks=("another", "a former one")))
    report_node(replace(good, node="west", root="another root"))
    found = dict(FleetStatus(Patient(Context(config.load(None, {}), None), clock)).look())
    assert [name for name, each in found.items() if each.state == "wrong"] == ["south", "west"]
    assert found["south"].what == (
        f"south: it lacks the key-encryption key {house.keyring.current}, which wraps customers' keys"
    )
    assert found["west"].what == "west: its root another root is not that of the other nodes"
    assert all("docs/keys.md" in found[name].hint for name in ("south", "west"))


def test_of_two_nodes_with_different_roots_both_are_named(clock: Clock, north: NodeReport) -> None:
    report_node(replace(north, root="a root"))
    report_node(replace(north, node="south", root="another root"))
    assert states(clock) == {"north": "wrong", "south": "wrong"}


def test_a_node_out_of_service_is_forgotten(clock: Clock, north: NodeReport) -> None:
    report_node(north)
    clock.forward(days=7)
    report_node(replace(north, node="south", reported_at=clock()))
    assert set(states(clock)) == {"north", "south"}
    clock.forward(seconds=1)
    report_node(replace(north, node="south", reported_at=clock()))
    assert set(states(clock)) == {"south"}


def test_without_any_report_it_says_what_to_do(clock: Clock, catalogue: str) -> None:
    assert states(clock) == {"fleet": "warning"}


def test_the_command_prints_nodes_as_json(north: NodeReport, catalogue: str) -> None:
    report_node(north)
    environment = {"ACCORD_CATALOGUE_URL": catalogue}
    result = CliRunner().invoke(accord, ["status", "--fleet", "--json"], env=environment)
    body = json.loads(result.output)
    assert (result.exit_code, body["state"]) == (1, "wrong"), "the report is of another day"
    assert [(each["node"], each["live"], each["backlog"]) for each in body["nodes"]] == [("north", 5, 12)]
