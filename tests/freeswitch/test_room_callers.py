"""Callers to a room on the real switch, through the dialplan that is shipped: from the code into the
conference (as on the practice switch, ``tests/integration/test_practice_callers.py``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from recorder.capture import room_callers
from recorder.domain.room_caller import (
    ANSWER,
    CODE,
    END,
    ENTER,
    FORWARD,
    PASSED,
    SESSION_VARIABLE,
    CallerDirection,
    CallerReport,
)
from recorder.ops.doctor.rooms import answers_sip
from recorder.switch import commands
from tests.caller_steps import CONFERENCE, DIGITS, DISPUTE, KEYS, NUMBER, SESSION, Desk
from tests.freeswitch import vanilla
from tests.freeswitch.process import Switch, binary, free_ports, rtp_ports
from tests.freeswitch.switches import CONF, PASSWORD, Rig

pytestmark = pytest.mark.skipif(binary() is None, reason="needs FreeSWITCH")


class Site(Desk):
    """With a real switch."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        sip, esl, outbound = free_ports(3)
        first = rtp_ports()
        environment = self.environment | {
            "ACCORD_SWITCH_PASSWORD": PASSWORD, "ACCORD_SWITCH_PORT": str(esl), "ACCORD_SIP_PORT": str(sip),
            "ACCORD_OUTBOUND_PORT": str(outbound), "ACCORD_RTP_START": str(first),
            "ACCORD_RTP_END": str(first + 400),
        }  # fmt: skip
        self.sip, self.profile = sip, "accord"
        self.switch = Switch(folder / "switch", CONF, environment, esl, PASSWORD)
        self.switch.start()
        assert self.switch.esl.command("event plain PLAYBACK_START CHANNEL_HANGUP").startswith("+OK")
        self.connect(esl, PASSWORD)

    def call(self) -> str:
        """The caller's leg."""
        where = f"sofia/{self.profile}/{NUMBER}@127.0.0.1:{self.sip}"
        caller = self.switch.esl.api(f"originate {where} &playback(silence_stream://-1)")
        self.hears("code")
        return caller.removeprefix("+OK ").strip()

    def hears(self, name: str) -> str:
        """Wait until somebody hears a sound; returns their leg."""
        found: list[str] = []

        def is_heard() -> bool:
            found.extend(
                each["Unique-ID"]
                for each in self.switch.esl.drain(0.02)
                if each.get("Playback-File-Path") == self.sound(name)
            )
            return bool(found)

        wait(is_heard)
        self.switch.esl.events.clear()
        return found[0]

    def enter(self, caller: str, keys: str) -> None:
        for key in keys:
            self.switch.esl.api(f"uuid_send_dtmf {caller} {key}")
            gevent.sleep(0.05)  # a person presses one key after the other

    def has_ended(self, leg: str) -> bool:
        return self.switch.esl.api(f"uuid_exists {leg}").strip() == "false"

    def members(self) -> str:
        return self.switch.esl.api(f"conference {CONFERENCE} list count").strip()

    def close(self) -> None:
        self.node.stop()
        self.switch.stop()


class VanillaSite(Site):
    """With FreeSWITCH's own example configuration, and Accord's files placed in it as documented."""

    def __init__(self, folder: Path) -> None:
        Desk.__init__(self, folder)
        rig = vanilla.make(folder)
        vanilla.place_rooms(rig.switch.conf)
        rig.environment.update(self.environment)
        self.sip, self.switch = rig.sip_port, rig.switch
        self.profile = "external"
        self.switch.start()
        wait(lambda: f":{self.sip}" in self.switch.esl.api("sofia status"))
        assert self.switch.esl.command("event plain PLAYBACK_START CHANNEL_HANGUP").startswith("+OK")
        self.connect(self.switch.esl_port, PASSWORD)


def wait(condition: Callable[[], object]) -> None:
    with gevent.Timeout(40):
        while not condition():
            gevent.sleep(0.02)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(room_callers, "FIRST_CODE_S", 0.2)
    found = Site(tmp_path)
    yield found
    found.close()


def test_caller_comes_into_the_room_and_their_end_is_reported(site: Site) -> None:
    caller = site.call()
    site.enter(caller, KEYS)
    own = site.hears("question")
    site.enter(caller, "1")
    site.hears("keys")
    wait(lambda: site.members() == "1")
    assert site.switch.esl.api(f"uuid_getvar {own} {SESSION_VARIABLE}").strip() == SESSION
    code, answer = site.reports
    assert (code.step, code.keys, code.channel) == (CODE, KEYS, own)
    assert (answer.step, answer.keys) == (ANSWER, "1")
    site.switch.esl.api(f"uuid_kill {caller}")
    wait(lambda: len(site.reports) == 3)
    assert (site.reports[-1].step, site.reports[-1].session) == (END, SESSION)


