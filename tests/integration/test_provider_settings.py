"""Accord leaves the provider's own settings as they were, on the practice switch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from recorder.spool import layout
from tests.scenarios.practice_driver import NUMBERS, PracticeDriver


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[PracticeDriver]:
    practice_driver = PracticeDriver(tmp_path)
    yield practice_driver
    practice_driver.close()


def call(driver: PracticeDriver, caller: str, **variables: str) -> PracticeCall:
    party = PracticeParty(
        number=caller, rings=0.1, variables=variables, early=driver.voice, speaks=driver.voice
    )
    return driver.switch.call(NUMBERS["line"], party)


@pytest.mark.parametrize("terminator_variables", [{"playback_terminators": "#"}, {}])
@pytest.mark.parametrize("has_begun", [False, True])
def test_playback_terminators_are_restored_after_the_bound(
    driver: PracticeDriver, terminator_variables: dict[str, str], has_begun: bool
) -> None:
    driver.daemon("start")
    if not has_begun:
        driver.daemon("stall")
    session = call(driver, "+32470000001", **terminator_variables)
    if has_begun:
        assert session.wait("announcing", 5)
        driver.daemon("stall")
    assert session.wait("bridged", 15)
    variables = session.leg.variables
    assert variables["accord_left"] == "late"
    assert variables.get("playback_terminators") == terminator_variables.get("playback_terminators")


@pytest.mark.parametrize("caller", [NUMBERS["never_record"], NUMBERS["listed"], NUMBERS["emergency"]])
def test_never_recorded_caller_is_not_recorded(driver: PracticeDriver, caller: str) -> None:
    driver.daemon("start")
    session = call(driver, caller)
    assert session.wait("bridged", 3)
    assert not session.media.tapes
    assert session.played == []
    session.hang_up()
    driver.until("it is written down", lambda: list(layout.finished_takes(driver.spool)), 5)
    (folder,) = layout.finished_takes(driver.spool)
    assert layout.read_end(folder).reason == "never_record"
