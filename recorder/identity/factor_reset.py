"""The reset of a lost second factor by two admins: one asks, another confirms.

The request is signed by the panel, so a row that somebody made up confirms nothing; and it is for the set of
factors that the person had at that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, sha256_of, tenant_lock
from recorder.catalogue.database import connected
from recorder.catalogue.records import UserRow
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.second_factor import FactorResetTable
from recorder.clock import truncate
from recorder.domain.roles import ADMIN
from recorder.errors import CatalogueError, SealError
from recorder.identity import factor_set, users
from recorder.ids import Entropy, uuid7
from recorder.seal import hints
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust, check_signer
from recorder.seal.second_factor import RESET_REQUEST, ResetRequest
from recorder.seal.signing import Signer

LASTS: Final = timedelta(days=7)
"""Time to confirm a request."""

REQUESTED: Final = "user.factor_reset_requested"
ENDED: Final = "user.factor_reset_ended"


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request that waits for another admin."""

    id: str
    user: str
    requested_by: str
    requested_at: datetime


def request_reset(
    user: UserRow, admin: UserRow, number: int, *, signer: Signer, now: datetime, entropy: Entropy
) -> None:
    """Ask for the reset of a colleague's set with a ``number``; an open request about them ends. Raises
    :class:`CatalogueError` (``factors.not_allowed``)."""
    _check_admin(user, admin)
    identity = str(uuid7(now, entropy))
    request = ResetRequest(user.tenant, identity, user.id, number, admin.id)
    statement = RESET_REQUEST.write(request, signer, truncate(now)).decode()
    with tenant_lock(user.tenant):
        for row in _open(user.tenant, now):
            if row.user_id == user.id:
                _end(row, admin, "replaced", now, entropy)
        FactorResetTable.create(
            id=identity, tenant_id=user.tenant, user_id=user.id, requested_by=admin.id, statement=statement,
            requested_at=now,
        )  # fmt: skip
        body = {"request": identity, "user": user.id, "actor": admin.id}
        append(user.tenant, REQUESTED, body | {"statement_sha256": sha256_of(statement)}, now, entropy)


def open_requests(tenant: str, now: datetime) -> tuple[OpenRequest, ...]:
    """A customer's requests that can still be confirmed, oldest first."""
    return tuple(read_value(OpenRequest, row) for row in _open(tenant, now))


def is_request(tenant: str, request_id: str) -> bool:
    """Whether a request is, or was, a customer's."""
    mine = (FactorResetTable.tenant_id == tenant) & (FactorResetTable.id == request_id)
    with connected():
        return bool(FactorResetTable.select().where(mine).exists())


def withdraw(tenant: str, request_id: str, admin: UserRow, *, now: datetime, entropy: Entropy) -> bool:
    """End a request without a reset; false if it is not open."""
    with tenant_lock(tenant):
        row = next((row for row in _open(tenant, now) if row.id == request_id), None)
        if row is None or admin.role != ADMIN:
            return False
        _end(row, admin, "withdrawn", now, entropy)
    return True


def confirm(
    tenant: str,
    request_id: str,
    admin: UserRow,
    *,
    trust: Trust,
    signer: Signer,
    now: datetime,
    entropy: Entropy,
) -> UserRow | None:
    """Confirm another admin's request: the colleague's factors and sessions end. Returns the colleague;
    ``None`` if the request is not open, or their factors have changed since. Raises :class:`CatalogueError`
    (``factors.not_allowed``) for one's own request or factors, :class:`SealError` for a request that was not
    signed as it stands."""
    with tenant_lock(tenant):
        row = next((row for row in _open(tenant, now) if row.id == request_id), None)
        if row is None:
            return None
        request = check_request(row, trust)
        user, requester = users.user(tenant, request.user), users.user(tenant, request.by)
        if user is None or user.revoked_at is not None or requester is None:
            return None
        _check_admin(user, admin)
        _check_admin(user, requester)
        users.require_signed(requester, trust)
        if admin.id == requester.id:
            raise CatalogueError("factors.not_allowed", "another admin must confirm", "ask a colleague")
        if factor_set.newest_number(user) != request.number:
            _end(row, admin, "outdated", now, entropy)
            return None
        by = By("user", admin.id)
        factor_set.reset(user, by, request=row.id, signer=signer, now=now, entropy=entropy)
        users.end_sessions(user, now=now, entropy=entropy)
        _end(row, admin, "confirmed", now, entropy)
    return user


def check_request(row: FactorResetTable, trust: Trust) -> ResetRequest:
    """The request in a row. Raises :class:`SealError` (``factors.differs``, ``seal.key_revoked``, and as
    :meth:`Kind.read`) if it was not signed as it stands."""
    signed = RESET_REQUEST.read(row.statement.encode(), trust.root)
    found = signed.value
    if (found.tenant, found.id, found.user, found.by) != (
        row.tenant_id, row.id, row.user_id, row.requested_by,
    ) or signed.at != truncate(row.requested_at):  # fmt: skip
        raise SealError("factors.differs", f"request {row.id} differs from the signed one", hints.COMPARE)
    check_signer(signed.key_id, signed.at, f"request {row.id}", trust.revoked())
    return found


def _check_admin(user: UserRow, admin: UserRow) -> None:
    if (admin.tenant, admin.role) != (user.tenant, ADMIN) or admin.revoked_at or admin.id == user.id:
        raise CatalogueError("factors.not_allowed", "only another admin of the customer may", "ask one")


def _open(tenant: str, now: datetime) -> list[FactorResetTable]:
    mine = (FactorResetTable.tenant_id == tenant) & FactorResetTable.ended_at.is_null()
    with connected():
        rows = list(FactorResetTable.select().where(mine).order_by(FactorResetTable.id))
    ended = {leaf.body.get("request") for leaf in leaf_lookup.find_sign_in(tenant, ENDED)}
    return [row for row in rows if row.id not in ended and row.requested_at <= now < row.requested_at + LASTS]


def _end(row: FactorResetTable, admin: UserRow, outcome: str, now: datetime, entropy: Entropy) -> None:
    FactorResetTable.update(ended_at=now).where(FactorResetTable.id == row.id).execute()
    body = {"request": row.id, "user": row.user_id, "actor": admin.id, "outcome": outcome}
    append(row.tenant_id, ENDED, body, now, entropy)