def test_wrong_codes_and_another_key_end_the_call_kindly(site: Site) -> None:
    caller = site.call()
    site.enter(caller, "000000000")
    site.hears("wrong")
    site.enter(caller, "000000001")
    own = site.hears("closed")
    wait(lambda: site.has_ended(own))
    site.reports.clear()
    caller = site.call()
    site.enter(caller, KEYS)
    site.hears("question")
    site.enter(caller, "2")
    own = site.hears("declined")
    wait(lambda: site.has_ended(own))


def test_digits_for_ones_own_call_end_with_hash_and_keys_go_on(site: Site) -> None:
    caller = site.call()
    site.enter(caller, "000000000")
    site.hears("wrong")
    site.enter(caller, f"{DIGITS}#")
    site.hears("question")
    site.enter(caller, "0")
    site.hears("keys")
    site.enter(caller, "0")
    site.hears("keys")
    wait(lambda: [each.keys for each in site.reports] == ["000000000", DIGITS, "0", "0"])
    site.switch.esl.api(f"uuid_kill {caller}")
    wait(lambda: len(site.reports) == 5)
    assert (site.reports[-1].step, site.reports[-1].session) == (END, SESSION)


def test_without_a_worker_the_caller_is_told_to_call_later(site: Site) -> None:
    site.answers = False
    caller = site.call()
    site.enter(caller, KEYS)
    own = site.hears("away")
    wait(lambda: site.has_ended(own))


def test_without_a_daemon_the_switch_says_goodbye_by_itself(site: Site) -> None:
    site.node.stop()
    caller = site.call()
    site.enter(caller, KEYS)
    own = site.hears("away")
    wait(lambda: site.has_ended(own))


def test_example_configuration_leads_callers_in_and_keeps_its_own_conferences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_callers, "FIRST_CODE_S", 0.2)
    site = VanillaSite(tmp_path)
    try:
        caller = site.call()
        site.enter(caller, KEYS)
        site.hears("question")
        site.enter(caller, "1")
        wait(lambda: site.members() == "1")
        found = site.switch.esl.api("xml_locate configuration configuration name conference.conf")
        for name in ("default", "wideband", "accord_room"):
            assert f'<profile name="{name}">' in found
    finally:
        site.close()


TOKEN = f"{SESSION}.{DISPUTE}.1796000000.{'a' * 64}"


class RoomNode(Site):
    """The node that has the room; of others it knows a token."""

    def answer(self, spool: Path, report: CallerReport) -> CallerDirection | None:
        if report.step == PASSED and report.keys == TOKEN:
            self.reports.append(report)
            return CallerDirection(ENTER, self.sound("keys"), room=DISPUTE, session=SESSION)
        return super().answer(spool, report)


class OtherNode(Site):
    """A node that passes callers on to ``address``."""

    address = "127.0.0.1:1"

    def answer(self, spool: Path, report: CallerReport) -> CallerDirection | None:
        direction = super().answer(spool, report)
        if direction is None or direction.to != ENTER:
            return direction
        return CallerDirection(FORWARD, session=SESSION, address=self.address, token=TOKEN)

    def pass_on(self) -> str:
        """Have a caller come to the room's node; their leg here."""
        caller = self.call()
        self.enter(caller, KEYS)
        own = self.hears("question")
        self.enter(caller, "1")
        return own


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RoomNode, OtherNode]]:
    monkeypatch.setattr(room_callers, "FIRST_CODE_S", 0.2)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    room, other = RoomNode(tmp_path / "a"), OtherNode(tmp_path / "b")
    other.address = f"127.0.0.1:{room.sip}"
    yield room, other
    other.close()
    room.close()


def test_a_caller_is_passed_on_to_the_room_s_node_without_being_asked_again(
    nodes: tuple[RoomNode, OtherNode],
) -> None:
    room, other = nodes
    own = other.pass_on()
    wait(lambda: room.members() == "1")
    assert [each.step for each in room.reports] == [PASSED]
    other.switch.esl.api(f"uuid_kill {own}")
    wait(lambda: other.reports[-1].step == END)
    wait(lambda: room.reports[-1].step == END)
    assert other.reports[-1].session == room.reports[-1].session == SESSION


