"""Callers to a room on the practice switch, through the dialplan that is shipped: from the code into the
conference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from demo.practice.switch import PracticeSwitch
from recorder.capture import room_callers
from recorder.domain.room_caller import (
    ANSWER,
    CODE,
    END,
    ENTER,
    SESSION_VARIABLE,
    CallerDirection,
    CallerReport,
)
from recorder.switch import commands
from tests.caller_steps import CONFERENCE, DIGITS, DISPUTE, KEYS, NUMBER, SESSION, Desk


class Site(Desk):
    """With a practice switch."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        password = "x" * 12
        self.switch = PracticeSwitch(password=password, daemon="127.0.0.1:1", environment=self.environment)
        self.switch.start()
        self.connect(self.switch.event_port, password)

    def call(self) -> PracticeCall:
        call = self.switch.call(NUMBER, PracticeParty(number="+32470000001"))
        self.hears(call, "code")
        return call

    def hears(self, call: PracticeCall, name: str) -> None:
        wait(lambda: call.played and call.played[-1] == self.sound(name))

    def enter(self, call: PracticeCall, keys: str) -> None:
        for key in keys:
            call.press(key)
            wait(lambda: call.media.prompt is None)

    def close(self) -> None:
        self.node.stop()
        self.switch.stop()


def wait(condition: Callable[[], object]) -> None:
    with gevent.Timeout(15):
        while not condition():
            gevent.sleep(0.01)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(room_callers, "FIRST_CODE_S", 0.2)
    found = Site(tmp_path)
    yield found
    found.close()


def test_somebody_who_is_called_enters_their_code_and_is_known_by_the_called_number(site: Site) -> None:
    order = commands.call_to_room("sofia/gateway/out/{number}", "+32470000002", "fr", "3225550199", 40)
    leg = site.switch.api(order.text.removeprefix("api ")).removeprefix("+OK ").strip()
    call = site.switch.sessions[leg]
    site.hears(call, "code-fr")
    assert call.leg.variables["accord_state"] == "never_record"
    site.enter(call, "000000000")
    site.hears(call, "wrong")
    site.enter(call, KEYS)
    site.hears(call, "question")
    site.enter(call, "1")
    wait(lambda: CONFERENCE in site.switch.conferences)
    assert {each.number for each in site.reports[:2]} == {"+32470000002"}
    call.hang_up()
    wait(lambda: site.reports[-1].step == END)
    assert site.reports[-1].session == SESSION


def test_caller_comes_into_the_room_and_their_end_is_reported(site: Site) -> None:
    call = site.call()
    site.enter(call, KEYS)
    site.hears(call, "question")
    site.enter(call, "1")
    site.hears(call, "keys")
    wait(lambda: CONFERENCE in site.switch.conferences)
    assert len(site.switch.conferences[CONFERENCE].members) == 1
    assert call.leg.variables[SESSION_VARIABLE] == SESSION
    code, answer = site.reports
    assert (code.step, code.keys, code.number) == (CODE, KEYS, "+32470000001")
    assert (answer.step, answer.keys, answer.channel) == (ANSWER, "1", call.leg.uuid)
    call.hang_up()
    wait(lambda: len(site.reports) == 3)
    assert (site.reports[-1].step, site.reports[-1].session) == (END, SESSION)
    assert not call.media.tapes


def test_second_code_can_be_right(site: Site) -> None:
    call = site.call()
    site.enter(call, "000000000")
    site.hears(call, "wrong")
    site.enter(call, KEYS)
    site.hears(call, "question")


def test_two_wrong_codes_end_the_call_the_second_more_slowly(site: Site) -> None:
    call = site.call()
    begin = site.callers.monotonic()
    site.enter(call, "000000000")
    site.hears(call, "wrong")
    first = site.callers.monotonic() - begin
    assert first >= 0.2
    site.enter(call, "000000001")
    site.hears(call, "closed")
    assert site.callers.monotonic() - begin - first >= 0.4
    assert call.wait("ended", 10)


@pytest.mark.parametrize("key", ["2", "5"])
def test_any_other_key_ends_the_call_kindly(site: Site, key: str) -> None:
    call = site.call()
    site.enter(call, KEYS)
    site.hears(call, "question")
    site.enter(call, key)
    site.hears(call, "declined")
    assert call.wait("ended", 10)
    assert CONFERENCE not in site.switch.conferences


def test_digits_for_ones_own_call_end_with_hash_and_keys_go_on(site: Site) -> None:
    caller = site.call()
    site.enter(caller, "000000000")
    site.hears(caller, "wrong")
    site.enter(caller, f"{DIGITS}#")
    site.hears(caller, "question")
    site.enter(caller, "0")
    site.hears(caller, "keys")
    site.enter(caller, "0")
    site.hears(caller, "keys")
    wait(lambda: [each.keys for each in site.reports] == ["000000000", DIGITS, "0", "0"])
    caller.hang_up()
    wait(lambda: len(site.reports) == 5)
    assert (site.reports[-1].step, site.reports[-1].session) == (END, SESSION)


def test_without_a_worker_the_caller_is_told_to_call_later(site: Site) -> None:
    site.answers = False
    call = site.call()
    site.enter(call, KEYS)
    site.hears(call, "away")
    assert call.wait("ended", 10)


def test_orders_that_come_too_late_are_refused_by_the_switch(site: Site) -> None:
    call = site.call()
    late = CallerDirection(ENTER, site.sound("keys"), room=DISPUTE, session=SESSION)
    site.callers.report = lambda _spool, _report: late
    site.callers._ask(CallerReport(call.leg.uuid, ANSWER, "1"))
    assert CONFERENCE not in site.switch.conferences
    assert call.leg.variables["accord_room_step"] == "busy"
    site.callers.report = site.answer
    site.enter(call, KEYS)
    site.hears(call, "question")


def test_other_numbers_do_not_lead_to_rooms(site: Site) -> None:
    call = site.switch.call("+3225550198", PracticeParty(number="+32470000001"))
    assert call.wait("bridged", 10)
    assert site.reports == []
