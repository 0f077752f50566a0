"""Every scenario on a real FreeSWITCH; the practice switch plays the same ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.freeswitch.scenario_driver import RealDriver
from tests.freeswitch.switches import Rig
from tests.scenarios.at_pickup import AT_PICKUP, ROUGH_AT_PICKUP
from tests.scenarios.codes import CODES, ROUGH_CODES
from tests.scenarios.definitions import KEYS, NO_ANSWER, SCENARIOS, Scenario
from tests.scenarios.joining import JOINER_ASKED, ROUGH_JOINER_ASKED, ROUGH_JOINING, TRANSFERS
from tests.scenarios.outbound import CONSENT, OUTBOUND, ROUGH_OUTBOUND
from tests.scenarios.questions import BEFORE, IN_TALK, ROUGH_BEFORE, ROUGH_IN_TALK
from tests.scenarios.run import play


@pytest.fixture
def driver(rig: Rig) -> Iterator[RealDriver]:
    real_driver = RealDriver(rig)
    yield real_driver
    real_driver.close()
    rig.write_snapshot()


QUESTIONS = (*BEFORE, *ROUGH_BEFORE, *IN_TALK, *ROUGH_IN_TALK)
PICKUP = (*AT_PICKUP, *ROUGH_AT_PICKUP)
JOINS = (*TRANSFERS, *ROUGH_JOINING, *JOINER_ASKED, *ROUGH_JOINER_ASKED)
CODE_SCENARIOS = (*CODES, *ROUGH_CODES)


OUT = (*OUTBOUND, *CONSENT, *ROUGH_OUTBOUND)


@pytest.mark.parametrize(
    "scenario",
    [*SCENARIOS, *QUESTIONS, *PICKUP, *JOINS, *CODE_SCENARIOS, *OUT],
    ids=lambda scenario: scenario.name,
)
def test_scenario(scenario: Scenario, driver: RealDriver) -> None:
    play(scenario, driver)


@pytest.mark.long
@pytest.mark.parametrize("scenario", [*KEYS, NO_ANSWER], ids=lambda scenario: scenario.name)
def test_longer_scenario(scenario: Scenario, driver: RealDriver) -> None:
    play(scenario, driver)
