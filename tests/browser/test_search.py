"""Finding calls: by a part of a number, by day, by saved filter, page by page, and as they come."""

from __future__ import annotations

import re
import sqlite3
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from recorder.clock import to_iso, utc_now
from tests.browser.test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long

ORDER = (
    """() => [...document.querySelectorAll(".call-time time")].map((one) => one.getAttribute("datetime"))"""
)


def visit(somebody, login: str = "claire"):
    """Log in and open the list; an empty list, too."""
    somebody.go("/login")
    somebody.page.fill("#login", login)
    somebody.page.fill("#password", "two voices, one agreement")
    somebody.page.click("main button[type=submit]")
    expect(somebody.page.locator("#q")).to_be_visible()
    somebody.page.wait_for_load_state()  # and its script has come
    return somebody


def add_call(panel, tenant: str, number: str) -> None:
    """List a call that just ended, as the worker does."""
    with sqlite3.connect(panel.folder / "catalogue.db", timeout=10) as catalogue:
        at = to_iso(utc_now())
        catalogue.execute(
            "INSERT INTO unrecorded_call (id, tenant_id, line_id, number, direction, node, external_kind,"
            " external_value, started_at, ended_at, reason, listed_at)"
            " VALUES (?, ?, NULL, '+3225550177', 'inbound', 'node1', 'e164', ?, ?, ?, 'never_connected', ?)",
            (f"01990000-{number[-4:]}-7000-8000-{tenant[-12:]}", tenant, number, at, at, at),
        )
    catalogue.close()


def test_finds_a_number_by_its_middle(person):
    claire = visit(person(width=360))
    page = claire.page
    page.fill("#q", "42 68 53")
    page.keyboard.press("Enter")
    expect(page.locator(".call")).to_have_count(1)
    expect(page.locator(".call-party")).to_contain_text("+33")
    expect(page.locator(".calls-head .muted")).to_have_text("1 appel")
    page.locator(".call").click(position={"x": 300, "y": 60})  # the whole row is the link
    expect(page).to_have_url(re.compile(f"/recordings/{claire.panel.ids['unannounced']}"))
    page.go_back()
    expect(page.locator("#q")).to_have_value("42 68 53")


def test_nothing_found_names_the_next_step(person):
    claire = visit(person(language="en-GB"), "paul")
    claire.page.fill("#q", "999999")
    claire.page.keyboard.press("Enter")
    expect(claire.page.get_by_role("heading", name="No matching calls")).to_be_visible()
    claire.page.get_by_role("link", name="Show all calls").click()
    expect(claire.page.locator(".call").first).to_be_visible()


@pytest.mark.parametrize("width", [360, pytest.param(1280, marks=pytest.mark.long)])
def test_period_is_chosen_and_removed(person, width):
    nora = visit(person(width=width), "nagels")
    page = nora.page
    everything = page.locator(".call").count()
    page.locator(".filter-panel > summary").click()
    page.select_option("#when", "today")
    page.get_by_role("button", name="Afficher les appels").click()
    chip = page.get_by_role("link", name="Retirer le filtre : Aujourd’hui")
    expect(chip).to_be_visible()
    assert page.locator(".call").count() < everything
    assert page.locator(".day").count() <= 1
    expect(page.locator(".filter-number")).to_contain_text("1")
    stays_on_the_page(nora)
    chip.click()
    expect(page.locator(".call")).to_have_count(everything)


def test_own_dates_keep_what_was_typed(person):
    nora = visit(person(language="en-GB"), "nagels")
    nora.page.locator(".filter-panel > summary").click()
    yesterday = f"{utc_now() - timedelta(days=1):%Y-%m-%d}"
    nora.page.select_option("#when", "range")
    nora.page.fill("#from", yesterday)
    nora.page.fill("#to", yesterday)
    nora.page.get_by_role("button", name="Afficher les appels").click()
    expect(nora.page.locator(".day")).to_have_count(1)
    expect(nora.page.locator("#from")).to_have_value(yesterday)


