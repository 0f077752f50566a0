"""A new customer's first minutes in a browser: the operator's invitation, and a number that is added by the
code of a call to it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long

OWN = "seven quiet rivers bend"
WORDS = {
    "fr-BE": ("Accepter et se connecter", "Ajouter votre numéro", "Appeler ce numéro", "Ajouter le numéro"),
    "en-GB": ("Accept and log in", "Add your number", "Call this number", "Add the number"),
}


@pytest.mark.parametrize(
    ("language", "width", "entry", "number"),
    [
        ("fr-BE", 360, "02 555 06 77", "+3225550677"),
        pytest.param("en-GB", 1280, "+32 2 555 06 78", "+3225550678", marks=pytest.mark.long),
    ],
)
def test_invited_admin_adds_the_number_by_its_code(person, panel, language, width, entry, number):
    ada = person(width=width, language=language, reduced_motion="reduce")
    page, (accept, add, call, enter) = ada.page, WORDS[language]

    def look(name: str) -> None:
        stays_on_the_page(ada)
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            assert_accessible(ada)
        if folder := os.environ.get("TEST_SCREENSHOTS"):
            page.screenshot(path=str(Path(folder) / f"number-{name}-{width}.png"), full_page=True)

    ada.go(panel.ids[language[:2]])
    page.fill("#password", OWN)
    page.get_by_role("button", name=accept).click()
    expect(page).to_have_url(re.compile("/first-day$"))
    look("first-day")
    page.get_by_role("link", name=add).click()
    page.get_by_role("textbox").fill("0900 12 345")
    page.get_by_role("button", name=call).click()
    expect(page.locator("#number-wrong")).to_be_visible()
    ada.expect_refusal("422")
    expect(page.get_by_role("textbox")).to_have_value("0900 12 345")
    look("refused")
    page.get_by_role("textbox").fill(entry)
    page.get_by_role("button", name=call).click()
    code = page.get_by_role("textbox")
    code.fill("12")
    expect(page.locator("[data-live=no]")).to_be_visible()  # the page has noticed that the call was answered
    expect(code).to_have_value("12")
    spoken_code = (panel.folder / f"code-{number}").read_text()
    code.fill(f"{(int(spoken_code) + 1) % 10**6:06}")
    page.get_by_role("button", name=enter).click()
    expect(page.locator("#code-wrong")).to_be_visible()
    ada.expect_refusal("422")
    look("wrong-code")
    code.fill(spoken_code)
    page.get_by_role("button", name=enter).click()
    expect(page).to_have_url(re.compile("/setup$"))
    ada.go("/numbers")
    look("numbers")
    ada.go("/first-day")
    expect(page.locator(".step.is-done")).to_have_count(2)
