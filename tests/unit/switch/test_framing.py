"""Frames from bytes, however they are split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.switch.framing import EVENT, Framer

EVENT_BODY = b"Event-Name: HEARTBEAT\nEvent-Info: System%20Ready\n\n"
STREAM = (
    b"Content-Type: auth/request\n\n"
    b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
    # A reply whose text ends with a line feed.
    b"Content-Type: command/reply\nReply-Text: +OK\n\n\n"
    b"Content-Type: api/response\nContent-Length: 5\n\n+OK\n\n"
    b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s"
    % (len(EVENT_BODY), EVENT_BODY)
    + b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(EVENT_BODY), EVENT_BODY)
    + b"Content-Type: text/disconnect-notice\nContent-Length: 67\n\n"
    b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
)
KINDS = [
    b"auth/request",
    b"command/reply",
    b"command/reply",
    b"api/response",
    EVENT,
    EVENT,
    b"text/disconnect-notice",
]


def test_reads_frames_of_every_kind() -> None:
    framer = Framer()
    frames = framer.feed(STREAM)
    assert [frame.kind for frame in frames] == KINDS
    assert frames[3].body == b"\n+OK\n\n"
    assert frames[4].body == b"\n" + EVENT_BODY
    assert frames[6].body.startswith(b"\nDisconnected")
    assert framer.incomplete_bytes == 0
    assert framer.error is None


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_split_positions_do_not_matter(cuts: list[int]) -> None:
    whole = Framer().feed(STREAM)
    framer = Framer()
    positions = [0, *sorted(cuts), len(STREAM)]
    parts = [STREAM[a:b] for a, b in itertools.pairwise(positions)]
    assert [frame for part in parts for frame in framer.feed(part)] == whole
    assert framer.incomplete_bytes == 0


def test_reads_byte_by_byte() -> None:
    framer = Framer()
    frames = [frame for at in range(len(STREAM)) for frame in framer.feed(STREAM[at : at + 1])]
    assert frames == Framer().feed(STREAM)


@given(st.binary(max_size=200))
def test_never_raises(noise: bytes) -> None:
    framer = Framer(max_head=64, max_body=64)
    framer.feed(noise)
    framer.feed(STREAM)
    assert framer.incomplete_bytes <= 64 + 64 + 200 + len(STREAM)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"Reply-Text: +OK\n\n", "without Content-Type"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n\n", "without Content-Type"),
        (b"Content-Type: api/response\nContent-Length: -1\n\n", "no number"),
        (b"Content-Type: api/response\nContent-Length: 0x10\n\n", "no number"),
        (b"Content-Type: api/response\nContent-Length: 12 \n\n", "no number"),
        (b"Content-Type: api/response\nContent-Length: \n\n", "no number"),
        (b"Content-Type: api/response\nContent-Length: 9999999999\n\n", "no number"),
        (b"Content-Type: api/response\nContent-Length: 5\nContent-Length: 6\n\n", "different"),
        (b"Content-Type: api/response\nContent-Length: 1001\n\n", "limit is 1000"),
        (b"Content-Length: 1001\nContent-Type: text/event-plain\n\n", "limit is 1000"),
        (b"X: " + b"y" * 2000, "head of more than"),
        (b"X: " + b"y" * 2000 + b"\n\n", "head of more than"),
    ],
)
def test_malformed_bytes_end_the_stream(data: bytes, why: str) -> None:
    framer = Framer(max_head=1000, max_body=1000)
    good = b"Content-Type: auth/request\n\n"
    assert [frame.kind for frame in framer.feed(good + data)] == [b"auth/request"]
    assert framer.error is not None
    assert why in framer.error.message
    assert framer.feed(good) == []
    assert framer.incomplete_bytes == 0


def test_accepts_a_repeated_length() -> None:
    framer = Framer()
    frames = framer.feed(b"Content-Length: 2\nContent-Type: api/response\nContent-Length: 2\n\nok")
    assert [frame.body for frame in frames] == [b"\nok"]


def test_joins_a_large_body_once() -> None:
    """Each part of a body must not copy all earlier parts."""
    framer = Framer()
    framer.feed(b"Content-Type: api/response\nContent-Length: 8000000\n\n")
    for _ in range(7999):
        assert framer.feed(b"x" * 1000) == []
    assert len(framer._parts) > 7000
    (frame,) = framer.feed(b"x" * 1000)
    assert len(frame.body) == 8_000_001
