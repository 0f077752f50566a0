"""Makes the pictures of docs/tour.md anew.

    python -m tests.browser.tour

It fills an installation in a temporary folder, serves its panel, and visits the pages: in French on a phone,
360 px wide, and in English on a desktop, 1280 px wide.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.house import PASSWORD

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "tour"
SCREENS = (("fr", "fr-BE", 360, 740), ("en", "en-GB", 1280, 800))
"""Language, locale, width and height."""


@dataclass(frozen=True)
class Stop:
    """A picture: its file's name, the page's path with names of recordings, whose browser shows it, and what
    is clicked first."""

    name: str
    path: str
    login: str = "paul"
    click: str = ""


STOPS = (
    Stop("log-in", "/login", ""),
    Stop("calls", "/recordings"),
    Stop("call", "/recordings/{agreed}"),
    Stop("live", "/live"),
    Stop("numbers", "/numbers"),
    Stop("team", "/team"),
    Stop("compliance", "/compliance"),
    Stop("retention", "/settings/retention/change?purpose=agreement&days=12"),
    Stop("requests", "/subject-requests", "anne"),
    Stop("access-log", "/access-log"),
    Stop("account", "/account"),
    Stop("menu", "/recordings", click="details.menu summary"),
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
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for language, locale, width, height in SCREENS:
            pages = {"": open_page(browser, locale, width, height)}
            for stop in STOPS:
                if stop.login not in pages:
                    pages[stop.login] = open_page(browser, locale, width, height)
                    log_in(pages[stop.login], home, stop.login, language)
                page = pages[stop.login]
                page.goto(home + stop.path.format(**ids))
                if stop.click:
                    page.click(stop.click)
                page.wait_for_load_state("networkidle")
                page.screenshot(path=FOLDER / f"{stop.name}-{width}.png", animations="disabled")
        browser.close()


def open_page(browser: Browser, locale: str, width: int, height: int) -> Page:
    size = {"width": width, "height": height}
    return browser.new_context(viewport=size, locale=locale, reduced_motion="reduce").new_page()


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
