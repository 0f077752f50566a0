"""The rows of departing customers: announcement, erasure and receipt. The handover's rows are in
``handover_queries.py``.

Signed statements in the bucket decide (:mod:`recorder.seal.offboarding`); the row
(:class:`recorder.catalogue.tables.offboarding.OffboardingTable`) is an index to them. Each change appends a
leaf that names the statement, in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from recorder.auditlog.append import append, lock_tenant, tenant_lock
from recorder.auditlog.leaf_erasure import drop_bodies
from recorder.catalogue.database import connected, writing
from recorder.catalogue.mappers import recording_row
from recorder.catalogue.offboarding_progress import OffboardingRow
from recorder.catalogue.offboarding_progress import find_offboarding as of
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.audit_log import LeafTable, RecipientTable
from recorder.catalogue.tables.identity import (
    ApiTokenTable,
    SessionTable,
    UserTable,
)
from recorder.catalogue.tables.offboarding import HandedRecordingTable, OffboardingTable
from recorder.catalogue.tables.recording import NotRecordedTable, RecordingTable
from recorder.catalogue.tables.registry import TABLES
from recorder.catalogue.tables.second_factor import (
    FactorUseTable,
)
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable
from recorder.catalogue.tables.tenant import TenantTable
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.ids import Entropy
from recorder.lifecycle.departure import STAYS
from recorder.lifecycle.departure import drop_departure as _drop
from recorder.lifecycle.departure import end_lines as _end_lines
from recorder.lifecycle.dispute_erasure import dispute_ids, disputed_recordings, drop_disputes
from recorder.lifecycle.erasure_order import ERASURE_STARTED, ErasureOrder
from recorder.lifecycle.statements import CALLS_FORGOTTEN
from recorder.mail.outbox import drop_mail
from recorder.seal.offboarding import Cancellation, ErasureStatement

PAGE = 200
LEFT = "tenant.offboarded"
KEY_DESTROYED = "tenant.key_destroyed"


def require_departure(tenant: str) -> OffboardingRow:
    """The row of a customer's departure.  Raises :class:`CatalogueError` (``offboarding.not_announced``)."""
    row = of(tenant)
    if row is None:
        raise CatalogueError(
            "offboarding.not_announced",
            "this customer does not leave",
            "run `accord offboarding start` first",
        )
    return row


def record_cancellation(statement: Cancellation, *, now: datetime, entropy: Entropy) -> None:
    """Record that a customer stays; its lines are added again by hand."""
    tenant = statement.tenant
    with tenant_lock(tenant):
        _drop(statement)
        append(tenant, STAYS, {"statement": statement.sha256}, now, entropy)


def record_erasure(statement: ErasureStatement, *, now: datetime, entropy: Entropy) -> None:
    """Record that a customer's data is erased, and end its remaining lines. Raises
    :class:`CatalogueError` (``tenant.unknown``)."""
    tenant = statement.tenant
    with tenant_lock(tenant):
        change = {
            "announced_at": statement.announced_at,
            "until": statement.until,
            "erasing_since": statement.at,
            "offboarded_at": None,
        }
        if not OffboardingTable.update(change).where(OffboardingTable.tenant_id == tenant).execute():
            OffboardingTable.insert(tenant_id=tenant, **change).execute()
        body = {
            "early": statement.early or "",
            "handed_over": statement.handed_over is not None,
            "statement": statement.sha256,
        }
        append(tenant, ERASURE_STARTED, body, now, entropy)
        _end_lines(statement, now, entropy)


def departures_to_erase() -> tuple[str, ...]:
    """The ids of customers whose erasure is ordered and not finished."""
    with connected():
        condition = OffboardingTable.erasing_since.is_null(False) & OffboardingTable.offboarded_at.is_null()
        query = OffboardingTable.select(OffboardingTable.tenant_id).where(condition)
        return tuple(row.tenant_id for row in query.order_by(OffboardingTable.tenant_id))


def recordings_of(tenant: str, after: str = "", limit: int = PAGE) -> tuple[RecordingRow, ...]:
    """A customer's recordings that are not erased, by id."""
    with connected():
        condition = (
            (RecordingTable.tenant == tenant)
            & RecordingTable.erased_at.is_null()
            & (RecordingTable.id > after)
        )
        query = RecordingTable.select().where(condition).order_by(RecordingTable.id).limit(limit)
        return tuple(recording_row(row) for row in query)


def count_recordings(tenant: str) -> int:
    """How many of a customer's recordings are not erased."""
    with connected():
        condition = (RecordingTable.tenant == tenant) & RecordingTable.erased_at.is_null()
        return int(RecordingTable.select().where(condition).count())


def summarise(tenant: str) -> str:
    """What an erasure of a customer would destroy, in numbers."""
    with connected():
        calls = NotRecordedTable.select().where(NotRecordedTable.tenant == tenant).count()
        people = (
            UserTable.select().where((UserTable.tenant == tenant) & (UserTable.password_hash != "")).count()
        )
        key = (
            TenantTable.select().where((TenantTable.id == tenant) & (TenantTable.wrapped_key != "")).exists()
        )
    return (
        f"{count_recordings(tenant)} recordings, {calls} calls without one, {people} log-ins, "
        f"{'a key' if key else 'no key'}"
    )


