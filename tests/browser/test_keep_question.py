"""An admin switches the keep question on: hears it, chooses how it is asked, and prints the card."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long


def look(somebody, name: str) -> None:
    """The page is accessible, light and dark, and fits; keeps its picture if ``TEST_SCREENSHOTS`` is set."""
    page = somebody.page
    for width in (1280, 360, 320):
        page.set_viewport_size({"width": width, "height": 740})
        stays_on_the_page(somebody)
        if folder := os.environ.get("TEST_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(somebody)


def test_admin_hears_the_question_and_switches_it_on(person):
    nina = person(width=360, reduced_motion="reduce").log_in("nina")
    page = nina.page
    page.get_by_role("link", name="Numéros").click()
    page.get_by_role("link", name="Demander à garder un appel").click()
    expect(page.get_by_role("heading", name="Peut-on garder l’appel")).to_be_visible()
    sound = "document.querySelectorAll('audio')[0]"
    page.evaluate(f"{sound}.play()")
    nina.until(f"{sound}.currentTime > 0.3")
    page.evaluate(f"{sound}.pause()")
    look(nina, "keep-question-off")

    nina.go(f"{page.url.removeprefix(nina.panel.address)}?way=question&keep_days=9000")
    nina.expect_refusal("422")
    expect(page.locator("#keep_days-wrong")).to_contain_text("Belgique")
    look(nina, "keep-question-refused")
    page.get_by_label("Vous demandez, avec vos propres mots").check()
    page.get_by_label("Après un oui").select_option("Deux ans")
    page.get_by_role("button", name="Écouter", exact=True).press("Enter")
    expect(page.get_by_text("Avant votre question")).to_be_visible()

    page.get_by_role("button", name="Activer la question").press("Enter")
    expect(page.get_by_text("Question activée")).to_be_visible()
    expect(page.get_by_text("En attente de votre appel")).to_be_visible()
    look(nina, "keep-question-on")
    page.get_by_role("link", name="Imprimer la carte").click()
    expect(page.get_by_role("button", name="Imprimer")).to_be_visible()
    look(nina, "card")
    page.emulate_media(media="print")
    box = page.locator(".code-card").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) <= (86 * 96 / 25.4, 56 * 96 / 25.4), "a business card"
    assert page.locator("body").evaluate("(one) => one.innerText.includes('Pages')") is False
