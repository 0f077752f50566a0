"""The limited places for unverified connections."""

from __future__ import annotations

from recorder.switch.unverified_connections import UnverifiedConnection, UnverifiedConnections

SWITCH, STRANGER = 998, 1000


def limiter(strangers: int = 2, others: int = 3) -> UnverifiedConnections:
    return UnverifiedConnections(
        lambda owner: owner not in (None, SWITCH), strangers=strangers, others=others
    )  # fmt: skip


def connections(
    owner: int | None, count: int
) -> tuple[list[UnverifiedConnection], list[UnverifiedConnection]]:
    closed: list[UnverifiedConnection] = []
    all_connections = [UnverifiedConnection(owner) for _ in range(count)]
    for one in all_connections:
        one.close = lambda _reason, one=one: closed.append(one)  # type: ignore[misc]
    return all_connections, closed


def test_refuses_strangers_beyond_their_places() -> None:
    limits = limiter()
    strangers, closed = connections(STRANGER, 5000)
    assert [limits.enter(each) for each in strangers] == [True, True, *[False] * 4998]
    assert not closed
    assert all(limits.enter(each) for each in connections(SWITCH, 3)[0])
    assert len(limits) == 5


def test_evicts_the_oldest_of_the_others() -> None:
    limits = limiter()
    unknown, closed = connections(None, 4)
    assert all(limits.enter(each) for each in unknown)
    assert closed == [unknown[0]]
    assert unknown[0].evicted
    assert len(limits) == 3


def test_verified_connection_frees_its_place() -> None:
    limits = limiter()
    first, second, third = connections(STRANGER, 3)[0]
    assert limits.enter(first)
    assert limits.enter(second)
    limits.leave(first)
    limits.leave(first)
    assert limits.enter(third)
    assert len(limits) == 2


def test_evicts_a_connection_without_a_session() -> None:
    limits = limiter(others=1)
    first, second = UnverifiedConnection(None), UnverifiedConnection(None)
    assert limits.enter(first)
    assert limits.enter(second)
    assert first.evicted
