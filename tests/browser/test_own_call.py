"""A colleague gives a code on the call's page, and the person who was recorded opens their call with it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .test_retention import check_page

pytestmark = pytest.mark.long

CALLER = "+32470123456"


def test_a_person_opens_their_own_call(person, tmp_path) -> None:
    nina, jan = person().log_in("nina"), person()
    page, call = nina.page, nina.panel.ids["garage"]
    nina.go("/settings/my-call")
    check_page(nina, "setting", tmp_path)
    page.get_by_label("Les personnes peuvent ouvrir leur propre appel").check()
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.get_by_label("Les personnes peuvent ouvrir leur propre appel")).to_be_checked()
    nina.go(f"/recordings/{call}")
    page.locator("#own-call button").first.click()
    code = page.locator("#own-call-code").inner_text()
    check_page(nina, "given", tmp_path)

    file = nina.panel.folder / f"code-{CALLER}"
    file.unlink(missing_ok=True)
    jan.go("/my-call")
    check_page(jan, "enter", tmp_path)
    jan.page.get_by_label("Code donné par l’entreprise").fill(code)
    jan.page.get_by_role("button", name="Appeler ce téléphone").click()
    expect(jan.page.get_by_role("heading", name="Six chiffres par téléphone")).to_be_visible()
    check_page(jan, "spoken", tmp_path)
    digits = wait_for_code(jan, file)
    jan.page.get_by_label("Code à six chiffres").fill(digits)
    expect(jan.page.get_by_role("heading", name="Votre appel avec Garage Dumont")).to_be_visible()
    expect(jan.page.get_by_text("Cet appel est enregistré")).to_be_visible()
    check_page(jan, "call", tmp_path)
    jan.page.set_viewport_size({"width": 360, "height": 740})
    jan.page.get_by_role("button", name="Écouter l’appel").click()
    expect(jan.page.locator("audio")).to_be_visible()
    length = jan.page.evaluate(
        "async () => { const sound = document.querySelector('audio'); sound.muted = true; "
        "await sound.play(); sound.pause(); return sound.duration; }"
    )
    assert length > 10
    jan.page.reload()
    expect(jan.page.locator(".history strong")).to_have_text(re.compile("Vous"))
    jan.page.get_by_role("button", name="Fermer cette page").click()
    expect(jan.page.get_by_text("La page est fermée sur cet appareil.")).to_be_visible()


def wait_for_code(person, file) -> str:
    """What was read out: the panel's telephones write it down."""
    for _ in range(100):
        if file.exists() and (digits := file.read_text()):
            return digits
        person.page.wait_for_timeout(100)
    raise AssertionError("nobody was called")
