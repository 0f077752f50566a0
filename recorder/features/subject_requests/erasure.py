"""Erases a recording at its person's request if that is allowed (GDPR art. 17), and states the reason if it
is not.

A recording on legal hold stays (art. 17(3)(e)), and so does one that a law requires to be kept (art.
17(3)(b)): the rules and the amendment are those of any other deletion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recorder.errors import AccessError, RetentionError
from recorder.features.subject_requests import reviews
from recorder.features.subject_requests.service import ErasureRequest
from recorder.lifecycle.amendment_service import Changes, RecordingStatus
from recorder.seal import usage_terms as sealed
from recorder.seal.amendment import By

ALREADY = frozenset({"retention.deleted", "access.erased"})
"""Reasons that mean that the recording is gone, or about to be."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a recording is not erased: an error id, and until when, if known."""

    reason: str
    until: datetime | None


def refusal_of(status: RecordingStatus) -> Refusal | None:
    """Why a recording cannot be erased now; ``None`` if it can. For a hold, ``until`` is its latest review;
    for a legal duty, the duty's end."""
    reason = status.why_not_delete()
    if reason is None:
        return None
    if reason == "retention.held":
        return Refusal(reason, max(each.data.review_at for each in status.terms.holds))
    if reason == "retention.by_law":
        ends = [each.until for each in status.terms.purposes if sealed.is_required_by_law(each.code)]
        return Refusal(reason, max(ends))
    return Refusal(reason, None)


def erase_recording(changes: Changes, request: ErasureRequest, recording: str, who: str) -> Refusal | None:
    """Erase one recording of the person's, and record the outcome. Raises as :meth:`Changes.delete` if that
    is undecided (``retention.busy``, an invalid seal, the store is unavailable), and
    :class:`recorder.errors.SubjectRequestError` for another person's recording, or if the request was closed
    meanwhile (``subject_request.not_theirs``, ``subject_request.closed``, ``subject_request.not_logged``)."""
    reviews.note_start(request.tenant, request.id, recording, who, changes.now(), changes.entropy)
    try:
        status = changes.look(request.tenant, recording)
        found = refusal_of(status)
        if found is None:
            reason = f"asked by the person who was recorded: request {request.id}"
            changes.delete(status, By("user", who), reason=reason)
    except (AccessError, RetentionError) as error:
        if error.error_id not in ALREADY:
            raise
        found = None
    if found is not None and found.reason in ALREADY:
        found = None
    reviews.note_erasure(
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
