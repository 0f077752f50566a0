"""The page of active calls: pause and resume, by mouse and keyboard, with JavaScript and without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.long

PAUSED = "En pause : ce qui se dit maintenant n’est pas enregistré."


def pause(page):
    return page.get_by_role("button", name="Pause – +32 470 12 34 56")


def go_on(page):
    return page.get_by_role("button", name="Reprendre – +32 470 12 34 56")


def status(page):
    return page.locator("#live-result")


@pytest.fixture
def live(person):
    def make(**options):
        somebody = person(**options)
        somebody.log_in().go("/live")
        return somebody

    return make


@pytest.mark.parametrize("scripts", [True, False])
def test_pauses_and_resumes_by_keyboard(live, scripts):
    page = live(java_script_enabled=scripts).page
    pause(page).focus()
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text(PAUSED)
    expect(page.locator(".is-paused .live-state")).to_contain_text("En pause")
    go_on(page).focus()
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text("L’enregistrement a repris.")
    expect(pause(page)).to_be_visible()
    page.get_by_role("button", name="Marquer ce moment – +32 470").click()
    expect(status(page)).to_contain_text("Moment marqué.")


def test_page_refreshes_and_keeps_the_focus(live):
    here, there = live().page, live().page
    pause(here).focus()
    pause(there).click()
    expect(go_on(here)).to_be_visible()
    expect(go_on(here)).to_be_focused()
    expect(status(here)).to_have_text("")
    go_on(there).click()
    expect(pause(here)).to_be_focused()


def test_unanswered_command_is_not_shown_as_a_pause(live):
    page = live().page
    silent = page.get_by_role("button", name="Pause – Numéro masqué")
    silent.click()
    expect(status(page)).to_contain_text("Impossible : l’enregistreur n’a pas répondu.")
    expect(silent).to_be_visible()


def test_page_reports_failed_refreshes(live):
    somebody = live()
    expect(somebody.page.locator("#live-unreachable")).to_be_hidden()
    somebody.page.context.set_offline(True)
    expect(somebody.page.locator("#live-unreachable")).to_be_visible(timeout=15_000)
    somebody.page.context.set_offline(False)
    expect(somebody.page.locator("#live-unreachable")).to_be_hidden(timeout=10_000)
    somebody.console_errors[:] = [
        text for text in somebody.console_errors if "ERR_INTERNET_DISCONNECTED" not in text
    ]


def test_logged_out_user_is_sent_to_the_login(live):
    somebody = live()
    somebody.page.context.clear_cookies()
    expect(somebody.page.get_by_role("heading", name="Se connecter")).to_be_visible(timeout=10_000)


@pytest.mark.parametrize("width", [360, 1100])
def test_takes_screenshots_of_the_live_page(live, width, tmp_path):
    """Screenshots to look at, in the folder named by ``TEST_PICTURES``."""
    page = live(width=width).page
    pause(page).click()
    expect(status(page)).to_have_text(PAUSED)
    page.screenshot(
        path=Path(os.environ.get("TEST_PICTURES", tmp_path)) / f"live-{width}.png", full_page=True
    )
    page.get_by_role("link", name="Arrêter et détruire…").click()
    page.screenshot(
        path=Path(os.environ.get("TEST_PICTURES", tmp_path)) / f"destroy-{width}.png", full_page=True
    )
    page.get_by_role("link", name="Retour sans modification").click()
    go_on(page).click()
    expect(pause(page)).to_be_visible()
