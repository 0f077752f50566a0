"""Changes of party on a real switch, with phones that do them: one take each, with everybody's voice where it
was, and who was there in its marks.

What users complain of elsewhere: "a transfer cuts, doubles or loses the recording" (every test here but the
last), "announced again at each transfer" (``told_once``, in every test that has a joiner).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.freeswitch.colleagues import (
    LINE,
    OUTSIDE,
    SECOND,
    SENTENCE,
    THIRD,
    Talk,
    configuration,
    consult,
    heard,
    lines,
    there,
    told_once,
    tones,
    whole,
)
from tests.freeswitch.switches import RATE, Rig, heard_whole, read_wav
from tests.scenarios.definitions import Line

MOVED = ["+01", "-01", "+91"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Switch, phones and daemon of a house with colleagues."""
    folder = tmp_path_factory.mktemp("house")
    rig = Rig(folder / "rig", configuration(folder))
    tones(rig)
    try:
        rig.start()
        rig.start_daemon()
        rig.wait_watching()
        yield rig
    finally:
        rig.stop()


@pytest.fixture
def talk(house: Rig, request: pytest.FixtureRequest) -> Iterator[Talk]:
    """A caller and the first colleague speak, on a line that tells who joins alone, or as a test says."""
    name: Line = getattr(request, "param", "joining_alone")
    lines(house, name)
    made = Talk(house, house.call(LINE))
    made.until_marked("bridged")
    time.sleep(1)
    yield made
    house.hang_up_all()


def test_uuid_transfer(talk: Talk) -> None:
    talk.switch(f"uuid_transfer {talk.call.leg} {SECOND} XML public")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.ends()
    whole(take, "01", "91")
    told_once(talk, take)
    assert there(take) == [*MOVED, "-91"]


