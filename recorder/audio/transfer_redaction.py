"""What a participant who joined said before they consented to being recorded, on a line that asks
participants.

In opt-in, nothing is kept before their yes, whatever the outcome, even if they were not yet asked or nobody
watched. In opt-out, nothing is kept if they refused, or left before they could. As in the daemon
(``call/transfer_notice.py``), the first person at the other end is no participant who joined, and somebody
known is not asked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from recorder.call.transfer_target import names
from recorder.domain.call_plan import OPT_IN, OPT_OUT
from recorder.domain.parties import party_of
from recorder.spool.layout import Take

Unagreed = tuple[datetime, datetime | None]
"""From when, and until when; ``None``: to the end."""

_GOES = frozenset({"unbridged", "bridged", "participant_left"})
_COMES = frozenset({"bridged", "participant_joined"})


@dataclass(frozen=True, slots=True)
class _Joiner:
    leg: str
    names: frozenset[str]
    since: datetime


def unagreed(take: Take) -> Iterator[Unagreed]:
    """Each stretch of which our side's speech is not kept."""
    notice, mode = take.start.transfer_notice, take.start.mode
    if notice is None or notice.refused is None or mode not in (OPT_IN, OPT_OUT):
        return
    known: frozenset[str] = frozenset()
    there: dict[str, _Joiner] = {}
    left: datetime | None = None
    away: datetime | None = None
    for mark in take.marks:
        said = mark.data
        # The person at the other end has no leg id here; others do.
        place = (
            said.get("leg", "")
            if mark.kind.startswith("participant_") or said.get("in") == "conference"
            else ""
        )
        if mark.kind == "transfer_question_answered" and place in there:
            joiner = there.pop(place)
            known |= joiner.names
            if mode == OPT_IN:
                yield joiner.since, mark.at
        if mark.kind in _GOES and place in there:
            yield there.pop(place).since, mark.at
        if mark.kind in _COMES and said.get("who") != "external":
            who = names(said.get("leg", ""), party_of(said))
            if not known or known & who:
                known |= who
            else:
                there[place] = _Joiner(place, who, left if left is not None and not place else mark.at)
        if mark.kind in ("bridged", "unbridged"):
            left = mark.at if mark.kind == "unbridged" else None
        if mode == OPT_IN and mark.kind == "unobserved_from":
            away = mark.at
        elif mark.kind == "unobserved_to" and away is not None:
            yield away, mark.at
            away = None
    for joiner in there.values():
        yield joiner.since, None
    if away is not None:
        yield away, None
