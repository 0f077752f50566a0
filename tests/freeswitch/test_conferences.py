"""More than two parties on a real switch: in a conference, and with a third party. One take each, with joins
and leaves in its markers, and a notice for everybody who joined."""

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
from recorder.spool import command_socket, layout
from tests.freeswitch.internal_phones import (
    HOT,
    LINE,
    OUTSIDE,
    SECOND,
    THIRD,
    Talk,
    bridge_markers,
    conference_markers,
    set_line,
    tones_in,
)
from tests.freeswitch.sound import heard_among
from tests.freeswitch.switches import RATE, Rig, level, read_wav
from tests.freeswitch.test_feature_codes import PAUSED, zeros
from tests.scenarios.files import LOWS, chirp

SENTENCE = chirp(low=LOWS["transfer_notice"])
ANNOUNCED_BY = 2 * RATE


@pytest.fixture(autouse=True)
def no_calls_left(system: Rig) -> Iterator[None]:
    yield
    system.hang_up_all()


def start_talk(system: Rig, number: str = LINE) -> Talk:
    """A caller speaks with the first colleague."""
    talk = Talk(system, system.call(number))
    talk.until_marked("bridged")
    time.sleep(1)
    return talk


def move_to_conference(talk: Talk, room: str) -> None:
    """Transfer both parties to a conference."""
    before = len(talk.markers("participant_joined"))
    talk.switch(f"uuid_transfer {talk.call.leg} -both {room} XML public")
    talk.until_marked("participant_joined", before + 1)


def send_command(talk: Talk, what: str) -> None:
    """Send a live command, as panel and API do."""
    folder = talk.call.take()
    assert folder is not None
    name = str(uuid.uuid4())
    request = live_command.Request(name, folder.name, what, "api", time.monotonic() + 5)
    assert command_socket.send_request(talk.rig.spool, request) == live_command.DONE


def voices(take: layout.Take) -> list[str]:
    return [name for name, _ in groupby(one[0] for one in tones_in(take) if one[0])]


def kinds(take: layout.Take) -> list[str]:
    return [marker.kind for marker in take.markers]


def by_colleague(system: Rig, leg: str) -> bool:
    """Whether the one who called in heard the sentence whole, whoever spoke meanwhile."""
    return heard_among(read_wav(system.phones_folder / f"colleague-{leg}.wav")[:, 0], SENTENCE)


def test_conference(system: Rig) -> None:
    """Everybody in one take; who comes is told alone, the first colleague is not, and all are in the markers.
    Another call comes into the same room: each take has both, and who was told is not told again."""
    set_line(system, "joining_alone")
    one, two = start_talk(system), start_talk(system)
    move_to_conference(one, "meet-a")
    send_command(one, PAUSE)
    time.sleep(1)
    send_command(one, RESUME)
    second = one.place_call(SECOND, "meet-a")
    one.until_marked("transfer_notice_finished")
    time.sleep(1)
    move_to_conference(two, "meet-a")
    one.until_marked("participant_joined", 4)
    time.sleep(1.5)
    assert len(one.markers("transfer_notice_started")) == 1
    assert not two.markers("transfer_notice_started"), "told twice"
    one.phones(f"uuid_kill {second}")
    one.until_marked("participant_left")
    time.sleep(1)
    first = one.end()
    other = two.end()
    ((_start, _end),) = zeros(read_wav(Path(first.audio))[ANNOUNCED_BY:])
    reminded = level(read_wav(one.call.heard_by_callee)[:, 0], PAUSED)
    # A tone takes two tenths of a second; where a voice begins or ends, every pitch is in one of them.
    assert np.minimum(reminded[1:], reminded[:-1]).max() < 0.02, "no tone reminds of it"
    assert voices(first)[:3] == ["01", "01+91", "01+91+caller"]
    assert bridge_markers(first) == ["+01", "-01"]
    assert conference_markers(first)[:2] == ["+01", "+91"]
    assert sorted(conference_markers(first)[2:4]) == sorted(
        ["+01", f"+{two.call.caller[-2:]}!"]
    )  # both at once
    assert conference_markers(first)[4] == "-91"
    assert sorted(conference_markers(first)[5:]) == sorted(["-01", "-01", f"-{two.call.caller[-2:]}!"])
    assert sorted(conference_markers(other)[:4]) == sorted(["+01", "+01", "+91", f"+{one.call.caller[-2:]}!"])
    assert kinds(first).count("transfer_notice_finished") == 1
    (notice_marker,) = (marker for marker in first.markers if marker.kind == "transfer_notice_finished")
    assert notice_marker.data["in"] == "conference"
    assert by_colleague(system, second)
    for talk in (one, two):
        assert not heard_among(read_wav(talk.call.heard_by_caller)[ANNOUNCED_BY:, 0], SENTENCE)
    assert (first.end.outcome, other.end.outcome) == ("recorded", "recorded")
    assert kinds(first).count("recording_started") == kinds(first).count("recording_stopped") == 1


