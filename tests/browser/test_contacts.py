"""A number gets a name on the call's page, which the list then shows and the search finds; others are
imported."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long

CARDS = """BEGIN:VCARD
VERSION:3.0
FN:Els Claes
TEL;TYPE=CELL:+32 470 65 43 21
END:VCARD
BEGIN:VCARD
VERSION:3.0
FN:Sans Numéro
END:VCARD
"""


@pytest.mark.parametrize("width", [360, 1280])
def test_number_gets_a_name_and_is_found_by_it(person, width):
    nina = person(width=width).log_in("nina")
    page = nina.page
    nina.go(f"/recordings/{nina.panel.ids['garage']}")
    page.get_by_text("Donner un nom à ce numéro").click()
    page.get_by_label("Nom", exact=True).fill("Élodie Peeters")
    page.locator(".call-contact").get_by_role("button", name="Enregistrer").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Élodie Peeters")
    expect(page.locator(".lead").first).to_contain_text("+32 470")
    assert_accessible(nina)
    nina.go("/recordings")
    page.fill("#q", "elodie")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Élodie Peeters")).to_have_count(1)
    stays_on_the_page(nina)
    page.get_by_role("link", name="Contacts").click()
    expect(page.locator(".contact-list li")).to_have_count(1)
    page.get_by_text("Modifier ou supprimer").click()
    page.get_by_role("button", name="Supprimer le nom").click()
    expect(page.get_by_role("heading", name="Pas encore de contacts")).to_be_visible()
    assert_accessible(nina)


@pytest.mark.parametrize("width", [360, 1280])
def test_name_that_the_call_brought_is_taken_with_one_press(person, width):
    nina = person(width=width).log_in("nina")
    page = nina.page
    nina.go(f"/recordings/{nina.panel.ids['garage']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("+32 470 12 34 56")
    expect(page.locator(".call-suggestion")).to_contain_text("(non vérifié)")
    assert_accessible(nina)
    stays_on_the_page(nina)
    page.get_by_role("button", name="Utiliser ce nom").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Élodie Peeters (atelier)")
    expect(page.locator(".call-suggestion")).to_have_count(0)
    page.get_by_text("Modifier le nom").click()
    page.get_by_role("button", name="Supprimer le nom").click()
    expect(page.get_by_role("button", name="Utiliser ce nom")).to_be_visible()


@pytest.mark.parametrize("width", [360, 1280])
def test_colleague_who_took_the_call_is_named_by_the_extension_set_in_the_team(person, width):
    nina = person(width=width).log_in("nina")
    page = nina.page
    expect(page.locator(".call").first).to_contain_text("avec le poste 1001")
    nina.go("/team")
    page.get_by_role("link", name="Modifier").first.click()
    page.get_by_label("Postes").fill("1001")
    assert_accessible(nina)
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.locator(".team-person").first).to_contain_text("Postes : 1001")
    stays_on_the_page(nina)
    nina.go(f"/recordings/{nina.panel.ids['garage']}")
    expect(page.locator(".lead").first).to_contain_text("avec Nina Dumont")
    nina.go("/team")
    page.get_by_role("link", name="Modifier").first.click()
    page.get_by_label("Postes").fill("")
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.locator(".team-person").first).not_to_contain_text("1001")


@pytest.mark.parametrize("width", [360, 1280])
def test_address_book_of_a_telephone_is_imported(person, width):
    lea = person(width=width).log_in("lea")
    page = lea.page
    lea.go("/contacts/import")
    page.get_by_label("Fichier").set_input_files(
        {"name": "contacts.vcf", "mimeType": "text/vcard", "buffer": CARDS.encode()}
    )
    page.get_by_role("button", name="Importer").click()
    expect(page.locator(".contact-mistakes li")).to_have_count(1)
    expect(page.locator(".contact-mistakes li")).to_contain_text("Sans Numéro")
    assert_accessible(lea)
    stays_on_the_page(lea)
    page.locator("#lines").fill("Sans Numéro ; 02 555 01 98")
    page.get_by_role("button", name="Importer").click()
    expect(page.locator(".contact-list li")).to_have_count(2)
    assert_accessible(lea)
    stays_on_the_page(lea)
    for _each in range(2):
        page.get_by_text("Modifier ou supprimer").first.click()
        page.get_by_role("button", name="Supprimer le nom").first.click()
        page.wait_for_load_state()
