"""The practice switch by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from demo.practice import applications
from demo.practice.party import PracticeParty
from demo.practice.session import PracticeCall
from demo.practice.switch import PracticeSwitch
from recorder.switch.esl_events import EslEvent
from recorder.switch.translation import bridged_time


def test_channel_reports_when_it_was_connected() -> None:
    with PracticeSwitch(password="x", daemon="127.0.0.1:1", environment={}) as switch:
        session = switch.call("3225550199", PracticeParty(number="+32475000001"))
        assert session.wait("bridged", 10)
        event = EslEvent(b"\n" + switch.api(f"uuid_dump {session.leg.uuid}").encode())
        assert event.name == "CHANNEL_DATA"
        connected_at = bridged_time(event)
        assert connected_at is not None
        assert timedelta(0) <= event.at - connected_at < timedelta(seconds=10)
        session.hang_up("NORMAL_CLEARING")
        assert session.wait("ended", 10)
        assert switch.api(f"uuid_dump {session.leg.uuid}") == "-ERR No such channel!\n"


def test_internal_error_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is no longer served would wait for ever, unlike on the real switch."""

    def fail(_session: PracticeCall, _data: str) -> None:
        raise ValueError("a mistake")

    monkeypatch.setitem(applications.APPLICATIONS, "bridge", fail)
    with PracticeSwitch(password="x", daemon="127.0.0.1:1", environment={}) as switch:
        session = switch.call("3225550199", PracticeParty(number="+32475000001"))
        assert session.wait("ended", 10)
        assert session.leg.cause == "DESTINATION_OUT_OF_ORDER"
        assert not switch.sessions
