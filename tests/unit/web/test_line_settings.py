"""An admin changes a number's settings in the panel: one change, refused as a whole beside its field."""

from __future__ import annotations

import html
import json
import re

import pytest

from recorder.catalogue import queries
from recorder.catalogue.database import connected
from recorder.catalogue.tables.audit_log import LeafTable
from recorder.features.tenants import service
from recorder.features.tenants.composition import Recipe
from recorder.features.tenants.line_change import LineChange, change_line
from recorder.lifecycle.retention_limits import NewLimit, set_limit
from recorder.prompts.composer import SHIPPED
from recorder.seal.amendment import By
from tests.unit.web.page_text import english, text_of

AS_IT_IS = {
    "label": "Magasin",
    "timing": "before_ringing",
    "outbound": "off",
    "beep": "none",
    "deletable": "no",
}


@pytest.fixture
def line(bakery):
    (row,) = queries.lines(bakery.id)
    return row


@pytest.fixture
def paul(browser, bakery):
    return english(browser("paul"))


def save(person, line, **changes: str):
    return person.send(f"/numbers/{line.id}/settings", **{**AS_IT_IS, **changes})


def changed_leaves() -> list[dict]:
    with connected():
        rows = LeafTable.select().where(LeafTable.kind == "line.changed").order_by(LeafTable.number)
        return [json.loads(row.body) for row in rows]


def sources(person, line) -> dict[str, str]:
    """Where each setting comes from, by its field."""
    page = person.get(f"/numbers/{line.id}/settings").text
    found = re.findall(r'id="([a-z]+)-source">(.*?)</p>', page, re.DOTALL)
    return {name: text_of(f"<main{text}") for name, text in found}


def test_settings_are_one_change(paul, bakery, line) -> None:
    answer = save(paul, line, label=" Comptoir ", outbound="once_connected", beep="both", deletable="yes")
    assert answer.status_code == 303
    row = queries.line(bakery.id, line.id)
    assert (row.label, row.outbound, row.beep, row.deletable) == ("Comptoir", "once_connected", "both", True)
    (body,) = changed_leaves()
    assert body["actor"] == bakery.people["paul"].id
    settings = {"label", "outbound", "beep", "deletable", "line_delete_sha256"}
    assert {name for name in body if not name.endswith("_was")} == {"line", "actor", *settings}
    assert (body["label_was"], body["label"]) == ("Magasin", "Comptoir")
    assert save(paul, line, label="Comptoir", outbound="once_connected", beep="both", deletable="yes")
    assert len(changed_leaves()) == 1, "what stays as it is changes nothing"


def test_each_setting_says_where_it_comes_from(paul, bakery, line, clock, entropy) -> None:
    change_line(bakery.id, line.id, LineChange(beep="both"), now=clock(), entropy=entropy)
    assert save(paul, line, beep="both", outbound="before_connected").status_code == 303
    found = sources(paul, line)
    assert found["label"] == "Your provider As it was when the number was added."
    assert "This number Set by your provider on" in found["beep"]
    assert "This number Set by Paul Martin on" in found["outbound"]


def announced(person, line) -> list[str]:
    """Where the purposes, the retention and the mode of a line come from, on the page of numbers."""
    card = person.get("/numbers").text.partition(f'id="line-{line.id}"')[2].partition("</section>")[0]
    found = re.findall(r'<dd class="setting-source muted">(.*?)</dd>', card, re.DOTALL)
    return [text_of(f"<main{text}") for text in found]


def test_what_is_announced_says_where_it_comes_from(paul, house, bakery, line, clock, entropy) -> None:
    default = "Your provider As it was when the number was added."
    assert announced(paul, line) == [default, default, "Country Follows the rules of Belgium."]
    clock.forward(minutes=5)
    draft = Recipe("notice", "fr", "opt-out", ("agreement",), 14).draft(SHIPPED)
    change = LineChange(announcements=[draft])
    change_line(bakery.id, line.id, change, who=bakery.people["paul"].id, now=clock(), entropy=entropy)
    clock.forward(minutes=5)
    change_line(bakery.id, line.id, LineChange(languages=["fr", "en"]), now=clock(), entropy=entropy)
    purposes, keep_days, mode = announced(paul, line)
    assert purposes == default, "the purposes are those of the beginning"
    assert keep_days.startswith("This number Set by Paul Martin on"), "the languages are another setting"
    assert mode.startswith("This number Set by Paul Martin on")
    set_limit(house.changes, bakery.id, NewLimit("agreement", None, 5), By("user", bakery.people["paul"].id))
    assert announced(paul, line)[2].startswith("Your company Set by Paul Martin on")
    assert "At most 5 days" in text_of(paul.get("/numbers").text)


def test_mode_without_a_choice_is_the_countrys(paul, bakery, line, clock, entropy) -> None:
    clock.forward(minutes=5)
    draft = Recipe("asked", "fr", "opt-in", ("agreement",), 14).draft(SHIPPED)
    change = LineChange(announcements=[draft])
    change_line(bakery.id, line.id, change, who=bakery.people["paul"].id, now=clock(), entropy=entropy)
    assert announced(paul, line)[2].startswith("This number")
    service.set_tenant_country(bakery.id, "de", now=clock(), entropy=entropy)
    assert announced(paul, line)[2] == "Country Follows the rules of Germany."


def test_company_says_who_changed_its_name(paul, bakery) -> None:
    assert text_of(paul.get("/company").text).count("As it was when the account was created.") == 2
    answer = paul.send("/company", company="Boulangerie Adam", time_zone="Europe/Brussels")
    assert answer.status_code == 303
    page = text_of(paul.get("/company").text)
    assert page.count("As it was when the account was created.") == 1
    assert "Your company Set by Paul Martin on" in page


@pytest.mark.parametrize(
    ("field", "entry", "sentence"),
    [
        ("outbound", "once_connected", "Both can hear it together only if"),
        ("timing", "at_pickup", "Both can hear it together only if"),
        ("label", "x" * 101, "at most 100 characters"),
        ("beep", "everybody", "Choose one of these."),
        ("deletable", "", "Choose one of these."),
    ],
)
def test_a_refusal_is_beside_its_field_and_changes_nothing(
    paul, bakery, line, clock, entropy, field, entry, sentence
) -> None:
    change = LineChange(languages=["fr", "en"])
    change_line(bakery.id, line.id, change, now=clock(), entropy=entropy)
    before = queries.line(bakery.id, line.id)
    answer = save(paul, line, **{"label": "New", "deletable": "yes", field: entry})
    assert answer.status_code == 422
    wrong = re.findall(r'class="field-error" id="([a-z]+)-wrong">([^<]+)<', answer.text)
    assert [name for name, _ in wrong] == [field]
    assert sentence in html.unescape(wrong[0][1])
    if field != "label":
        assert 'value="New"' in answer.text, "nothing has to be entered twice"
    assert queries.line(bakery.id, line.id) == before


def test_a_name_can_be_taken_away(paul, bakery, line) -> None:
    assert save(paul, line, label="").status_code == 303
    assert queries.line(bakery.id, line.id).label == ""
