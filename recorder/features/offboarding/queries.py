"""The rows of departing customers: announcement, erasure and receipt.  The handover's rows are in
``features/offboarding/handover.py``.

Signed statements in the bucket decide (:mod:`recorder.seal.offboarding`); the row
(:class:`recorder.catalogue.tables.offboarding.OffboardingTable`) is an index to them.  Each change appends a
leaf that names the statement, in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from recorder.auditlog.append import append, drop_bodies, lock_tenant
from recorder.catalogue.database import connected, writing
from recorder.catalogue.departures import LeavingRow, _row
from recorder.catalogue.departures import departure as of
from recorder.catalogue.mappers import recording_row
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.audit_log import LeafTable, RecipientTable
from recorder.catalogue.tables.identity import ApiTokenTable, SessionTable, UserTable
from recorder.catalogue.tables.live_call import LiveCallTable, LiveCommandTable
from recorder.catalogue.tables.offboarding import HandedRecordingTable, OffboardingTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable, VerificationCodeTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.ids import Entropy
from recorder.lifecycle.departure import STAYS
from recorder.lifecycle.departure import drop_departure as _drop
from recorder.lifecycle.departure import end_lines as _end_lines
from recorder.lifecycle.statements import CALLS_FORGOTTEN as FORGOTTEN

PAGE = 200
ERASING = "tenant.erasure_started"
LEFT = "tenant.offboarded"
KEY_DESTROYED = "tenant.key_destroyed"


def standing(tenant: str) -> LeavingRow:
    """The row of a customer's departure.  Raises :class:`CatalogueError` (``offboarding.not_announced``)."""
    row = of(tenant)
    if row is None:
        raise CatalogueError(
            "offboarding.not_announced",
            "this customer does not leave",
            "first `accord tenant leave announce`",
        )
    return row


def stays(tenant: str, statement: str, *, now: datetime, entropy: Entropy) -> None:
    """Write down that a customer stays after all, as a signed statement says; its lines are added again by
    hand."""
    with writing():
        lock_tenant(tenant)
        _drop(tenant)
        append(tenant, STAYS, {"statement": statement}, now, entropy)


def erasing(
    tenant: str,
    announced_at: datetime,
    until: datetime,
    since: datetime,
    statement: str,
    *,
    early: str,
    handed_over: bool,
    now: datetime,
    entropy: Entropy,
) -> None:
    """Write down that a customer is erased, as a signed ``statement`` (its SHA-256) says, and end the lines
    that it still has.  Raises :class:`CatalogueError` (``tenant.unknown``)."""
    with writing():
        lock_tenant(tenant)
        change = {"announced_at": announced_at, "until": until, "erasing_since": since, "offboarded_at": None}
        if not OffboardingTable.update(change).where(OffboardingTable.tenant_id == tenant).execute():
            OffboardingTable.insert(tenant_id=tenant, **change).execute()
        said = {"early": early, "handed_over": handed_over, "statement": statement}
        append(tenant, ERASING, said, now, entropy)
        _end_lines(tenant, now, entropy)


def to_erase() -> tuple[LeavingRow, ...]:
    """Customers whose erasure is ordered and not finished."""
    with connected():
        mine = OffboardingTable.erasing_since.is_null(False) & OffboardingTable.offboarded_at.is_null()
        return tuple(
            _row(row) for row in OffboardingTable.select().where(mine).order_by(OffboardingTable.tenant_id)
        )


def recordings_of(tenant: str, after: str = "", limit: int = PAGE) -> tuple[RecordingRow, ...]:
    """A customer's recordings that are not erased, by id."""
    with connected():
        mine = (
            (RecordingTable.tenant == tenant)
            & RecordingTable.erased_at.is_null()
            & (RecordingTable.id > after)
        )
        query = RecordingTable.select().where(mine).order_by(RecordingTable.id).limit(limit)
        return tuple(recording_row(row) for row in query)


def remaining(tenant: str) -> int:
    """How many of a customer's recordings are not erased."""
    with connected():
        mine = (RecordingTable.tenant == tenant) & RecordingTable.erased_at.is_null()
        return int(RecordingTable.select().where(mine).count())


def amounts(tenant: str) -> str:
    """A summary of what an erasure of a customer would destroy, in numbers."""
    with connected():
        calls = NotRecordedTable.select().where(NotRecordedTable.tenant == tenant).count()
        people = (
            UserTable.select().where((UserTable.tenant == tenant) & (UserTable.password_hash != "")).count()
        )
        key = (
            TenantTable.select().where((TenantTable.id == tenant) & (TenantTable.wrapped_key != "")).exists()
        )
    return (
        f"{remaining(tenant)} recordings, {calls} calls without one, {people} log-ins, "
        f"{'a key' if key else 'no key'}"
    )


