"""FreeSWITCH's own example configuration, with Accord's drop-ins placed as documented or too late."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.freeswitch.outbound_call import LINE
from tests.freeswitch.switches import CONF, Rig, binary, free_ports, until

DROP_INS = (
    "accord/vars.xml",
    "autoload_configs/event_socket.conf.xml",
    "dialplan/accord.xml",
    "dialplan/accord_callee.xml",
)
"""What docs/freeswitch.md says to copy as it is."""

ENTRY, WAY_OUT = "dialplan/public/00_accord.xml", "dialplan/outbound/10_accord.xml"
"""And into the contexts that calls come in by, and that colleagues call through."""

INCLUDED = '<context name="public">\n<X-PRE-PROCESS cmd="include" data="../accord/inbound.xml"/>'

COLLEAGUE = """<include>
  <user id="%(user)s"%(known)s>
    <params><param name="dial-string" value="sofia/external/%(user)s@%(phones)s"/></params>
    <variables>
      <variable name="user_context" value="default"/>
      <variable name="toll_allow" value="domestic,international,local"/>
      <variable name="outbound_caller_id_number" value="%(line)s"/>
      <variable name="accord_line" value="%(line)s"/>
    </variables>
  </user>
</include>
"""

TRUNK = """<include>
  <gateway name="trunk">
    <param name="username" value="accord"/><param name="password" value="none"/>
    <param name="proxy" value="%s"/><param name="register" value="false"/>
    <param name="caller-id-in-from" value="true"/>
  </gateway>
</include>
"""


def vanilla() -> Path | None:
    """Return its folder: beside the binary, or where packages install it."""
    prefix = Path(binary() or "/").resolve().parents[1]
    places = [Path(os.environ.get("TEST_FREESWITCH_VANILLA", "/nowhere")), prefix / "vanilla-conf"]
    places += [prefix / "share/freeswitch/conf/vanilla", prefix / "conf", prefix / "etc/freeswitch"]
    places += [Path("/usr/share/freeswitch/conf/vanilla"), Path("/etc/freeswitch")]
    return next((place for place in places if (place / "dialplan/public/00_inbound_did.xml").exists()), None)


def place(conf: Path) -> None:
    """Place the drop-ins as documented: ahead of the routes."""
    _take_out(conf)
    shutil.copy(CONF / ENTRY, conf / "accord/inbound.xml")
    public = conf / "dialplan/public.xml"
    public.write_text(public.read_text().replace('<context name="public">', INCLUDED))
    shutil.copy(CONF / WAY_OUT, conf / "dialplan/default/00_accord.xml")


def misplace(conf: Path) -> None:
    """Place the drop-ins in the folders of both contexts, behind some of the routes."""
    _take_out(conf)
    shutil.copy(CONF / ENTRY, conf / "dialplan/public/00_accord.xml")
    shutil.copy(CONF / WAY_OUT, conf / "dialplan/default/10_accord.xml")


def place_rooms(conf: Path) -> None:
    """Add what callers to rooms need, as documented: the operator's own conferences stay."""
    shutil.copy(CONF / "dialplan/accord_room.xml", conf / "dialplan/accord_room.xml")
    shutil.copy(CONF / "dialplan/public/00_accord-room.xml", conf / "accord/room.xml")
    public = conf / "dialplan/public.xml"
    above = INCLUDED.replace("inbound.xml", "room.xml")
    public.write_text(public.read_text().replace('<context name="public">', above, 1))
    ours = (CONF / "autoload_configs/conference.conf.xml").read_text()
    path = conf / "autoload_configs/conference.conf.xml"
    theirs = path.read_text()
    for part, place in (("group", "caller-controls"), ("profile", "profiles")):
        (added,) = re.findall(rf'<{part} name="accord_room">.*?</{part}>', ours, re.DOTALL)
        theirs = theirs.replace(f"<{place}>", f"<{place}>\n{added}", 1)
    path.write_text(theirs)


def _take_out(conf: Path) -> None:
    for name in ("accord/inbound.xml", "dialplan/public/00_accord.xml"):
        (conf / name).unlink(missing_ok=True)
    for name in ("00_accord.xml", "10_accord.xml"):
        (conf / "dialplan/default" / name).unlink(missing_ok=True)
    public = conf / "dialplan/public.xml"
    public.write_text(public.read_text().replace(INCLUDED, '<context name="public">'))


def make(folder: Path) -> Rig:
    """Return an unstarted rig with vanilla, the drop-ins, and an operator's own settings."""
    conf = folder / "conf"
    copy_vanilla(conf)
    for name in DROP_INS:
        (conf / name).parent.mkdir(exist_ok=True)
        shutil.copy(CONF / name, conf / name)
    place(conf)
    rig = Rig(folder, conf)
    internal, tls, external, external_tls = free_ports(4)
    ports = {
        "internal_sip_port": internal,
        "internal_tls_port": tls,
        "external_sip_port": external,
        "external_tls_port": external_tls,
    }
    configure(conf, rig.environment["ACCORD_TRUNK"], ports)
    rig.sip_port, rig.out_port = external, internal
    return rig


def copy_vanilla(conf: Path) -> None:
    """Copy the vanilla configuration to a folder that is to be made; skip the test where there is none."""
    original = vanilla()
    if original is None:
        pytest.skip("no vanilla configuration: set TEST_FREESWITCH_VANILLA to it")
    shutil.copytree(original, conf)


def configure(conf: Path, phones: str, ports: Mapping[str, int]) -> None:
    """Write an operator's own settings into a vanilla configuration: ``ports`` by their variables, a trunk,
    and two internal phones, of which 1000 calls from this machine without a password. ``phones`` is the
    address of trunk and phones."""
    for user, known in (("1000", ' cidr="127.0.0.1/32"'), ("1001", "")):
        colleague = COLLEAGUE % {"user": user, "known": known, "phones": phones, "line": LINE}
        (conf / f"directory/default/{user}.xml").write_text(colleague)
    (conf / "sip_profiles/external/trunk.xml").write_text(TRUNK % phones)
    (conf / "directory/default/example.com.xml").unlink()  # vanilla's own trunk, on the internet
    _set_variables(conf, ports)
    for ipv6 in conf.glob("sip_profiles/*ipv6*.xml"):
        ipv6.unlink()


def _set_variables(conf: Path, ports: Mapping[str, int]) -> None:
    variables = (conf / "vars.xml").read_text()
    # With its own default password, vanilla has each call wait for ten seconds.
    for name, value in {**ports, "default_password": 987654321}.items():
        variables = re.sub(rf'data="{name}=\d+"', f'data="{name}={value}"', variables)
    # No network in a test: the address is known, and no server on the internet is asked for it.
    variables = re.sub(
        r'cmd="stun-set" data="(external_\w+_ip)=[^"]*"', r'cmd="set" data="\1=127.0.0.1"', variables
    )
    variables = variables.replace('data="default_provider=example.com"', 'data="default_provider=trunk"')
    own = '<include>\n<X-PRE-PROCESS cmd="set" data="local_ip_v4=127.0.0.1"/>'
    (conf / "vars.xml").write_text(variables.replace("<include>", own, 1))


def start(rig: Rig) -> None:
    """Start phones, switch and daemon, and wait until all are ready."""
    rig.start()
    rig.start_daemon()
    rig.wait_watching()
    until("the profile is up", lambda: f":{rig.sip_port}" in rig.switch.esl.api("sofia status"), 20)
    until("the trunk is known", lambda: "trunk" in rig.switch.esl.api("sofia status gateway trunk"), 20)
