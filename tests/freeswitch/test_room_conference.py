"""Conferences of the real switch answer and report what rooms by telephone, and the practice switch, rely on
(``tests/integration/test_practice_conference.py``)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.conference_steps import ROOM, actions_of, check_steps, write_sound
from tests.entry_steps import (
    ANSWERED,
    CODE,
    ENTERED,
    EVENTS,
    INCOMPLETE,
    SILENT,
    WRONG_KEY,
    steps_of,
    write_extensions,
)
from tests.freeswitch.process import Switch, binary, free_ports, rtp_ports, until
from tests.freeswitch.switches import CONF, PASSWORD

pytestmark = pytest.mark.skipif(binary() is None, reason="needs FreeSWITCH")

EXTENSION = f"""<include>
  <extension name="to_room"><condition field="destination_number" expression="^777$">
    <action application="answer"/><action application="conference" data="{ROOM}@accord_room"/>
  </condition></extension>
</include>
"""


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    write_extensions(conf, write_sound(tmp_path, seconds=2))
    (conf / "dialplan" / "public" / "00_b.xml").write_text(EXTENSION)
    sip, esl, outbound = free_ports(3)
    first = rtp_ports()
    environment = {
        "ACCORD_SWITCH_PASSWORD": PASSWORD, "ACCORD_SWITCH_PORT": str(esl), "ACCORD_SIP_PORT": str(sip),
        "ACCORD_OUTBOUND_PORT": str(outbound), "ACCORD_RTP_START": str(first),
        "ACCORD_RTP_END": str(first + 400),
    }  # fmt: skip
    server = Switch(tmp_path / "switch", conf, environment, esl, PASSWORD)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_conference_answers_and_reports_what_rooms_rely_on(switch: Switch, tmp_path: Path) -> None:
    esl, port = switch.esl, switch.environment["ACCORD_SIP_PORT"]
    assert esl.command("event plain CUSTOM conference::maintenance").startswith("+OK")
    where = f"sofia/accord/777@127.0.0.1:{port} &playback(silence_stream://-1)"
    legs = [esl.api(f"originate {where}").removeprefix("+OK ") for _ in range(2)]

    def events(count: int) -> Sequence[Mapping[str, str]]:
        if count:
            until("events", lambda: len(actions_of(esl.drain(0.05))) >= count)
        found = list(esl.events)
        esl.events.clear()
        return found

    assert actions_of(events(3)) == ("conference-create", "add-member", "add-member")
    esl.api(f"uuid_send_dtmf {legs[0]} 5")
    (key,) = [each for each in events(1) if each.get("Action") == "dtmf"]
    assert (key["DTMF-Key"], key["Member-ID"]) == ("5", "1")
    check_steps(esl.api, events, tmp_path)


def test_caller_is_asked_for_digits_and_waits(switch: Switch) -> None:
    esl, port = switch.esl, switch.environment["ACCORD_SIP_PORT"]
    assert esl.command(f"event plain {' '.join(EVENTS)} CUSTOM a::test").startswith("+OK")

    def call() -> tuple[str, str]:
        """The caller's leg, and the one that is asked."""
        where = f"sofia/accord/778@127.0.0.1:{port} &playback(silence_stream://-1)"
        caller = esl.api(f"originate {where}").removeprefix("+OK ")
        until("the sound", lambda: any(each.get("Playback-File-Path", "").endswith("tone.wav")
                                       for each in esl.drain(0.05)))  # fmt: skip
        (own,) = {each["Unique-ID"] for each in esl.events
                  if each.get("Playback-File-Path", "").endswith("tone.wav")}  # fmt: skip
        return caller, own

    def check(leg: str, expected: Sequence[str]) -> None:
        until("events", lambda: len(steps_of(esl.drain(0.05), leg)) >= len(expected))
        assert steps_of(esl.events, leg) == expected
        esl.events.clear()

    def press(caller: str, keys: str) -> None:
        for key in keys:
            esl.api(f"uuid_send_dtmf {caller} {key}")

    caller, own = call()
    press(caller, CODE)
    check(own, ENTERED)
    for key, expected in (("1", ANSWERED), ("3", WRONG_KEY), ("", SILENT)):
        assert esl.api(f"uuid_transfer {own} question XML public") == "+OK"
        until("the question", lambda: len(steps_of(esl.drain(0.05), own)) == 2)
        press(caller, key)
        check(own, expected)
    other, second = call()
    press(other, CODE[:2])
    check(second, INCOMPLETE)
    assert esl.api(f"uuid_kill {own}") == "+OK"
    check(own, ("CHANNEL_HANGUP", "CHANNEL_UNPARK"))
    assert esl.api(f"uuid_kill {own}") == "-ERR No such channel!"
