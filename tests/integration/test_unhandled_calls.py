"""Calls that arrived without a daemon are listed once, even if they end without one or with their switch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.spool import layout
from tests.scenarios.broken_dialplans import copy
from tests.scenarios.definitions import Scenario
from tests.scenarios.practice_driver import PracticeCall, PracticeDriver

pytestmark = pytest.mark.long

CALL = Scenario("passed by", None, daemon=False)  # type: ignore[arg-type]  # placed, not played


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[PracticeDriver]:
    practice_driver = PracticeDriver(tmp_path)
    yield practice_driver
    practice_driver.close()


def connected_without_a_daemon(driver: PracticeDriver) -> PracticeCall:
    call = driver.place(CALL)
    assert call.wait("bridged", 5)
    return call


def reasons(driver: PracticeDriver) -> list[str | None]:
    """The reasons of all calls in the spool."""
    return [layout.read_end(path.parent).reason for path in driver.spool.glob(f"*/{layout.END}")]


def assert_listed(driver: PracticeDriver, reason: str = "daemon_away") -> None:
    driver.until("it is written down", lambda: reasons(driver), 10)
    driver.sleep(1.0)  # time for another entry
    assert reasons(driver) == [reason]
    (start,) = [json.loads(path.read_text()) for path in driver.spool.glob(f"*/{layout.CALL}")]
    assert (start["external_party"]["value"], start["tenant"]) == ("+32470000001", "t1")


def test_unhandled_call_ends_under_a_daemon(driver: PracticeDriver) -> None:
    call = connected_without_a_daemon(driver)
    driver.daemon("start")
    driver.until("it is followed", lambda: list(driver.spool.glob(f"*/{layout.CALL}")), 5)
    call.hang_up()
    assert_listed(driver)


def test_call_ends_between_daemons(driver: PracticeDriver) -> None:
    call = connected_without_a_daemon(driver)
    driver.daemon("start")
    driver.until("it is followed", lambda: list(driver.spool.glob(f"*/{layout.CALL}")), 5)
    driver.daemon("kill")
    call.hang_up()
    assert call.wait("ended", 5)
    driver.daemon("start")
    assert_listed(driver)


def test_daemon_dies_before_the_call_is_on_disk(driver: PracticeDriver) -> None:
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
    assert_listed(driver)


def test_hung_daemon_is_too_late_and_dies(driver: PracticeDriver) -> None:
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
    assert_listed(driver, "daemon_late")


@pytest.fixture
def routed_driver(tmp_path: Path) -> Iterator[PracticeDriver]:
    """A switch with a route ahead of Accord's extensions."""
    conf = copy(tmp_path / "switch")
    public = conf / "dialplan/public.xml"
    first = '<X-PRE-PROCESS cmd="include" data="public/90_route.xml"/>\n<X-PRE'
    public.write_text(public.read_text().replace("<X-PRE", first, 1))
    practice_driver = PracticeDriver(tmp_path, conf=conf)
    yield practice_driver
    practice_driver.close()


def test_call_of_an_earlier_route_is_listed(routed_driver: PracticeDriver) -> None:
    routed_driver.daemon("start")
    call = routed_driver.place(CALL)
    routed_driver.until("it is followed", lambda: list(routed_driver.spool.glob(f"*/{layout.CALL}")), 10)
    call.hang_up()
    assert_listed(routed_driver, "dialplan_did_not_ask")


def test_next_daemon_lists_the_call_once(routed_driver: PracticeDriver) -> None:
    routed_driver.daemon("start")
    call = routed_driver.place(CALL)
    routed_driver.until("it is followed", lambda: list(routed_driver.spool.glob(f"*/{layout.CALL}")), 10)
    routed_driver.daemon("kill")
    routed_driver.daemon("start")
    call.hang_up()
    assert_listed(routed_driver, "dialplan_did_not_ask")


def test_later_daemon_finds_the_call(routed_driver: PracticeDriver) -> None:
    call = connected_without_a_daemon(routed_driver)
    routed_driver.daemon("start")
    routed_driver.until("it is followed", lambda: list(routed_driver.spool.glob(f"*/{layout.CALL}")), 10)
    call.hang_up()
    assert_listed(routed_driver, "dialplan_did_not_ask")
