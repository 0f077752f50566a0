"""Every scenario through the practice switch and the real daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.definitions import KEYS, NO_ANSWER, SCENARIOS, Scenario
from tests.scenarios.practice_driver import PracticeDriver
from tests.scenarios.run import play


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PracticeDriver]:
    made = PracticeDriver(tmp_path_factory.mktemp("practice"))
    yield made
    made.close()


@pytest.mark.parametrize("scenario", [*SCENARIOS, *KEYS], ids=lambda scenario: scenario.name)
def test_a_scenario_ends_as_it_must(scenario: Scenario, driver: PracticeDriver) -> None:
    play(scenario, driver)


@pytest.mark.long
def test_no_answer(driver: PracticeDriver) -> None:
    play(NO_ANSWER, driver)
