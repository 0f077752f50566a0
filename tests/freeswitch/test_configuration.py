"""The shipped configuration, and its parts in FreeSWITCH's own vanilla configuration."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.freeswitch import vanilla
from tests.freeswitch.lines import set_every_line
from tests.freeswitch.switches import (
    CONF,
    NUMBER,
    Rig,
    binary,
    free_ports,
    heard_whole,
    onset_of,
    read_wav,
    until,
)
from tests.freeswitch.test_outbound_calls import ANNOUNCEMENT, LINE, call_out


@pytest.mark.parametrize("password", [None, "", "short", "ClueCon", "with spaces in it", "<quoted>&'\"$"])
def test_does_not_boot_with_the_default_password(tmp_path: Path, password: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ACCORD_SWITCH_PASSWORD"}
    if password is not None:
        environment["ACCORD_SWITCH_PASSWORD"] = password
    environment["ACCORD_SWITCH_PORT"] = str(free_ports(1)[0])
    folders = [word for name in ("log", "db", "run") for word in (f"-{name}", str(tmp_path))]
    process = subprocess.run(
        [binary() or "", "-nonat", "-np", "-nf", "-nc", "-conf", str(CONF), *folders],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
    )
    assert process.returncode != 0
    assert b"ACCORD_SWITCH_PASSWORD_must_be_12_or_more" in process.stdout + process.stderr


def test_event_socket_is_on_loopback_with_an_access_list(rig: Rig) -> None:
    listen_settings = rig.switch.esl.api("xml_locate configuration configuration name event_socket.conf")
    assert re.search(r'name="listen-ip" value="127\.0\.0\.1"', listen_settings)
    assert re.search(r'name="apply-inbound-acl" value="loopback.auto"', listen_settings)
    assert rig.switch.esl.api("acl 127.0.0.1 loopback.auto") == "true"
    assert rig.switch.esl.api("acl 192.0.2.7 loopback.auto") == "false"


@pytest.fixture(scope="module")
def dropped_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Vanilla with the drop-ins, and routes for a number in and out."""
    rig = vanilla.make(tmp_path_factory.mktemp("vanilla"))
    conf = rig.switch.conf
    way_out = f"sofia/external/$1@{rig.environment['ACCORD_TRUNK']}"
    (conf / "dialplan/default/50_out.xml").write_text(
        '<include>\n<extension name="out"><condition field="destination_number" expression="^(3247[0-9]+)$">'
        f'<action application="bridge" data="{way_out}"/></condition></extension>\n</include>\n'
    )
    route = f"sofia/external/$1@{rig.environment['ACCORD_ROUTE']}"
    (conf / "dialplan/public/50_route.xml").write_text(
        '<include>\n<extension name="route"><condition field="destination_number" expression="^([0-9]{11})$">'
        f'<action application="bridge" data="{route}"/></condition></extension>\n</include>\n'
    )
    try:
        vanilla.start(rig)
        yield rig
    finally:
        rig.stop()


def test_vanilla_with_the_drop_ins_announces_and_records(dropped_in: Rig) -> None:
    call = dropped_in.call(f"{NUMBER}02")
    call.wait_bridged()
    until("it is told", lambda: call.variable("accord_state") == "announced")
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert onset_of(read_wav(take.audio)[:, 1], dropped_in.prompt) is not None


def test_vanilla_with_the_outbound_drop_ins_announces_to_the_callee(dropped_in: Rig) -> None:
    set_every_line(dropped_in, "out")
    call = call_out(dropped_in, "3247888090101")
    until("they are connected", lambda: "bridged" in call.markers_now(), 20)
    time.sleep(1)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert (take.start.direction, take.start.number) == ("outbound", LINE)
    assert heard_whole(read_wav(call.heard_by_callee)[:, 0], ANNOUNCEMENT)
    assert onset_of(read_wav(call.heard_by_caller)[:, 0], ANNOUNCEMENT) is None
    dropped_in.kill_daemon()
    call = call_out(dropped_in, "3247888090201")
    until("they are connected", lambda: call.heard_by_caller.exists(), 3)
    assert not dropped_in.recorded_now()
    call.hang_up()


def test_vanilla_continues_without_the_daemon(dropped_in: Rig) -> None:
    dropped_in.kill_daemon()
    call = dropped_in.call(f"{NUMBER}03")
    call.wait_bridged(3)
    assert call.variable("accord_state") == "unrecorded"
    assert not dropped_in.recorded_now()
    call.hang_up()
