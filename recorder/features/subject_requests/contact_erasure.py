"""Erases the name that a customer's people gave a person's number, at their request (GDPR art. 17)."""

from __future__ import annotations

from datetime import datetime

from recorder.auditlog.append import tenant_lock
from recorder.features.subject_requests import queries
from recorder.features.subject_requests.service import ErasureRequest
from recorder.ids import Entropy
from recorder.lifecycle import contact_erasure


def erase_name(request: ErasureRequest, who: str, *, now: datetime, entropy: Entropy) -> bool:
    """Erase the name of a request's number; false if it has none, or the request is about one recording.
    Raises :class:`recorder.errors.SubjectRequestError` if the request was closed meanwhile."""
    if request.row.recording is not None:
        return False
    with tenant_lock(request.tenant) as locked:
        row = queries.find_verified_row(request.tenant, request.id)
        return contact_erasure.erase_contact(
            locked, row.number, who, request=row.id, now=now, entropy=entropy
        )
