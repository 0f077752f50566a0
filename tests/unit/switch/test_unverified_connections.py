"""Places for connections of which nobody knows yet whether they are the switch's."""

from __future__ import annotations

from recorder.switch.unverified_connections import UnverifiedConnection, UnverifiedConnections

SWITCH, STRANGER = 998, 1000


def room(strangers: int = 2, others: int = 3) -> UnverifiedConnections:
    return UnverifiedConnections(
        lambda owner: owner not in (None, SWITCH), strangers=strangers, others=others
    )  # fmt: skip


def visits(owner: int | None, count: int) -> tuple[list[UnverifiedConnection], list[UnverifiedConnection]]:
    closed: list[UnverifiedConnection] = []
    made = [UnverifiedConnection(owner) for _ in range(count)]
    for visit in made:
        visit.close = lambda _reason, visit=visit: closed.append(visit)  # type: ignore[misc]
    return made, closed


def test_strangers_beyond_their_places_are_turned_away_and_take_nobody_elses() -> None:
    waiting = room()
    strangers, closed = visits(STRANGER, 5000)
    assert [waiting.enter(each) for each in strangers] == [True, True, *[False] * 4998]
    assert not closed
    assert all(waiting.enter(each) for each in visits(SWITCH, 3)[0])
    assert len(waiting) == 5


def test_of_all_others_the_one_that_waited_longest_makes_room() -> None:
    waiting = room()
    unknown, closed = visits(None, 4)
    assert all(waiting.enter(each) for each in unknown)
    assert closed == [unknown[0]]
    assert unknown[0].left
    assert len(waiting) == 3


def test_whoever_is_known_takes_no_place() -> None:
    waiting = room()
    first, second, third = visits(STRANGER, 3)[0]
    assert waiting.enter(first)
    assert waiting.enter(second)
    waiting.leave(first)
    waiting.leave(first)
    assert waiting.enter(third)
    assert len(waiting) == 2


def test_one_that_made_room_before_it_was_anything_but_a_socket() -> None:
    waiting = room(others=1)
    first, second = UnverifiedConnection(None), UnverifiedConnection(None)
    assert waiting.enter(first)
    assert waiting.enter(second)
    assert first.left
