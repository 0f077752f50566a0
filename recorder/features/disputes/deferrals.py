"""Lets the erasure of a dispute's recordings wait while the person who was recorded takes part.

The deferral is sealed beside each recording before they take part, so that whoever erases reads it there,
with the usage terms. What one side asks for meanwhile is signed and restricts use at once; only the erasure
waits, for the outcome, and at most until a last day.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from recorder.errors import AccessError
from recorder.features.disputes.rules import Dispute
from recorder.lifecycle.amendment_service import Changes
from recorder.seal.amendment import By


def defer_erasure(changes: Changes, dispute: Dispute, by: By, until: datetime) -> tuple[str, ...]:
    """Let the erasure of a dispute's recordings wait until a last day; returns the recordings that this was
    sealed beside. One that is erased, or waits as long already, needs nothing. Raises as
    :meth:`Changes.defer_erasure`."""
    deferred = []
    for recording in dispute.recording_ids:
        try:
            status = changes.look(dispute.tenant, recording)
            number = changes.defer_erasure(
                status, by, dispute=dispute.id, until=until, purposes=dispute.purposes
            )
        except AccessError as error:
            if error.error_id != "access.erased":
                raise
            continue
        if number is not None:
            deferred.append(recording)
    return tuple(deferred)


def end_deferrals(
    changes: Changes,
    dispute: Dispute,
    by: By,
    how: str,
    people: Sequence[str],
    recordings: Collection[str] = (),
) -> None:
    """End the deferrals of a dispute, beside some of its ``recordings``, or all. Raises as
    :meth:`Changes.end_deferrals`."""
    for recording in recordings or dispute.recording_ids:
        try:
            status = changes.look(dispute.tenant, recording)
            changes.end_deferrals(status, by, dispute=dispute.id, how=how, people=people)
        except AccessError as error:
            if error.error_id != "access.erased":
                raise


def may_withdraw(changes: Changes, tenant: str, recording: str) -> bool:
    """Whether something that a recording is used for rests on consent that can be withdrawn."""
    try:
        return bool(changes.look(tenant, recording).may_withdraw())
    except AccessError as error:
        if error.error_id != "access.erased":
            raise
        return False
