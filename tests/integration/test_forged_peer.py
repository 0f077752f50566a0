"""Whoever connects to the daemon's port for calls and is not its switch has no effect and learns nothing."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from recorder.practice.party import Party
from recorder.practice.session import Session
from recorder.take import spool
from tests import forger
from tests.scenarios.practice_driver import NUMBERS, PASSWORD, PracticeDriver

STATES = {
    "a call that begins": ("waiting", "inbound"),
    "a callee that has answered": ("answered", "outbound"),
    "a call that the switch let go": ("late", "inbound"),
    "a call that went on unrecorded": ("unrecorded", "inbound"),
}


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[PracticeDriver]:
    made = PracticeDriver(tmp_path)
    yield made
    made.close()


def call(driver: PracticeDriver, caller: str) -> Session:
    party = Party(number=caller, rings=0.1, early=driver.voice, speaks=driver.voice)
    return driver.switch.call(NUMBERS["line"], party)


def said(process: subprocess.Popen[str]) -> list[str]:
    """What the forger was sent, once it has given up or been let go."""
    while process.poll() is None:
        gevent.sleep(0.02)  # the practice switch lives in this process
    assert process.stdout is not None
    heard = json.loads(process.stdout.read())
    assert isinstance(heard, list)
    return heard


def assert_no_effect(driver: PracticeDriver, heard: list[str], channel: str) -> None:
    assert heard[0] == "connect"
    assert all(re.fullmatch(r"connect|api global_getvar \w+", each) for each in heard), heard
    assert [path.name for path in driver.spool.iterdir() if path.is_dir()] == []
    log = (driver.spool.parent / "daemon.log").read_text()
    assert "call.arrived" not in log
    assert channel not in log
    assert "socket.peer_refused" in log


@pytest.mark.parametrize(("state", "direction"), STATES.values(), ids=STATES)
def test_a_forged_call_has_no_effect_and_learns_nothing(
    driver: PracticeDriver, state: str, direction: str
) -> None:
    driver.daemon("start")
    channel = str(uuid.uuid4())
    line = NUMBERS["out"] if direction == "outbound" else NUMBERS["line"]
    heard = said(forger.run(
        str(driver.port), "--channel", channel, "--line", line, "--state", state, "--direction", direction,
    ))  # fmt: skip
    assert_no_effect(driver, heard, channel)
