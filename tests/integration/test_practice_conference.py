"""Conferences of the practice switch: as the real one has them, and what their members hear."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import gevent
import numpy as np
import pytest

from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from demo.practice.sound import Samples
from demo.practice.switch import CONF, PracticeSwitch
from recorder.switch.esl_events import EslEvent
from tests.conference_steps import MAINTENANCE, RATE, ROOM, actions_of, check_steps, write_sound
from tests.entry_steps import (
    ANSWERED,
    CODE,
    CUT,
    ENTERED,
    INCOMPLETE,
    SILENT,
    WRONG_KEY,
    steps_of,
    write_extensions,
)

EXTENSION = f"""<include>
  <extension name="to_room"><condition field="destination_number" expression="^777$">
    <action application="answer"/><action application="conference" data="{ROOM}@accord_room"/>
  </condition></extension>
</include>
"""


class Listener:
    """Keeps a switch's events."""

    is_client = is_subscribed = True

    def __init__(self) -> None:
        self.new: list[Mapping[str, str]] = []

    def offer(self, event: object) -> None:
        self.new.append(dict(event.headers))  # type: ignore[attr-defined]  # a SwitchEvent

    def say_goodbye(self) -> None:
        """It has no connection."""


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[PracticeSwitch]:
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    (conf / "dialplan" / "public" / "00_a.xml").write_text(EXTENSION)
    with PracticeSwitch(password="x", daemon="127.0.0.1:1", environment={}, conf=conf) as server:
        yield server


def join(switch: PracticeSwitch, number: str, size: int) -> PracticeCall:
    call = switch.call("777", PracticeParty(number=number))
    wait(lambda: ROOM in switch.conferences and len(switch.conferences[ROOM].members) == size)
    return call


def wait(condition: object) -> None:
    with gevent.Timeout(10):
        while not condition():  # type: ignore[operator]
            gevent.sleep(0.01)


def let_hear(switch: PracticeSwitch) -> None:
    for number in switch.conferences[ROOM].members:
        switch.api(f"conference {ROOM} undeaf {number}")


def test_conference_answers_and_reports_as_the_real_one(switch: PracticeSwitch, tmp_path: Path) -> None:
    listener = Listener()
    switch._listeners.append(listener)  # type: ignore[arg-type]  # no connection
    join(switch, "+32470000001", 1)
    join(switch, "+32470000002", 2)
    assert actions_of(listener.new) == ("conference-create", "add-member", "add-member")
    listener.new.clear()

    def events(count: int) -> Sequence[Mapping[str, str]]:
        if count:
            wait(lambda: len(actions_of(listener.new)) >= count)
        found, listener.new = listener.new, []
        return found

    check_steps(switch.api, events, tmp_path)
    switch._listeners.remove(listener)  # type: ignore[arg-type]


def test_key_of_a_member_is_reported_with_the_member(switch: PracticeSwitch) -> None:
    listener = Listener()
    call = join(switch, "+32470000001", 1)
    switch._listeners.append(listener)  # type: ignore[arg-type]
    call.press("5")
    reported = [each for each in listener.new if each.get("Event-Subclass") == MAINTENANCE]
    switch._listeners.remove(listener)  # type: ignore[arg-type]
    assert [(each["Action"], each["DTMF-Key"], each["Unique-ID"]) for each in reported] == [
        ("dtmf", "5", call.leg.uuid)
    ]


