"""The first day of somebody who has just typed ``make run``: registered in the demo's panel, with a number
that the practice telephone proves, and a test call that the demo makes by itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.freeswitch.process import binary
from tests.waiting import until

from .conftest import ROOT, Panel, Person
from .test_first_day import Founder

pytestmark = pytest.mark.long


@pytest.fixture(params=["practice", "freeswitch"])
def output(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """A demo that is ready; finds a pattern's first group in what it prints, as soon as it does."""
    printed = tmp_path / "printed"
    environment = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    environment |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    if request.param == "freeswitch":
        environment["ACCORD_FREESWITCH"] = binary() or pytest.skip(
            "no FreeSWITCH: set ACCORD_FREESWITCH to its binary, or put it on the PATH"
        )
    with printed.open("wb") as file:
        demo = subprocess.Popen(
            [sys.executable, "-m", "demo"], cwd=tmp_path, env=environment, stdout=file, stderr=file
        )

    def find(pattern: str) -> str:
        def look() -> str | None:
            assert demo.poll() is None, printed.read_text()
            found = re.search(pattern, printed.read_text())
            return found[1] if found else None

        return until(f"the demo prints {pattern}", look, 150)

    try:
        find(r"(Ctrl-C ends it)")
        yield find
    finally:
        demo.terminate()
        demo.wait(60)


@pytest.mark.timeout(480)
def test_newcomer_registers_in_the_demo_and_hears_a_test_call(
    output: Callable[[str], str], visitor: Callable[..., Person], tmp_path: Path
) -> None:
    panel = Panel(output(r"(http://127\.0\.0\.1:\d+)/register"), {}, tmp_path)
    denise = Founder(visitor(panel, 360, "fr-BE"), "fr", "Fromagerie Dubois", number="02 555 01 77", code="")
    denise.register()
    denise.follow("Add your number")
    page = denise.somebody.page
    page.get_by_role("textbox").fill(denise.number)
    denise.press("Call this number")
    page.get_by_role("textbox").fill(output(r"telephone of \+3225550177 rings, and hears the code (\d{6})"))
    denise.press("Add the number")
    expect(page).to_have_url(re.compile("/setup$"))
    denise.open_first_day()
    denise.sees_steps(2)
    denise.compose()
    denise.switch_on()
    denise.watch_the_call()
    denise.listen()
