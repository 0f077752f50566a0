"""A customer's country: chosen by its admin until something is recorded, then by the provider."""

from __future__ import annotations

import json

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.domain.roles import OPERATOR, PROVIDER
from recorder.errors import AuditLogError
from recorder.features.tenants import service
from recorder.features.tenants.default_lines import add_line
from recorder.features.tenants.registration import Registration
from recorder.identity import users
from recorder.lifecycle import line_rules
from recorder.prompts.composer import SHIPPED
from tests.house import Customer
from tests.unit.web.page_text import english, text_of


def newest(tenant: str) -> dict[str, object]:
    with connected():
        rows = LeafTable.select().where(LeafTable.tenant == tenant).order_by(LeafTable.number.desc())
        leaf = rows.first()
        return {"kind": leaf.kind, **json.loads(leaf.body)}


def operator_id() -> str:
    row = users.user_by_login("olga")
    assert row is not None
    return row.id


@pytest.fixture
def operator(house, browser):
    Registration(house.keyring).open_provider("Telvoip", "en", house.clock())
    owner = Customer(PROVIDER, None, None)  # type: ignore[arg-type]  # it has neither line nor announcement
    house.person(owner, "olga", "Olga Opera", role=OPERATOR, language="en")
    somebody = browser()
    somebody.log_in("olga")
    return somebody


def test_admin_changes_the_country_until_something_was_recorded(browser, house, bakery) -> None:
    paul = browser("paul")
    assert 'href="/numbers/country"' in paul.get("/numbers").text
    assert '<option value="be" selected>' in paul.get("/numbers/country").text
    refused = paul.send("/numbers/country", country="de")
    assert refused.status_code == 422
    assert 'id="country-wrong"' in refused.text, "its line announces with notice"
    answer = paul.send("/numbers/country", country="nl")
    assert (answer.status_code, answer.location) == (303, "/numbers")
    assert queries.tenant(bakery.id).country == "nl"
    leaf = newest(bakery.id)
    assert (leaf["kind"], leaf["country"], leaf["actor"]) == (
        "tenant.country_changed", "nl", bakery.people["paul"].id,
    )  # fmt: skip
    assert paul.send("/numbers/country", country="atlantis").status_code == 422
    house.call(bakery)
    page = paul.get("/numbers/country").text
    assert "<select" not in page.partition("<main")[2]
    refused = paul.send("/numbers/country", country="be")
    assert refused.status_code == 422
    assert queries.tenant(bakery.id).country == "nl"


def test_shortened_log_gives_no_choice(house, bakery) -> None:
    """Whoever deletes the leaf of the first recording does not open the choice again."""
    house.call(bakery)
    with writing():
        LeafTable.delete().where(LeafTable.kind == "recording.stored").execute()
    with pytest.raises(AuditLogError):
        service.choose_country(
            bakery.id, "nl", who="u", store=house.store, root=house.root_public, now=house.clock(),
            entropy=house.entropy,
        )  # fmt: skip


def test_provider_changes_the_country_and_decides_about_foreign_numbers(operator, house, bakery) -> None:
    house.call(bakery)
    assert f'href="/customers/{bakery.id}/country"' in operator.get("/customers").text
    path, olga = f"/customers/{bakery.id}/country", operator_id()
    assert 'value="stricter" id="rules-1" checked' in operator.get(path).text
    assert operator.send(path, country="be", rules="alone").status_code == 303
    assert line_rules.is_alone(bakery.id)
    leaf = newest(bakery.id)
    assert (leaf["actor"], leaf["person"]) == ("operator", olga)
    for page in (path, f"/customers/{bakery.id}"):
        assert "Decided by Olga Opera on" in operator.get(page).text
    assert 'value="alone" id="rules-2" checked' in operator.get(path).text
    assert operator.send(path, country="nl", rules="stricter").status_code == 303
    assert queries.tenant(bakery.id).country == "nl"
    assert not line_rules.is_alone(bakery.id)
    assert operator.send(path, country="de", rules="stricter").status_code == 422
    assert operator.get(f"/customers/{PROVIDER}/country").status_code == 404


def test_number_from_another_country_says_who_decides_its_rules(operator, browser, house, bakery) -> None:
    add_line(
        queries.tenant(bakery.id), "+33123456789", recorded=True, sources=SHIPPED, now=house.clock(),
        entropy=house.entropy,
    )  # fmt: skip
    paul = english(browser("paul"))
    path = f"/customers/{bakery.id}/country"
    page = text_of(paul.get("/numbers").text)
    assert "The stricter rules of Belgium and France apply." in page
    assert "Until your provider decides otherwise." in page
    assert "Nobody has decided yet" in operator.get(path).text
    assert operator.send(path, country="be", rules="alone").status_code == 303
    page = text_of(paul.get("/numbers").text)
    assert "Only the rules of Belgium apply. Your provider Decided on" in page
    assert "Olga" not in page
    with writing():
        LeafTable.update(body="{}").where(LeafTable.kind == "tenant.country_decided").execute()
    assert "Until your provider decides otherwise." in text_of(paul.get("/numbers").text), "the leaf says it"


def test_setup_says_that_a_number_is_from_another_country(browser, house, bakery) -> None:
    line = add_line(
        queries.tenant(bakery.id), "+33123456789", recorded=False, sources=SHIPPED, now=house.clock(),
        entropy=house.entropy,
    )  # fmt: skip
    page = browser("paul").get(f"/numbers/{line}/setup").text
    assert "Ce num\u00e9ro vient d\u2019un autre pays" in page
    assert "Belgique et France" in page
    assert "autre pays" not in browser("paul").get(f"/numbers/{bakery.line.id}/setup").text
