"""Any bytes on the event socket, in any pieces: the same frames as when read at once."""

from __future__ import annotations

import re

from recorder.switch.framing import Frame, Framer
from tests.fuzz.choices import Choices

INSTRUMENT = ("recorder.switch",)
LONGEST = 400

HEAD, BODY = 160, 300
"""Limits small enough for a search to reach."""


def reference(stream: bytes, max_head: int, max_body: int) -> tuple[list[Frame], bool]:
    """The frames of a complete stream, and whether it is malformed after them."""
    frames: list[Frame] = []
    while True:
        stream = stream.lstrip(b"\n")
        head, blank, rest = stream.partition(b"\n\n")
        if len(head) > max_head + (not blank):  # it may end in the first of two line feeds
            return frames, True
        if not blank:
            return frames, False
        lines = head.split(b"\n")
        kinds = [line[14:] for line in lines if line.startswith(b"Content-Type: ")]
        lengths = {line[16:] for line in lines if line.startswith(b"Content-Length: ")}
        if not kinds or len(lengths) > 1:
            return frames, True
        length_text = lengths.pop() if lengths else b"0"
        if not re.fullmatch(rb"[0-9]{1,9}", length_text) or int(length_text) > max_body:
            return frames, True
        length = int(length_text)
        if len(rest) < length:
            return frames, False
        plain = re.fullmatch(rb"Content-Length: [0-9]{1,9}\nContent-Type: text/event-plain", head)
        frames.append(Frame(kinds[0], b"" if plain else b"\n" + head + b"\n", b"\n" + rest[:length]))
        stream = rest[length:]


def check(data: bytes) -> None:
    choices = Choices(data)
    limits = choices.pick(((HEAD, BODY), (1 << 20, 64 << 20), (0, 0), (40, 1)))
    longest = choices.pick((1, 3, 16, 255))
    tape = Choices(choices.take(choices.below(64)))
    stream = choices.rest()
    expected, malformed = reference(stream, *limits)
    for pieces in ([stream], tape.cut(stream, longest), [stream[n : n + 1] for n in range(len(stream))]):
        framer = Framer(max_head=limits[0], max_body=limits[1])
        frames: list[Frame] = []
        for piece in pieces:
            frames += framer.feed(piece)
            # At most one incomplete frame is buffered, and the piece that it arrived with.
            assert (
                framer.incomplete_bytes
                <= sum(limits) + len(piece) + 2 + len(b"Content-Length: 000000000\n") * 3
            )
        assert [_as_tuple(frame) for frame in frames] == [_as_tuple(frame) for frame in expected]
        assert (framer.error is not None) == malformed, framer.error
        if malformed:
            assert framer.incomplete_bytes == 0
            assert framer.feed(b"Content-Type: text/event-plain\n\n") == []


def _as_tuple(frame: Frame) -> tuple[bytes, bytes, bytes]:
    return frame.kind, frame.head, frame.body


_EVENT = b"Event-Name: DTMF\nUnique-ID: 1\n\n"
SEEDS = tuple(
    b"\x00\x02\x04\x01\x02\x03\x04" + stream
    for stream in (
        b"Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(_EVENT), _EVENT) * 2,
        b"Content-Type: auth/request\n\n",
        b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n",
        b"Content-Type: api/response\nContent-Length: 3\n\nUP \n\n\nContent-Type: a\n\n",
        b"Content-Length: -1\nContent-Type: a\n\n",
        b"Content-Length: 99999999999999\nContent-Type: a\n\n",
        b"Content-Length: 5\nContent-Length: 6\nContent-Type: a\n\nhelloX",
        b"X: " + b"y" * 400,
        b"\n\n\nContent-Length: 2\nContent-Type: text/event-plain\n\n\n\n",
    )
)