def drop_calls(order: ErasureOrder, *, now: datetime, entropy: Entropy) -> int:
    """Drop unrecorded calls and the bodies of their leaves; returns how many were dropped in all.
    Raises as :meth:`ErasureOrder.confirm`."""
    tenant = order.tenant
    while True:
        with writing():
            departed = order.confirm(lock_tenant(tenant))
            page = (
                NotRecordedTable.select(NotRecordedTable.id)
                .where(NotRecordedTable.tenant == tenant)
                .limit(PAGE)
            )
            ids = [row.id for row in page]
            if not ids:
                break
            leaves = drop_bodies(departed.calls(ids))
            NotRecordedTable.delete().where(NotRecordedTable.id.in_(ids)).execute()
            append(tenant, CALLS_FORGOTTEN, {"calls": len(ids), "leaves": leaves}, now, entropy)
    with writing():
        order.confirm(lock_tenant(tenant))
        bodies = LeafTable.select(LeafTable.body).where(
            (LeafTable.tenant == tenant) & (LeafTable.kind == CALLS_FORGOTTEN)
        )
        return sum(int(json.loads(row.body)["calls"]) for row in bodies if row.body is not None)


def drop_users(order: ErasureOrder, *, now: datetime, entropy: Entropy) -> int:
    """Revoke a customer's users, tokens and mail recipients, drop the users' names, open questions and mail,
    and the rows of each table that says so (``offboarding``); returns how many users there were. Raises as
    :meth:`ErasureOrder.confirm`."""
    tenant = order.tenant
    with writing():
        departed = order.confirm(lock_tenant(tenant))
        rows = list(UserTable.select(UserTable.id, UserTable.revoked_at).where(UserTable.tenant == tenant))
        for row in rows:
            if row.revoked_at is None:
                UserTable.update(revoked_at=now).where(UserTable.id == row.id).execute()
                append(tenant, "user.revoked", {"user": row.id}, now, entropy)
            UserTable.update(login=row.id, name="", password_hash="", credential=None).where(
                UserTable.id == row.id
            ).execute()
        SessionTable.update(ended_at=now).where(
            SessionTable.user.in_([row.id for row in rows]) & SessionTable.ended_at.is_null()
        ).execute()
        FactorUseTable.delete().where(FactorUseTable.user_id.in_([row.id for row in rows])).execute()
        for token in list(ApiTokenTable.select(ApiTokenTable.id).where(ApiTokenTable.tenant_id == tenant)):
            append(tenant, "token.revoked", {"token": token.id}, now, entropy)
        for one in list(
            RecipientTable.select().where(
                (RecipientTable.tenant_id == tenant) & RecipientTable.until.is_null()
            )
        ):
            append(tenant, "recipient.removed", {"recipient": one.id}, now, entropy)
        drop_disputes(departed.disputes(dispute_ids(tenant), disputed_recordings(tenant)), now, entropy)
        drop_mail(tenant)
        for model in reversed(TABLES):  # what refers to others first
            if model.offboarding == "deleted":
                model.delete().where(model.tenant_id == tenant).execute()  # type: ignore[attr-defined]
    return len(rows)


def drop_request_texts(order: ErasureOrder) -> None:
    """Drop the numbers and texts of a customer's subject requests; the dates of receipt and answer remain.
    Raises as :meth:`ErasureOrder.confirm`."""
    tenant = order.tenant
    with writing():
        order.confirm(lock_tenant(tenant))
        condition = SubjectRequestTable.tenant_id == tenant
        requests = SubjectRequestTable.select(SubjectRequestTable.id).where(condition)
        ReviewTable.update(withheld_reason=None).where(ReviewTable.request.in_(requests)).execute()
        empty = {
            "number_salt": None,
            "extension_reason": None,
            "vouched_statement": None,
            "verified_statement": None,
        }
        SubjectRequestTable.update(number="", **empty).where(condition).execute()


def drop_key(order: ErasureOrder, keys: Sequence[str], *, now: datetime, entropy: Entropy) -> tuple[str, ...]:
    """Drop the customer's wrapped key, and record which ``keys`` (ids) are destroyed now; returns all that
    were ever destroyed. From here on, nothing of the customer's can be wrapped or opened. Raises as
    :meth:`ErasureOrder.confirm`."""
    tenant = order.tenant
    with writing():
        order.confirm(lock_tenant(tenant))
        known = _destroyed_keys(tenant)
        if fresh := sorted({*keys} - {*known}):
            append(tenant, KEY_DESTROYED, {"keys": fresh}, now, entropy)
        TenantTable.update(wrapped_key="").where(TenantTable.id == tenant).execute()
    return tuple(sorted({*known, *fresh}))


def _destroyed_keys(tenant: str) -> set[str]:
    condition = (LeafTable.tenant == tenant) & (LeafTable.kind == KEY_DESTROYED)
    bodies = LeafTable.select(LeafTable.body).where(condition)
    return {key for row in bodies if row.body is not None for key in json.loads(row.body)["keys"]}


def record_receipt(
    tenant: str, receipt: str, sha256: str, at: datetime, *, now: datetime, entropy: Entropy
) -> bool:
    """Record the receipt of a finished erasure; false if that was done before."""
    with tenant_lock(tenant):
        if require_departure(tenant).offboarded_at is not None:
            return False
        # The layout contains the tables, subject requests among them.
        OffboardingTable.update(receipt=receipt, offboarded_at=at, layout=None).where(
            OffboardingTable.tenant_id == tenant
        ).execute()
        HandedRecordingTable.delete().where(HandedRecordingTable.tenant_id == tenant).execute()
        append(tenant, LEFT, {"receipt_sha256": sha256}, now, entropy)
    return True


def check_not_erasing(row: OffboardingRow) -> None:
    """Raises :class:`CatalogueError` (``offboarding.erasing``)."""
    if row.erasing_since is not None:
        raise CatalogueError(
            "offboarding.erasing",
            f"all data of this customer is being erased since {to_iso(row.erasing_since)}",
            "this cannot be cancelled; `accord offboarding show` shows the progress",
        )
