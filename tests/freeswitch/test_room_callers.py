"""Callers to a room on the real switch, through the dialplan that is shipped: from the code into the
conference (as on the practice switch, ``tests/integration/test_practice_callers.py``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from recorder.capture import room_callers
from recorder.domain.room_caller import ANSWER, CODE, END, SESSION_VARIABLE
from tests.caller_steps import CONFERENCE, KEYS, NUMBER, SESSION, Desk
from tests.freeswitch import vanilla
from tests.freeswitch.process import Switch, binary, free_ports, rtp_ports
from tests.freeswitch.switches import CONF, PASSWORD

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
