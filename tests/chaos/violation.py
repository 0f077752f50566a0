"""Violations, and the comparison of times."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.facts import CallSeen, Span, World

BLIND = 1.5
"""Seconds before a daemon's death in which it may have missed events."""


ANNOUNCED_AFTER = 1.6
"""Seconds from the pick-up to the end of an announcement that begins then, and …"""

ANNOUNCED_IN = 1.5
"""… from its beginning to its end, with the switch's word that it was heard."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A violated rule, and its subject."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def connected_spans(world: World) -> list[Span]:
    """When a daemon was connected and lived long enough to act."""
    return [(since, until - BLIND) for since, until in world.watch_spans if until - since > BLIND]


def overlap(one: Span, other: Span) -> float:
    """The length of the overlap in seconds; negative without one."""
    return min(one[1], other[1]) - max(one[0], other[0])


def is_announced_twice(call: CallSeen) -> bool:
    """Whether it was sent on in what was said at its pick-up, or before that began: then it is said again, to
    whoever comes.  (At the very end of it either may be so.)"""
    if not call.plan.at_pickup or "transferred" not in call.phases:
        return False
    return call.phases["transferred"] < first_announcement_end(call)


def first_announcement_end(call: CallSeen) -> float:
    """When what is said at the pick-up was over, about: later than then where a daemon came later."""
    picked_up = call.phases["bridged"]
    return max(picked_up + ANNOUNCED_AFTER, call.phases.get("announcing", picked_up) + ANNOUNCED_IN)
