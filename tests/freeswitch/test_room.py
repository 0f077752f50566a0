"""More than two in a conversation, on a real switch: in a conference, and as a third one.  One take each,
with who came and who left in its marks, and everybody who joined told."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from recorder.domain import live_command
from recorder.domain.call_events import PAUSE, RESUME
from recorder.spool import layout
from tests.freeswitch.colleagues import (
    HOT,
    LINE,
    OUTSIDE,
    SECOND,
    THIRD,
    Talk,
    configuration,
    heard,
    in_room,
    lines,
    there,
    tones,
)
from tests.freeswitch.sound import heard_among
from tests.freeswitch.switches import RATE, Rig, level, read_wav
from tests.freeswitch.test_codes import PAUSED, zeros
from tests.scenarios.files import LOWS, chirp

SENTENCE = chirp(low=LOWS["joining"])
TOLD_BY = 2 * RATE


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
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


@pytest.fixture(autouse=True)
def nobody_is_left(house: Rig) -> Iterator[None]:
    yield
    house.hang_up_all()


def speaks(house: Rig, number: str = LINE) -> Talk:
    """A caller speaks with the first colleague."""
    talk = Talk(house, house.call(number))
    talk.until_marked("bridged")
    time.sleep(1)
    return talk


def meets(talk: Talk, room: str) -> None:
    """Both go on in a conference."""
    before = len(talk.marks("participant_joined"))
    talk.switch(f"uuid_transfer {talk.call.leg} -both {room} XML public")
    talk.until_marked("participant_joined", before + 1)


def asked(talk: Talk, what: str) -> None:
    """From outside the call, as panel and API do."""
    folder = talk.call.take()
    assert folder is not None
    name = str(uuid.uuid4())
    request = live_command.Request(name, folder.name, what, "api", time.monotonic() + 5)
    assert live_command.carry(talk.rig.spool, request) == live_command.DONE


def voices(take: layout.Take) -> list[str]:
    return [name for name, _ in groupby(one[0] for one in heard(take) if one[0])]


def kinds(take: layout.Take) -> list[str]:
    return [mark.kind for mark in take.marks]


def by_colleague(house: Rig, leg: str) -> bool:
    """Whether the one who called in heard the sentence whole, whoever spoke meanwhile."""
    return heard_among(read_wav(house.phones_folder / f"colleague-{leg}.wav")[:, 0], SENTENCE)


def test_a_conference(house: Rig) -> None:
    """Everybody in one take; who comes is told alone, the first colleague is not, and all are in the marks.
    Another call comes into the same room: each take has both, and who was told is not told again."""
    lines(house, "joining_alone")
    one, two = speaks(house), speaks(house)
    meets(one, "meet-a")
    asked(one, PAUSE)
    time.sleep(1)
    asked(one, RESUME)
    second = one.rings_up(SECOND, "meet-a")
    one.until_marked("transfer_notice_finished")
    time.sleep(1)
    meets(two, "meet-a")
    one.until_marked("participant_joined", 4)
    time.sleep(1.5)
    assert len(one.marks("transfer_notice_started")) == 1
    assert not two.marks("transfer_notice_started"), "told twice"
    one.phones(f"uuid_kill {second}")
    one.until_marked("participant_left")
    time.sleep(1)
    first = one.ends()
    other = two.ends()
    ((_start, _end),) = zeros(read_wav(Path(first.audio))[TOLD_BY:])
    reminded = level(read_wav(one.call.heard_by_callee)[:, 0], PAUSED)
    # A tone takes two tenths of a second; where a voice begins or ends, every pitch is in one of them.
    assert np.minimum(reminded[1:], reminded[:-1]).max() < 0.02, "no tone reminds of it"
    assert voices(first)[:3] == ["01", "01+91", "01+91+caller"]
    assert there(first) == ["+01", "-01"]
    assert in_room(first)[:2] == ["+01", "+91"]
    assert sorted(in_room(first)[2:4]) == sorted(["+01", f"+{two.call.caller[-2:]}!"])  # both at once
    assert in_room(first)[4] == "-91"
    assert sorted(in_room(first)[5:]) == sorted(["-01", "-01", f"-{two.call.caller[-2:]}!"])
    assert sorted(in_room(other)[:4]) == sorted(["+01", "+01", "+91", f"+{one.call.caller[-2:]}!"])
    assert kinds(first).count("transfer_notice_finished") == 1
    (told,) = (mark for mark in first.marks if mark.kind == "transfer_notice_finished")
    assert told.data["in"] == "conference"
    assert by_colleague(house, second)
    for talk in (one, two):
        assert not heard_among(read_wav(talk.call.heard_by_caller)[TOLD_BY:, 0], SENTENCE)
    assert (first.end.outcome, other.end.outcome) == ("recorded", "recorded")
    assert kinds(first).count("recording_started") == kinds(first).count("recording_stopped") == 1


def test_told_together_and_somebody_outside_in_the_room(house: Rig) -> None:
    """All hear it, it is in the take; and who is outside and was told nothing ends the recording."""
    lines(house, "joining_both")
    talk = speaks(house)
    meets(talk, "meet-b")
    second = talk.rings_up(SECOND, "meet-b")
    third = talk.rings_up(THIRD, "meet-b")
    talk.until_marked("participant_joined", 3)
    time.sleep(4)
    outside = f"{{accord_outside=true}}sofia/accord/{OUTSIDE}@{talk.route}"
    talk.switch(f"originate {outside} &conference(room-b@accord)")
    talk.until_marked("transferred_outside")
    take = talk.call.wait_take()
    assert talk.call.alive()
    assert by_colleague(house, second)
    assert by_colleague(house, third)
    assert heard_among(read_wav(talk.call.heard_by_caller)[TOLD_BY:, 0], SENTENCE)
    assert heard_among(read_wav(Path(take.audio))[RATE * 3 // 2 :, 1], SENTENCE)
    assert in_room(take)[0] == "+01"
    assert sorted(in_room(take)[1:3]) == ["+91", "+92"]
    assert in_room(take)[3:] == ["+98!"]
    assert kinds(take)[-2:] == ["transferred_outside", "recording_stopped"]
    assert (take.end.outcome, take.end.reason) == ("recorded", None)


def test_who_came_and_left_while_the_daemon_was_away(house: Rig) -> None:
    """Found later, and told then; also of a call that was brought into a conference at once."""
    lines(house, "joining_alone", HOT)
    one = speaks(house)
    meets(one, "meet-c")
    hot = Talk(house, house.call(HOT))
    hot.until_marked("announcement_finished")
    time.sleep(0.5)
    first = hot.rings_up(THIRD, "meet-hot")
    hot.until_marked("participant_joined")  # the switch has been asked about them
    house.kill_daemon()
    second = one.rings_up(SECOND, "meet-c")
    listener = one.rings_up(LINE, f"listen-{one.call.leg}")
    time.sleep(1)
    house.start_daemon()
    house.wait_watching()
    one.until_marked("transfer_notice_finished")
    assert one.marks("participant_joined")[-1].data["seen"] == "later"
    house.kill_daemon()
    one.phones(f"uuid_kill {second}")
    one.phones(f"uuid_kill {listener}")
    time.sleep(0.5)
    house.start_daemon()
    house.wait_watching()
    one.until_marked("participant_left")
    one.until_marked("supervisor_left")
    one.phones(f"uuid_kill {first}")
    hot.until_marked("participant_left")
    take, brought = one.ends(), hot.ends()
    assert in_room(take) == ["+01", "+91~", "-91~", "-01"]
    assert listened(take) == ["+01~", "-01~"]
    assert by_colleague(house, second)
    assert in_room(brought) == ["+92", "-92"]
    assert (brought.end.outcome, brought.end.reason) == ("recorded", None)
    assert not by_colleague(house, first), "whom it was for is nobody who joins"
    assert "92" in voices(brought)


def test_three_way(house: Rig) -> None:
    """All three are in the one recording.  Who came third is told at once, alone; and is not told again when
    the first colleague leaves."""
    lines(house, "joining_alone")
    talk = speaks(house)
    consult(talk)
    talk.phones(f"uuid_send_dtmf {talk.phone()} 0")
    talk.until_marked("transfer_notice_finished")
    # The codes are those of who is connected with the outside party, and nobody else's.
    talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} *8")
    time.sleep(1)
    assert not talk.marks("moment_marked")
    talk.phones(f"uuid_send_dtmf {talk.phone()} *6")
    talk.until_marked("paused")
    time.sleep(0.7)
    talk.phones(f"uuid_send_dtmf {talk.phone()} *7")
    talk.until_marked("resumed")
    time.sleep(1)
    talk.phones(f"uuid_kill {talk.phone()}")
    talk.until_marked("bridged", 3)
    time.sleep(1)
    take = talk.ends()
    heard_in_turn = voices(take)  # a phone that dials says nothing meanwhile
    assert (heard_in_turn[:2], heard_in_turn[-1]) == (["01", "01+91"], "91")
    assert set(heard_in_turn) == {"01", "01+91", "91"}
    ((_start, _end),) = zeros(read_wav(Path(take.audio))[TOLD_BY:])
    assert there(take)[:5] == ["+01", "-01", "+01", "-01", "+91"]
    assert in_room(take) == ["+91", "-91"]
    assert kinds(take).count("transfer_notice_started") == kinds(take).count("transfer_notice_finished") == 1
    heard_by_third = house.phones_folder / f"callee-{SECOND}-{talk.call.caller}.wav"
    assert heard_among(read_wav(heard_by_third)[:, 0], SENTENCE)
    assert not heard_among(read_wav(talk.call.heard_by_caller)[TOLD_BY:, 0], SENTENCE)


def consult(talk: Talk) -> None:
    talk.switch(f"uuid_broadcast {talk.inside} att_xfer::sofia/accord/{SECOND}@{talk.route} aleg")
    talk.phone(SECOND)
    time.sleep(1.5)


def listened(take: layout.Take) -> list[str]:
    """Who listened, by the last two digits, and who heard them, with the channel that they are in then."""
    said = {"supervisor_joined": "+", "supervisor_left": "-", "supervisor_heard": ""}
    return [
        said[mark.kind] + mark.data.get("value", "?")[-2:]
        + (f":{mark.data['heard_by']}" if "heard_by" in mark.data else "")
        + (f"/{mark.data['channel']}" if "channel" in mark.data else "")
        + ("~" if "seen" in mark.data else "")
        for mark in take.marks
        if mark.kind in said
    ]  # fmt: skip


def test_who_listens(house: Rig) -> None:
    """A supervisor is in the marks, and told nothing as long as nobody hears them; who speaks into the
    recording is a third one.  Somebody outside may listen, and ends the recording as soon as they speak."""
    lines(house, "joining_alone")
    one, two = speaks(house), speaks(house)
    inside = one.rings_up(THIRD, f"listen-{one.inside}")
    outside_leg = two.call.leg
    second = two.rings_up(SECOND, f"listen-{outside_leg}")
    for talk in (one, two):
        talk.until_marked("supervisor_joined")
    talk = two
    who = f"{{accord_outside=true}}sofia/accord/{OUTSIDE}@{talk.route}"
    talk.switch(f"originate {who} &eavesdrop({outside_leg})")
    talk.until_marked("supervisor_joined", 2)
    time.sleep(1)
    assert not heard_among(read_wav(house.phones_folder / f"colleague-{inside}.wav")[:, 0], SENTENCE)
    for key, leg in (("2", inside), ("2", second)):
        talk.phones(f"uuid_send_dtmf {leg} {key}")
    for each in (one, two):
        each.until_marked("supervisor_heard")
    time.sleep(1)
    talk.phones(f"uuid_send_dtmf {inside} 1")
    talk.phones(f"uuid_send_dtmf {second} 3")
    for each in (one, two):
        each.until_marked("transfer_notice_finished")
    assert not one.marks("transferred_outside")
    talk.phones(f"uuid_send_dtmf {second} 0")
    two.until_marked("participant_left")
    talk.phones(f"uuid_kill {second}")
    two.until_marked("supervisor_left")
    talk.phones(f"uuid_send_dtmf {talk.phone(OUTSIDE)} 1")
    two.until_marked("transferred_outside")
    ended = two.call.wait_take()
    assert two.call.alive()
    talk.phones(f"uuid_kill {inside}")
    one.until_marked("supervisor_left")
    time.sleep(0.7)
    take = one.ends()
    assert listened(take) == ["+92", "92:colleague", "92:outside/right", "-92"]
    assert in_room(take) == ["+92", "-92"]
    assert voices(take)[:3] == ["01", "01+92", "01"], "not before the outside party hears them"
    assert [name for name, *_ in heard(take, 0) if "92" in name] == []
    assert kinds(take).count("transfer_notice_finished") == 1
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert by_colleague(house, inside)
    assert listened(ended) == [
        "+91",
        "+98",
        "91:outside",
        "91:both/left",
        "91:nobody",
        "-91",
        "98:colleague/left",
    ]
    assert in_room(ended) == ["+91", "-91", "+98!"]
    assert "91+caller" in [name for name, *_ in heard(ended, 0)]
    assert kinds(ended)[-2:] == ["transferred_outside", "recording_stopped"]
    assert (ended.end.outcome, ended.end.reason) == ("recorded", None)
    for each in (one, two):
        assert not heard_among(read_wav(each.call.heard_by_caller)[TOLD_BY:, 0], SENTENCE)
