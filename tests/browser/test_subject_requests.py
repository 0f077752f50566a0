"""A subject request by keyboard, from the register to the answer."""

from __future__ import annotations

import zipfile

import pytest
from playwright.sync_api import expect

from .test_pages import stays_on_the_page
from .test_retention import check_page

pytestmark = pytest.mark.long


def test_admin_completes_a_subject_request_by_keyboard(person, tmp_path):
    anne = person().log_in("anne")
    page, ids = anne.page, anne.panel.ids
    page.get_by_role("link", name="Conformité").press("Enter")
    page.get_by_role("link", name="Demandes RGPD").press("Enter")
    expect(page.get_by_text("Aucune demande pour l’instant")).to_be_visible()
    page.locator("#number").fill("tantôt")
    page.get_by_label("Une copie, puis l’effacement").press("Space")
    page.get_by_role("button", name="Ajouter la demande").press("Enter")
    expect(page.get_by_text("Indiquez un numéro de téléphone avec son pays")).to_be_visible()
    anne.expect_refusal("422")
    expect(page.get_by_label("Une copie, puis l’effacement")).to_be_checked()
    check_page(anne, "wrong", tmp_path)
    page.locator("#number").fill("0470 12 34 56")
    page.get_by_role("button", name="Ajouter la demande").press("Enter")
    expect(page.get_by_role("heading", name="Le numéro est-il le sien ?")).to_be_visible()
    page.get_by_role("button", name="Appeler le numéro").press("Enter")
    expect(page.get_by_text("Appel en cours.")).to_be_visible()
    check_page(anne, "calling", tmp_path)
    page.get_by_text("vous reconnaissez la personne").press("Enter")
    page.locator("#how").focus()
    page.keyboard.type("Carte d’identité vue au comptoir")
    page.keyboard.press("Enter")
    alone = page.get_by_text("Demandez à un collègue")
    expect(alone).to_be_visible()
    check_page(anne, "vouched", tmp_path)
    marc = person().log_in("marc")
    marc.page.goto(f"{page.url.partition('#')[0]}/vouch")
    stays_on_the_page(marc)
    marc.page.get_by_label("Comment avez-vous reconnu la personne").focus()
    marc.page.keyboard.type("Sa voix")
    marc.page.keyboard.press("Enter")
    expect(marc.page.get_by_text("Rien de plus n’est nécessaire.")).to_be_visible()
    check_page(marc, "vouching", tmp_path)
    page.reload()
    expect(page.get_by_text("Mentionné, sans le son.")).to_be_visible()
    expect(page.get_by_text("À vérifier : données")).to_have_count(2)
    check_page(anne, "review", tmp_path)
    page.locator(f"#own-{ids['asked']}").press("Space")
    page.locator(f"#withheld-{ids['asked-too']}").press("Space")
    page.locator(f"#why-{ids['asked-too']}").focus()
    page.keyboard.type("Un tiers y parle de sa santé")
    page.keyboard.press("Enter")
    expect(page.get_by_text("À vérifier : données")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("button", name="Télécharger la copie").press("Enter")
    download.value.save_as(tmp_path / "copy.zip")
    with zipfile.ZipFile(tmp_path / "copy.zip") as archive:
        assert archive.testzip() is None
        (sound,) = set(archive.namelist()) - {"README.txt", "copy.json"}
        assert sound.endswith("/audio.wav")
    expect(page.get_by_text("1 appel non enregistré est effacé aussi.")).to_be_visible()
    check_page(anne, "before", tmp_path)
    page.locator("#sure").press("Space")
    page.get_by_role("button", name="Effacer", exact=True).press("Enter")
    expect(page.get_by_text("Il est effacé").first).to_be_visible()
    expect(page.get_by_text("1 appel non enregistré est effacé")).to_be_visible()
    check_page(anne, "erased", tmp_path)
    for language in ("Nederlands", "Deutsch"):
        anne.speak(language)
        page.set_viewport_size({"width": 320, "height": 800})
        stays_on_the_page(anne)
        page.set_viewport_size({"width": 1100, "height": 800})
    anne.speak("Français")
    page.get_by_label("Réponse donnée").press("Space")
    page.get_by_role("button", name="Clore la demande").press("Enter")
    expect(page.get_by_text("Réponse donnée")).to_be_visible()
    expect(page.get_by_text("1 appel non enregistré est effacé")).to_be_visible()
    check_page(anne, "register", tmp_path)
