"""A call between its end and its place in the list, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long

LOOK = "document.dispatchEvent(new Event('visibilitychange'))"
"""Has the list look for new calls now."""


def check_look(somebody) -> None:
    stays_on_the_page(somebody)
    for scheme in ("light", "dark"):
        somebody.page.emulate_media(color_scheme=scheme)
        assert_accessible(somebody)


def test_ended_call_is_shown_until_it_can_be_heard(person) -> None:
    ines = person(width=320, reduced_motion="reduce").log_in("ines", ".empty-state")
    page = ines.page
    badge = page.get_by_text("En cours de stockage")
    expect(badge).to_have_count(0)
    (ines.panel.folder / "hang-up").touch()
    ines.until(f"{LOOK}, document.querySelector('#ended-calls .call') !== null")
    expect(badge).to_be_visible()
    expect(page.locator("#ended-calls .call")).to_contain_text("+32 470 12 34 56")
    check_look(ines)
    page.get_by_role("link", name="+32 470 12 34 56").click()
    expect(badge).to_be_visible()
    check_look(ines)
    (ines.panel.folder / "store").touch()
    expect(page.get_by_role("button", name="Lecture")).to_be_visible(timeout=60_000)
    ines.go("/recordings")
    expect(page.locator(".calls .call")).to_have_count(1)
    expect(badge).to_have_count(0)
