"""Whether a colleague may download recordings (:mod:`recorder.seal.download_permission`), as their company's
admin decides.

A row alone decides nothing: the permission must be signed, and the newest one according to the log. Whoever
writes rows can take a permission away, but neither give one nor bring an older one back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, lock_tenant, sha256_of
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.catalogue.database import connected, writing
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.clock import truncate
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal.amendment import By
from recorder.seal.download_permission import KIND, DownloadPermission
from recorder.seal.revocation import Trust, is_doubtful
from recorder.seal.signing import Signer

CHANGED: Final = "user.download_changed"

HINT: Final = "an admin decides again on the team page; `accord audit run` names such rows"

log = structlog.get_logger()


def is_allowed(tenant: str, user: str, trust: Trust) -> bool:
    """Whether a colleague may download, by their signed permission. One that is not valid allows nothing, and
    is logged for the operator."""
    with connected():
        row = DownloadPermissionTable.get_or_none(DownloadPermissionTable.id == user)
    if row is None:
        return False
    try:
        found = check(row, changes(tenant, user), trust)
    except SealError as error:
        log.error(
            "download.refused", user=user, error_id=error.error_id, error=error.message, hint=error.hint
        )
        return False
    return (found.tenant, found.allowed) == (tenant, True)


def check(row: DownloadPermissionTable, leaves: list[LoggedLeaf], trust: Trust) -> DownloadPermission:
    """The permission in a row, given all leaves about that user's. Raises :class:`SealError`:
    ``download.differs`` (it is somebody else's), ``download.superseded`` (it is not the newest),
    ``seal.key_revoked``, and as :meth:`Kind.read`."""
    signed = KIND.read(row.statement.encode(), trust.root)
    found, newest = signed.value, max(leaves, key=_number, default=None)
    if (found.tenant, found.user, found.number) != (row.tenant_id, row.id, row.number):
        what = f"the permission of user {row.id} to download differs from the signed one"
        raise SealError("download.differs", what, HINT)
    if newest is None or found.number != _number(newest):
        what = f"user {row.id} has permission {found.number} to download, which is not the newest in the log"
        raise SealError("download.superseded", what, HINT)
    if is_doubtful(signed.key_id, signed.at, newest.at, trust.revoked()):
        what = f"key {signed.key_id}, which signed the permission of user {row.id} to download, was revoked"
        raise SealError("seal.key_revoked", what, HINT)
    return found


def set_permission(
    tenant: str,
    user: str,
    allowed: bool,
    by: By,
    *,
    signer: Signer,
    trust: Trust,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Allow a user to download, or no longer; false if nothing changes. Raises :class:`SealError` for a key
    that is not endorsed for it."""
    with writing():
        lock_tenant(tenant)
        if is_allowed(tenant, user, trust) == allowed:
            return False
        number = max(map(_number, changes(tenant, user)), default=0) + 1
        permission = DownloadPermission(tenant, user, number, allowed)
        statement = KIND.write(permission, signer, truncate(now)).decode()
        columns = {"tenant_id": tenant, "number": number, "statement": statement}
        DownloadPermissionTable.insert(id=user, **columns).on_conflict(
            conflict_target=[DownloadPermissionTable.id], update=columns
        ).execute()
        body: dict[str, object] = {"user": user, "number": number, "downloads": allowed, "by": by.kind}
        body |= {"actor": by.id or "", "statement_sha256": sha256_of(statement)}
        append(tenant, CHANGED, body, now, entropy)
    return True


def changes(tenant: str, user: str) -> list[LoggedLeaf]:
    """The leaves about a user's permissions, in order."""
    found = leaf_lookup.find_permissions(tenant, CHANGED)
    return [leaf for leaf in found if leaf.body.get("user") == user]


def _number(leaf: LoggedLeaf) -> int:
    return int(leaf.body["number"])
