"""Changes of the internal party on a real switch: one take each, with every voice at its place, and with the
parties in its markers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.freeswitch.internal_phones import (
    LINE,
    OUTSIDE,
    SECOND,
    SENTENCE,
    THIRD,
    Talk,
    assert_notified_once,
    assert_one_recording,
    bridge_markers,
    consult,
    set_line,
    tones_in,
)
from tests.freeswitch.switches import RATE, Rig, heard_whole, read_wav
from tests.scenarios.definitions import Line

MOVED = ["+01", "-01", "+91"]


@pytest.fixture
def talk(system: Rig, request: pytest.FixtureRequest) -> Iterator[Talk]:
    """A caller who speaks with the first internal phone, on a line with a transfer notice to the target
    alone, unless a test says otherwise."""
    name: Line = getattr(request, "param", "joining_alone")
    set_line(system, name)
    new_talk = Talk(system, system.call(LINE))
    new_talk.until_marked("bridged")
    time.sleep(1)
    yield new_talk
    system.hang_up_all()


def test_uuid_transfer(talk: Talk) -> None:
    talk.switch(f"uuid_transfer {talk.call.leg} {SECOND} XML public")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.end()
    assert_one_recording(take, "01", "91")
    assert_notified_once(talk, take)
    assert bridge_markers(take) == [*MOVED, "-91"]


@pytest.mark.parametrize("talk", ["joining_both"], indirect=True)
def test_both_parties_hear_the_notice(talk: Talk) -> None:
    talk.switch(f"uuid_transfer {talk.call.leg} {SECOND} XML public")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.end()
    assert_notified_once(talk, take, together=True)
    right = read_wav(Path(take.audio))[:, 1]
    assert heard_whole(right[RATE * 3 // 2 :], SENTENCE), "it is not in the recording"


@pytest.mark.parametrize("talk", ["line"], indirect=True)
def test_line_without_a_transfer_notice(talk: Talk) -> None:
    talk.refer(talk.phone(), SECOND)
    talk.until_marked("bridged", 2)
    time.sleep(1.5)
    take = talk.end()
    assert_one_recording(take, "01", "91")
    assert not [marker for marker in take.markers if marker.kind.startswith(("transfer_", "participant_"))]


def test_blind_refer(talk: Talk) -> None:
    talk.refer(talk.phone(), SECOND)
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.end()
    assert_one_recording(take, "01", "91")
    assert_notified_once(talk, take)
    assert bridge_markers(take) == [*MOVED, "-91"]


def test_refer_with_replaces(talk: Talk) -> None:
    own = talk.place_call(LINE, SECOND)
    time.sleep(2)
    assert len(talk.markers("bridged")) == 1, "the other call of the same phone is none of this one"
    talk.refer(talk.phone(), SECOND, own)
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.end()
    assert_one_recording(take, "01", "91")
    assert_notified_once(talk, take)
    assert bridge_markers(take) == [*MOVED, "-91"]


def test_three_transfers_and_back(talk: Talk) -> None:
    talk.refer(talk.phone(), SECOND)
    talk.until_marked("transfer_notice_finished")
    talk.refer(talk.phone(SECOND), THIRD)
    talk.until_marked("transfer_notice_finished", 2)
    time.sleep(0.7)
    talk.refer(talk.phone(THIRD), SECOND)
    talk.until_marked("bridged", 4)
    time.sleep(2)
    talk.refer(talk.phone(SECOND), LINE)
    talk.until_marked("bridged", 5)
    time.sleep(2)
    take = talk.end()
    assert bridge_markers(take) == [*MOVED, "-91", "+92", "-92", "+91", "-91", "+01", "-01"]
    kinds = [marker.kind for marker in take.markers]
    assert [kind for kind in kinds if kind.startswith(("transfer_", "participant_"))] == [
        "transfer_notice_started", "transfer_notice_finished", "transfer_notice_started",
        "transfer_notice_finished",
    ]  # fmt: skip
    assert [name for name, _ in groupby(one[0] for one in tones_in(take) if one[0])][-3:] == [
        "92",
        "91",
        "01",
    ]


def test_att_xfer(talk: Talk) -> None:
    consult(talk)
    talk.phones(f"uuid_kill {talk.phone()}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.end()
    assert_one_recording(take, "01", "91")
    assert_notified_once(talk, take)
    assert bridge_markers(take)[:3] == MOVED


def test_cancelled_att_xfer(talk: Talk) -> None:
    """The same internal party returns, and hears no notice."""
    consult(talk)
    talk.phones(f"uuid_send_dtmf {talk.phone()} #")
    talk.until_marked("bridged", 2)
    time.sleep(2)
    take = talk.end()
    assert_one_recording(take, "01")
    assert bridge_markers(take)[:3] == ["+01", "-01", "+01"]
    assert not [marker for marker in take.markers if marker.kind.startswith(("transfer_", "participant_"))]


def test_park_and_pick_up(talk: Talk) -> None:
    talk.switch(f"uuid_transfer {talk.call.leg} park inline")
    talk.until_marked("unbridged")
    time.sleep(1)
    talk.place_call(SECOND, f"pick-{talk.call.leg}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.end()
    assert_one_recording(take, "01", "91")
    assert_notified_once(talk, take)
    assert bridge_markers(take)[:3] == MOVED


def test_park_and_uuid_bridge(talk: Talk) -> None:
    talk.switch(f"uuid_park {talk.call.leg}")
    talk.until_marked("unbridged")
    leg = talk.switch(f"originate sofia/accord/{SECOND}@{talk.route} &park()").split()[-1]
    talk.switch(f"uuid_bridge {talk.call.leg} {leg}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.end()
    assert_one_recording(take, "01", "91")
    assert_notified_once(talk, take)
    assert bridge_markers(take)[:3] == MOVED


def test_intercept(talk: Talk) -> None:
    talk.place_call(SECOND, f"pick-{talk.call.leg}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.end()
    assert_one_recording(take, "01", "91")
    assert_notified_once(talk, take)
    assert bridge_markers(take)[:3] == MOVED


def test_hold_by_the_internal_party(talk: Talk) -> None:
    phone = talk.phone()
    talk.phones(f"uuid_hold {phone}")
    talk.until_marked("internal_hold")
    time.sleep(1)
    talk.phones(f"uuid_hold off {phone}")
    talk.until_marked("internal_unhold")
    time.sleep(1.5)
    take = talk.end()
    assert_one_recording(take, "01")
    assert bridge_markers(take) == ["+01", "-01"]
    assert not [marker for marker in take.markers if marker.kind.startswith(("transfer_", "participant_"))]


def test_codec_change_during_the_call(talk: Talk) -> None:
    """The external party's phone changes its codec (re-INVITE), and the recording continues."""
    before = talk.switch(f"uuid_dump {talk.call.leg}")
    assert "Channel-Read-Codec-Name: PCMU" in before
    talk.phones(f"uuid_media_reneg {talk.call.id} =PCMA")
    time.sleep(2)
    after = talk.switch(f"uuid_dump {talk.call.leg}")
    assert "Channel-Read-Codec-Name: PCMA" in after
    take = talk.end()
    assert_one_recording(take, "01")
    assert bridge_markers(take) == ["+01", "-01"]


def test_transfer_to_an_external_number_ends_the_recording(talk: Talk) -> None:
    """The recording until then is kept; the call continues unrecorded."""
    talk.refer(talk.phone(), OUTSIDE)
    talk.until_marked("transferred_externally")
    take = talk.call.wait_take()
    assert talk.call.alive()
    assert talk.rig.recorded_now() == set()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert bridge_markers(take) == ["+01", "-01", "+98"]
    assert [one[0] for one in tones_in(take) if one[0]] == ["01"]
    size = Path(take.audio).stat().st_size
    time.sleep(1)
    assert Path(take.audio).stat().st_size == size
    assert talk.call.alive()
