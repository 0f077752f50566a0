"""Calls that were not recorded, and that are forgotten because their person asked for it: with which number
they were, when, and what the log was opened with of them.

That a call was forgotten is a row of its own, with nothing in it of the person.  It is an index to the
signed note in the bucket, by which alone a call is not listed again (:mod:`recorder.seal.call_erasure`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from peewee import fn

from recorder.auditlog.append import append, forget, hold
from recorder.catalogue.database import connected, database, writing
from recorder.catalogue.tables.core import NotRecorded, Recording
from recorder.catalogue.tables.subject_request import ForgottenCall
from recorder.features.offboarding.departure import FORGOTTEN
from recorder.ids import Entropy


def forget_calls(
    tenant: str, request: str, calls: Sequence[str], note: str, *, who: str, now: datetime, entropy: Entropy
) -> int:
    """Forget some calls of a customer's that were not recorded, at a person's request, as a signed ``note``
    (its id) says, with one leaf; how many rows went.  ``who`` may be empty: it is done again, after a
    restore.  A take that was brought back meanwhile is a recording, and is left alone.  Can be repeated.
    Raises :class:`recorder.errors.CatalogueError` (``tenant.unknown``)."""
    with writing():
        hold(tenant)
        recorded = recorded_among(calls)
        mine = [each for each in dict.fromkeys(calls) if each not in recorded]
        rows = (NotRecorded.tenant == tenant) & NotRecorded.id.in_(mine)
        gone = int(NotRecorded.delete().where(rows).execute())
        leaves = sorted(number for each in mine for number in forget(tenant, each))
        for each in mine:
            columns = {"tenant_id": tenant, "request_id": request, "forgotten_at": now, "note": note}
            ForgottenCall.insert(id=each, **columns).on_conflict(
                conflict_target=[ForgottenCall.id], update=columns
            ).execute()
        if gone or leaves:
            said: dict[str, object] = {"calls": gone, "leaves": leaves, "request": request, "who": who}
            said["note"] = note
            append(tenant, FORGOTTEN, said, now, entropy)
    return gone


def note_of(call: str) -> tuple[str, str] | None:
    """The customer and the note that a row names for a call; ``None`` where there is no such row.  It decides
    nothing."""
    with connected():
        row = ForgottenCall.get_or_none(ForgottenCall.id == call)
    return None if row is None else (row.tenant_id, row.note or "")


def forgotten_among(calls: Sequence[str]) -> frozenset[str]:
    """Which of some calls have a row, whose ever they were."""
    with connected():
        rows = ForgottenCall.select(ForgottenCall.id).where(ForgottenCall.id.in_(calls))
        return frozenset(row.id for row in rows)


def recorded_among(calls: Sequence[str]) -> frozenset[str]:
    """Which of some calls are recordings: a note about calls that were not recorded does not speak of
    them."""
    with connected():
        return frozenset(row.id for row in Recording.select(Recording.id).where(Recording.id.in_(calls)))


def counts(tenant: str) -> dict[str, int]:
    """How many calls were forgotten, by the customer's request that asked for it."""
    with connected():
        query = ForgottenCall.select(ForgottenCall.request_id, fn.COUNT(ForgottenCall.id))
        mine = query.where(ForgottenCall.tenant_id == tenant).group_by(ForgottenCall.request_id)
        return {str(request): int(many) for request, many in database.execute(mine).fetchall()}