def forget_calls(tenant: str, *, now: datetime, entropy: Entropy) -> int:
    """Drop unrecorded calls and the bodies of their leaves; returns how many were dropped in total."""
    while True:
        with writing():
            lock_tenant(tenant)
            page = (
                NotRecordedTable.select(NotRecordedTable.id)
                .where(NotRecordedTable.tenant == tenant)
                .limit(PAGE)
            )
            ids = [row.id for row in page]
            if not ids:
                break
            leaves = [number for each in ids for number in drop_bodies(tenant, each)]
            NotRecordedTable.delete().where(NotRecordedTable.id.in_(ids)).execute()
            append(tenant, FORGOTTEN, {"calls": len(ids), "leaves": sorted(leaves)}, now, entropy)
    with writing():
        LiveCallTable.delete().where(LiveCallTable.tenant_id == tenant).execute()
        LiveCommandTable.delete().where(LiveCommandTable.tenant_id == tenant).execute()
        said = LeafTable.select(LeafTable.body).where(
            (LeafTable.tenant == tenant) & (LeafTable.kind == FORGOTTEN)
        )
        return sum(int(json.loads(row.body)["calls"]) for row in said if row.body is not None)


def forget_people(tenant: str, *, now: datetime, entropy: Entropy) -> int:
    """Revoke a customer's users, tokens and mail recipients, and drop the users' names; returns how many
    users there were."""
    with writing():
        lock_tenant(tenant)
        mine = list(UserTable.select(UserTable.id, UserTable.revoked_at).where(UserTable.tenant == tenant))
        for row in mine:
            if row.revoked_at is None:
                UserTable.update(revoked_at=now).where(UserTable.id == row.id).execute()
                append(tenant, "user.revoked", {"user": row.id}, now, entropy)
            UserTable.update(login=row.id, name="", password_hash="", credential=None).where(
                UserTable.id == row.id
            ).execute()
        SessionTable.update(ended_at=now).where(
            SessionTable.user.in_([row.id for row in mine]) & SessionTable.ended_at.is_null()
        ).execute()
        for token in list(ApiTokenTable.select(ApiTokenTable.id).where(ApiTokenTable.tenant_id == tenant)):
            append(tenant, "token.revoked", {"token": token.id}, now, entropy)
        ApiTokenTable.delete().where(ApiTokenTable.tenant_id == tenant).execute()
        for one in list(
            RecipientTable.select().where(
                (RecipientTable.tenant_id == tenant) & RecipientTable.until.is_null()
            )
        ):
            append(tenant, "recipient.removed", {"recipient": one.id}, now, entropy)
        RecipientTable.delete().where(RecipientTable.tenant_id == tenant).execute()
    return len(mine)


def forget_requests(tenant: str) -> None:
    """Drop the numbers and texts of a customer's subject requests; that they were made and answered, and
    when, stays."""
    with writing():
        mine = SubjectRequestTable.tenant_id == tenant
        requests = SubjectRequestTable.select(SubjectRequestTable.id).where(mine)
        VerificationCodeTable.delete().where(VerificationCodeTable.tenant_id == tenant).execute()
        ReviewTable.update(withheld_reason=None).where(ReviewTable.request.in_(requests)).execute()
        gone = {
            "number_salt": None,
            "extension_reason": None,
            "vouched_statement": None,
            "verified_statement": None,
        }
        SubjectRequestTable.update(number="", **gone).where(mine).execute()


def forget_key(tenant: str, keys: Sequence[str], *, now: datetime, entropy: Entropy) -> tuple[str, ...]:
    """Drop the customer's wrapped key, and write down which ``keys`` (ids) are destroyed now; returns all
    that were ever destroyed.  From here on nothing of theirs can be wrapped or opened."""
    with writing():
        lock_tenant(tenant)
        known = _destroyed_keys(tenant)
        if fresh := sorted({*keys} - {*known}):
            append(tenant, KEY_DESTROYED, {"keys": fresh}, now, entropy)
        TenantTable.update(wrapped_key="").where(TenantTable.id == tenant).execute()
    return tuple(sorted({*known, *fresh}))


def _destroyed_keys(tenant: str) -> set[str]:
    mine = (LeafTable.tenant == tenant) & (LeafTable.kind == KEY_DESTROYED)
    said = LeafTable.select(LeafTable.body).where(mine)
    return {key for row in said if row.body is not None for key in json.loads(row.body)["keys"]}


def left(tenant: str, receipt: str, sha256: str, at: datetime, *, now: datetime, entropy: Entropy) -> bool:
    """Write down the receipt of a finished erasure; false where that was done before."""
    with writing():
        lock_tenant(tenant)
        if standing(tenant).offboarded_at is not None:
            return False
        # The layout goes too: it has the tables, of who asked for recordings among them.
        OffboardingTable.update(receipt=receipt, offboarded_at=at, layout=None).where(
            OffboardingTable.tenant_id == tenant
        ).execute()
        HandedRecordingTable.delete().where(HandedRecordingTable.tenant_id == tenant).execute()
        append(tenant, LEFT, {"receipt_sha256": sha256}, now, entropy)
    return True


def check_not_erasing(row: LeavingRow) -> None:
    """Raises :class:`CatalogueError` (``offboarding.erasing``)."""
    if row.erasing_since is not None:
        raise CatalogueError(
            "offboarding.erasing",
            f"everything of this customer is being destroyed since {to_iso(row.erasing_since)}",
            "that cannot be called off; `accord tenant leave show` says how far it is",
        )
