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
    if (by_mail := page.locator("#own-call details")).count():
        by_mail.locator("summary").click()
    check_page(nina, "section", tmp_path)
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
    expect(jan.page.locator("audio").first).to_be_visible()
    check_page(jan, "playing", tmp_path)
    clip = jan.page.get_by_label("Annonce", exact=True)
    ended = clip.evaluate(
        "async sound => { sound.muted = true; await sound.play(); "
        "await new Promise(done => sound.addEventListener('pause', done, {once: true})); "
        "return [sound.currentTime, sound.duration]; }"
    )
    assert 1 < ended[0] < ended[1] / 2, "it plays the announcement alone"
    length = jan.page.evaluate(
        "async () => { const sound = document.querySelector('#listen audio'); sound.muted = true; "
        "await sound.play(); sound.pause(); return sound.duration; }"
    )
    assert length > 10
    jan.page.reload()
    expect(jan.page.locator(".history strong").first).to_have_text(re.compile("Vous"))
    jan.page.get_by_role("button", name="Fermer cette page").click()
    expect(jan.page.get_by_text("La page est fermée sur cet appareil.")).to_be_visible()


def wait_for_code(person, file) -> str:
    """What was read out: the panel's telephones write it down."""
    for _ in range(100):
        if file.exists() and (digits := file.read_text()):
            return digits
        person.page.wait_for_timeout(100)
    raise AssertionError("nobody was called")


def test_a_person_proposes_to_listen_together(person, tmp_path) -> None:
    """The colleague says yes with a time, and the person is in the room without another code."""
    nina, jan = person().log_in("nina"), person()
    call = nina.panel.ids["garage"]
    open_own_call(nina, jan, call)
    jan.page.get_by_role("button", name="Proposer d’écouter ensemble").click()
    expect(jan.page.get_by_text("Garage Dumont répond ici")).to_be_visible()
    check_page(jan, "proposed", tmp_path)
    nina.go(f"/recordings/{call}#own-call")
    nina.page.get_by_role("link", name="Répondre à la proposition").click()
    nina.page.get_by_label("De quoi").or_(nina.page.locator("#subject")).first.fill("Le prix de la révision")
    nina.page.locator("#time-0").fill("2030-05-06T10:00")
    check_page(nina, "answer", tmp_path)
    nina.page.get_by_role("button", name="Oui, écouter ensemble").click()
    expect(nina.page.get_by_role("heading", name="Le prix de la révision")).to_be_visible()
    jan.go("/my-call/opened")
    check_page(jan, "invited", tmp_path)
    jan.page.get_by_role("link", name="Répondre à l’invitation").click()
    check_page(jan, "invitation", tmp_path)
    jan.page.get_by_role("button", name="Oui, écouter ensemble").click()
    expect(jan.page).to_have_url(re.compile("/together/welcome"))
    check_page(jan, "welcome", tmp_path)


def open_own_call(colleague, person, call: str) -> None:
    """Switch it on, give a code, and open the call with both codes."""
    colleague.go("/settings/my-call")
    colleague.page.get_by_label("Les personnes peuvent ouvrir leur propre appel").check()
    colleague.page.get_by_role("button", name="Enregistrer").click()
    colleague.go(f"/recordings/{call}")
    colleague.page.locator("#own-call button").first.click()
    code = colleague.page.locator("#own-call-code").inner_text()
    file = colleague.panel.folder / f"code-{CALLER}"
    file.unlink(missing_ok=True)
    person.go("/my-call")
    person.page.get_by_label("Code donné par l’entreprise").fill(code)
    person.page.get_by_role("button", name="Appeler ce téléphone").click()
    expect(person.page.get_by_role("heading", name="Six chiffres par téléphone")).to_be_visible()
    person.page.wait_for_load_state("load")  # the page goes on by itself once its script is there
    person.page.get_by_label("Code à six chiffres").fill(wait_for_code(person, file))
    expect(person.page.get_by_role("heading", name="Votre appel avec Garage Dumont")).to_be_visible()
