"""Names for numbers: on the call's page, in the lists, and imported; for the customer's own people alone."""

from __future__ import annotations

import html
import io

import pytest

from recorder.audit.service import Audit
from recorder.domain.parties import Party
from recorder.features.contacts import service
from tests.house import CALLER

NAME = "Jan <Peeters>"
OTHER = Party("e164", "+32470654321")


@pytest.fixture
def call(house, bakery) -> str:
    return house.call(bakery)


def names(customer) -> dict[str, str]:
    return {each.number: each.name for each in service.contacts(customer.id)}


def test_name_that_is_typed_on_a_call_is_on_every_page_of_the_customer(house, browser, bakery, rival, call):
    missing = house.not_recorded(bakery, "never_connected")
    claire = browser("claire")
    answer = claire.send(f"/recordings/{call}/contact", name=NAME)
    assert (answer.status_code, answer.location) == (303, f"/recordings/{call}")
    assert names(bakery) == {CALLER.value: NAME}
    text = html.escape(NAME)
    page = claire.get(f"/recordings/{call}").text
    assert f"<h1>{text}</h1>" in page
    assert "+32" in page, "the number stays beside the name"
    assert "Écrit par Claire Martin" in page
    listed = claire.get("/recordings").text
    assert listed.count(f">{text}</a>") == 1
    assert listed.count(text) == 2, "the call without a recording, too"
    assert missing
    assert text in claire.get("/recordings?q=peeters").text
    assert call in claire.get("/recordings?q=peeters").text
    assert text in browser("audit").get("/contacts").text
    for person in (browser("dyck"),):
        assert text not in person.get("/recordings").text
        assert text not in person.get("/contacts").text
        assert person.send(f"/recordings/{call}/contact", name="Mine").status_code == 404
    assert names(rival) == {}
    means = house.services
    assert not [*Audit(means.store, means.root, house.clock(), means.keyring).tenant(bakery.id)]


def test_name_is_corrected_and_deleted_where_it_stands(browser, bakery, call):
    claire, paul = browser("claire"), browser("paul")
    claire.send(f"/recordings/{call}/contact", name="Jan")
    paul.send(f"/recordings/{call}/contact", name="Jan Peeters")
    assert names(bakery) == {CALLER.value: "Jan Peeters"}
    answer = claire.send(f"/recordings/{call}/contact", name=" ")
    assert answer.status_code == 400
    assert 'id="contact-error"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert names(bakery) == {CALLER.value: "Jan Peeters"}
    assert claire.send(f"/recordings/{call}/contact", delete="yes").status_code == 303
    assert names(bakery) == {}
    assert "Donner un nom à ce numéro" in claire.get(f"/recordings/{call}").text


def test_name_that_a_call_brings_is_offered_and_not_believed(house, browser, bakery, rival):
    call, nameless = house.call(bakery, caller_name=NAME), house.call(bakery, external_party=OTHER)
    claire, audit = browser("claire"), browser("audit")
    page = claire.get(f"/recordings/{call}").text
    text = html.escape(NAME)
    assert f'<input type="hidden" name="name" value="{text}">' in page
    assert f"« <bdi>{text}</bdi> »" in page.replace("\u00a0", " ")
    assert page.count(text) == 2, "nothing else takes it for the caller's name"
    assert "Utiliser ce nom" not in claire.get(f"/recordings/{nameless}").text
    for listed in ("/recordings", "/recordings?q=peeters", "/contacts"):
        assert text not in claire.get(listed).text
    assert text not in audit.get(f"/recordings/{call}").text, "who does not name numbers"
    claire.send(f"/recordings/{call}/contact", name=NAME)
    assert names(bakery) == {CALLER.value: NAME}
    page = claire.get(f"/recordings/{call}").text
    assert "Utiliser ce nom" not in page
    assert f"<h1>{text}</h1>" in page


def test_withheld_number_has_no_name_and_an_address_may_have_one(house, browser, bakery):
    claire = browser("claire")
    nameless = house.call(bakery, external_party=Party("withheld", ""))
    assert "/contact" not in claire.get(f"/recordings/{nameless}").text
    assert claire.send(f"/recordings/{nameless}/contact", name="Nobody").status_code == 404
    address = house.call(bakery, external_party=Party("sip", "sip:jan@example.com"))
    claire.send(f"/recordings/{address}/contact", name="Jan")
    claire.send("/contacts", number="sip:jan@example.com", known="yes", name="Jan Peeters")
    assert names(bakery) == {"sip:jan@example.com": "Jan Peeters"}


