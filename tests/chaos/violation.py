"""What does not hold, and the words in which times are compared."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.facts import Span, World

BLIND = 1.5
"""Seconds before a daemon's death in which it may not have come to what happened."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that does not hold, and of what."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def sure(world: World) -> list[Span]:
    """When a daemon watched and lived to do something about it."""
    return [(since, until - BLIND) for since, until in world.watched if until - since > BLIND]


def overlap(one: Span, other: Span) -> float:
    """Seconds in both; below 0 where there are none."""
    return min(one[1], other[1]) - max(one[0], other[0])
