"""Names for numbers: a customer's own, in the log without their content, and gone when they are deleted."""

from __future__ import annotations

import json

import pytest

from recorder.audit.service import Audit
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.catalogue.tables.contact import ContactTable
from recorder.errors import CatalogueError
from recorder.features.contacts import service
from recorder.features.contacts.service import WrittenNames
from recorder.features.offboarding import csv_tables
from tests.expected_errors import expect_error

pytestmark = pytest.mark.postgresql

JAN, ELS = "+32470000011", "+32470000012"


@pytest.fixture
def claire(house):
    return house.user(house.tenant, "claire@example.com", name="Claire Martin")


@pytest.fixture
def write(house, claire):
    def write(names: dict[str, str], tenant: str = "", user: str = "") -> WrittenNames:
        return service.write_names(
            tenant or house.tenant, user or claire.id, names, now=house.clock(), entropy=house.entropy
        )

    return write


def findings(house) -> list[str]:
    means = house.services
    return [
        each.code
        for each in Audit(means.store, means.root, house.clock(), means.keyring).tenant(house.tenant)
    ]


def leaves(kind: str) -> list[dict]:
    with connected():
        rows = LeafTable.select().where(LeafTable.kind == kind).order_by(LeafTable.number)
        return [json.loads(row.body) for row in rows]


def test_name_is_found_by_its_number_and_by_a_part_of_either(house, write):
    assert write({JAN: "  Jan   Peeters ", ELS: "Élodie Claes"}) == WrittenNames(2, 0)
    assert service.names_of(house.tenant, [JAN, "+32470000099"]) == {JAN: "Jan Peeters"}
    for text, expected in {
        "": [ELS, JAN], "PEET": [JAN], "elodie": [ELS], "0470 00 00 12": [ELS], "12": [ELS], "nobody": [],
    }.items():  # fmt: skip
        assert [each.number for each in service.contacts(house.tenant, text)] == expected, text
    found = service.find_contact(house.tenant, JAN)
    assert found is not None
    assert (found.author, found.written_at) == ("Claire Martin", house.clock())
    assert findings(house) == []


def test_name_is_replaced_by_the_next_and_the_same_one_leaves_no_entry(house, write):
    write({JAN: "Jan"})
    house.clock.forward(minutes=1)
    paul = house.user(house.tenant, "paul@example.com", name="Paul Martin")
    assert write({JAN: "Jan"}) == WrittenNames(0, 0)
    assert write({JAN: "Jan Peeters"}, user=paul.id) == WrittenNames(0, 1)
    (found,) = service.contacts(house.tenant)
    assert (found.name, found.author, found.written_at) == ("Jan Peeters", "Paul Martin", house.clock())
    assert len(leaves(service.NAMED)) == 2
    assert findings(house) == []


def test_log_has_neither_name_nor_number_and_a_deleted_one_is_nowhere(house, write, claire):
    write({JAN: "Jan Peeters"})
    (leaf,) = leaves(service.NAMED)
    assert leaf.keys() == {"contact", "user", "number_sha256", "name_sha256"}
    with connected():
        assert ContactTable.get().salt is not None
    service.delete_name(
        house.tenant, claire.id, JAN, now=house.clock.forward(minutes=1), entropy=house.entropy
    )
    assert service.contacts(house.tenant) == ()
    with connected():
        row = ContactTable.get()
    assert (row.number, row.name, row.salt) == (None, "", None), "nothing to try numbers or names with"
    assert leaves("contact.deleted") == [{"contact": row.id, "user": claire.id}]
    assert write({JAN: "Jan again"}) == WrittenNames(1, 0)
    assert findings(house) == []


def test_name_is_one_customers_own(house, write):
    other = house.customer("Van Dyck NV", "+3225550199")
    rik = house.user(other.id, "rik@example.com")
    write({JAN: "Jan Peeters"})
    write({JAN: "Somebody"}, tenant=other.id, user=rik.id)
    assert service.names_of(house.tenant, [JAN]) == {JAN: "Jan Peeters"}
    assert service.names_of(other.id, [JAN]) == {JAN: "Somebody"}
    service.delete_name(other.id, rik.id, JAN, now=house.clock(), entropy=house.entropy)
    assert service.names_of(house.tenant, [JAN]) == {JAN: "Jan Peeters"}


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ({JAN: "  "}, "contact.name"),
        ({JAN: "J" * 101}, "contact.name"),
        ({JAN: "Jan\u202ePeeters"}, "contact.name"),
        ({"": "Jan"}, "contact.number"),
        ({JAN: "Jan", ELS: ""}, "contact.name"),
    ],
)
def test_refused_names_change_nothing(house, write, names, error):
    with expect_error(CatalogueError, error):
        write(names)
    assert service.contacts(house.tenant) == ()


def test_more_names_than_a_customer_may_have_change_nothing(house, write, monkeypatch):
    monkeypatch.setattr(service, "MOST", 2)
    write({JAN: "Jan", ELS: "Els"})
    with expect_error(CatalogueError, "contact.too_many"):
        write({JAN: "Other", "+32470000013": "Third"})
    assert [each.name for each in service.contacts(house.tenant)] == ["Els", "Jan"]
    assert write({JAN: "Jan Peeters"}) == WrittenNames(0, 1)


def test_departing_customer_takes_the_names_along(house, write):
    write({JAN: "=Jan"})
    table = csv_tables.fixed_tables(house.tenant, house.trust)["tables/contacts.csv"]
    assert table.splitlines()[0] == "number,name,written_by,written_at"
    assert table.splitlines()[1].startswith("'+32470000011,'=Jan,Claire Martin,")
