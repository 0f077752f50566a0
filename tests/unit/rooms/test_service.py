"""Rooms in the catalogue: commands of several people, and who is there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from recorder.catalogue import change_messages
from recorder.catalogue.change_messages import Listener
from recorder.errors import RoomError
from recorder.features.rooms.rules import RoomCommand
from recorder.features.rooms.service import CHANNEL, Rooms, drop_rooms, milliseconds
from tests.expected_errors import expect_error

LENGTHS = {"call": 60_000}
TENANT, ROOM = "tenant", "01930000-0000-7000-8000-0000000000d1"


@pytest.fixture
def rooms(clock, catalogue) -> Rooms:
    return Rooms(clock, lambda: None)


@pytest.fixture
def messages(catalogue) -> Iterator[list[str | None]]:
    found: list[str | None] = []
    listener = Listener(CHANNEL, found.append)
    listener.start()
    yield found
    listener.stop()


def command(rooms: Rooms, action: str, who: str = "claire", **more):
    room = rooms.find(TENANT, ROOM, "call")
    return rooms.command(room, RoomCommand(action, **more), who, seq=room.seq, durations=LENGTHS)


def test_a_new_room_is_paused_at_the_beginning(rooms) -> None:
    room = rooms.find(TENANT, ROOM, "call")
    assert (room.seq, room.playing, room.position_ms, room.leader) == (0, False, 0, "")
    assert rooms.members(TENANT, ROOM) == ()


def test_a_command_is_seen_by_all(rooms) -> None:
    rooms.note_presence(TENANT, ROOM, "claire", ready=True)
    after = command(rooms, "play")
    assert rooms.find(TENANT, ROOM, "call") == after
    assert rooms.find("another", ROOM, "call").seq == 0


def test_of_two_commands_at_once_one_is_carried_out(rooms) -> None:
    room = rooms.find(TENANT, ROOM, "call")
    rooms.command(room, RoomCommand("play"), "claire", seq=0, durations=LENGTHS)
    for seq in (0, 1):
        with expect_error(RoomError, "room.outdated"):
            rooms.command(room, RoomCommand("seek", position_ms=9), "claire", seq=seq, durations=LENGTHS)
    assert rooms.find(TENANT, ROOM, "call").playing


def test_no_pause_comes_too_late(rooms) -> None:
    """Neither one of somebody who saw an older room, nor one that another command overtakes."""
    first = rooms.find(TENANT, ROOM, "call")
    command(rooms, "play")
    command(rooms, "seek", position_ms=7)
    for seq in (0, 1, 2):
        found = rooms.command(first, RoomCommand("pause"), "jan", seq=seq, durations=LENGTHS)
        assert not found.playing
        assert found == rooms.find(TENANT, ROOM, "call")
    assert (found.seq, found.position_ms) == (5, 7)


def test_many_at_once_count_without_a_gap(rooms) -> None:
    counts: list[int] = []

    def play() -> None:
        for _ in range(200):
            try:
                counts.append(command(rooms, "seek", position_ms=1).seq)
            except RoomError:
                continue
            return

    threads = [threading.Thread(target=play) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(counts) == list(range(1, 7))


def test_presence_is_told_when_it_changes(rooms, clock, messages) -> None:
    rooms.note_presence(TENANT, ROOM, "jan", ready=False)
    rooms.note_presence(TENANT, ROOM, "jan", ready=False)
    clock.forward(seconds=10)
    rooms.note_presence(TENANT, ROOM, "jan", ready=False)
    assert messages == [ROOM]
    rooms.note_presence(TENANT, ROOM, "jan", ready=True)
    clock.forward(seconds=60)
    rooms.note_presence(TENANT, ROOM, "jan", ready=True)
    assert messages == [ROOM] * 3
    rooms.note_departure(TENANT, ROOM, "jan")
    assert messages == [ROOM] * 4
    assert rooms.members(TENANT, ROOM) == ()


def test_old_rooms_are_dropped(rooms, clock) -> None:
    rooms.note_presence(TENANT, ROOM, "jan", ready=True)
    command(rooms, "play", "jan")
    assert drop_rooms(milliseconds(clock() - timedelta(days=1))) == 0
    clock.forward(days=2)
    assert drop_rooms(milliseconds(clock() - timedelta(days=1))) == 1
    assert rooms.find(TENANT, ROOM, "call").seq == 0
    assert rooms.members(TENANT, ROOM) == ()


def test_the_clock_of_the_catalogues_server_counts(clock, catalogue) -> None:
    later = clock() + timedelta(seconds=90)
    assert Rooms(clock, lambda: later).now_ms() == milliseconds(later)
    assert Rooms(clock, lambda: None).now_ms() == milliseconds(clock())


@pytest.mark.postgresql
@pytest.mark.parametrize("catalogue_kind", ["postgresql"])
def test_messages_reach_other_connections(catalogue) -> None:
    found: list[str | None] = []
    arrived = threading.Condition()

    def receive(payload: str | None) -> None:
        with arrived:
            found.append(payload)
            arrived.notify_all()

    listener = Listener(CHANNEL, receive)
    listener.start()
    try:
        with arrived:
            assert arrived.wait_for(lambda: found == [None], 20), "first: look at everything"
        for number in range(20):
            change_messages.send(CHANNEL, str(number))
        with arrived:
            assert arrived.wait_for(lambda: len(found) == 21, 20)
        assert found[1:] == [str(number) for number in range(20)]
    finally:
        listener.stop()
