"""A company's first day on a real installation, from the registration to the test call that it hears, by the
page alone.

The provider gives out a code, adds the number, and has a switch: the practice switch of ``demo/``, which
also makes the test calls.
"""

from __future__ import annotations

import gettext
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from playwright.sync_api import Locator, expect

from tests.processes import Installation, Ports
from tests.waiting import until
from web.text.sentences import SENTENCES

from .conftest import ROOT, Panel, Person

pytestmark = pytest.mark.long

CODE = "welcome aboard"
PASSWORD = "a lamp beside seven rivers"
ARRIVES_IN = 60_000
"""Milliseconds that a step of the test call may take on a busy machine."""


@dataclass
class Provider:
    """An installation with the embedded store, started as ``accord run`` does it, and its switch."""

    here: Installation
    ports: Ports
    calls: IO[str]

    @property
    def panel(self) -> Panel:
        return Panel(f"http://127.0.0.1:{self.ports.web}", {}, self.here.folder)

    def add_number(self, company: str, number: str) -> None:
        self.here.output("line", "add", number, "--tenant", company, "--off")

    def recorded_lines(self) -> int:
        """How many numbers the node announces and records."""
        address = f"http://127.0.0.1:{self.ports.daemon}/metrics"
        with urllib.request.urlopen(address, timeout=10) as response:
            found = re.search(r"^accord_snapshot_lines (\d+)", response.read().decode(), re.MULTILINE)
        return int(found[1]) if found else 0

    def call(self, number: str, language: str) -> None:
        """Somebody calls a number."""
        print(number, language, file=self.calls, flush=True)


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    ports = Ports.reserve()
    settings = {
        "ACCORD_NODE_NAME": "n1",
        "ACCORD_NODE_REGION": "BE",
        "ACCORD_STORE_EMBEDDED": "true",
        "ACCORD_STORE_KIND": "s3",
        "ACCORD_WEB_REGISTRATION": "code",
        "ACCORD_WEB_REGISTRATION_CODE": CODE,
    }
    here = Installation(tmp_path, ports.settings | settings)
    here.output("key", "init")
    here.output("migrate")
    accord = here.start("run")
    argv = [sys.executable, "-m", "tests.browser.switch", str(ports.event_socket), str(ports.calls)]
    switch = subprocess.Popen(argv, cwd=ROOT, env=here.environment(), stdin=subprocess.PIPE, text=True)
    try:
        assert switch.stdin is not None
        until("the panel is ready", lambda: answers(f"http://127.0.0.1:{ports.web}/readyz"), 90)
        until("the daemon is ready", lambda: answers(f"http://127.0.0.1:{ports.daemon}/readyz"), 90)
        yield Provider(here, ports, switch.stdin)
    finally:
        switch.terminate()
        switch.wait(60)
        accord.stop()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@dataclass
class Founder:
    """Somebody who registers their company; ``say`` translates the panel's English sentences."""

    somebody: Person
    language: str
    company: str
    number: str
    code: str = CODE  # empty: anybody may register

    def say(self, sentence: str, **values: str) -> str:
        """The page's own words: a sentence of a code, or one in a template."""
        of_codes = (words for codes in SENTENCES.values() for words in codes.values())
        words = next((each for each in of_codes if each["en"] == sentence), None)
        found = gettext.translation("messages", ROOT / "web" / "translations", [self.language], fallback=True)
        text = found.gettext(sentence) if words is None else words[self.language]
        return text % values if values else text

    def press(self, name: str) -> None:
        self.somebody.page.get_by_role("button", name=self.say(name), exact=True).click()

    def follow(self, name: str) -> None:
        self.somebody.page.get_by_role("link", name=self.say(name), exact=True).click()

    def field(self, label: str) -> Locator:
        return self.somebody.page.get_by_label(self.say(label), exact=True)

    def open_first_day(self) -> None:
        self.somebody.page.locator("details.menu summary").click()
        self.follow("First day")

    def sees_steps(self, done_count: int) -> None:
        """So many steps are done, and the one after them is the next."""
        expect(self.somebody.page.locator(".step.is-done")).to_have_count(done_count)

    def register(self) -> None:
        self.somebody.go("/login")
        self.follow("Register your company")
        if self.code:
            self.field("Your provider’s code").fill(self.code)
        self.field("Company").fill(self.company)
        self.field("Country").select_option("be")
        self.field("Your name").fill("Denise Dubois")
        self.field("Your email address").fill(f"denise@{self.language}.example")
        self.field("Password").fill(PASSWORD)
        self.press("Register")
        expect(self.somebody.page.get_by_role("heading", name=self.say("First day"))).to_be_visible()
        self.sees_steps(1)

    def find_the_number(self, provider: Provider) -> None:
        self.follow("Go to the numbers")
        expect(self.somebody.page.get_by_text(self.say("You have no number here yet."))).to_be_visible()
        provider.add_number(self.company, self.number)
        self.open_first_day()
        self.sees_steps(2)

    def compose(self) -> None:
        page = self.somebody.page
        self.follow("Choose the purposes")
        page.locator("#purpose-quality").check()
        page.locator("#mode-notice").check()
        page.locator("#keep_days").fill("30")
        page.locator("#wording-short").check()
        self.press("Hear what callers will hear")
        for place in range(page.locator("audio").count()):
            sound = f"document.querySelectorAll('audio')[{place}]"
            page.evaluate(f"{sound}.play()")
            self.somebody.until(f"{sound}.currentTime > 0.3")
            page.evaluate(f"{sound}.pause()")

    def switch_on(self) -> None:
        self.press("Switch recording on")
        self.open_first_day()
        self.sees_steps(5)
        expect(self.somebody.page.get_by_text(self.say("Waiting for your call"))).to_be_visible()

    def watch_the_call(self) -> None:
        """The page follows it without being loaded again."""
        page = self.somebody.page
        for step in ("The call has arrived", "The announcement was played", "The call was recorded"):
            expect(page.locator(".call-stage.is-done", has_text=self.say(step))).to_be_visible(
                timeout=ARRIVES_IN
            )

    def listen(self) -> None:
        page = self.somebody.page
        self.follow("Listen to it")
        self.somebody.press_play()
        self.somebody.plays_past(1)
        page.locator("#toggle").click()
        self.open_first_day()
        expect(page.locator(".call-stage.is-done", has_text=self.say("You have heard it"))).to_be_visible()
        self.sees_steps(6)
        expect(
            page.get_by_text(
                self.say("All set. Your calls are announced and recorded, and you can listen to them here.")
            )
        ).to_be_visible()


@pytest.mark.timeout(480)
def test_company_hears_its_first_call_within_five_minutes(
    provider: Provider, visitor: Callable[..., Person], record_property: Callable[[str, float], None]
) -> None:
    """Two companies at once, in two languages: most of it is waiting."""
    start_time = time.monotonic()
    founders = [
        Founder(visitor(provider.panel, 360, "fr-BE"), "fr", "Fromagerie Dubois", "+3225550151"),
        Founder(visitor(provider.panel, 1280, "en-GB"), "en", "Dubois Cheese", "+3225550152"),
    ]
    for each in founders:
        each.register()
        each.find_the_number(provider)
        each.compose()
        each.switch_on()
    # A node learns of a number within two seconds, and nobody dials faster.
    until("the node knows the numbers", lambda: provider.recorded_lines() == len(founders), 90)
    for each in founders:
        provider.call(each.number, each.language)
    for each in founders:
        each.watch_the_call()
        each.listen()
    seconds = time.monotonic() - start_time
    record_property("seconds", round(seconds))
    assert seconds < 300
