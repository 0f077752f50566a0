"""A peer on the daemon's port for calls that is not its switch has no effect and learns nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from demo.practice.switch import CONF, PracticeSwitch
from recorder.capture.admission import FILE, key_variable
from recorder.spool import layout
from tests import forged_switch
from tests.scenarios.practice_driver import NUMBERS, PASSWORD, PracticeDriver

STATES = {
    "a call that begins": ("waiting", "inbound"),
    "a callee that has answered": ("answered", "outbound"),
    "a call that the switch let go": ("late", "inbound"),
    "a call that went on unrecorded": ("unrecorded", "inbound"),
}


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[PracticeDriver]:
    practice_driver = PracticeDriver(tmp_path)
    yield practice_driver
    practice_driver.close()


def call(driver: PracticeDriver, caller: str) -> PracticeCall:
    party = PracticeParty(number=caller, rings=0.1, early=driver.voice, speaks=driver.voice)
    return driver.switch.call(NUMBERS["line"], party)


def received_commands(process: subprocess.Popen[str]) -> list[str]:
    """The commands that the forger received, once it has ended."""
    while process.poll() is None:
        gevent.sleep(0.02)  # the practice switch runs in this process
    assert process.stdout is not None
    bodies = json.loads(process.stdout.read())
    assert isinstance(bodies, list)
    return bodies


def assert_no_effect(driver: PracticeDriver, commands: list[str], channel: str) -> None:
    assert commands[0] == "connect"
    assert all(re.fullmatch(r"connect|api global_getvar \w+", each) for each in commands), commands
    assert [path.name for path in driver.spool.iterdir() if path.is_dir()] == []
    log = (driver.spool.parent / "daemon.log").read_text()
    assert "call.arrived" not in log
    assert channel not in log
    assert "socket.peer_refused" in log


def test_forged_call_has_no_effect_and_learns_nothing(driver: PracticeDriver) -> None:
    driver.daemon("start")
    forged = {}
    for state, direction in STATES.values():
        channel = str(uuid.uuid4())
        line = NUMBERS["out"] if direction == "outbound" else NUMBERS["line"]
        forged[channel] = forged_switch.run(
            str(driver.port), "--channel", channel, "--line", line, "--state", state, "--direction", direction
        )
    for channel, process in forged.items():
        assert_no_effect(driver, received_commands(process), channel)


AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process as somebody else")


def recorded(driver: PracticeDriver, caller: str) -> PracticeCall:
    """A call that is announced, connected and recorded."""
    session = call(driver, caller)
    assert session.wait("bridged", 15)
    assert session.leg.variables["accord_state"] == "announced"
    assert session.media.tapes
    return session


def accepts_connections(driver: PracticeDriver) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", driver.port), 1):
        return True
    return False


@AS_ROOT
def test_forged_call_of_another_user_has_no_effect(driver: PracticeDriver) -> None:
    driver.daemon("start")
    recorded(driver, "+32470000001").hang_up()
    channel = str(uuid.uuid4())
    before = spools(driver)
    commands = received_commands(forged_switch.run(
        str(driver.port), "--channel", channel, "--line", NUMBERS["line"], uid=forged_switch.SOMEBODY
    ))  # fmt: skip
    assert len(commands) <= 2
    assert spools(driver) == before
    assert f"user={forged_switch.SOMEBODY}" in plain_log(driver)
    assert "reason=another_user" in plain_log(driver)


def test_forger_with_a_live_calls_id_gains_only_that_call(driver: PracticeDriver) -> None:
    """A process of the switch's own user that knows a channel cannot invent a call."""
    driver.daemon("start")
    session = recorded(driver, "+32470000001")
    before = spools(driver)
    commands = received_commands(forged_switch.run(
        str(driver.port), "--channel", session.leg.uuid, "--line", NUMBERS["opt_in"], "--state", "waiting",
    ))  # fmt: skip
    assert [each for each in commands if "prompts" in each or "spool" in each] == []
    assert spools(driver) == before
    assert session.media.tapes, "and that call is recorded as before"


@pytest.mark.long
@AS_ROOT
def test_five_thousand_foreign_connections_stop_no_call(driver: PracticeDriver) -> None:
    driver.daemon("start")
    recorded(driver, "+32470000001").hang_up()
    flood = forged_switch.run(str(driver.port), "--hold", "5000", uid=forged_switch.SOMEBODY)
    assert flood.stdout is not None
    assert flood.stdin is not None
    assert flood.stdout.readline() == "begins\n"
    opened: list[str] = []
    reading = gevent.get_hub().threadpool.spawn(lambda: opened.append(flood.stdout.readline()))  # type: ignore[union-attr]
    calls = 0
    while not opened or calls < 4:
        calls += 1
        recorded(driver, f"+32470001{calls:03}").hang_up()
    reading.get()
    assert opened == ["opened\n"]
    flood.stdin.close()
    flood.wait()


@pytest.mark.long
def test_with_the_event_socket_gone_calls_are_recorded_after_a_restart_of_the_daemon_too(
    driver: PracticeDriver,
) -> None:
    driver.daemon("start")
    recorded(driver, "+32470000001").hang_up()
    driver.switch.close_event_socket()
    driver.until("the standing connection is gone", lambda: not driver.switch.has_daemon, 5)
    recorded(driver, "+32470000002").hang_up()
    driver.daemon("kill")
    driver._daemon.start()
    driver.until("the daemon listens", lambda: accepts_connections(driver), 20)
    recorded(driver, "+32470000003").hang_up()
    assert plain_log(driver).count("call.arrived") == 3


def test_restarted_switch_brings_calls_at_once(driver: PracticeDriver) -> None:
    driver.daemon("start")
    recorded(driver, "+32470000001")
    old_switch = driver.switch
    port = old_switch.event_port
    old_switch.die()
    gevent.sleep(0)
    driver.switch = PracticeSwitch(
        password=PASSWORD, daemon=f"127.0.0.1:{driver.port}", event_port=port, conf=CONF
    )
    assert not [name for name in driver.switch.dialplan.globals if name.startswith("accord_key_")]
    driver.switch.start()
    # Before the daemon's standing connection is back.
    recorded(driver, "+32470000002")
    driver.until("it has a key", lambda: driver.switch.dialplan.globals.get(key_variable("test")), 5)
    recorded(driver, "+32470000003")


def test_key_is_readable_by_the_daemon_alone(driver: PracticeDriver) -> None:
    driver.daemon("start")
    session = recorded(driver, "+32470000001")
    key = driver.switch.dialplan.globals[key_variable("test")]
    path = driver.spool / FILE
    driver.until("it is kept", lambda: json.loads(path.read_bytes())["keys"] == [key], 5)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key not in plain_log(driver)
    assert key not in str(session.leg.variables)
    session.hang_up()
    driver.until("it is written down", lambda: list(layout.finished_takes(driver.spool)), 10)
    for file in driver.spool.rglob("*"):
        assert not file.is_file() or file == path or key.encode() not in file.read_bytes(), file


def spools(driver: PracticeDriver) -> set[str]:
    return {path.name for path in driver.spool.iterdir() if path.is_dir()}


def plain_log(driver: PracticeDriver) -> str:
    """Without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", (driver.spool.parent / "daemon.log").read_text())
