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
from recorder.auditlog.append import tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.auditlog.signed_setting import SignedSetting, newest_number
from recorder.catalogue.database import connected
from recorder.catalogue.tables.download_permission import DownloadPermissionTable
from recorder.errors import SealError
from recorder.ids import Entropy
from recorder.seal.amendment import By
from recorder.seal.download_permission import KIND, DownloadPermission
from recorder.seal.revocation import Trust
from recorder.seal.signing import Signer

CHANGED: Final = "user.download_changed"

_SIGNED_SETTING: Final = SignedSetting(
    KIND, DownloadPermissionTable, CHANGED, lambda found: (found.tenant, found.user, found.number)
)

log = structlog.get_logger()


def is_allowed(tenant: str, user: str, trust: Trust) -> bool:
    """Whether a colleague may download, by their signed permission. One that is not valid allows nothing, and
    is logged for the operator."""
    with connected():
        row = DownloadPermissionTable.get_or_none(DownloadPermissionTable.id == user)
    return row is not None and _allows(row, tenant, changes(tenant, user), trust)


def find_allowed(tenant: str, trust: Trust) -> frozenset[str]:
    """All users of a tenant for whom :func:`is_allowed` is true."""
    with connected():
        rows = list(DownloadPermissionTable.select().where(DownloadPermissionTable.tenant_id == tenant))
    leaves_of: dict[object, list[LoggedLeaf]] = {}
    for leaf in leaf_lookup.find_permissions(tenant, CHANGED):
        leaves_of.setdefault(leaf.body.get("user"), []).append(leaf)
    return frozenset(row.id for row in rows if _allows(row, tenant, leaves_of.get(row.id, []), trust))


def _allows(row: DownloadPermissionTable, tenant: str, leaves: list[LoggedLeaf], trust: Trust) -> bool:
    try:
        found = check(row, leaves, trust)
    except SealError as error:
        log.error(
            "download.refused", user=row.id, error_id=error.error_id, error=error.message, hint=error.hint
        )
        return False
    return (found.tenant, found.allowed) == (tenant, True)


def check(row: DownloadPermissionTable, leaves: list[LoggedLeaf], trust: Trust) -> DownloadPermission:
    """The permission in a row, given all leaves about that user's. Raises :class:`SealError` as
    :meth:`SignedSetting.check`."""
    return _SIGNED_SETTING.check(row, leaves, trust).value


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
    with tenant_lock(tenant):
        if is_allowed(tenant, user, trust) == allowed:
            return False
        permission = DownloadPermission(tenant, user, newest_number(changes(tenant, user)) + 1, allowed)
        body = {"user": user, "downloads": allowed}
        _SIGNED_SETTING.save(permission, by, body, signer=signer, now=now, entropy=entropy)
    return True


def changes(tenant: str, user: str) -> list[LoggedLeaf]:
    """The leaves about a user's permissions, in order."""
    found = leaf_lookup.find_permissions(tenant, CHANGED)
    return [leaf for leaf in found if leaf.body.get("user") == user]
