from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.clock import Clock
from tests.house import Bakery
from tests.unit.cli.shell import Shell


@pytest.fixture
def clock() -> Clock:
    """In the past, because commands read the machine's own clock, and nothing may be sealed later."""
    return Clock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))


@pytest.fixture
def shell(house: Bakery) -> Shell:
    """A shell on the house."""
    return Shell(house.folder, ACCORD_STORE_PATH=str(house.bucket))
