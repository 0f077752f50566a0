"""Streams of rooms: each session and each customer has its share."""

from __future__ import annotations

from web.room_signals import CUSTOMER_STREAMS, MOST_STREAMS, SESSION_STREAMS, RoomSignals, RoomStream


def test_a_session_replaces_its_own_oldest_stream() -> None:
    signals = RoomSignals()
    other = signals.open("room", "bakery", "claire")
    own = [signals.open("room", "bakery", "paul") for _ in range(SESSION_STREAMS + 2)]
    assert [each.is_closed for each in own if each] == [True, True] + [False] * SESSION_STREAMS
    assert other is not None
    assert not other.is_closed


def test_a_customer_takes_no_room_from_another() -> None:
    signals = RoomSignals()
    streams = [signals.open("room", "bakery", f"session {each}") for each in range(CUSTOMER_STREAMS)]
    assert None not in streams
    assert signals.open("room", "bakery", "one more") is None
    assert signals.open("theirs", "notary", "an") is not None
    again = signals.open("room", "bakery", "session 7")
    assert again is not None
    assert [number for number, each in enumerate(streams) if each and each.is_closed] == [7]


def test_the_whole_panel_is_full_and_has_room_again() -> None:
    signals = RoomSignals()
    names = [(f"room {each}", f"customer {each // 50}", f"session {each}") for each in range(MOST_STREAMS)]
    streams = [signals.open(*each) for each in names]
    assert None not in streams
    assert signals.open("room", "another", "an") is None
    _close(signals, streams[0])
    _close(signals, streams[0])
    assert signals.open("room", "another", "an") is not None
    assert signals.open("room", "another", "ben") is None


def test_a_stream_that_is_replaced_wakes_at_once() -> None:
    signals = RoomSignals()
    first, *_rest = [signals.open("room", "bakery", "paul") for _ in range(SESSION_STREAMS + 1)]
    assert first is not None
    signals.wait(first, signals.count("room"), 3600)


def _close(signals: RoomSignals, stream: RoomStream | None) -> None:
    assert stream is not None
    signals.close_stream(stream)
