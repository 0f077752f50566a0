"""Calls that came while no daemon was there are written down once, also when they end while there is none
again, or with their switch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.spool import layout
from tests.scenarios.broken_dialplans import copy
from tests.scenarios.definitions import Scenario
from tests.scenarios.practice_driver import PracticeCall, PracticeDriver

CALL = Scenario("passed by", None, daemon=False)  # type: ignore[arg-type]  # placed, not played


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[PracticeDriver]:
    made = PracticeDriver(tmp_path)
    yield made
    made.close()


def connected_without_a_daemon(driver: PracticeDriver) -> PracticeCall:
    call = driver.place(CALL)
    assert call.wait("bridged", 5)
    return call


def ends(driver: PracticeDriver) -> list[str | None]:
    """Reasons of all calls in the spool."""
    return [layout.read_end(path.parent).reason for path in driver.spool.glob(f"*/{layout.END}")]


def written(driver: PracticeDriver, reason: str = "daemon_away") -> None:
    driver.until("it is written down", lambda: ends(driver), 10)
    driver.sleep(1.0)  # whatever else would be written of it
    assert ends(driver) == [reason]
    (start,) = [json.loads(path.read_text()) for path in driver.spool.glob(f"*/{layout.CALL}")]
    assert (start["external_party"]["value"], start["tenant"]) == ("+32470000001", "t1")


def test_it_ends_while_a_daemon_watches(driver: PracticeDriver) -> None:
    call = connected_without_a_daemon(driver)
    driver.daemon("start")
    driver.until("it is followed", lambda: list(driver.spool.glob(f"*/{layout.CALL}")), 5)
    call.hang_up()
    written(driver)


def test_it_ends_while_no_daemon_is_there_again(driver: PracticeDriver) -> None:
    call = connected_without_a_daemon(driver)
    driver.daemon("start")
    driver.until("it is followed", lambda: list(driver.spool.glob(f"*/{layout.CALL}")), 5)
    driver.daemon("kill")
    call.hang_up()
    assert call.wait("ended", 5)
    driver.daemon("start")
    written(driver)


def test_a_daemon_dies_before_it_has_written_whose_call_it_is(driver: PracticeDriver) -> None:
    driver.daemon("start")
    call = driver.place(CALL)
    assert call.wait("announcing", 5)
    driver.daemon("kill")
    for name in (layout.CALL, layout.EVENTS):  # in the order in which they are written
        for path in driver.spool.glob(f"*/{name}"):
            path.unlink()
    driver.daemon("start")
    assert call.wait("bridged", 5)
    call.hang_up()
    written(driver)


def test_a_daemon_that_hung_comes_to_it_too_late_and_dies(driver: PracticeDriver) -> None:
    driver.daemon("start")
    driver.daemon("stall")
    call = driver.place(CALL)
    assert call.wait("bridged", 8)
    driver.daemon("wake")
    driver.until("it is followed", lambda: list(driver.spool.glob(f"*/{layout.CALL}")), 5)
    driver.daemon("kill")
    call.hang_up()
    assert call.wait("ended", 5)
    driver.daemon("start")
    written(driver, "daemon_late")


@pytest.fixture
def ahead(tmp_path: Path) -> Iterator[PracticeDriver]:
    """A switch whose routing stands ahead of Accord's extensions."""
    conf = copy(tmp_path / "switch")
    public = conf / "dialplan/public.xml"
    first = '<X-PRE-PROCESS cmd="include" data="public/90_route.xml"/>\n<X-PRE'
    public.write_text(public.read_text().replace("<X-PRE", first, 1))
    made = PracticeDriver(tmp_path, conf=conf)
    yield made
    made.close()


def test_a_call_that_the_dialplan_did_not_ask_about_is_listed(ahead: PracticeDriver) -> None:
    ahead.daemon("start")
    call = ahead.place(CALL)
    ahead.until("it is followed", lambda: list(ahead.spool.glob(f"*/{layout.CALL}")), 10)
    call.hang_up()
    written(ahead, "dialplan_did_not_ask")


def test_the_next_daemon_goes_on_with_it_and_lists_it_once(ahead: PracticeDriver) -> None:
    ahead.daemon("start")
    call = ahead.place(CALL)
    ahead.until("it is followed", lambda: list(ahead.spool.glob(f"*/{layout.CALL}")), 10)
    ahead.daemon("kill")
    ahead.daemon("start")
    call.hang_up()
    written(ahead, "dialplan_did_not_ask")


def test_a_daemon_that_comes_to_it_finds_it(ahead: PracticeDriver) -> None:
    call = connected_without_a_daemon(ahead)
    ahead.daemon("start")
    ahead.until("it is followed", lambda: list(ahead.spool.glob(f"*/{layout.CALL}")), 10)
    call.hang_up()
    written(ahead, "dialplan_did_not_ask")
