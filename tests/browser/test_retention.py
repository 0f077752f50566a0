"""Retention by keyboard: holds, deletion, agreements, limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from .test_pages import stays_on_the_page


def check_page(somebody, name: str, tmp_path: Path) -> None:
    """The page is accessible, and fits narrow screens and languages with long words."""
    page = somebody.page
    before = list(somebody.console_errors)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    somebody.console_errors[:] = before  # axe adds a style to the page, which the content policy refuses
    assert found.violations_count == 0, found.generate_report()
    for width in (1100, 320):
        page.set_viewport_size({"width": width, "height": 800})
        stays_on_the_page(somebody)
        page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1100, "height": 800})


def test_admin_keeps_for_a_difference_releases_and_deletes_by_keyboard(person, tmp_path):
    lea = person().log_in("lea")
    page, ids = lea.page, lea.panel.ids
    lea.go(f"/recordings/{ids['held']}")
    page.locator("#keep summary").press("Enter")
    check_page(lea, "keep", tmp_path)
    page.get_by_label("De quoi il s’agit").focus()
    page.keyboard.type("Commande contestée")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Mis de côté depuis le")).to_be_visible()
    expect(page.get_by_text("Léa Lambert s’en occupe.")).to_be_visible()
    expect(page.locator("#delete")).to_have_count(0)
    expect(page.locator("#toggle")).to_be_visible()
    page.wait_for_load_state("load")  # a page that arrives at a fragment takes the focus from what has it
    page.locator("#held summary", has_text="Confier à quelqu’un d’autre").press("Enter")
    check_page(lea, "held", tmp_path)
    page.get_by_label("Suivi par").first.select_option(label="Luce Lambert")
    page.get_by_role("button", name="Confier").press("Enter")
    expect(page.get_by_text("Luce Lambert s’en occupe.")).to_be_visible()
    page.wait_for_load_state("load")
    page.locator("#held summary", has_text="Libérer").press("Enter")
    page.get_by_label("Pourquoi (facultatif)").focus()
    page.keyboard.type("Réglé")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Mis de côté depuis le")).to_have_count(0)
    page.wait_for_load_state("load")
    for language in ("Nederlands", "Deutsch"):
        lea.speak(language)
        page.set_viewport_size({"width": 320, "height": 800})
        stays_on_the_page(lea)
        page.set_viewport_size({"width": 1100, "height": 800})
    lea.speak("Français")

    lea.go(f"/recordings/{ids['deleted']}")
    page.locator("#delete").press("Enter")
    expect(page.get_by_text("Ce qui sera supprimé")).to_be_visible()
    check_page(lea, "delete", tmp_path)
    page.locator("#delete-reason").focus()
    page.keyboard.type("Plus nécessaire")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Enregistrement supprimé")).to_be_visible()
    check_page(lea, "deleted", tmp_path)


@pytest.mark.long
def test_admin_adds_an_agreement_and_narrows_purposes_by_keyboard(person, tmp_path):
    lea = person().log_in("lea")
    page = lea.page
    lea.go(f"/recordings/{lea.panel.ids['later']}")
    page.locator("#agree").press("Enter")
    check_page(lea, "agreed", tmp_path)
    page.locator("#agree-reason").focus()
    page.keyboard.type("Par e-mail")
    page.keyboard.press("Enter")
    expect(page.get_by_text("À ce jour")).to_be_visible()
    check_page(lea, "agreed-sure", tmp_path)
    page.get_by_role("button", name="Noter cet accord").press("Enter")
    expect(page.locator("#agreed summary")).to_contain_text("selon une note ultérieure")
    expect(page.locator("#agreed")).to_contain_text("Cela repose sur la parole d’une seule personne.")

    page.wait_for_load_state("load")
    page.locator("#narrow").press("Enter")
    page.locator("#less-1").press("Space")
    page.locator("#narrow-reason").focus()
    page.keyboard.type("Plus utile")
    page.keyboard.press("Enter")
    expect(page.locator("#more .notice strong")).to_contain_text("détruit")
    check_page(lea, "less-sure", tmp_path)
    page.get_by_role("button", name="Limiter son usage").press("Enter")
    expect(page.locator("#withheld")).to_be_visible()


@pytest.mark.long
def test_admin_shortens_retention_by_keyboard(person, tmp_path):
    lea = person().log_in("lea")
    page = lea.page
    page.get_by_role("link", name="Conformité").press("Enter")
    check_page(lea, "compliance", tmp_path)
    page.get_by_role("link", name="Conservation").press("Enter")
    check_page(lea, "times", tmp_path)
    page.get_by_label("Jours").fill("soon")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Indiquez un nombre de jours, 1 ou plus.")).to_be_visible()
    lea.expect_refusal("422")
    expect(page.get_by_label("Jours")).to_have_value("soon")
    check_page(lea, "times-wrong", tmp_path)
    page.get_by_label("Jours").fill("20")
    page.keyboard.press("Enter")
    table = page.get_by_role("table", name="Combien prennent fin, et quand")
    expect(table).to_be_visible()
    check_page(lea, "times-sure", tmp_path)
    page.locator("#sure").press("Space")
    page.get_by_role("button", name="Conserver au plus 20 jours").press("Enter")
    expect(page.get_by_role("status").get_by_text("Modifications enregistrées.")).to_be_visible()
    expect(page.get_by_text("Défini par Léa Lambert")).to_be_visible()
    check_page(lea, "times-set", tmp_path)
    page.get_by_role("link", name="Revenir à la conservation annoncée").press("Enter")
    expect(page.get_by_text("restent comme ils sont")).to_be_visible()
    check_page(lea, "times-again", tmp_path)
    page.get_by_role("button", name="Conserver comme annoncé").press("Enter")
    expect(page.get_by_role("link", name="Revenir à la conservation annoncée")).to_have_count(0)
