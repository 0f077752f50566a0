"""The daemon notes the machine's uptime at a call's start: a clock that nobody sets."""

from __future__ import annotations

from pathlib import Path

from recorder.clock import uptime
from recorder.spool import layout
from tests.scenarios.definitions import Scenario
from tests.scenarios.practice_driver import PracticeDriver


def test_the_uptime_is_noted_with_a_call(tmp_path: Path) -> None:
    driver = PracticeDriver(tmp_path)
    try:
        before = uptime()
        driver.daemon("start")
        call = driver.place(Scenario("any", None))  # type: ignore[arg-type]  # placed, not played
        assert call.wait("announcing", 5)
        driver.until("it is on disk", lambda: list(driver.spool.glob(f"*/{layout.CALL}")), 5)
        (path,) = driver.spool.glob(f"*/{layout.CALL}")
        uptime_noted = layout.read_start(path.parent).uptime
        assert uptime_noted is not None
        assert uptime_noted.boot == before.boot
        assert before.up < uptime_noted.up < uptime().up
    finally:
        driver.close()
