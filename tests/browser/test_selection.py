"""Several recordings of the list at once: chosen by hand or keys, without scripts, and said how many."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_pages import assert_accessible, stays_on_the_page
from tests.browser.test_search import visit

pytestmark = pytest.mark.long


@pytest.mark.parametrize("width", [360, 1280])
def test_chosen_recordings_get_a_label(person, width):
    lea = visit(person(width=width), "lea")
    page = lea.page
    page.get_by_role("link", name="Sélectionner plusieurs").click()
    boxes = page.get_by_role("checkbox")
    rows = page.locator("label.call-link")
    rows.first.click()  # the whole row is the label
    assert page.locator("input[name=recording]:checked").count() == 1
    page.locator("input[name=recording]").first.focus()
    page.keyboard.press("Space")
    assert page.locator("input[name=recording]:checked").count() == 0
    page.get_by_role("link", name="Sélectionner la page").click()
    number = page.locator("input[name=recording]:checked").count()
    assert number == page.locator("input[name=recording]").count() > 0
    expect(boxes.nth(0)).to_be_attached()
    page.get_by_text("Ajouter une étiquette…").click()
    stays_on_the_page(lea)
    assert_accessible(lea)
    page.get_by_label("Étiquette", exact=True).last.fill(f"Suivi {width}")
    page.get_by_role("button", name="Ajouter une étiquette").click()
    expect(page.locator(".toast")).to_contain_text(re.compile(rf"^\s*{number} enregistrements? portent?"))
    expect(page.locator(".call-badges", has_text=f"Suivi {width}")).to_have_count(number)
