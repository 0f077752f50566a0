"""The pages of the provider's people in a browser, from the log-in on."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .test_pages import check_look, stays_on_the_page

pytestmark = pytest.mark.long


def test_operator_sees_the_customers_and_invites_one(person) -> None:
    olga = person(width=320, reduced_motion="reduce").log_in("olga", ".customers")
    page = olga.page
    pages = page.get_by_role("navigation", name="Pages")
    expect(pages.get_by_role("link")).to_have_text(["Clients", "Nœuds", "Réglages"])
    row = page.get_by_role("row", name="Boulangerie Martin")
    expect(row).to_contain_text("Actif")
    expect(page.get_by_text("Claire Martin")).to_have_count(0)
    check_look(olga)
    pages.get_by_role("link", name="Nœuds").click()
    expect(page.get_by_role("row", name="north")).to_contain_text("0.1.0")
    checks = page.locator(".node-checks li")
    expect(checks).to_contain_text(
        re.compile("north.*Vérifié il y a.*Ne fonctionne pas.*Dialplan", re.DOTALL)
    )
    check_look(olga)
    pages.get_by_role("link", name="Clients").click()
    page.set_viewport_size({"width": 320, "height": 800})
    page.get_by_role("link", name="Inviter un client").click()
    page.get_by_label("Entreprise").fill("Reliure Nadir")
    page.get_by_role("checkbox", name="Français").check()
    page.get_by_label("Nom de l’administrateur").fill("Nadia Nadir")
    page.get_by_label("Adresse e-mail de l’administrateur").fill("nadia")
    page.get_by_role("button", name="Afficher un lien").click()
    expect(page.get_by_text("Saisissez une adresse")).to_be_visible()
    olga.expect_refusal("422")
    expect(page.get_by_label("Entreprise")).to_have_value("Reliure Nadir")
    check_look(olga)
    page.get_by_label("Adresse e-mail de l’administrateur").fill("nadia@nadir.example.com")
    page.get_by_role("button", name="Afficher un lien").click()
    expect(page.get_by_label("Invitation pour")).to_have_value(re.compile("/invitation/"))
    page.get_by_role("link", name="Retour aux clients").click()
    expect(page.get_by_role("row", name="Reliure Nadir")).to_contain_text("Invité")


def test_operator_finds_a_customer_and_suspends_it(person) -> None:
    olga = person(width=360, reduced_motion="reduce").log_in("olga", ".customers")
    page = olga.page
    page.get_by_label("Nom, numéro ou identifiant").fill("02 555.01.71")
    page.get_by_label("Nom, numéro ou identifiant").press("Enter")
    expect(page.get_by_text("1 client trouvé.")).to_be_visible()
    page.get_by_role("link", name="Pressing Soleil", exact=True).click()
    expect(page.get_by_role("heading", name="Pressing Soleil")).to_be_visible()
    expect(page.get_by_text("Sol Soleil")).to_be_visible()
    check_look(olga)
    page.get_by_role("link", name="Renommer").click()
    check_look(olga)
    page.get_by_label("Nom", exact=True).fill("Pressing Soleil & Fils")
    page.get_by_role("button", name="Enregistrer").click()
    expect(page.get_by_role("heading", name="Pressing Soleil & Fils")).to_be_visible()
    page.get_by_role("link", name="Suspendre l’enregistrement").click()
    check_look(olga)
    page.get_by_role("button", name="Suspendre l’enregistrement").click()
    expect(page.get_by_text("Donnez la raison")).to_be_visible()
    olga.expect_refusal("422")
    page.get_by_label("Raison").fill("Facture impayée")
    page.get_by_role("button", name="Suspendre l’enregistrement").click()
    expect(page.get_by_text("Suspendu depuis le")).to_be_visible()
    check_look(olga)
    sol = person(width=360, reduced_motion="reduce").log_in("sol", "main h1")
    sol.go("/numbers")
    expect(sol.page.get_by_text("L’enregistrement est suspendu")).to_be_visible()
    expect(sol.page.get_by_text("Raison : Facture impayée")).to_be_visible()
    check_look(sol)
    page.get_by_role("button", name="Rétablir l’enregistrement").click()
    expect(page.get_by_text("Actif", exact=True)).to_be_visible()
    sol.go("/numbers")
    expect(sol.page.get_by_text("L’enregistrement est suspendu")).to_have_count(0)


def test_operator_changes_the_languages_of_a_number(person) -> None:
    olga = person(width=360, reduced_motion="reduce").log_in("olga", ".customers")
    page = olga.page
    page.get_by_role("link", name="Boulangerie Martin", exact=True).click()
    page.get_by_role("link", name="Modifier les annonces").click()
    page.get_by_role("group", name="Numéros").get_by_role("checkbox").last.check()
    languages = page.get_by_role("group", name="Dans quelles langues")
    languages.get_by_role("checkbox", name="Français").check()
    languages.get_by_role("checkbox", name="Allemand").check()
    page.get_by_role("button", name="Voir les conséquences").click()
    expect(page.get_by_text("Choisissez la première de ces langues.")).to_be_visible()
    olga.expect_refusal("422")
    check_look(olga)
    page.get_by_label("Première langue").select_option(label="Allemand")
    page.get_by_role("button", name="Voir les conséquences").click()
    expect(page.get_by_text("Allemand, Français")).to_be_visible()
    check_look(olga)
    page.get_by_role("button", name="Modifier", exact=True).click()
    expect(page.get_by_text("1 numéro modifié.")).to_be_visible()


def test_operator_moves_a_number(person) -> None:
    olga = person(width=360, reduced_motion="reduce").log_in("olga", ".customers")
    page = olga.page
    olga.go("/customers?q=Pressing+Soleil")
    page.get_by_role("link", name=re.compile("^Pressing Soleil")).click()
    page.get_by_role("link", name="Transférer").click()
    check_look(olga)
    page.get_by_label("Nom, numéro ou identifiant du nouveau client").fill("pressing lune")
    page.get_by_role("button", name="Rechercher").click()
    expect(page.get_by_label("Pressing Lune")).to_be_checked()
    check_look(olga)
    page.get_by_role("button", name="Transférer le numéro").click()
    expect(page.get_by_role("heading", name="Pressing Lune")).to_be_visible()
    expect(page.get_by_text("Le numéro est transféré.")).to_be_visible()
    moved = page.locator(".team-person").filter(has_text="+32 2 555 01 71")
    expect(moved).to_contain_text("Enregistrement désactivé")
    check_look(olga)


def test_operator_sets_the_providers_name_and_colour(person) -> None:
    olga = person(width=320, reduced_motion="reduce").log_in("olga", ".customers")
    page = olga.page
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Réglages").click()
    name, colour = page.get_by_label("Nom du fournisseur"), page.get_by_label("Couleur d’accent", exact=True)
    save = page.get_by_role("button", name="Enregistrer")
    check_look(olga)
    name.fill("Télévoix")
    colour.fill("#ffcc00")
    save.press("Enter")
    expect(page.get_by_text("Le contraste est de 1,4:1")).to_be_visible()
    olga.expect_refusal("422")
    expect(name).to_have_value("Télévoix")
    check_look(olga)
    colour.fill("#004488")
    save.press("Enter")
    expect(page.get_by_role("banner").get_by_role("link", name="Télévoix")).to_be_visible()
    expect(page.get_by_text("Dernière modification")).to_contain_text("Olga Opera")
    check_look(olga)
    for field in (name, colour):
        field.fill("")
    save.press("Enter")
    expect(page.get_by_role("banner").get_by_role("link", name="Accord")).to_be_visible()


def test_support_sees_an_empty_queue(person) -> None:
    sam = person(width=320, reduced_motion="reduce").log_in("sam", ".empty-state")
    page = sam.page
    expect(page.get_by_text("Quand un client vous associe à un différend, il apparaît ici.")).to_be_visible()
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link")).to_have_text(["Différends"])
    check_look(sam)
    sam.go("/recordings")
    expect(page.get_by_role("heading", name="Votre rôle ne le permet pas")).to_be_visible()
    sam.expect_refusal("403")


@pytest.mark.long
@pytest.mark.parametrize("language", ["en-GB", "nl-BE", "de-DE"])
def test_other_languages_fit_a_phone(person, language) -> None:
    for login, first in (("olga", ".customers"), ("sam", ".empty-state")):
        somebody = person(width=320, language=language).log_in(login, first)
        name = {"en-GB": "English", "nl-BE": "Nederlands", "de-DE": "Deutsch"}[language]
        somebody.speak(name)
        stays_on_the_page(somebody)
        if login == "olga":
            somebody.go("/customers/invite")
            stays_on_the_page(somebody)
