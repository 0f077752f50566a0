"""What is asked for about a recording while somebody takes part in an open question about it, and when that
takes effect: the same sentences for both sides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask_babel import gettext as _

from recorder.features.disputes.rules import AuthorityOrder
from recorder.lifecycle.amendment_service import RecordingStatus
from recorder.seal.amendment import By
from recorder.seal.amendment_kinds import (
    EXPIRED,
    KINDS,
    SHORTENED,
    ConsentWithdrawn,
    DeletionRequested,
    HoldLifted,
    OutcomeAdded,
    PurposesNarrowed,
)
from web.text import formats
from web.text.sentences import sentence

REQUESTS: Final = (HoldLifted, DeletionRequested, ConsentWithdrawn, PurposesNarrowed)
"""What one side asks for."""


@dataclass(frozen=True, slots=True)
class PendingDeletion:
    """What keeps a recording from deletion, and what was asked for: ``requests`` and ``effect`` are
    sentences, ``waits`` is the last day up to which nobody has it deleted alone."""

    requests: tuple[str, ...]
    effect: str
    waits: datetime

    @property
    def speaks(self) -> bool:
        """Whether something was asked for, or has ended."""
        return bool(self.requests or self.effect)


def pending_deletion(status: RecordingStatus, names: Mapping[str, str]) -> PendingDeletion | None:
    """What to say about a recording while its deletion waits, or would wait; ``None`` if it does not.
    ``names`` are those of people by id."""
    terms, now = status.terms, status.now
    waits = max((each.until for each in terms.deferrals if now < each.until), default=None)
    if waits is None:
        return None
    return PendingDeletion(tuple(_requests(status, names)), _effect(status, waits), waits)


def _requests(status: RecordingStatus, names: Mapping[str, str]) -> Iterator[str]:
    terms, since = status.terms, min(each.number for each in status.terms.deferrals)
    for each in status.chain.amendments[since:]:
        if isinstance(each.data, REQUESTS) and not (
            isinstance(each.data, HoldLifted) and each.by.kind == "system"
        ):
            day = formats.date(each.at)
            yield sentence("pending_deletion", KINDS[type(each.data)], who=who(each.by, names), date=day)
    if terms.ended_at <= status.now and terms.why in (SHORTENED, EXPIRED):
        yield sentence("pending_deletion", terms.why, date=formats.date(terms.ended_at))


def _effect(status: RecordingStatus, waits: datetime) -> str:
    """When what was asked for takes effect."""
    disputes = {each.dispute for each in status.terms.deferrals}
    settled = any(
        isinstance(each.data, OutcomeAdded) and each.data.dispute in disputes
        for each in status.chain.amendments
    )
    if status.terms.deferral(status.now) is None:
        return ""
    return sentence("pending_effect", "settled" if settled else "open", date=formats.date(waits))


def who(by: By, names: Mapping[str, str]) -> str:
    """The author of a signed statement."""
    return names.get(by.id or "") or str(_("The provider") if by.id is None else _("Somebody"))


def order_state(order: AuthorityOrder, names: Mapping[str, str]) -> tuple[str, ...]:
    """What there is of an authority's order, in sentences."""
    first, *others = (names.get(each) or str(_("The provider")) for each in order.people)
    entered = sentence(
        "order", "entered", who=first, date=formats.date(order.at),
        authority=order.authority, reference=order.reference,
    )  # fmt: skip
    if not others:
        return entered, sentence("order", "unconfirmed")
    return entered, sentence("order", "confirmed", who=others[0])
