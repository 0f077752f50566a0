"""The extensions at which colleagues take calls, so that calls name them and not only a number.

They decide nothing, and nothing signed has them: a call of last year shows the name of whoever has its
extension today.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from recorder.auditlog.append import append, tenant_lock
from recorder.catalogue.database import connected
from recorder.catalogue.tables.extension import ExtensionTable
from recorder.catalogue.tables.identity import UserTable
from recorder.errors import CatalogueError
from recorder.ids import Entropy, uuid7
from recorder.seal.amendment import By
from recorder.verification_calls.code import commit_text

ASSIGNED: Final = "extension.assigned"
RELEASED: Final = "extension.released"

SALT_BYTES: Final = 16


def extensions_of(tenant: str) -> dict[str, tuple[str, ...]]:
    """The extensions of a customer's people, by user."""
    found: dict[str, tuple[str, ...]] = {}
    with connected():
        for row in ExtensionTable.select().where(_current(tenant)).order_by(ExtensionTable.number):
            found[row.user_id] = (*found.get(row.user_id, ()), str(row.number))
    return found


def names_at(tenant: str, numbers: Iterable[str]) -> dict[str, str]:
    """The names of the colleagues who have some of these extensions today."""
    values = sorted({*numbers})
    with connected():
        rows: Any = ExtensionTable.select(ExtensionTable.number, UserTable.name).join(UserTable)
        return dict(rows.where(_current(tenant) & ExtensionTable.number.in_(values)).tuples())


def set_extensions(
    tenant: str, user: str, extensions: Sequence[str], *, by: By, now: datetime, entropy: Entropy
) -> None:
    """Set all extensions of a user. One of a colleague without access any more changes hands. Raises
    :class:`CatalogueError` (``extension.taken``)."""
    who = {"by": by.kind, "actor": by.id or ""}
    with tenant_lock(tenant):
        current = {str(row.number): row for row in ExtensionTable.select().where(_current(tenant))}
        mine = {number for number, row in current.items() if row.user_id == user}
        fresh = [each for each in extensions if each not in mine]
        for number in (*sorted(mine - {*extensions}), *filter(current.get, fresh)):
            row = current[number]
            if row.user_id != user and row.user.revoked_at is None:
                raise _conflict(number, row.user.name)
            end = {"number": None, "salt": None, "until": now}
            ExtensionTable.update(end).where(ExtensionTable.id == row.id).execute()
            append(tenant, RELEASED, {"extension": row.id, "user": row.user_id, **who}, now, entropy)
        for number in fresh:
            salt, identity = entropy(SALT_BYTES).hex(), str(uuid7(now, entropy))
            ExtensionTable.create(id=identity, tenant=tenant, user=user, number=number, salt=salt, since=now)
            body = {"extension": identity, "user": user, "number_sha256": commit_text(number, salt), **who}
            append(tenant, ASSIGNED, body, now, entropy)


def set_free_extensions(
    tenant: str, user: str, extensions: Sequence[str], *, by: By, now: datetime, entropy: Entropy
) -> None:
    """Set those of a new user's extensions that no colleague with access has meanwhile."""
    with tenant_lock(tenant):
        holders = _holders(tenant)
        free = [each for each in extensions if each not in holders]
        set_extensions(tenant, user, free, by=by, now=now, entropy=entropy)


def check_free(tenant: str, extensions: Iterable[str]) -> None:
    """Refuse extensions that a colleague with access has. Raises :class:`CatalogueError`
    (``extension.taken``)."""
    holders = _holders(tenant)
    if number := next(filter(holders.get, extensions), None):
        raise _conflict(number, holders[number])


def _holders(tenant: str) -> dict[str, str]:
    """The names of those with access, by their extensions."""
    rows: Any = ExtensionTable.select(ExtensionTable.number, UserTable.name).join(UserTable)
    with connected():
        return dict(rows.where(_current(tenant) & UserTable.revoked_at.is_null()).tuples())


def _conflict(number: str, name: str) -> CatalogueError:
    return CatalogueError(
        "extension.taken", f"{number} is the extension of {name}", "take it from them first"
    )


def _current(tenant: str) -> Any:
    return (ExtensionTable.tenant == tenant) & ExtensionTable.number.is_null(False)
