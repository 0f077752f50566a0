"""What commands do to a room."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import RoomError
from recorder.features.rooms.rules import (
    DELAY_MS,
    LEASE_MS,
    PRESENT_MS,
    RATES,
    Member,
    Room,
    RoomCommand,
    command_of,
    follow_command,
    leader_of,
    slow_down,
)

NOW = 1_800_000_000_000
LENGTHS = {"call": 60_000, "other": 10_000}
ROOM = Room("room", "tenant", "call", seq=4, position_ms=5_000, at_ms=NOW - 1_000, leader="claire")
PLAYS = replace(ROOM, playing=True)
HERE = (Member("claire", NOW, True), Member("jan", NOW, True))


def after(room: Room, command: RoomCommand, who: str = "claire", members=HERE, now_ms: int = NOW) -> Room:
    return follow_command(room, command, who, members=members, durations=LENGTHS, now_ms=now_ms)


def refused(room: Room, command: RoomCommand, who: str = "claire", members=HERE) -> str:
    with pytest.raises(RoomError) as error:
        after(room, command, who, members)
    return error.value.error_id


def test_a_command_takes_effect_a_moment_later_and_counts() -> None:
    found = after(ROOM, RoomCommand("play"))
    assert (found.playing, found.position_ms, found.at_ms, found.seq) == (True, 5_000, NOW + DELAY_MS, 5)


def test_a_pause_is_where_everybody_is_by_then() -> None:
    found = after(PLAYS, RoomCommand("pause"))
    assert (found.playing, found.position_ms) == (False, 5_000 + 1_000 + DELAY_MS)


def test_speed_changes_where_everybody_is_by_then() -> None:
    found = after(replace(PLAYS, rate=150), RoomCommand("rate", rate=75))
    assert (found.rate, found.position_ms, found.playing) == (75, 5_000 + (1_000 + DELAY_MS) * 3 // 2, True)
    for rate in (0, 99, 500, None):
        assert refused(PLAYS, RoomCommand("rate", rate=rate)) == "room.command"
    assert all(after(PLAYS, RoomCommand("rate", rate=rate)).rate == rate for rate in RATES)


@pytest.mark.parametrize("place", [-1, 60_001])
def test_no_place_is_outside_the_recording(place: int) -> None:
    assert refused(PLAYS, RoomCommand("seek", position_ms=place)) == "room.command"
    assert refused(ROOM, RoomCommand("play", position_ms=place)) == "room.command"


def test_seeking_goes_on_as_before() -> None:
    for room in (ROOM, PLAYS):
        found = after(room, RoomCommand("seek", position_ms=60_000))
        assert (found.position_ms, found.playing) == (60_000, room.playing)


def test_at_the_end_play_begins_again() -> None:
    late = replace(PLAYS, at_ms=NOW - 120_000)
    assert late.position_at(NOW, 60_000) == 60_000
    assert after(late, RoomCommand("play")).position_ms == 0
    assert after(late, RoomCommand("pause")).position_ms == 60_000


def test_another_recording_begins_paused() -> None:
    found = after(PLAYS, RoomCommand("choose", recording="other"))
    assert (found.recording, found.playing, found.position_ms) == ("other", False, 0)
    assert refused(PLAYS, RoomCommand("choose", recording="a third")) == "room.command"
    assert refused(PLAYS, RoomCommand("choose")) == "room.command"


def test_one_leads() -> None:
    for action in ("play", "seek", "rate", "choose"):
        assert (
            refused(PLAYS, RoomCommand(action, position_ms=1, rate=100, recording="call"), "jan")
            == "room.led"
        )
    assert refused(PLAYS, RoomCommand("lead", to="claire"), "jan") == "room.led"


def test_anybody_pauses_and_whoever_led_still_does() -> None:
    found = after(PLAYS, RoomCommand("pause"), "jan")
    assert (found.playing, found.leader, found.position_ms) == (False, "claire", 5_000 + 1_000 + DELAY_MS)
    again = after(found, RoomCommand("pause"), "mia")
    assert (again.playing, again.position_ms, again.seq) == (False, found.position_ms, found.seq + 1)


def test_anybody_takes_the_lead() -> None:
    for to in (None, "jan"):
        found = after(PLAYS, RoomCommand("lead", to=to), "jan")
        assert found == replace(PLAYS, leader="jan", seq=5)


def test_whoever_gives_the_first_command_leads() -> None:
    assert after(replace(ROOM, leader=""), RoomCommand("play"), "jan").leader == "jan"


def test_the_lead_is_handed_over_to_somebody_who_is_there() -> None:
    found = after(PLAYS, RoomCommand("lead", to="jan"))
    assert (found.leader, found.playing, found.position_ms, found.at_ms) == ("jan", True, 5_000, NOW - 1_000)
    assert refused(PLAYS, RoomCommand("lead", to="mia")) == "room.nobody"
    away = (HERE[0], Member("jan", NOW - PRESENT_MS, True))
    assert refused(PLAYS, RoomCommand("lead", to="jan"), members=away) == "room.nobody"
    assert after(PLAYS, RoomCommand("lead")).leader == "claire"


def test_the_lead_of_somebody_who_is_away_ends() -> None:
    for at, leader in ((NOW - LEASE_MS + 1, "claire"), (NOW - LEASE_MS, "")):
        assert leader_of(PLAYS, (Member("claire", at, True),), NOW) == leader
    assert leader_of(PLAYS, (), NOW) == ""
    away = (Member("claire", NOW - LEASE_MS, True), HERE[1])
    assert after(PLAYS, RoomCommand("pause"), "jan", away).leader == "jan"


def test_presence_ends_after_a_while() -> None:
    assert Member("jan", NOW - PRESENT_MS + 1, True).is_present(NOW)
    assert not Member("jan", NOW - PRESENT_MS, True).is_present(NOW)


@given(
    position=st.integers(0, 60_000), since=st.integers(-1_000, 200_000), rate=st.sampled_from(RATES),
    playing=st.booleans(),
)  # fmt: skip
def test_the_position_is_always_in_the_recording(position, since, rate, playing) -> None:
    room = replace(ROOM, position_ms=position, at_ms=NOW - since, rate=rate, playing=playing)
    found = room.position_at(NOW, 60_000)
    assert position <= found <= 60_000
    if not playing or since <= 0:
        assert found == position


def test_speed_stays_normal_while_somebody_listens_by_telephone() -> None:
    room = Room("room", "tenant", "call", rate=150, playing=True)
    jan = Member("jan", 0, True, by_telephone=True)
    after = slow_down(room, {"call": 60_000}, 2000)
    assert (after.rate, after.seq, after.position_ms, after.at_ms) == (100, 1, 2350 * 150 // 100, 2350)

    def change(rate: int, now_ms: int) -> Room:
        command = RoomCommand("rate", rate=rate)
        return follow_command(
            after, command, "claire", members=[jan], durations={"call": 60_000}, now_ms=now_ms
        )

    with pytest.raises(RoomError, match="by telephone"):
        change(125, 1000)
    assert change(100, 1000).rate == 100
    assert change(125, PRESENT_MS).rate == 125


@pytest.mark.parametrize(
    ("key", "playing", "position_ms", "command"),
    [
        ("1", True, 15_000, RoomCommand("seek", position_ms=5000)),
        ("1", True, 5000, RoomCommand("seek", position_ms=0)),
        ("3", False, 15_000, RoomCommand("seek", position_ms=25_000)),
        ("3", False, 55_000, RoomCommand("seek", position_ms=60_000)),
        ("2", True, 0, RoomCommand("pause")),
        ("2", False, 0, RoomCommand("pause")),
        ("5", False, 0, RoomCommand("play")),
        ("5", True, 60_000, RoomCommand("play")),
        ("5", True, 0, None),
        ("9", False, 0, RoomCommand("lead")),
        ("8", False, 0, None),
        ("*", False, 0, None),
    ],
)
def test_keys_on_the_telephone(
    key: str, playing: bool, position_ms: int, command: RoomCommand | None
) -> None:
    room = Room("room", "tenant", "call", playing=playing, position_ms=position_ms, at_ms=1000)
    assert command_of(key, room, 60_000, 1000) == command
