"""Erases a person's unrecorded calls (GDPR art. 17).

No seal covers such a call: there is only a row and the body of its leaf.  A take in quarantine that awaits a
decision may still become a recording, which a law may require to be kept: it stays, and is reported.

Before the rows go, a signed note is put into the bucket (:mod:`recorder.seal.call_erasure`).  A catalogue
restored from an older copy drops them again by that note, when an operator says so
(:func:`recorder.features.subject_requests.erased_calls.erase_calls_again`).
"""

from __future__ import annotations

from dataclasses import dataclass

from recorder.catalogue import subject_request_queries
from recorder.catalogue.subject_request_queries import RequestRow
from recorder.clock import truncate
from recorder.features.subject_requests import erased_calls, register, reviews
from recorder.ids import uuid7
from recorder.lifecycle.amendment_service import Changes
from recorder.seal import call_erasure
from recorder.seal.call_erasure import AT_ONCE


@dataclass(frozen=True, slots=True)
class CallErasureResult:
    """What came of it: how many calls were ``erased``, and how many are ``kept`` until somebody decides what
    becomes of their sound."""

    erased: int
    kept: int


def erase_calls(changes: Changes, request: RequestRow, who: str) -> CallErasureResult:
    """Erase a person's calls that were not recorded, where that may be.  Broken off, it is asked again.
    Raises :class:`SealError` (the key that signs is not endorsed any more), :class:`StoreError`, and
    :class:`recorder.errors.PersonError` where that was not asked, or nobody has shown that it is theirs."""
    request = register.verified_request(request.tenant, request.id, wants=subject_request_queries.ERASES)
    found = reviews.find_unrecorded_calls(request.tenant, request.number)
    may = [row.id for row in found if not row.undecided]
    erased = 0
    for begin in range(0, len(may), AT_ONCE):
        some, now = may[begin : begin + AT_ONCE], truncate(changes.now())
        note = str(uuid7(now, changes.entropy))
        signed = (request.tenant, request.id, some, now, changes.signer, changes.root)
        call_erasure.put(changes.store, note, *signed)
        changes.boundary("note put")
        erased += erased_calls.drop_calls(
            request.tenant, request.id, some, note, who=who, now=now, entropy=changes.entropy
        )
        changes.boundary("calls forgotten")
    return CallErasureResult(erased, len(found) - len(may))