def test_list_is_searched_changed_and_emptied(browser, bakery):
    claire = browser("claire")
    assert claire.send("/contacts", number="0470 12 34 56", name="Élodie").status_code == 303
    assert claire.send("/contacts", number="02 555 01 98", name="Jan").status_code == 303
    page = claire.get("/contacts?q=elodie").text
    assert "Élodie" in page
    assert ">Jan<" not in page
    assert "Aucun contact trouvé" in claire.get("/contacts?q=nobody").text
    answer = claire.send("/contacts", number="not a number", name="Jan")
    assert answer.status_code == 422
    assert 'value="not a number"' in answer.text
    assert 'id="number-wrong"' in answer.text
    answer = claire.send("/contacts", number="+32470123456", known="yes", name="")
    assert answer.status_code == 422
    assert names(bakery) == {"+32470123456": "Élodie", "+3225550198": "Jan"}
    assert claire.send("/contacts", number="+32470123456", known="yes", delete="yes").status_code == 303
    assert names(bakery) == {"+3225550198": "Jan"}


def test_latest_calls_without_a_name_are_offered(house, browser, bakery, rival):
    house.not_recorded(bakery, "never_connected", external_party=Party("e164", "+32470654321"))
    house.not_recorded(bakery, "never_connected", external_party=Party("withheld", ""))
    house.not_recorded(rival, "never_connected", external_party=Party("e164", "+32470999999"))
    claire = browser("claire")
    page = claire.get("/contacts").text
    assert page.count('class="chip"') == 1
    assert 'href="/contacts?number=%2B32470654321"' in page
    assert 'value="+32470654321"' in claire.get("/contacts?number=%2B32470654321").text
    claire.send("/contacts", number="+32470654321", name="Els")
    assert 'class="chip"' not in claire.get("/contacts").text
    assert 'class="chip"' not in browser("audit").get("/contacts").text


def test_long_list_has_pages(browser, bakery, monkeypatch):
    monkeypatch.setattr("web.contacts.views.PAGE", 2)
    claire = browser("claire")
    for n in range(3):
        claire.send("/contacts", number=f"+3247012345{n}", name=f"Contact {n}")
    first = claire.get("/contacts").text
    assert "Contact 1" in first
    assert "Contact 2" not in first
    more = first.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    assert "Contact 2" in claire.get(html.unescape(more)).text


def test_file_is_imported_and_its_faulty_lines_are_there_to_correct(browser, bakery):
    claire = browser("claire")
    claire.send("/contacts", number="0470123456", name="Jan")
    content = b"Nom;GSM\nJan Peeters;0470 12 34 56\nEls Claes;0470 65 43 21\nNo Number;\n"
    answer = claire.send("/contacts/import", file=(io.BytesIO(content), "contacts.csv"))
    assert answer.status_code == 200
    assert "1 nom a été ajouté. 1 a été modifié." in answer.text
    assert "Ligne 4" in answer.text
    assert ">No Number;</textarea>" in answer.text
    assert names(bakery) == {"+32470123456": "Jan Peeters", "+32470654321": "Els Claes"}
    answer = claire.send("/contacts/import", lines="No Number; 02 555 01 98")
    assert answer.status_code == 303
    assert names(bakery)["+3225550198"] == "No Number"


def test_import_says_what_it_cannot_read(browser, bakery):
    claire = browser("claire")
    for form in ({"lines": "  "}, {"file": (io.BytesIO(b"\x89PNG\0\0"), "photo.png")}):
        answer = claire.send("/contacts/import", **form)
        assert answer.status_code == 422
        assert 'id="file-wrong"' in answer.text
    assert names(bakery) == {}


def test_colleague_of_some_numbers_names_the_callers_of_those_alone(house, browser, bakery, call):
    second = house.add_line(bakery.id, "+3225550101", bakery.announcement.id)
    hashed = bakery.people["claire"].password_hash
    house.user(bakery.id, "luc", lines=[second.id], name="Luc Maes", language="fr", password_hash=hashed)
    luc = browser("luc")
    assert luc.get("/contacts").status_code == 403
    assert "/contacts" not in luc.get("/recordings").text
    assert luc.send(f"/recordings/{call}/contact", name="Mine").status_code == 403
    assert names(bakery) == {}
