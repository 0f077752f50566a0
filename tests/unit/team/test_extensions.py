"""Extensions of colleagues: each is one person's at a time, of one customer; the log does not say which."""

from __future__ import annotations

import json

import pytest

from recorder.audit.service import Audit
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.extension import ExtensionTable
from recorder.domain.parties import read_extensions
from recorder.errors import CatalogueError
from recorder.features.team import extensions
from recorder.identity import users
from recorder.seal.amendment import By
from tests.expected_errors import expect_error

pytestmark = pytest.mark.postgresql


@pytest.fixture
def claire(house):
    return house.user(house.tenant, "claire@example.com", name="Claire Martin")


@pytest.fixture
def paul(house):
    return house.user(house.tenant, "paul@example.com", name="Paul Martin")


def assign(house, person, *numbers: str) -> None:
    at = {"now": house.clock.forward(minutes=1), "entropy": house.entropy}
    extensions.set_extensions(person.tenant, person.id, numbers, by=By("operator"), **at)


def findings(house) -> list[str]:
    means = house.services
    audit = Audit(means.store, means.root, house.clock(), means.keyring)
    return [each.code for each in audit.tenant(house.tenant)]


def test_extension_is_one_persons_at_a_time(house, claire, paul):
    assign(house, claire, "2001", "+3225550102")
    with expect_error(CatalogueError, "extension.taken"):
        assign(house, paul, "2002", "2001")
    assert extensions.extensions_of(house.tenant) == {claire.id: ("+3225550102", "2001")}
    assign(house, claire, "+3225550102")
    assign(house, paul, "2001")
    names = extensions.names_at(house.tenant, ["2001", "+3225550102", "2002"])
    assert names == {"2001": "Paul Martin", "+3225550102": "Claire Martin"}
    assert findings(house) == []


def test_extension_of_somebody_without_access_keeps_their_name_until_it_changes_hands(house, claire, paul):
    assign(house, claire, "2001")
    users.revoke_user(house.tenant, claire.id, now=house.clock(), entropy=house.entropy)
    assert extensions.names_at(house.tenant, ["2001"]) == {"2001": "Claire Martin"}
    assign(house, paul, "2001")
    assert extensions.names_at(house.tenant, ["2001"]) == {"2001": "Paul Martin"}
    assert findings(house) == []


def test_two_customers_may_have_the_same_extension(house, claire):
    other = house.customer("Van Dyck NV", "+3225550199")
    rik = house.user(other.id, "rik@example.com", name="Rik Van Dyck")
    assign(house, claire, "2001")
    assign(house, rik, "2001")
    assert extensions.names_at(house.tenant, ["2001"]) == {"2001": "Claire Martin"}
    assert extensions.names_at(other.id, ["2001"]) == {"2001": "Rik Van Dyck"}


def test_log_says_who_and_not_which(house, claire):
    assign(house, claire, "2001")
    assign(house, claire)
    with connected():
        rows = LeafTable.select().where(LeafTable.kind.startswith("extension.")).order_by(LeafTable.number)
        bodies = [json.loads(row.body) for row in rows]
        ended = ExtensionTable.get()
    assert [each["user"] for each in bodies] == [claire.id, claire.id]
    assert "2001" not in json.dumps([body | {"extension": ""} for body in bodies])
    assert (ended.number, ended.salt) == (None, None)


def test_row_that_was_changed_is_found_by_an_audit(house, claire, paul):
    assign(house, claire, "2001")
    with connected():
        ExtensionTable.update(user=paul.id).execute()
    assert findings(house) == ["row.changed"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" 2001, 2002 ;2001\n", ("2001", "2002")),
        ("02 555 01 02", ("+3225550102",)),
        ("claire.martin", ("claire.martin",)),
    ],
)
def test_reads_extensions_as_calls_have_them(text, expected):
    assert read_extensions(text, "be") == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("not an extension", "extension.number"),
        ("anonymous", "extension.number"),
        (",".join(map(str, range(2000, 2011))), "extension.too_many"),
    ],
)
def test_refuses_what_is_no_extension(text, error):
    with expect_error(CatalogueError, error):
        read_extensions(text, "be")
