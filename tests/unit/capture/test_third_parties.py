"""Third parties and supervisors beside several calls, and while the switch cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from recorder.capture import conferences
from recorder.capture.call_controller import CallController
from recorder.domain.call_events import INTERNAL, HoldStarted, Participant, ParticipantsJoined
from recorder.domain.parties import Party
from recorder.switch.standing_connection import LiveState
from tests.greenlets import wait_idle
from tests.unit.capture.test_conferences import (
    EVENT_AT,
    WHO,
    LiveCalls,
    ThirdParty,
    events_of,
    markers,
    names,
    no_answer,
    settle,
)
from tests.unit.capture.test_transfer_target import SOUND

PARTY = {"Caller-Direction": "outbound", "Caller-Destination-Number": "300"}
UNADDRESSABLE = "c ${system(x)}"


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveCalls]:
    for delays in ("ARRIVAL_QUERIES", "DEPARTURE_QUERIES"):
        monkeypatch.setattr(conferences, delays, (0.0,))
    monkeypatch.setattr(conferences, "NOTICE_DELAY", 0.0)
    calls = LiveCalls(tmp_path)
    yield calls
    calls.end()
    wait_idle()


def attach(live: LiveCalls, third: str, leg: str, application: str = "three_way") -> None:
    """A third party is attached to a leg."""
    live.switch.legs[third] = {
        **PARTY,
        "variable_current_application": application,
        "variable_current_application_data": leg,
    }
    live.switch.rows.append({"uuid": third, "application": application, "application_data": leg})
    live.media_bug("MEDIA_BUG_START", leg, "eavesdrop", leg)


def release(live: LiveCalls, leg: str) -> None:
    """Somebody is no longer attached to a leg."""
    live.media_bug("MEDIA_BUG_STOP", leg, "eavesdrop", leg)


def test_other_legs_and_media_bugs_ask_nothing(live: LiveCalls) -> None:
    call = live.call("a")
    attach(live, "c", "b-a")
    before = (call.state, len(live.switch.queries))
    live.media_bug("MEDIA_BUG_START", "somebody", "eavesdrop", "somebody")
    live.media_bug("MEDIA_BUG_START", "somebody", "displace", SOUND.path)
    live.media_bug("MEDIA_BUG_STOP", "b-a", "session_record", "/spool/audio.wav")
    assert (call.state, len(live.switch.queries)) == before


def test_third_party_joins_and_leaves_their_own_call(live: LiveCalls) -> None:
    one, two = live.call("a"), live.call("o")
    attach(live, "c", "b-o")
    assert (names(one), names(two)) == ([], ["c"])
    assert live.conferences.participants_of("a") == ("", ())
    release(live, "b-o")
    assert names(two) == ["c"], "it was somebody else who left"
    live.switch.legs["c"] = PARTY
    release(live, "b-a")
    assert names(two) == ["c"], "it was another call"
    release(live, "b-o")
    assert names(two) == []
    assert live.conferences.participants_of("o") == ("", ())


def test_second_third_party_joins_alone(live: LiveCalls) -> None:
    call = live.call("a")
    attach(live, "c", "b-a")
    with events_of(call) as events:
        attach(live, "d", "b-a")
    assert events == [ParticipantsJoined(EVENT_AT, (Participant("d", Party("extension", "300")),))]


def test_departure_is_reported_late(live: LiveCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conferences, "DEPARTURE_QUERIES", (0.0, 0.0))
    call = live.call("a")
    attach(live, "c", "b-a")

    def leave_soon() -> None:
        live.switch.meanwhile = lambda: None
        gevent.spawn(live.switch.legs.__setitem__, "c", PARTY)

    live.switch.meanwhile = leave_soon
    release(live, "b-a")
    assert names(call) == []


def test_third_parties_of_an_ended_call_are_forgotten(live: LiveCalls) -> None:
    live.call("a")
    for leg in "cd":
        attach(live, leg, "b-a")
        live.switch.legs[leg] = PARTY
    call = live.calls.pop("a")
    release(live, "b-a")
    live.calls["a"] = call
    assert live.conferences.participants_of("a") == ("", ())


def test_unanswered_query_is_no_departure(live: LiveCalls) -> None:
    call = live.call("a")
    attach(live, "c", "b-a")
    live.switch.meanwhile = no_answer
    release(live, "b-a")
    assert names(call) == ["c"]


def test_known_supervisor_is_not_counted_again_as_unknown(live: LiveCalls) -> None:
    live.call("a")
    live.switch.bugs = "<function>eavesdrop</function>"
    attach(live, "c", "b-a", "eavesdrop")
    live.media_bug("MEDIA_BUG_START", "b-a", "eavesdrop", "b-a")
    assert markers(live, "a") == [("supervisor_joined", WHO)]


def test_third_party_on_an_unknown_leg_joins_once_it_is_known(live: LiveCalls) -> None:
    call = live.call("a")
    live.conferences.reconcile(LiveState({}, third_parties={"b-a": ["c"]}))
    assert live.conferences.participants_of("a") == ("", ())
    attach(live, "c", "b-a")
    assert names(call) == ["c"]


@pytest.mark.parametrize("asks", [True, False])
def test_unaddressable_third_party_is_commanded_nothing(live: LiveCalls, asks: bool) -> None:
    call = live.call("a", asks=asks)
    attach(live, UNADDRESSABLE, "b-a")
    assert names(call) == [UNADDRESSABLE]
    live.conferences.play_notice(call, UNADDRESSABLE, SOUND)
    call.feed(HoldStarted(EVENT_AT, leg=INTERNAL))
    settle()
    assert live.switch.commands == []


def transferred_legs(live: LiveCalls) -> list[str]:
    """The legs of the third parties who return, in order."""
    returns = [each for each in live.switch.commands if each.endswith(" accord_beside XML accord")]
    return [each.partition("uuid_getvar(")[2].partition(" ")[0] for each in returns]


def test_hold_returns_only_the_calls_own_third_party(live: LiveCalls) -> None:
    calls = [live.call(channel, asks=True) for channel in "ao"]
    attach(live, "c", "b-a")
    attach(live, "d", "b-o")
    hold_internal(calls[0])
    assert transferred_legs(live) == ["c"]
    hold_internal(calls[1])
    assert transferred_legs(live) == ["c", "d"]


def hold_internal(call: CallController) -> None:
    call.feed(HoldStarted(EVENT_AT, leg=INTERNAL))
    settle()


def test_end_of_a_sound_by_hang_up_is_left_to_the_hang_up(live: LiveCalls) -> None:
    third = ThirdParty(live)
    with events_of(third.call) as events:
        third.event("PLAYBACK_STOP", **{"Playback-File-Path": SOUND.path, "Answer-State": "hangup"})
        third.event("CHANNEL_HOLD")
    assert events == []
