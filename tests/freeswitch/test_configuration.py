"""The configuration that comes with Accord, and its pieces in FreeSWITCH's own vanilla one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.freeswitch.lines import every_line
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
from tests.freeswitch.test_outbound import LINE, TOLD, call_out

DROP_INS = (
    "accord/vars.xml",
    "autoload_configs/event_socket.conf.xml",
    "dialplan/accord.xml",
    "dialplan/public/00_accord.xml",
    "dialplan/accord_callee.xml",
)
"""What docs/integrate-freeswitch.md says to copy."""

WAY_OUT = "dialplan/outbound/10_accord.xml"
"""And for outbound calls, into the context that colleagues call through: vanilla's is ``default``."""

COLLEAGUE = """<include>
  <user id="1000" cidr="127.0.0.1/32">
    <variables>
      <variable name="user_context" value="default"/>
      <variable name="accord_line" value="%s"/>
    </variables>
  </user>
</include>
"""
"""One whose telephone needs no password here: it is known by its address."""


def vanilla() -> Path | None:
    """FreeSWITCH's own example configuration, beside the binary or where packages put it."""
    prefix = Path(binary() or "/").resolve().parents[1]
    places = [Path(os.environ.get("ACCORD_FREESWITCH_VANILLA", "/nowhere")), prefix / "vanilla-conf"]
    places += [prefix / "share/freeswitch/conf/vanilla", prefix / "conf", prefix / "etc/freeswitch"]
    places += [Path("/usr/share/freeswitch/conf/vanilla"), Path("/etc/freeswitch")]
    return next((place for place in places if (place / "dialplan/public/00_inbound_did.xml").exists()), None)


@pytest.mark.parametrize("password", [None, "", "short", "ClueCon", "with spaces in it", "<quoted>&'\"$"])
def test_it_does_not_boot_without_a_password_of_ones_own(tmp_path: Path, password: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ACCORD_SWITCH_PASSWORD"}
    if password is not None:
        environment["ACCORD_SWITCH_PASSWORD"] = password
    environment["ACCORD_SWITCH_PORT"] = str(free_ports(1)[0])
    folders = [word for name in ("log", "db", "run") for word in (f"-{name}", str(tmp_path))]
    ended = subprocess.run(
        [binary() or "", "-nonat", "-np", "-nf", "-nc", "-conf", str(CONF), *folders],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
    )
    assert ended.returncode != 0
    assert b"ACCORD_SWITCH_PASSWORD_must_be_12_or_more" in ended.stdout + ended.stderr


def test_the_event_socket_is_on_loopback_behind_a_list(rig: Rig) -> None:
    listening = rig.switch.esl.api("xml_locate configuration configuration name event_socket.conf")
    assert re.search(r'name="listen-ip" value="127\.0\.0\.1"', listening)
    assert re.search(r'name="apply-inbound-acl" value="loopback.auto"', listening)
    assert rig.switch.esl.api("acl 127.0.0.1 loopback.auto") == "true"
    assert rig.switch.esl.api("acl 192.0.2.7 loopback.auto") == "false"


@pytest.fixture(scope="module")
def dropped_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Vanilla with the drop-ins, and what any operator has: ports, and a way to route a number."""
    original = vanilla()
    if original is None:
        pytest.skip("no vanilla configuration: set ACCORD_FREESWITCH_VANILLA to it")
    folder = tmp_path_factory.mktemp("vanilla")
    conf = folder / "conf"
    shutil.copytree(original, conf)
    for name in DROP_INS:
        (conf / name).parent.mkdir(exist_ok=True)
        shutil.copy(CONF / name, conf / name)
    shutil.copy(CONF / WAY_OUT, conf / "dialplan/default/10_accord.xml")
    (conf / "directory/default/1000.xml").write_text(COLLEAGUE % LINE)
    internal, tls, external, external_tls = free_ports(4)
    variables = (conf / "vars.xml").read_text()
    for name, value in {
        "internal_sip_port": internal,
        "internal_tls_port": tls,
        "external_sip_port": external,
        "external_tls_port": external_tls,
        "default_password": 987654321,  # with its own one, vanilla has each call wait for ten seconds
    }.items():
        variables = re.sub(rf'data="{name}=\d+"', f'data="{name}={value}"', variables)
    # No network in a test: the address is known, and no server on the internet is asked for it.
    variables = re.sub(
        r'cmd="stun-set" data="(external_\w+_ip)=[^"]*"', r'cmd="set" data="\1=127.0.0.1"', variables
    )
    variables = variables.replace(
        "<include>", '<include>\n<X-PRE-PROCESS cmd="set" data="local_ip_v4=127.0.0.1"/>', 1
    )
    (conf / "vars.xml").write_text(variables)
    for ipv6 in conf.glob("sip_profiles/*ipv6*.xml"):
        ipv6.unlink()
    rig = Rig(folder, conf)
    rig.sip_port, rig.out_port = external, internal
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
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        until("the profile is up", lambda: f":{external}" in rig.switch.esl.api("sofia status"), 20)
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


def test_vanilla_with_the_outbound_drop_ins_tells_the_callee(dropped_in: Rig) -> None:
    every_line(dropped_in, "out")
    call = call_out(dropped_in, "3247888090101")
    until("they are connected", lambda: "bridged" in call.marks_now(), 20)
    time.sleep(1)
    call.hang_up()
    take = call.wait_take()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert (take.start.direction, take.start.number) == ("outbound", LINE)
    assert heard_whole(read_wav(call.heard_by_callee)[:, 0], TOLD)
    assert onset_of(read_wav(call.heard_by_caller)[:, 0], TOLD) is None
    dropped_in.kill_daemon()
    call = call_out(dropped_in, "3247888090201")
    until("they are connected", lambda: call.heard_by_caller.exists(), 3)
    assert not dropped_in.recorded_now()
    call.hang_up()


def test_vanilla_goes_on_without_the_daemon(dropped_in: Rig) -> None:
    dropped_in.kill_daemon()
    call = dropped_in.call(f"{NUMBER}03")
    call.wait_bridged(3)
    assert call.variable("accord_state") == "unrecorded"
    assert not dropped_in.recorded_now()
    call.hang_up()
