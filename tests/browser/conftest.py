from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.chromium import find_chromium
from tests.house import PASSWORD

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
WATCH = """
document.addEventListener("securitypolicyviolation",
  (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Panel:
    """The served panel: its address, and the ids of its recordings by name."""

    address: str
    ids: dict[str, str]
    folder: Path

    def object(self, what: str, name: str) -> Path:
        return next((self.folder / "bucket").glob(f"*/*/*/*/{self.ids[what]}/{name}"))


class PanelProcess:
    """Serves the panel to a worker's tests, from the first one in this folder to the last: its nodes and
    calls go on for as long as it runs, and would take processor time from the tests that follow."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._panel: Panel | None = None

    def start(self, factory: pytest.TempPathFactory) -> Panel:
        """Start it, unless it runs."""
        if self._panel is None:
            self._panel = self._stack.enter_context(_served(factory))
        return self._panel

    def stop(self) -> None:
        self._panel = None
        self._stack.close()


PANEL = PanelProcess()


@contextmanager
def _served(factory: pytest.TempPathFactory) -> Iterator[Panel]:
    folder = factory.mktemp("panel")
    shutil.copytree(installation(factory), folder, dirs_exist_ok=True)
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.panel", str(folder)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, (folder / "log").read_text()
    bodies = json.loads(line)
    yield Panel(f"http://127.0.0.1:{bodies['port']}", bodies["ids"], folder)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0, (folder / "log").read_text()


@pytest.fixture(scope="session")
def panel_process() -> Iterator[PanelProcess]:
    yield PANEL
    PANEL.stop()


@pytest.fixture
def panel(panel_process: PanelProcess, tmp_path_factory: pytest.TempPathFactory) -> Panel:
    return panel_process.start(tmp_path_factory)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    if nextitem is None or not nextitem.path.is_relative_to(FOLDER):
        PANEL.stop()


def installation(factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation, made once in a run since encoding its calls takes seconds."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, temporary = shared / "installation", shared / "making"
    with open(shared / "installation.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            command = [sys.executable, "-m", "tests.browser.panel", str(temporary), "--fill"]
            subprocess.run(command, cwd=ROOT, check=True)
            temporary.rename(folder)
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.fail("there is no Chromium: apt-get install chromium-headless-shell (make test does it)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        yield browser
        browser.close()


@dataclass
class Person:
    """A user at a browser.  ``console_errors`` collects the console's errors and warnings."""

    page: Page
    panel: Panel
    console_errors: list[str]

    def go(self, path: str) -> Person:
        self.page.goto(self.panel.address + path)
        return self

    def log_in(self, login: str = "claire", first: str = ".calls") -> Person:
        """Log in, and wait for what the page has that comes first."""
        self.go("/login")
        self.page.fill("#login", login)
        self.page.fill("#password", PASSWORD)
        self.page.click("main button[type=submit]")
        expect(self.page.locator(first).first).to_be_visible()
        self.page.wait_for_load_state()  # a key that is pressed before the page's scripts are there is lost
        return self

    def speak(self, language: str) -> None:
        """Choose another language, by its own name: in the menu, or in the header before the log-in."""
        menu = self.page.locator("details.menu")
        if menu.count():
            menu.locator("summary").click()
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=language).click()

    def listen(self, what: str = "short") -> Person:
        """Open the page of a call, press Play, wait until the audio has come, and stop at the beginning."""
        self.go(f"/recordings/{self.panel.ids[what]}")
        self.press_play()
        self.until("document.getElementById('audio').readyState >= 1")
        self.until("!document.getElementById('audio').paused")
        self.page.locator("#toggle").click()
        self.until("document.getElementById('audio').paused")
        self.page.evaluate("document.getElementById('audio').currentTime = 0")
        self.until("document.getElementById('audio').currentTime === 0")
        return self

    def press_play(self) -> None:
        """Press Play, for the first purpose if several are offered and none is remembered."""
        if not self.page.locator("[name=purpose]:checked").count():
            self.page.locator("#purpose .choice:not(.is-disabled) label").first.click()
        self.page.locator("#toggle").click()

    def until(self, true: str, seconds: float = 60) -> None:
        """Wait until an expression is true.  Playwright's own wait evaluates text in the page, which the
        content policy refuses."""
        deadline = time.monotonic() + seconds
        while not self.holds(true):
            assert time.monotonic() < deadline, f"never true: {true}"
            self.page.wait_for_timeout(40)

    def holds(self, true: str) -> bool:
        """Whether an expression is true now; it is not while another page loads."""
        try:
            return bool(self.page.evaluate(true))
        except PlaywrightError:
            return False

    def expect_refusal(self, status: str) -> None:
        """Wait for the console's complaint about a refused request, and take it off the list."""
        deadline = time.monotonic() + 10
        while not self.console_errors and time.monotonic() < deadline:
            self.page.wait_for_timeout(20)
        assert status in self.console_errors.pop()

    def audio(self, what: str) -> float:
        return float(self.page.evaluate(f"Number(document.getElementById('audio').{what})"))

    def plays_past(self, seconds: float) -> None:
        self.until(f"document.getElementById('audio').currentTime > {seconds}")


@pytest.fixture
def person(panel: Panel, visitor: Callable[..., Person]) -> Callable[..., Person]:
    """Makes users of the served panel."""
    return partial(visitor, panel)


@pytest.fixture
def visitor(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Person]]:
    """Makes users of a panel with fresh browsers.  Their consoles must stay free of complaints, except for
    those that a test expects and removes from ``console_errors``."""
    people: list[Person] = []

    def make(panel: Panel, width: int = 1100, language: str = "fr-BE", **options: object) -> Person:
        options = {"timezone_id": "America/New_York"} | options
        context = chromium.new_context(viewport={"width": width, "height": 800}, locale=language, **options)
        page = context.new_page()
        somebody = Person(page, panel, [])
        page.add_init_script(WATCH)
        page.on("pageerror", lambda error: somebody.console_errors.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                somebody.console_errors.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        people.append(somebody)
        return somebody

    yield make
    for number, somebody in enumerate(people):
        somebody.page.screenshot(path=tmp_path / f"last-{number}.png", full_page=True)
        somebody.page.context.close()
    assert [text for somebody in people for text in somebody.console_errors] == []
