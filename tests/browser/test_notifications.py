"""Notifications in a browser: an admin sees the bell, reads what happened, and chooses what to be told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_pages import assert_accessible, stays_on_the_page

pytestmark = pytest.mark.long

WORDS = {
    "fr-BE": ("Notifications", "Tout marquer comme lu", "Choisir vos notifications", "Rien à signaler"),
    "en-GB": ("Notifications", "Mark all as read", "Choose your notifications", "Nothing to report"),
}


@pytest.mark.parametrize(
    ("login", "width", "language"),
    [("rose", 360, "fr-BE"), pytest.param("hugo", 1280, "en-GB", marks=pytest.mark.long)],
)
def test_admin_reads_notifications_and_chooses(person, login, width, language):
    admin = person(width=width, language=language, reduced_motion="reduce").log_in(login)
    page, (name, read, choose, empty) = admin.page, WORDS[language]

    def look(what: str) -> None:
        for each in (320, width):
            page.set_viewport_size({"width": each, "height": 800})
            stays_on_the_page(admin)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert_accessible(admin)
            if folder := os.environ.get("TEST_SCREENSHOTS"):
                page.screenshot(path=str(Path(folder) / f"{what}-{width}-{scheme}.png"), full_page=True)
        page.emulate_media(color_scheme="light")

    bell = page.locator(".bell")
    expect(bell).to_contain_text("3")
    bell.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
    expect(page.locator(".notification.is-unread")).to_have_count(3)
    expect(page.locator(".notification").first).to_contain_text("+32 2 555 01 55 (Atelier)")
    look("notifications")
    page.locator(".notification a").first.click()
    expect(page.locator(".call.is-not-recorded")).to_have_count(1)
    page.go_back()
    page.get_by_role("button", name=read).click()
    expect(page.locator(".notification")).to_have_count(3)
    expect(page.locator(".notification.is-unread")).to_have_count(0)
    expect(page.locator(".bell-count")).to_have_count(0)

    page.get_by_role("link", name=choose).click()
    for kind in ("not_recorded", "work", "review"):
        page.select_option(f"#{kind}", "none")
    look("notification-choices")
    page.locator("form[action='/notifications/choices'] button").click()
    expect(page.locator(".toast")).to_be_visible()
    expect(page.locator("#work")).to_have_value("none")
    bell.click()
    expect(page.get_by_role("heading", name=empty)).to_be_visible()
    look("notifications-empty")
