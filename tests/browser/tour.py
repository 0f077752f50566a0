"""Makes the pictures of docs/tour.md anew.

    python -m tests.browser.tour

It fills an installation in a temporary folder, serves its panel, and visits the pages: in French on a phone,
360 px wide, and in English on a desktop, 1280 px wide. The pictures are WebP, a third of PNG's size.
"""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.chromium import find_chromium
from tests.house import PASSWORD

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "tour"
SCREENS = (("fr", "fr-BE", 360, 740), ("en", "en-GB", 1280, 800))
"""Language, locale, width and height."""
QUALITY = 70
CALLERS = """\
Élodie Peeters; +32 470 12 34 56
Hôtel du Parc; +33 1 42 68 53 00
"""
"""Names and numbers, as they are pasted into the page of contacts."""


@dataclass(frozen=True)
class Stop:
    """A picture: its file's name, the page's path with names of recordings and dates, whose browser
    shows it, which part of the page, whether the recording is played first, so that its lanes are drawn,
    whether the browser prefers dark colours, and what is pressed first."""

    name: str
    path: str
    login: str = "paul"
    part: str = "body"
    play: bool = False
    dark: bool = False
    press: str = ""


STOPS = (
    Stop("first-day", "/first-day", "eva", part=".is-next"),
    Stop("number-proof", "/numbers/new"),
    Stop("numbers", "/numbers"),
    Stop("calls", "/recordings"),
    Stop("search", "/recordings?q=470&show=recorded"),
    Stop("selection", "/recordings?select=some"),
    Stop("contacts", "/contacts"),
    Stop("rates", "/recordings/rates"),
    Stop("call", "/recordings/{agreed}", play=True),
    Stop("call-dark", "/recordings/{agreed}", play=True, dark=True),
    Stop("live", "/live"),
    Stop("together", "/together/{difference}", "mila"),
    Stop("room", "/together/{difference}/room", "mila", press="#room-enter-button"),
    Stop("notifications", "/notifications", "rose"),
    Stop("team", "/team"),
    Stop("compliance", "/compliance"),
    Stop("access-log", "/access-log"),
    Stop("usage", "/usage?from={week}&to={today}"),
    Stop("api-tokens", "/api-tokens"),
    Stop("account", "/account", part="[aria-labelledby=two-step]"),
    Stop("customers", "/customers", "olga", part="h1"),
    Stop("customer", "/customers/{bakery}", "olga"),
    Stop("customer-invitation", "/customers/invite", "olga"),
    Stop("provider-settings", "/settings", "olga"),
)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "panel"
        command = [sys.executable, "-m", "tests.browser.panel", str(folder)]
        subprocess.run([*command, "--fill"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        panel = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert panel.stdout is not None
        description = json.loads(panel.stdout.readline())
        try:
            take_pictures(f"http://127.0.0.1:{description['port']}", description["ids"])
        finally:
            panel.send_signal(signal.SIGTERM)
            panel.wait(20)


def take_pictures(home: str, ids: dict[str, str]) -> None:
    today = date.today()
    week = today - timedelta(days=6)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        name_people(browser, home)
        for language, locale, width, height in SCREENS:
            pages: dict[tuple[str, bool], Page] = {}
            for stop in STOPS:
                who = stop.login, stop.dark
                if who not in pages:
                    pages[who] = open_page(browser, locale, width, height, stop.dark)
                    log_in(pages[who], home, stop.login, language)
                page = pages[who]
                answer = page.goto(home + stop.path.format(**ids, week=week, today=today))
                assert answer is not None
                assert answer.ok, f"{stop.path}: {answer.status}"
                page.wait_for_load_state("load")
                if stop.play:
                    play(page)
                if stop.press:
                    page.locator(stop.press).click()
                    page.wait_for_timeout(3000)
                page.locator(stop.part).evaluate("(one) => one.scrollIntoView()")
                page.evaluate("scrollBy(0, -24)")
                (FOLDER / f"{stop.name}-{width}.webp").write_bytes(picture_of(page))
        browser.close()


def name_people(browser: Browser, home: str) -> None:
    """Give callers their names, and a colleague her extension, as a customer does in the first week."""
    page = open_page(browser, "en-GB", 1280, 800, dark=False)
    log_in(page, home, "paul", "en")
    page.goto(f"{home}/contacts/import")
    page.fill("#lines", CALLERS)
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url("**/contacts*")
    page.goto(f"{home}/team")
    page.locator(".team-person", has_text="Claire Martin").get_by_role("link", name="Change").first.click()
    page.get_by_label("Extensions").fill("1001")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/team")
    page.context.close()


def play(page: Page) -> None:
    """Play a recording for the first purpose until its lanes are drawn, and pause."""
    page.locator("#purpose .choice label").first.click()
    page.locator("#toggle").click()
    page.locator("#wave canvas").first.wait_for()
    expect(page.locator("#now")).not_to_have_text("0:00", timeout=60_000)
    page.locator("#toggle").click()


def picture_of(page: Page) -> bytes:
    """What the browser shows, as WebP, which Playwright's own screenshots do not know."""
    session = page.context.new_cdp_session(page)
    found = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
    return base64.b64decode(found["data"])


def open_page(browser: Browser, locale: str, width: int, height: int, dark: bool) -> Page:
    size, scheme = {"width": width, "height": height}, "dark" if dark else "light"
    context = browser.new_context(viewport=size, locale=locale, reduced_motion="reduce", color_scheme=scheme)
    return context.new_page()


def log_in(page: Page, home: str, login: str, language: str) -> None:
    page.goto(f"{home}/login")
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    page.click("main button[type=submit]")
    page.locator("details.menu summary").click()
    page.locator(f"button[name=language][value={language}]").click()
    page.wait_for_load_state()


if __name__ == "__main__":
    main()