def test_pages_go_forth_and_back(person):
    nora = visit(person(), "nagels")
    page = nora.page
    expect(page.locator(".calls-head .muted")).to_have_text("120 appels")
    first = page.evaluate(ORDER)
    page.get_by_role("link", name="Appels précédents").click()
    expect(page.get_by_role("link", name="Appels plus récents")).to_be_visible()
    second = page.evaluate(ORDER)
    page.get_by_role("link", name="Appels précédents").click()
    expect(page.get_by_role("link", name="Appels précédents")).to_have_count(
        0
    )  # none in an unloaded page, either
    expect(page.get_by_role("link", name="Appels plus récents")).to_be_visible()
    third = page.evaluate(ORDER)
    assert len({*first, *second, *third}) == 120
    page.get_by_role("link", name="Appels plus récents").click()
    expect(page.get_by_role("link", name="Appels précédents")).to_be_visible()
    assert page.evaluate(ORDER) == second
    page.get_by_role("link", name="Appels plus récents").click()
    expect(page.get_by_role("link", name="Appels plus récents")).to_have_count(0)
    expect(page.get_by_role("link", name="Appels précédents")).to_be_visible()
    assert page.evaluate(ORDER) == first


def test_saved_filter_is_there_next_time_and_can_be_removed(person):
    nora = visit(person(width=360), "nagels")
    page = nora.page
    page.locator(".filter-panel > summary").click()
    page.select_option("#show", "not-recorded")
    page.get_by_role("button", name="Afficher les appels").click()
    page.locator(".filter-panel > summary").click()
    page.fill("#name", "Manqués")
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Filtre enregistré")).to_be_visible()
    nora.go("/recordings")
    page.get_by_role("link", name="Manqués").click()
    expect(page.get_by_role("link", name="Retirer le filtre : Non enregistré")).to_be_visible()
    expect(page.get_by_role("link", name="Manqués")).to_have_attribute("aria-current", "true")
    assert_accessible(nora)
    page.get_by_role("button", name="Supprimer le filtre enregistré : Manqués").click()
    expect(page.get_by_role("link", name="Manqués")).to_have_count(0)


def test_filter_without_a_name_is_refused_beside_its_field(person):
    nora = visit(person(), "nagels")
    page = nora.page
    nora.go("/recordings?show=not-recorded")
    page.locator(".filter-panel > summary").click()
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    expect(page.locator("#name-wrong")).to_have_text("Donnez un nom au filtre.")
    expect(page.locator("#show")).to_have_value("not-recorded")
    nora.expect_refusal("422")


def test_new_calls_are_offered_and_do_not_move_the_list(person):
    nora = person(width=360)
    nora.page.clock.install()
    visit(nora, "nagels")
    page = nora.page
    before = page.evaluate(ORDER)
    page.evaluate("scrollTo(0, 400)")
    add_call(nora.panel, nora.panel.ids["plumber"], "+32471000001")
    page.clock.fast_forward(16_000)
    link = page.get_by_role("status").get_by_role("link", name="1 nouvel appel")
    expect(link).to_be_visible()
    assert page.evaluate(ORDER) == before
    assert page.evaluate("scrollY") == 400
    assert_accessible(nora)
    link.click()
    expect(page.locator(".call-party").first).to_contain_text("471")


def test_first_call_appears_on_an_empty_list_by_itself(person):
    nell = person()
    nell.page.clock.install()
    visit(nell, "nell")
    expect(nell.page.get_by_role("heading", name="Pas encore d’appel")).to_be_visible()
    assert_accessible(nell)
    add_call(nell.panel, nell.panel.ids["newcomer"], "+32471000002")
    nell.page.clock.fast_forward(16_000)
    expect(nell.page.locator(".call")).to_have_count(1)


@pytest.mark.parametrize("address", ["/recordings", "/recordings?when=7-days&direction=inbound"])
def test_first_call_is_high_up_on_a_phone(person, address):
    claire = visit(person(width=360)).go(address)
    top = claire.page.locator(".call").first.evaluate("(one) => one.getBoundingClientRect().top")
    assert top < 250


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (360, "dark"),
        (1280, "light"),
        *(pytest.param(*each, marks=pytest.mark.long) for each in ((360, "light"), (1280, "dark"))),
    ],
)
def test_filters_are_accessible(person, tmp_path, width, scheme):
    nora = visit(person(width=width, color_scheme=scheme, reduced_motion="reduce"), "nagels")
    nora.go("/recordings?when=7-days&direction=inbound&show=not-recorded&q=470")
    nora.page.locator(".filter-panel > summary").click()
    stays_on_the_page(nora)
    assert_accessible(nora)
