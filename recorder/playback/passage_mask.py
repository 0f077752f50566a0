"""Zeros in place of all sound of a WAV outside some passages, for somebody who may hear these alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from recorder.playback.interface import Passages

HEADER: Final = 44
"""Bytes before the sound."""

FRAME: Final = 4
"""Bytes of a sample of both channels."""


def mask_wav(pieces: Iterator[bytes], start: int, passages: Passages, rate: int) -> Iterator[bytes]:
    """The same bytes of a WAV, from byte ``start`` on, with zeros outside the ``passages``; ``rate`` is its
    sample rate in hertz. Passages are rounded inwards to whole samples."""
    ranges = [(0, HEADER)]
    for begin, end in passages:
        first, last = -(-begin * rate // 1000), end * rate // 1000
        ranges.append((HEADER + first * FRAME, HEADER + last * FRAME))
    at = start
    for piece in pieces:
        masked = bytearray(len(piece))
        for first, last in ranges:
            low, high = max(first, at) - at, min(last, at + len(piece)) - at
            if low < high:
                masked[low:high] = piece[low:high]
        yield bytes(masked)
        at += len(piece)
