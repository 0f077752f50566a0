"""An admin sets up a number: the form, its mistakes, what callers will hear, the switch."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from recorder.features.tenants.greeting_sound import LARGEST
from tests.announcements import announcement_in

from .test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long


def look(somebody, name: str, tmp_path: Path) -> None:
    """The page is accessible, light and dark, and fits; keeps its picture."""
    page = somebody.page
    for width in (1280, 768, 360, 320):
        page.set_viewport_size({"width": width, "height": 800})
        stays_on_the_page(somebody)
        page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(somebody)
    page.set_viewport_size({"width": 1280, "height": 800})


def plays(somebody, place: int) -> None:
    """A sound of the page is heard."""
    sound = f"document.querySelectorAll('audio')[{place}]"
    somebody.page.evaluate(f"{sound}.play()")
    somebody.until(f"{sound}.currentTime > 0.3")
    somebody.page.evaluate(f"{sound}.pause()")


def test_admin_composes_hears_and_switches(person, tmp_path):
    nina = person(width=1280, reduced_motion="reduce").log_in("nina")
    page = nina.page
    page.get_by_role("link", name="Numéros").click()
    expect(page.get_by_text("Enregistrement activé depuis le")).to_be_visible()
    plays(nina, 0)
    look(nina, "numbers", tmp_path)
    page.locator('a[href$="/setup"]').click()
    look(nina, "setup", tmp_path)

    page.locator("#purpose-training").check()
    page.get_by_label("Combien de jours").fill("400")
    page.get_by_label("Fichier son").set_input_files(
        {"name": "hello.mp3", "mimeType": "audio/mpeg", "buffer": b"ID3"}
    )
    page.get_by_label("Texte exact").fill("Bonjour, garage Dumont.")
    page.get_by_role("button", name="Écouter ce qu’on entendra").click()
    expect(page.get_by_role("alert")).to_contain_text("Belgique")
    nina.expect_refusal("422")
    expect(page.get_by_label("Combien de jours")).to_have_value("400")
    expect(page.get_by_label("Texte exact")).to_have_value("Bonjour, garage Dumont.")
    expect(page.locator("#greeting-wrong")).to_contain_text("WAV")
    look(nina, "mistakes", tmp_path)

    page.locator("#purpose-training").uncheck()
    page.get_by_label("Combien de jours").fill("90")
    page.get_by_label("English", exact=True).check()
    greeting = announcement_in("fr").path.read_bytes()
    page.get_by_label("Fichier son").set_input_files(
        {"name": "hello.wav", "mimeType": "audio/wav", "buffer": greeting}
    )
    page.get_by_role("button", name="Écouter ce qu’on entendra").click()
    expect(page.get_by_role("heading", name="Ce qu’on entendra en appelant")).to_be_visible()
    expect(page.locator("audio")).to_have_count(3)
    for place in range(3):
        plays(nina, place)
    look(nina, "preview", tmp_path)
    page.get_by_role("button", name="Utiliser dès le prochain appel").click()
    expect(page.get_by_text("90 jours")).to_be_visible()
    expect(page.get_by_text("Bonjour, garage Dumont.")).to_be_visible()

    page.get_by_role("button", name="Désactiver").click()
    expect(page.get_by_text("Enregistrement désactivé depuis le")).to_be_visible()
    look(nina, "off", tmp_path)
    page.get_by_role("link", name="Écouter et activer").click()
    page.get_by_role("button", name="Activer l’enregistrement").click()
    expect(page.get_by_text("Enregistrement activé depuis le")).to_be_visible()
    page.get_by_role("link", name="Historique des annonces").click()
    expect(page.get_by_text("Modifié par Nina Dumont")).to_have_count(3)
    plays(nina, 1)
    look(nina, "history", tmp_path)


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(person):
    nina = person(language="en-GB").go("/login")
    page = nina.page
    with page.expect_navigation():
        page.get_by_role("button", name="English").click()
    nina.log_in("nina")
    page.get_by_role("link", name="Numbers").click()
    page.locator('a[href$="/setup"]').click()
    large = {"name": "hello.wav", "mimeType": "audio/wav", "buffer": b"RIFF" + b"\0" * LARGEST}
    page.get_by_label("Sound file").set_input_files(large)
    page.get_by_role("button", name="Hear what callers will hear").click()
    message = page.get_by_label("Sound file").evaluate("(one) => one.validationMessage")
    assert "too large" in message
    assert page.url.endswith("/setup")


def test_admin_changes_the_other_settings(person, tmp_path):
    noel = person(width=1280, reduced_motion="reduce").log_in("noel")
    page = noel.page
    page.get_by_role("link", name="Numéros").click()
    page.get_by_role("link", name="Autres réglages").click()
    page.get_by_label("Annoncé dès la mise en relation").check()
    page.get_by_role("group", name="Un son bref").get_by_label("Les deux l’entendent").check()
    page.get_by_label("Nom du numéro").fill("Comptoir")
    page.get_by_label("Nom du numéro").press("Enter")
    expect(page.get_by_text("Défini par Noël Nagels").first).to_be_visible()
    expect(page.get_by_label("Nom du numéro")).to_have_value("Comptoir")
    look(noel, "settings", tmp_path)