def test_silence_in_the_room_ends_no_call_that_was_passed_on(nodes: tuple[RoomNode, OtherNode]) -> None:
    """Longer than the time after which a node that sends nothing counts as dead."""
    room, other = nodes
    own = other.pass_on()
    wait(lambda: room.members() == "1")
    other.switch.esl.api("sched_api +13 none global_setvar silence=over")
    wait(lambda: other.switch.esl.api("global_getvar silence").strip() == "over")
    assert room.members() == "1"
    assert not other.has_ended(own)


def test_callers_of_a_node_that_dies_are_told_to_call_later(nodes: tuple[RoomNode, OtherNode]) -> None:
    room, other = nodes
    own = other.pass_on()
    wait(lambda: room.members() == "1")
    assert answers_sip(other.address)
    room.switch.stop()
    assert not answers_sip(other.address)
    assert other.hears("away") == own
    wait(lambda: other.has_ended(own))
    assert other.pass_on() == other.hears("away"), "nobody is there yet"


def test_who_is_removed_from_a_room_hears_why_once(nodes: tuple[RoomNode, OtherNode]) -> None:
    room, other = nodes
    own = other.pass_on()
    wait(lambda: room.members() == "1")
    assert room.switch.esl.api(f"conference {CONFERENCE} hup all").startswith("+OK")
    room.hears("away")
    wait(lambda: other.has_ended(own))
    sounds = [each.get("Playback-File-Path") for each in other.switch.esl.events]
    assert other.sound("away") not in sounds


@pytest.mark.parametrize("token", ["x", f"{TOKEN},accord_room_step=answer"])
def test_what_is_no_token_leads_nowhere(nodes: tuple[RoomNode, OtherNode], token: str) -> None:
    room, other = nodes
    variable = f"{{^^;sip_h_X-Accord-Room={token}}}"
    where = f"{variable}sofia/accord/accord_room@127.0.0.1:{room.sip}"
    assert other.switch.esl.api(f"originate {where} &park()").startswith("-ERR")
    assert room.reports == []


class OutgoingSite(Site):
    """With telephones that can be called."""

    def __init__(self, folder: Path) -> None:
        Desk.__init__(self, folder)
        self.rig = Rig(folder / "rig", extra=self.environment)
        self.switch = self.rig.switch
        self.rig.start()
        assert self.switch.esl.command("event plain PLAYBACK_START CHANNEL_HANGUP").startswith("+OK")
        self.connect(self.switch.esl_port, PASSWORD)

    def call_to_room(self, number: str) -> str:
        """What the switch answers, once somebody has picked up or has not."""
        dial = f"sofia/accord_outbound/{{digits}}@{self.rig.environment['ACCORD_TRUNK']}"
        order = commands.call_to_room(dial, number, "fr", "3225550199", 10)
        return self.switch.esl.api(order.text.removeprefix("api ")).strip()

    def press(self, keys: str) -> None:
        """The person who was called presses keys."""
        (phone,) = [each["uuid"] for each in self.rig.phones.channels()]
        for key in keys:
            self.rig.phones.esl.api(f"uuid_send_dtmf {phone} {key}")
            gevent.sleep(0.15)

    def close(self) -> None:
        self.node.stop()
        self.rig.stop()


def test_somebody_who_is_called_enters_their_code_and_is_known_by_the_called_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_callers, "FIRST_CODE_S", 0.2)
    site, number = OutgoingSite(tmp_path), "+3225501004"
    try:
        assert site.call_to_room("+3225501086") == "-ERR USER_BUSY"
        own = site.call_to_room(number).removeprefix("+OK ")
        assert site.hears("code-fr") == own
        site.press("000000000")
        site.hears("wrong")
        site.press(KEYS)
        site.hears("question")
        site.press("1")
        wait(lambda: site.members() == "1")
        assert [each.number for each in site.reports] == [number] * 3
        assert site.switch.esl.api(f"uuid_getvar {own} accord_state").strip() == "never_record"
        assert site.switch.esl.api(f"uuid_getvar {own} {SESSION_VARIABLE}").strip() == SESSION
        site.rig.phones.esl.api("hupall")
        wait(lambda: site.reports[-1].step == END)
        assert site.reports[-1].session == SESSION
        assert site.rig.recorded_now() == set()
    finally:
        site.close()