def test_notice_to_all_and_an_external_member(system: Rig) -> None:
    """All hear the notice, and it is in the take. An external member who heard no announcement ends the
    recording."""
    set_line(system, "joining_both")
    talk = start_talk(system)
    move_to_conference(talk, "meet-b")
    second = talk.place_call(SECOND, "meet-b")
    third = talk.place_call(THIRD, "meet-b")
    talk.until_marked("participant_joined", 3)
    time.sleep(4)
    outside = f"{{accord_external=true}}sofia/accord/{OUTSIDE}@{talk.route}"
    talk.switch(f"originate {outside} &conference(room-b@accord)")
    talk.until_marked("transferred_externally")
    take = talk.call.wait_take()
    assert talk.call.alive()
    assert by_colleague(system, second)
    assert by_colleague(system, third)
    assert heard_among(read_wav(talk.call.heard_by_caller)[ANNOUNCED_BY:, 0], SENTENCE)
    assert heard_among(read_wav(Path(take.audio))[RATE * 3 // 2 :, 1], SENTENCE)
    assert conference_markers(take)[0] == "+01"
    assert sorted(conference_markers(take)[1:3]) == ["+91", "+92"]
    assert conference_markers(take)[3:] == ["+98!"]
    assert kinds(take)[-2:] == ["transferred_externally", "recording_stopped"]
    assert (take.end.outcome, take.end.reason) == ("recorded", None)


def test_joins_and_departures_while_the_daemon_is_away(system: Rig) -> None:
    """Members are found later and notified then, also in a call that was brought into a conference at
    once."""
    set_line(system, "joining_alone", HOT)
    one = start_talk(system)
    move_to_conference(one, "meet-c")
    hot = Talk(system, system.call(HOT))
    hot.until_marked("announcement_finished")
    time.sleep(0.5)
    first = hot.place_call(THIRD, "meet-hot")
    hot.until_marked("participant_joined")  # the switch has been asked about them
    system.kill_daemon()
    second = one.place_call(SECOND, "meet-c")
    listener = one.place_call(LINE, f"listen-{one.call.leg}")
    time.sleep(1)
    system.start_daemon()
    system.wait_watching()
    one.until_marked("transfer_notice_finished")
    assert one.markers("participant_joined")[-1].data["seen"] == "later"
    system.kill_daemon()
    one.phones(f"uuid_kill {second}")
    one.phones(f"uuid_kill {listener}")
    time.sleep(0.5)
    system.start_daemon()
    system.wait_watching()
    one.until_marked("participant_left")
    one.until_marked("supervisor_left")
    one.phones(f"uuid_kill {first}")
    hot.until_marked("participant_left")
    take, moved_take = one.end(), hot.end()
    assert conference_markers(take) == ["+01", "+91~", "-91~", "-01"]
    assert supervisor_markers(take) == ["+01~", "-01~"]
    assert by_colleague(system, second)
    assert conference_markers(moved_take) == ["+92", "-92"]
    assert (moved_take.end.outcome, moved_take.end.reason) == ("recorded", None)
    assert not by_colleague(system, first), "whom it was for is nobody who joins"
    assert "92" in voices(moved_take)


def test_three_way(system: Rig) -> None:
    """One recording has all three. The third party is notified at once, alone, and not again when the first
    internal party leaves."""
    set_line(system, "joining_alone")
    talk = start_talk(system)
    consult(talk)
    talk.phones(f"uuid_send_dtmf {talk.phone()} 0")
    talk.until_marked("transfer_notice_finished")
    # The codes are those of who is connected with the external party, and nobody else's.
    talk.phones(f"uuid_send_dtmf {talk.phone(SECOND)} *8")
    time.sleep(1)
    assert not talk.markers("moment_marked")
    talk.phones(f"uuid_send_dtmf {talk.phone()} *6")
    talk.until_marked("paused")
    time.sleep(0.7)
    talk.phones(f"uuid_send_dtmf {talk.phone()} *7")
    talk.until_marked("resumed")
    time.sleep(1)
    talk.phones(f"uuid_kill {talk.phone()}")
    talk.until_marked("bridged", 3)
    time.sleep(1)
    take = talk.end()
    heard_in_turn = voices(take)  # a phone that dials says nothing meanwhile
    assert (heard_in_turn[:2], heard_in_turn[-1]) == (["01", "01+91"], "91")
    assert set(heard_in_turn) == {"01", "01+91", "91"}
    ((_start, _end),) = zeros(read_wav(Path(take.audio))[ANNOUNCED_BY:])
    assert bridge_markers(take)[:5] == ["+01", "-01", "+01", "-01", "+91"]
    assert conference_markers(take) == ["+91", "-91"]
    assert kinds(take).count("transfer_notice_started") == kinds(take).count("transfer_notice_finished") == 1
    heard_by_third = system.phones_folder / f"callee-{SECOND}-{talk.call.caller}.wav"
    assert heard_among(read_wav(heard_by_third)[:, 0], SENTENCE)
    assert not heard_among(read_wav(talk.call.heard_by_caller)[ANNOUNCED_BY:, 0], SENTENCE)


def consult(talk: Talk) -> None:
    talk.switch(f"uuid_broadcast {talk.inside} att_xfer::sofia/accord/{SECOND}@{talk.route} aleg")
    talk.phone(SECOND)
    time.sleep(1.5)


def supervisor_markers(take: layout.Take) -> list[str]:
    """Return the supervisors by the last two digits, with who heard them and the channel that they are in."""
    options = {"supervisor_joined": "+", "supervisor_left": "-", "supervisor_heard": ""}
    return [
        options[marker.kind] + marker.data.get("value", "?")[-2:]
        + (f":{marker.data['heard_by']}" if "heard_by" in marker.data else "")
        + (f"/{marker.data['channel']}" if "channel" in marker.data else "")
        + ("~" if "seen" in marker.data else "")
        for marker in take.markers
        if marker.kind in options
    ]  # fmt: skip


def test_supervisors(system: Rig) -> None:
    """A supervisor is marked, and not notified as long as nobody hears them; one who speaks into the
    recording counts as a third party. An external one may listen, and ends the recording by speaking."""
    set_line(system, "joining_alone")
    one, two = start_talk(system), start_talk(system)
    inside = one.place_call(THIRD, f"listen-{one.inside}")
    outside_leg = two.call.leg
    second = two.place_call(SECOND, f"listen-{outside_leg}")
    for talk in (one, two):
        talk.until_marked("supervisor_joined")
    talk = two
    who = f"{{accord_external=true}}sofia/accord/{OUTSIDE}@{talk.route}"
    talk.switch(f"originate {who} &eavesdrop({outside_leg})")
    talk.until_marked("supervisor_joined", 2)
    time.sleep(1)
    assert not heard_among(read_wav(system.phones_folder / f"colleague-{inside}.wav")[:, 0], SENTENCE)
    for key, leg in (("2", inside), ("2", second)):
        talk.phones(f"uuid_send_dtmf {leg} {key}")
    for each in (one, two):
        each.until_marked("supervisor_heard")
    time.sleep(1)
    talk.phones(f"uuid_send_dtmf {inside} 1")
    talk.phones(f"uuid_send_dtmf {second} 3")
    for each in (one, two):
        each.until_marked("transfer_notice_finished")
    assert not one.markers("transferred_externally")
    talk.phones(f"uuid_send_dtmf {second} 0")
    two.until_marked("participant_left")
    talk.phones(f"uuid_kill {second}")
    two.until_marked("supervisor_left")
    talk.phones(f"uuid_send_dtmf {talk.phone(OUTSIDE)} 1")
    two.until_marked("transferred_externally")
    ended = two.call.wait_take()
    assert two.call.alive()
    talk.phones(f"uuid_kill {inside}")
    one.until_marked("supervisor_left")
    time.sleep(0.7)
    take = one.end()
    assert supervisor_markers(take) == ["+92", "92:internal", "92:external/right", "-92"]
    assert conference_markers(take) == ["+92", "-92"]
    assert voices(take)[:3] == ["01", "01+92", "01"], "not before the external party hears them"
    assert [name for name, *_ in tones_in(take, 0) if "92" in name] == []
    assert kinds(take).count("transfer_notice_finished") == 1
    assert (take.end.outcome, take.end.reason) == ("recorded", None)
    assert by_colleague(system, inside)
    assert supervisor_markers(ended) == [
        "+91",
        "+98",
        "91:external",
        "91:both/left",
        "91:nobody",
        "-91",
        "98:internal/left",
    ]
    assert conference_markers(ended) == ["+91", "-91", "+98!"]
    assert "91+caller" in [name for name, *_ in tones_in(ended, 0)]
    assert kinds(ended)[-2:] == ["transferred_externally", "recording_stopped"]
    assert (ended.end.outcome, ended.end.reason) == ("recorded", None)
    for each in (one, two):
        assert not heard_among(read_wav(each.call.heard_by_caller)[ANNOUNCED_BY:, 0], SENTENCE)
