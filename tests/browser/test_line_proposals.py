"""The provider changes what several numbers announce; the customer's admin answers what was proposed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from recorder.catalogue import queries
from recorder.catalogue.database import open_catalogue
from recorder.catalogue.records import KeepOptions
from recorder.clock import utc_now
from recorder.features.tenants.line_change import LineChange
from recorder.features.tenants.line_proposals import change_or_propose

from .test_pages import check_look

pytestmark = pytest.mark.long


def look(somebody, folder: Path, name: str) -> None:
    """The page fits and is accessible; keeps its picture on a phone and on a desktop."""
    somebody.page.emulate_media(color_scheme="light")
    for width in (1280, 360):
        somebody.page.set_viewport_size({"width": width, "height": 800})
        somebody.page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)
    check_look(somebody)


def test_provider_proposes_and_the_admin_answers(person, tmp_path) -> None:
    olga = person(width=360, reduced_motion="reduce").log_in("olga", ".customers")
    page = olga.page
    olga.go(f"/customers/{olga.panel.ids['cellar']}")
    page.get_by_role("link", name="Modifier les annonces").click()
    look(olga, tmp_path, "bulk")
    page.get_by_role("button", name="Voir les conséquences").click()
    expect(page.locator("#lines-wrong")).to_contain_text("Choisissez au moins un numéro.")
    olga.expect_refusal("422")
    page.get_by_role("link", name="Tout choisir").click()
    for name in ("Boutique", "Entrepôt", "Bureau"):
        expect(page.get_by_role("checkbox", name=name)).to_be_checked()
    page.get_by_label("Conservé combien de jours").fill("90")
    page.get_by_role("button", name="Voir les conséquences").click()
    expect(page.get_by_role("heading", name="Proposé au client")).to_contain_text("(2)")
    expect(page.get_by_role("heading", name="Impossible")).to_contain_text("(1)")
    look(olga, tmp_path, "preview")
    page.get_by_role("button", name="Proposer").click()
    expect(page.get_by_text("2 modifications proposées au client.")).to_be_visible()
    look(olga, tmp_path, "customer")

    remy = person(width=360, reduced_motion="reduce").log_in("remy")
    remy.go("/numbers")
    expect(remy.page.get_by_role("link", name="Voir la proposition")).to_have_count(0)
    cleo = person(width=360, reduced_motion="reduce").log_in("cleo", "main h1")
    cleo.go("/numbers")
    look(cleo, tmp_path, "numbers")
    cleo.page.get_by_role("link", name=re.compile("Voir la proposition.*01 62")).click()
    expect(cleo.page.get_by_text("Proposé par Olga Opera")).to_be_visible()
    expect(cleo.page.get_by_label("Ma réponse vaut aussi pour ces numéros")).not_to_be_checked()
    look(cleo, tmp_path, "proposal")
    sound = "document.querySelectorAll('audio')[0]"
    cleo.page.evaluate(f"{sound}.play()")
    cleo.until(f"{sound}.currentTime > 0.3")
    cleo.page.get_by_role("button", name="Accepter").click()
    expect(cleo.page.get_by_text("Accepté.")).to_be_visible()
    cleo.page.get_by_role("link", name=re.compile("Voir la proposition.*01 63")).click()
    cleo.page.get_by_role("button", name="Non, merci").click()
    expect(cleo.page.get_by_role("link", name="Voir la proposition")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("En attente de la réponse du client")).to_have_count(0)


def test_admin_hears_and_accepts_the_keep_question_that_the_provider_proposes(person, tmp_path) -> None:
    cleo = person(width=360, reduced_motion="reduce").log_in("cleo", "main h1")
    open_catalogue(f"sqlite:///{cleo.panel.folder / 'catalogue.db'}")
    line = next(each for each in queries.lines(cleo.panel.ids["cellar"]) if each.label == "Boutique")
    change = LineChange(keep=KeepOptions(730, at_start=True))
    outcome = change_or_propose(line, change, now=utc_now(), entropy=os.urandom)
    assert outcome.code == "proposed", outcome
    cleo.go("/numbers")
    cleo.page.get_by_role("link", name=re.compile("Voir la proposition.*01 61")).click()
    expect(cleo.page.get_by_text("Ce que les deux entendraient")).to_be_visible()
    expect(cleo.page.get_by_text("Ce qu’on entendrait en appelant")).to_have_count(0)
    expect(cleo.page.get_by_text("plus qu’aujourd’hui")).to_have_count(1)
    look(cleo, tmp_path, "keep")
    sound = "document.querySelectorAll('audio')[0]"
    cleo.page.evaluate(f"{sound}.play()")
    cleo.until(f"{sound}.currentTime > 0.3")
    cleo.page.get_by_role("button", name="Accepter").click()
    expect(cleo.page.get_by_text("Accepté.")).to_be_visible()
    cleo.page.get_by_role("link", name="La question pendant l’appel").first.click()
    expect(cleo.page.get_by_text("La question est posée automatiquement au début.").first).to_be_visible()
