"""Every scenario through the practice switch and the real daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gevent.pool import Pool

from tests.scenarios.at_pickup import AT_PICKUP, ROUGH_AT_PICKUP
from tests.scenarios.codes import CODES, ROUGH_CODES
from tests.scenarios.definitions import KEYS, NO_ANSWER, SCENARIOS, Scenario
from tests.scenarios.joining import JOINER_ASKED, ROUGH_JOINER_ASKED, ROUGH_JOINING, TRANSFERS
from tests.scenarios.outbound import CONSENT, OUTBOUND, ROUGH_OUTBOUND
from tests.scenarios.practice_driver import PracticeDriver
from tests.scenarios.questions import BEFORE, IN_TALK, ROUGH_BEFORE, ROUGH_IN_TALK
from tests.scenarios.run import play

WITH_QUESTIONS = (*BEFORE, *ROUGH_BEFORE, *IN_TALK, *ROUGH_IN_TALK)
ALL = (
    *SCENARIOS,
    *WITH_QUESTIONS,
    *AT_PICKUP,
    *ROUGH_AT_PICKUP,
    *CODES,
    *ROUGH_CODES,
    *TRANSFERS,
    *ROUGH_JOINING,
    *JOINER_ASKED,
    *ROUGH_JOINER_ASKED,
    *OUTBOUND,
    *CONSENT,
    *ROUGH_OUTBOUND,
)
AT_ONCE = 30
DRIVERS = 8
"""Switches with a daemon each at a time."""

ROUGH = [scenario for scenario in ALL if not scenario.daemon or scenario.touches_the_daemon]
CALM = [scenario for scenario in (*ALL, *KEYS) if scenario not in ROUGH]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeDriver]:
    practice_driver = PracticeDriver(tmp_path_factory.mktemp("practice"))
    yield practice_driver
    practice_driver.close()


@pytest.fixture(scope="module")
def calm_results(driver: PracticeDriver) -> dict[str, BaseException | None]:
    """All that leave the daemon alone, many at a time: the error of each, or ``None``."""
    driver.daemon("start")

    def one(scenario: Scenario) -> BaseException | None:
        try:
            play(scenario, driver)
        except AssertionError as error:
            return error
        return None

    # More would keep the machine so busy that playbacks seem cut off.
    return dict(zip([scenario.name for scenario in CALM], Pool(AT_ONCE).map(one, CALM), strict=True))


@pytest.mark.parametrize("name", [scenario.name for scenario in CALM])
def test_calm_scenario_ends_as_expected(name: str, calm_results: dict[str, BaseException | None]) -> None:
    if (error := calm_results[name]) is not None:
        raise error


@pytest.fixture(scope="module")
def rough_results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseException | None]:
    """Those that kill or stall the daemon, each with a switch and a daemon of its own: mostly waiting."""

    def one(scenario: Scenario) -> BaseException | None:
        driver = PracticeDriver(tmp_path_factory.mktemp(scenario.name))
        try:
            play(scenario, driver)
        except AssertionError as error:
            return error
        finally:
            driver.close()
        return None

    played = Pool(DRIVERS).map(one, ROUGH)
    return dict(zip([scenario.name for scenario in ROUGH], played, strict=True))


@pytest.mark.parametrize("name", [scenario.name for scenario in ROUGH])
def test_rough_scenario_ends_as_expected(name: str, rough_results: dict[str, BaseException | None]) -> None:
    if (error := rough_results[name]) is not None:
        raise error


@pytest.mark.long
def test_no_answer(driver: PracticeDriver) -> None:
    play(NO_ANSWER, driver)
