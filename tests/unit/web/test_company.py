"""An admin changes the company's name and time zone."""

from __future__ import annotations

import html
import re

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from tests.unit.web.page_text import english, text_of

ZONE = "Europe/Lisbon"


@pytest.fixture
def paul(browser, bakery):
    return english(browser("paul"))


def test_name_and_time_zone_are_one_change(paul, bakery) -> None:
    answer = paul.send("/company", company=" Boulangerie  Martin & fils ", time_zone=ZONE)
    assert answer.status_code == 303
    row = queries.tenant(bakery.id)
    assert (row.name, row.time_zone, row.language) == ("Boulangerie Martin & fils", ZONE, "fr")
    assert f'value="{ZONE}"' in paul.get("/company").text
    with connected():
        assert LeafTable.select().where(LeafTable.kind == "tenant.changed").count() == 1
    log = text_of(paul.get("/access-log").text)
    assert "Paul Martin changed the company’s name, language or time zone." in log


@pytest.mark.parametrize(
    ("name", "zone", "field", "sentence"),
    [
        ("van  dyck nv", ZONE, "company", "There is a customer with this name."),
        ("", ZONE, "company", "Enter your company’s name"),
        ("x" * 101, ZONE, "company", "up to 100 characters"),
        ("Martin", "Europe/Atlantis", "time_zone", "There is no such time zone."),
        ("Martin", "", "time_zone", "There is no such time zone."),
    ],
)
def test_a_refusal_is_beside_its_field_and_changes_nothing(
    paul, bakery, rival, name, zone, field, sentence
) -> None:
    before = queries.tenant(bakery.id)
    answer = paul.send("/company", company=name, time_zone=zone)
    assert answer.status_code == 422
    wrong = re.findall(r'class="field-error" id="([a-z_]+)-wrong">([^<]+)<', answer.text)
    assert [each for each, _ in wrong] == [field]
    assert sentence in html.unescape(wrong[0][1])
    assert queries.tenant(bakery.id) == before


def test_the_page_says_how_a_company_leaves(paul) -> None:
    assert "Leaving with all your recordings" in text_of(paul.get("/company").text)
