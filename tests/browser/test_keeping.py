"""How long a recording is kept, by keyboard: a hold, and its end; a recording that is deleted."""

from __future__ import annotations

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from .test_pages import stays_on_the_page


def looked_at(somebody, name: str, tmp_path: Path) -> None:
    """Accessible, and whole on a narrow page and with long words too."""
    page = somebody.page
    before = list(somebody.said)
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    somebody.said[:] = before  # axe itself puts a style into the page, which the policy refuses
    assert found.violations_count == 0, found.generate_report()
    for width in (1100, 320):
        page.set_viewport_size({"width": width, "height": 800})
        stays_on_the_page(somebody)
        page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1100, "height": 800})


def test_an_admin_holds_lifts_and_deletes_by_keyboard(person, tmp_path):
    lea = person().log_in("lea")
    page, ids = lea.page, lea.panel.ids
    lea.go(f"/recordings/{ids['held']}")
    page.get_by_role("link", name="Durée de conservation").press("Enter")
    looked_at(lea, "keeping", tmp_path)
    page.locator("#reason").focus()
    page.keyboard.type("Commande contestée")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Retenu depuis le")).to_be_visible()
    expect(page.get_by_text("Léa Lambert en répond.")).to_be_visible()
    expect(page.get_by_text("levez d’abord la retenue")).to_be_visible()
    looked_at(lea, "held", tmp_path)
    page.get_by_label("Pourquoi elle est levée").focus()
    page.keyboard.type("Réglé")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Retenu depuis le")).to_have_count(0)
    for language in ("Nederlands", "Deutsch"):
        with page.expect_navigation():
            page.get_by_role("button", name=language).click()
        page.set_viewport_size({"width": 320, "height": 800})
        stays_on_the_page(lea)
        page.set_viewport_size({"width": 1100, "height": 800})
    with page.expect_navigation():
        page.get_by_role("button", name="Français").click()

    lea.go(f"/recordings/{ids['deleted']}/keeping")
    page.get_by_role("link", name="Supprimer cet enregistrement").press("Enter")
    expect(page.get_by_text("Ce qui disparaîtra")).to_be_visible()
    looked_at(lea, "delete", tmp_path)
    page.locator("#reason").focus()
    page.keyboard.type("Plus nécessaire")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Il est supprimé")).to_be_visible()
    looked_at(lea, "deleted", tmp_path)
