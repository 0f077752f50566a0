"""Lookups find intact leaves only."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.catalogue.database import writing
from recorder.catalogue.tables.audit_log import LeafTable

STORED = "recording.stored"


@pytest.fixture
def number(tenant, clock, entropy) -> int:
    """The number of a leaf about recording ``r1``."""
    with writing():
        return append(tenant, STORED, {"recording": "r1"}, clock(), entropy, recording="r1").number


def test_leaf_is_found_with_its_body(tenant, number, clock) -> None:
    expected = LoggedLeaf(number, STORED, clock(), {"recording": "r1"})
    assert leaf_lookup.find_leaf(tenant, number) == expected
    assert leaf_lookup.leaves_about(tenant, ["r2", "r1"], [STORED]) == [expected]
    assert leaf_lookup.leaves_after(tenant, number - 1, STORED) == [expected]


def test_lookups_are_limited_to_tenant_number_recording_and_kind(tenant, number) -> None:
    assert leaf_lookup.find_leaf(tenant, None) is None
    assert leaf_lookup.find_leaf(tenant, number + 1) is None
    assert leaf_lookup.find_leaf("nobody", number) is None
    assert leaf_lookup.leaves_about("nobody", ["r1"], [STORED]) == []
    assert leaf_lookup.leaves_about(tenant, ["r2"], [STORED]) == []
    assert leaf_lookup.leaves_about(tenant, ["r1"], ["recording.amended"]) == []
    assert leaf_lookup.leaves_after(tenant, number, STORED) == []
    assert leaf_lookup.leaves_after(tenant, number - 1, "recording.amended") == []
    assert leaf_lookup.leaves_after("nobody", number - 1, STORED) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"body": '{"recording":"r2"}'},
        {"body": "x"},
        {"body": "[]"},
        {"body": None},
        {"salt": bytes(32)},
        {"salt": None},
        {"kind": "recording.amended"},
        {"recording_id": "r2"},
        {"leaf": "{}"},
        {"leaf": "7"},
        {"leaf": "x"},
        {"leaf_hash": "00" * 32},
    ],
)
def test_changed_leaf_is_not_found(tenant, number, changed: dict[str, Any]) -> None:
    with writing():
        LeafTable.update(**changed).where(LeafTable.number == number).execute()
    kinds = [STORED, "recording.amended"]
    assert leaf_lookup.find_leaf(tenant, number) is None
    assert leaf_lookup.leaves_about(tenant, ["r1", "r2"], kinds) == []
    assert [each for kind in kinds for each in leaf_lookup.leaves_after(tenant, 0, kind)] == []


def test_leaf_under_another_number_is_not_found(tenant, number) -> None:
    with writing():
        LeafTable.update(number=number + 5).where(LeafTable.number == number).execute()
    assert leaf_lookup.find_leaf(tenant, number + 5) is None


def test_decisions_are_found_in_order(tenant, clock, entropy) -> None:
    with writing():
        for kind, line in (("line.created", "one"), ("line.ended", "one"), ("line.created", "two")):
            append(tenant, kind, {"line": line}, clock(), entropy)
        append(tenant, "line.changed", {"line": "two"}, clock(), entropy)
    kinds = ["line.created", "line.ended"]
    found = leaf_lookup.find_decisions(tenant, kinds)
    assert [(each.kind, each.body["line"]) for each in found] == [
        ("line.created", "one"),
        ("line.ended", "one"),
        ("line.created", "two"),
    ]
    assert [each.kind for each in leaf_lookup.find_decisions(tenant, ["line.ended"])] == ["line.ended"]
    assert leaf_lookup.find_decisions("nobody", kinds) == []
    with writing():
        LeafTable.update(body="{}").where(LeafTable.kind == "line.ended").execute()
    assert [each.kind for each in leaf_lookup.find_decisions(tenant, kinds)] == ["line.created"] * 2
