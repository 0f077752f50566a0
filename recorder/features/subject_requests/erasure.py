"""Erases a recording at its person's request where that is allowed (GDPR art. 17), and gives the reason where
it is not.

A recording that is held for a dispute stays (art. 17(3)(e)), and so does one that a law requires
(art. 17(3)(b)): the rules and the amendment of any other deletion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder.catalogue import subject_request_queries
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.errors import AccessError, KeepingError
from recorder.features.subject_requests import register, reviews
from recorder.lifecycle.amendment_service import Changes, Looked
from recorder.seal import usage_terms as sealed
from recorder.seal.amendment import By

ALREADY = frozenset({"retention.deleted", "access.erased"})
"""Reasons that mean: it is gone, or about to be."""


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a recording is not erased: an error's id, and until when that is so, where that is known."""

    reason: str
    until: datetime | None


def why_not(looked: Looked) -> WhyNot | None:
    """Why a recording cannot be erased now; ``None`` where it can.  For a hold ``until`` is when it is looked
    at again, the latest; for a legal duty, when that ends."""
    reason = looked.why_not_delete()
    if reason is None:
        return None
    if reason == "retention.held":
        return WhyNot(reason, max(each.data.review_at for each in looked.terms.holds))
    if reason == "retention.by_law":
        ends = [each.until for each in looked.terms.purposes if sealed.is_required_by_law(each.code)]
        return WhyNot(reason, max(ends))
    return WhyNot(reason, None)


def erase(changes: Changes, request: RequestRow, recording: str, who: str) -> WhyNot | None:
    """Erase one recording of the person's, and write down what came of it.  Raises as
    :meth:`Changes.delete` where it is not known whether it can be (``retention.busy``, what was sealed is
    broken, the store is away), and :class:`recorder.errors.PersonError` for what is not theirs or was not
    asked (``subject_request.not_asked``, ``subject_request.unverified``, ``subject_request.closed``,
    ``subject_request.not_logged``)."""
    request = register.proved(request.tenant, request.id, wants=subject_request_queries.ERASES)
    reviews.look_at(request.tenant, request.id, recording, who, changes.now(), changes.entropy)
    try:
        found = why_not(changes.look(request.tenant, recording))
        if found is None:
            reason = f"asked by the person who was recorded: request {request.id}"
            changes.delete(request.tenant, recording, By("user", who), reason=reason)
    except (AccessError, KeepingError) as error:
        if error.error_id not in ALREADY:
            raise
        found = None
    if found is not None and found.reason in ALREADY:
        found = None
    reviews.note_erasing(
        request.tenant,
        request.id,
        recording,
        why_not=None if found is None else found.reason,
        until=None if found is None else found.until,
        who=who,
        now=changes.now(),
        entropy=changes.entropy,
    )  # fmt: skip
    return found
