"""Splits the bytes of an event socket into frames, without I/O.

A frame is a head of ``Name: value`` lines, an empty line, and a body of the head's ``Content-Length``
bytes (FreeSWITCH, ``mod_event_socket.c``). Nothing is decoded here: lines are separated before any value
is read, so no value can become a line.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from recorder.errors import SwitchError

MAX_HEAD = 1 << 20
"""Maximum size of a head in bytes. The reply to ``connect`` contains every channel variable, each encoded to
up to three times its length: some 10 to 200 KB."""

MAX_BODY = 64 << 20
"""Maximum size of a body in bytes. ``show channels as json`` takes about 1.2 KB per channel."""

EVENT = b"text/event-plain"

# mod_event_socket writes this before every event. Other heads take the slow path.
_EVENT_HEAD = re.compile(rb"Content-Length: ([0-9]{1,9})\nContent-Type: text/event-plain\n\n")


class FramingError(SwitchError):
    """The bytes are no frames. The start of the next frame cannot be known, so the connection ends."""

    def __init__(self, message: str) -> None:
        super().__init__(
            "switch.malformed",
            f"malformed data on the event socket: {message}",
            "the daemon reconnects by itself; does another program than FreeSWITCH use that port?",
        )


class Frame(NamedTuple):
    """A frame as received: ``kind`` is its ``Content-Type``; ``head`` and ``body`` are raw bytes.

    Both begin with an added line feed, so that every header, also the first, can be searched with a line feed
    before its name."""

    kind: bytes
    head: bytes
    body: bytes


class Framer:
    """Takes bytes as they arrive and returns complete frames.

    It never raises: after malformed bytes :attr:`error` is set, and only the complete frames before them are
    returned. Malformed are a missing ``Content-Type``, a ``Content-Length`` that is no plain number, differs
    between lines or exceeds ``max_body`` bytes, and a head that exceeds ``max_head`` bytes."""

    def __init__(self, *, max_head: int = MAX_HEAD, max_body: int = MAX_BODY) -> None:
        self._max_head = max_head
        self._max_body = max_body
        # The bytes not split yet, and the number that is needed to continue.
        # The first byte is the one before a head; it stands for a line feed, see Frame.
        self._parts = [b"\n"]
        self._have = 1
        self._need = 2
        self._searched = 0
        self.error: FramingError | None = None

    @property
    def incomplete_bytes(self) -> int:
        """Number of bytes of an incomplete frame."""
        return self._have - 1

    def feed(self, data: bytes) -> list[Frame]:
        """Add bytes and return the frames that are complete now, in order."""
        frames: list[Frame] = []
        if self.error is not None:
            return frames
        self._parts.append(data)
        self._have += len(data)
        if self._have < self._need:
            return frames
        buffer = b"".join(self._parts)
        try:
            length = self._cut(buffer, frames)
        except FramingError as error:
            self.error = error
            self._parts, self._have = [], 1
            return frames
        self._parts = [buffer[length:]]
        self._have = len(buffer) - length
        self._need -= length
        self._searched = max(0, self._searched - length)
        return frames

    def _cut(self, buffer: bytes, frames: list[Frame]) -> int:
        """Append the complete frames; return the index of the byte before the first incomplete head."""
        size = len(buffer)
        before = 0
        while True:
            self._need = size + 1
            first = before + 1
            while first < size and buffer[first] == 10:  # a reply's text may end with line feeds
                first += 1
            quick = _EVENT_HEAD.match(buffer, first)
            if quick is not None:
                kind, head, length, start = EVENT, b"", int(quick[1]), quick.end()
            else:
                found = buffer.find(b"\n\n", max(first, self._searched))
                # An incomplete head may end with the first of the two line feeds.
                if (found if found >= 0 else size - 1) - first > self._max_head:
                    raise FramingError(f"a head of more than {self._max_head} bytes")
                if found < 0:
                    self._searched = max(first, size - 1)
                    return first - 1
                head = b"\n" + buffer[first : found + 1]
                kind, length = _envelope(head)
                start = found + 2
            if length > self._max_body:
                raise FramingError(f"a body of {length} bytes, the limit is {self._max_body}")
            end = start + length
            if end > size:
                self._need = end
                self._searched = before
                return before
            self._searched = 0
            before = end - 1
            frames.append(Frame(kind, head, buffer[start - 1 : end]))


def _envelope(head: bytes) -> tuple[bytes, int]:
    kind: bytes | None = None
    length: bytes | None = None
    for line in head.split(b"\n"):
        if line.startswith(b"Content-Length: "):
            value = line[16:]
            if length is not None and length != value:
                raise FramingError("two different Content-Length lines in one head")
            length = value
        elif kind is None and line.startswith(b"Content-Type: "):
            kind = line[14:]
    if kind is None:
        raise FramingError("a head without Content-Type")
    if length is None:
        return kind, 0
    if not length.isdigit() or len(length) > 9:
        raise FramingError("a Content-Length that is no number of bytes")
    return kind, int(length)
