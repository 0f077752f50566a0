"""A player's report of what was played: stretches of a sound, in milliseconds.

The gate relies on it for nothing, since a browser can claim anything; the gate itself counts what it sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

Stretch = tuple[int, int]
"""Start and end, in milliseconds of the sound."""

LONGEST_TEXT = 4000
MOST = 200
"""Stretches kept per playback."""

_TEXT = re.compile(r"[0-9]{1,9}-[0-9]{1,9}(?:,[0-9]{1,9}-[0-9]{1,9})*")


def parse_report(text: str, duration_ms: int) -> list[Stretch]:
    """The stretches in a report, ``0-5000,7200-9000``: within the sound, in order, not touching. Raises
    ``ValueError`` for anything else."""
    if len(text) > LONGEST_TEXT or not _TEXT.fullmatch(text):
        raise ValueError("not a list of stretches of a sound")
    found = []
    for each in text.split(","):
        begin, _, end = each.partition("-")
        # A browser's clock may slightly pass the end.
        stretch = int(begin), min(int(end), duration_ms)
        if int(end) < int(begin) or int(begin) > duration_ms:
            raise ValueError("a stretch ends before it starts, or starts after the sound")
        found.append(stretch)
    return merge_stretches(found)


def merge_stretches(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time in few stretches, in order; if there are too many, the shortest gaps between them count
    as played."""
    found: list[Stretch] = []
    for begin, end in sorted(stretches):
        if end == begin:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    while len(found) > MOST:
        gaps = [after[0] - before[1] for before, after in pairwise(found)]
        at = gaps.index(min(gaps))
        found[at : at + 2] = [(found[at][0], found[at + 1][1])]
    return found