@pytest.mark.parametrize("talk", ["joining_both"], indirect=True)
def test_both_are_told(talk: Talk) -> None:
    talk.switch(f"uuid_transfer {talk.call.leg} {SECOND} XML public")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.ends()
    told_once(talk, take, together=True)
    right = read_wav(Path(take.audio))[:, 1]
    assert heard_whole(right[RATE * 3 // 2 :], SENTENCE), "it is not in the recording"


@pytest.mark.parametrize("talk", ["line"], indirect=True)
def test_a_line_that_tells_nobody(talk: Talk) -> None:
    talk.refers(talk.phone(), SECOND)
    talk.until_marked("bridged", 2)
    time.sleep(1.5)
    take = talk.ends()
    whole(take, "01", "91")
    assert not [mark for mark in take.marks if mark.kind.startswith(("transfer_", "participant_"))]


def test_blind_refer(talk: Talk) -> None:
    talk.refers(talk.phone(), SECOND)
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.ends()
    whole(take, "01", "91")
    told_once(talk, take)
    assert there(take) == [*MOVED, "-91"]


def test_refer_with_replaces(talk: Talk) -> None:
    own = talk.rings_up(LINE, SECOND)
    time.sleep(2)
    assert len(talk.marks("bridged")) == 1, "the other call of the same phone is none of this one"
    talk.refers(talk.phone(), SECOND, own)
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.ends()
    whole(take, "01", "91")
    told_once(talk, take)
    assert there(take) == [*MOVED, "-91"]


def test_transferred_thrice_and_back(talk: Talk) -> None:
    talk.refers(talk.phone(), SECOND)
    talk.until_marked("transfer_notice_finished")
    talk.refers(talk.phone(SECOND), THIRD)
    talk.until_marked("transfer_notice_finished", 2)
    time.sleep(0.7)
    talk.refers(talk.phone(THIRD), SECOND)
    talk.until_marked("bridged", 4)
    time.sleep(2)
    talk.refers(talk.phone(SECOND), LINE)
    talk.until_marked("bridged", 5)
    time.sleep(2)
    take = talk.ends()
    assert there(take) == [*MOVED, "-91", "+92", "-92", "+91", "-91", "+01", "-01"]
    assert [mark.kind for mark in take.marks if mark.kind.startswith(("transfer_", "participant_"))] == [
        "transfer_notice_started", "transfer_notice_finished", "transfer_notice_started",
        "transfer_notice_finished",
    ]  # fmt: skip
    assert [name for name, _ in groupby(one[0] for one in heard(take) if one[0])][-3:] == ["92", "91", "01"]


def test_att_xfer(talk: Talk) -> None:
    consult(talk)
    talk.phones(f"uuid_kill {talk.phone()}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.ends()
    whole(take, "01", "91")
    told_once(talk, take)
    assert there(take)[:3] == MOVED


def test_att_xfer_that_comes_to_nothing(talk: Talk) -> None:
    """The same colleague comes back, and is not told."""
    consult(talk)
    talk.phones(f"uuid_send_dtmf {talk.phone()} #")
    talk.until_marked("bridged", 2)
    time.sleep(2)
    take = talk.ends()
    whole(take, "01")
    assert there(take)[:3] == ["+01", "-01", "+01"]
    assert not [mark for mark in take.marks if mark.kind.startswith(("transfer_", "participant_"))]


def test_park_and_pick_up(talk: Talk) -> None:
    talk.switch(f"uuid_transfer {talk.call.leg} park inline")
    talk.until_marked("unbridged")
    time.sleep(1)
    talk.rings_up(SECOND, f"pick-{talk.call.leg}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.ends()
    whole(take, "01", "91")
    told_once(talk, take)
    assert there(take)[:3] == MOVED


def test_park_and_uuid_bridge(talk: Talk) -> None:
    talk.switch(f"uuid_park {talk.call.leg}")
    talk.until_marked("unbridged")
    leg = talk.switch(f"originate sofia/accord/{SECOND}@{talk.route} &park()").split()[-1]
    talk.switch(f"uuid_bridge {talk.call.leg} {leg}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.ends()
    whole(take, "01", "91")
    told_once(talk, take)
    assert there(take)[:3] == MOVED


def test_intercept(talk: Talk) -> None:
    talk.rings_up(SECOND, f"pick-{talk.call.leg}")
    talk.until_marked("transfer_notice_finished")
    time.sleep(1)
    take = talk.ends()
    whole(take, "01", "91")
    told_once(talk, take)
    assert there(take)[:3] == MOVED


def test_a_hold_of_the_colleague(talk: Talk) -> None:
    phone = talk.phone()
    talk.phones(f"uuid_hold {phone}")
    talk.until_marked("internal_hold")
    time.sleep(1)
    talk.phones(f"uuid_hold off {phone}")
    talk.until_marked("internal_unhold")
    time.sleep(1.5)
    take = talk.ends()
    whole(take, "01")
    assert there(take) == ["+01", "-01"]
    assert not [mark for mark in take.marks if mark.kind.startswith(("transfer_", "participant_"))]


def test_another_codec_in_the_call(talk: Talk) -> None:
    """The outside party's phone goes on with another codec (re-INVITE): the recording does too."""
    before = talk.switch(f"uuid_dump {talk.call.leg}")
    assert "Channel-Read-Codec-Name: PCMU" in before
    talk.phones(f"uuid_media_reneg {talk.call.id} =PCMA")
    time.sleep(2)
    after = talk.switch(f"uuid_dump {talk.call.leg}")
    assert "Channel-Read-Codec-Name: PCMA" in after
    take = talk.ends()
    whole(take, "01")
    assert there(take) == ["+01", "-01"]


def test_a_transfer_to_another_number_outside_ends_the_recording(talk: Talk) -> None:
    """What was recorded until then is kept; the call goes on, and these two are not recorded."""
    talk.refers(talk.phone(), OUTSIDE)
    talk.until_marked("transferred_outside")
    take = talk.call.wait_take()
    assert talk.call.alive()
    assert talk.rig.recorded_now() == set()
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert there(take) == ["+01", "-01", "+98"]
    assert [one[0] for one in heard(take) if one[0]] == ["01"]
    size = Path(take.audio).stat().st_size
    time.sleep(1)
    assert Path(take.audio).stat().st_size == size
    assert talk.call.alive()
