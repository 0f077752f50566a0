"""What people do in a customer's first week, in a browser on a phone, as quickly as it goes.

``python -m tests.browser.journeys`` writes how many clicks and keys each takes, and how long, into
``docs/results/journeys.md``.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Person
from tests.waiting import until

pytestmark = pytest.mark.long

COUNT = """
() => {
  for (const kind of ["pointerdown", "keydown"])
    addEventListener(kind, (event) => { if (event.isTrusted) countAct(kind); }, true);
}
"""
"""Tells of each click and key of a person, none of a script's."""


@dataclass
class Journey:
    """What somebody did to reach a ``goal`` from the list of calls: ``clicks`` and ``keys``, in so many
    ``seconds``, as a browser neither reads nor thinks."""

    goal: str
    clicks: int
    keys: int
    seconds: float


@contextmanager
def measured(somebody: Person, goal: str) -> Iterator[None]:
    """Measure what somebody does within; at the end it is in the file that ``TEST_JOURNEYS`` names, if it is
    set."""
    page, acts = somebody.page, Counter[str]()
    page.expose_function("countAct", lambda kind: acts.update([kind]))
    page.add_init_script(f"({COUNT})()")
    page.evaluate(COUNT)
    begin = time.monotonic()
    yield
    seconds = round(time.monotonic() - begin, 1)
    page.evaluate("0")  # by the answer, everything is counted
    found = Journey(goal, acts["pointerdown"], acts["keydown"], seconds)
    assert found.clicks
    if path := os.environ.get("TEST_JOURNEYS"):
        with Path(path).open("a") as file:
            file.write(json.dumps(asdict(found)) + "\n")


@pytest.fixture
def phone(person) -> Callable[..., Person]:
    """Makes somebody who is logged in on a phone."""
    return lambda login, **options: person(width=360, reduced_motion="reduce", **options).log_in(login)


def open_call(somebody: Person, what: str) -> None:
    somebody.page.locator(f"a[href$='/recordings/{somebody.panel.ids[what]}']").first.click()


def test_call_is_found_and_heard(phone) -> None:
    nina = phone("nina")
    page = nina.page
    with measured(nina, "Find a call by a part of its number, and hear it"):
        page.locator("#q").click()
        page.keyboard.type("3456")
        page.keyboard.press("Enter")
        page.wait_for_url("**/recordings?*q=3456*")
        open_call(nina, "garage")
        page.wait_for_load_state()
        page.locator("#toggle").click()
        nina.plays_past(0.3)


def test_caller_is_named_by_what_the_call_brought(phone) -> None:
    nina = phone("nina")
    page = nina.page
    with measured(nina, "Name a caller by what the call brought"):
        open_call(nina, "garage")
        page.get_by_role("button", name="Utiliser ce nom").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Élodie Peeters (atelier)")
    page.get_by_text("Modifier le nom").click()
    page.get_by_role("button", name="Supprimer le nom").click()
    expect(page.get_by_role("button", name="Utiliser ce nom")).to_be_visible()


def test_number_is_added(phone) -> None:
    mila = phone("mila")
    page, code = mila.page, mila.panel.folder / "code-+3225550679"
    with measured(mila, "Add a number, by the code of a call to it"):
        page.get_by_role("link", name="Numéros").click()
        page.locator("a[href$='/numbers/new']").first.click()
        page.get_by_role("textbox").click()
        page.keyboard.type("025550679")
        page.get_by_role("button", name="Appeler ce numéro").click()
        expect(page.locator("[data-live=no]")).to_be_visible(timeout=60_000)
        until("the code is spoken", code.exists)
        page.get_by_role("textbox").click()
        page.keyboard.type(code.read_text())
        page.get_by_role("button", name="Ajouter le numéro").click()
        expect(page).to_have_url(re.compile("/setup$"))


def test_question_is_opened(phone) -> None:
    cleo = phone("cleo")
    page = cleo.page
    with measured(cleo, "Open a question about a call, with a link to invite the other person"):
        page.locator(".calls .call a").first.click()
        page.get_by_role("link", name="Écouter ensemble…").click()
        page.get_by_label("Que voyez-vous différemment").click()
        page.keyboard.type("Le jour de la livraison")
        page.get_by_role("button", name="Continuer").click()
        page.get_by_role("link", name="Inviter").first.click()
        page.get_by_label("Nom", exact=True).click()
        page.keyboard.type("Jan")
        page.locator("button[name=how][value=link]").click()
        expect(page.locator("#link")).to_have_value(re.compile("/invitation"))


def test_moment_is_shared_with_a_colleague(phone) -> None:
    claire = phone("claire", permissions=["clipboard-read", "clipboard-write"])
    page = claire.page
    paul = phone("paul")
    with measured(claire, "Share a moment of a call with a colleague, who opens it"):
        open_call(claire, "long")
        page.wait_for_load_state()
        page.get_by_role("button", name="Copier un lien vers ce moment").click()
        expect(page.locator("#player-message")).to_be_visible()
        paul.page.goto(page.evaluate("navigator.clipboard.readText()"))
        expect(paul.page.locator("#toggle")).to_be_visible()


def test_list_is_exported(phone) -> None:
    nina = phone("nina")
    with measured(nina, "Export the list of calls (CSV)"):
        with nina.page.expect_download() as download:
            nina.page.get_by_role("button", name="Télécharger en CSV").click()
        assert "+32470123456" in download.value.path().read_text("utf-8-sig")