def test_all_members_hear_the_sound_from_an_open_file_until_it_is_paused(
    switch: PracticeSwitch, tmp_path: Path
) -> None:
    sound = write_sound(tmp_path)
    calls = [join(switch, f"+3247000000{n}", n) for n in (1, 2)]
    ears: list[list[Samples]] = [[], []]
    for call, frames in zip(calls, ears, strict=True):
        call.media.ear = frames.append
    let_hear(switch)
    switch.api(f"conference {ROOM} play {sound}")
    sound.unlink()
    wait(lambda: all(sum(map(loud, frames)) * 160 > RATE // 2 for frames in ears))
    switch.api(f"conference {ROOM} pause_play")
    count = len(ears[0])
    wait(lambda: len(ears[0]) >= count + 30)
    assert not any(map(loud, ears[0][-10:]))


def test_member_hears_others_and_not_themselves(switch: PracticeSwitch, tmp_path: Path) -> None:
    sound = write_sound(tmp_path)
    first, second = join(switch, "+32470000001", 1), join(switch, "+32470000002", 2)
    let_hear(switch)
    own: list[Samples] = []
    others: list[Samples] = []
    first.media.ear, second.media.ear = own.append, others.append
    first.media.says(sound)
    wait(lambda: sum(map(loud, others)) > 20)
    assert not any(map(loud, own))


def test_member_hears_nothing_before_they_are_let(switch: PracticeSwitch, tmp_path: Path) -> None:
    sound = write_sound(tmp_path)
    first, second = join(switch, "+32470000001", 1), join(switch, "+32470000002", 2)
    ears: list[list[Samples]] = [[], []]
    first.media.ear, second.media.ear = ears[0].append, ears[1].append
    switch.api(f"conference {ROOM} undeaf 2")
    switch.api(f"conference {ROOM} play {sound}")
    wait(lambda: sum(map(loud, ears[1])) > 20)
    assert not any(map(loud, ears[0]))


def test_leg_is_known_while_it_is_in_a_conference(switch: PracticeSwitch) -> None:
    call = join(switch, "+32470000001", 1)
    event = EslEvent(b"\n" + switch.api(f"uuid_dump {call.leg.uuid}").encode())
    assert event.variable("current_application") == "conference"
    call.hang_up()
    wait(lambda: not switch.conferences)


def test_caller_is_asked_for_digits_and_waits_as_on_the_real_switch(tmp_path: Path) -> None:
    conf, listener = tmp_path / "conf", Listener()
    shutil.copytree(CONF, conf)
    write_extensions(conf, write_sound(tmp_path, seconds=2))
    with PracticeSwitch(password="x", daemon="127.0.0.1:1", environment={}, conf=conf) as switch:
        switch._listeners.append(listener)  # type: ignore[arg-type]

        def call() -> PracticeCall:
            session = switch.call("778")
            wait(lambda: len(steps_of(listener.new, session.leg.uuid)) == 1)
            return session

        def check(session: PracticeCall, expected: Sequence[str]) -> None:
            wait(lambda: len(steps_of(listener.new, session.leg.uuid)) >= len(expected))
            assert steps_of(listener.new, session.leg.uuid) == expected
            listener.new.clear()

        def ask(session: PracticeCall) -> None:
            assert switch.api(f"uuid_transfer {session.leg.uuid} question XML public") == "+OK\n"
            wait(lambda: len(steps_of(listener.new, session.leg.uuid)) == 2)

        def press(session: PracticeCall, keys: str) -> None:
            for key in keys:
                session.press(key)
                wait(lambda: session.media.prompt is None and CUT in steps_of(listener.new, session.leg.uuid))

        first = call()
        press(first, CODE)
        check(first, ENTERED)
        for key, expected in (("1", ANSWERED), ("3", WRONG_KEY), ("", SILENT)):
            ask(first)
            press(first, key)
            check(first, expected)
        second = call()
        press(second, CODE[:2])
        check(second, INCOMPLETE)
        assert switch.api(f"uuid_kill {first.leg.uuid}") == "+OK\n"
        assert first.wait("ended", 10)
        assert "CHANNEL_HANGUP" in steps_of(listener.new, first.leg.uuid)
        assert switch.api(f"uuid_kill {first.leg.uuid}") == "-ERR No such channel!\n"
        switch._listeners.remove(listener)  # type: ignore[arg-type]


def loud(frame: Samples) -> bool:
    return bool(np.max(np.abs(frame)) > 1000)
