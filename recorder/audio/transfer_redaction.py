"""Finds when a participant had not consented to being recorded, on a line that asks participants.

In opt-in, nothing of our side is kept before their yes, even if they were not asked yet or nobody watched. In
opt-out, nothing is kept if they refused, or left before they could. As in the daemon
(``call/transfer_notice.py``), the first internal party is no such participant, and a known one is not asked
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from recorder.call.transfer_target import names
from recorder.domain.call_plan import OPT_IN, OPT_OUT
from recorder.domain.parties import party_of
from recorder.spool.layout import Take

UnconsentedStretch = tuple[datetime, datetime | None]
"""Start and end; ``None``: to the end of the call."""

_DEPARTURES = frozenset({"unbridged", "bridged", "participant_left"})
_ARRIVALS = frozenset({"bridged", "participant_joined"})


@dataclass(frozen=True, slots=True)
class _Joiner:
    leg: str
    names: frozenset[str]
    since: datetime


def find_unconsented(take: Take) -> Iterator[UnconsentedStretch]:
    """The stretches in which our side is not kept."""
    notice, mode = take.start.transfer_notice, take.start.mode
    if notice is None or notice.refused is None or mode not in (OPT_IN, OPT_OUT):
        return
    known: frozenset[str] = frozenset()
    present: dict[str, _Joiner] = {}
    left_at: datetime | None = None
    unobserved_since: datetime | None = None
    for marker in take.markers:
        data = marker.data
        # The internal party has no leg id here; other participants have one.
        leg = (
            data.get("leg", "")
            if marker.kind.startswith("participant_") or data.get("in") == "conference"
            else ""
        )
        if marker.kind == "transfer_question_answered" and leg in present:
            joiner = present.pop(leg)
            known |= joiner.names
            if mode == OPT_IN:
                yield joiner.since, marker.at
        if marker.kind in _DEPARTURES and leg in present:
            yield present.pop(leg).since, marker.at
        if marker.kind in _ARRIVALS and data.get("who") != "external":
            identity = names(data.get("leg", ""), party_of(data))
            if not known or known & identity:
                known |= identity
            else:
                present[leg] = _Joiner(
                    leg, identity, left_at if left_at is not None and not leg else marker.at
                )
        if marker.kind in ("bridged", "unbridged"):
            left_at = marker.at if marker.kind == "unbridged" else None
        if mode == OPT_IN and marker.kind == "unobserved_from":
            unobserved_since = marker.at
        elif marker.kind == "unobserved_to" and unobserved_since is not None:
            yield unobserved_since, marker.at
            unobserved_since = None
    for joiner in present.values():
        yield joiner.since, None
    if unobserved_since is not None:
        yield unobserved_since, None
