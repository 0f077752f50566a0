"""A row alone destroys, withholds and shows nothing: only what was signed does, by a key that may say it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recorder.catalogue import customers, leaving, people, queries
from recorder.catalogue.asking import ForgottenCall
from recorder.catalogue.ended import Leaving
from recorder.catalogue.models import writing
from recorder.ledger.append import append
from recorder.ledger.audit import Audit
from recorder.lifecycle import leaving as ending
from tests.house import Customer


@pytest.fixture
def bakery(house) -> Customer:
    customer = house.customer("Boulangerie Martin", "+3225550100")
    house.person(customer, "paul", "Paul Martin", role="customer_admin")
    return customer


def forge_row(house, tenant: str) -> None:
    """What whoever writes to the catalogue inserts."""
    past = house.now() - timedelta(days=2)
    with writing():
        Leaving.insert(tenant_id=tenant, announced_at=past, until=past, erasing_since=past).execute()


def audited(house, tenant: str) -> list[str]:
    return [each.code for each in Audit(house.store, house.root, house.now(), house.keyring).tenant(tenant)]


@pytest.mark.parametrize("leaves", [False, True], ids=["row", "row-and-leaves"])
def test_a_row_destroys_no_customer(house, bakery, means, leaves) -> None:
    mine = house.call(bakery)
    forge_row(house, bakery.id)
    if leaves:
        with writing():
            said = {"until": "2026-11-23T09:00:00.000Z", "statement": "ab" * 32}
            append(bakery.id, "tenant.leaving", said, house.now(), house.entropy)
            said = {"early": "By letter", "handed_over": False, "statement": "ab" * 32}
            append(bakery.id, "tenant.erasing", said, house.now(), house.entropy)
    before = sorted(house.store.list(""))
    assert ending.erase_due(means, house.now()) == 0
    assert sorted(house.store.list("")) == before
    assert queries.recording(bakery.id, mine).destroyed_at is None
    assert people.user_by_login("paul") is not None
    assert customers.tenant_wrapped_key(bakery.id) is not None
    assert leaving.standing(bakery.id).receipt is None
    found = audited(house, bakery.id)
    assert "statement.missing" in found if leaves else "row.unlogged" in found


def test_a_row_withholds_no_call(house, bakery) -> None:
    forge_row(house, bakery.id)
    mine = house.call(bakery)
    assert queries.recording(bakery.id, mine) is not None
    house.not_recorded(bakery, "never_connected")
    assert [row.reason for row in queries.not_recorded(bakery.id).rows] == ["never_connected"]


def test_a_row_has_no_take_dropped_and_no_call_left_out(house, bakery) -> None:
    folder, ended = house.finished(bakery)
    with writing():
        ForgottenCall.insert(
            id=folder.name, tenant_id=bakery.id, request_id="r", forgotten_at=house.now()
        ).execute()
    house.work(folder, ended)
    assert queries.recording(bakery.id, folder.name) is not None
    assert [key for key in house.store.list("") if folder.name in key and key.endswith("audio.opus")]
    assert "row.unlogged" in audited(house, bakery.id)
