"""The signed set of a user's second factors (:mod:`recorder.seal.second_factor`), read and replaced.

A row alone decides nothing: the set must be signed, and the newest one according to the log. So an attacker
who can write rows can lock somebody out, but neither remove nor add a factor, nor bring an older set back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from recorder.auditlog import leaf_lookup
from recorder.auditlog import signed_setting as settings
from recorder.auditlog.append import sha256_of, tenant_lock
from recorder.auditlog.leaf_lookup import LoggedLeaf
from recorder.auditlog.signed_setting import SignedSetting
from recorder.catalogue.database import connected, writing
from recorder.catalogue.records import UserRow
from recorder.catalogue.tables.second_factor import FactorUseTable, SecondFactorTable
from recorder.errors import CatalogueError, SealError
from recorder.ids import Entropy
from recorder.seal.amendment import By
from recorder.seal.revocation import Trust
from recorder.seal.second_factor import KIND, SecondFactors
from recorder.seal.signing import Signer

CHANGED: Final = "user.factors_changed"

RESET: Final = "reset"
"""The change that takes all of a user's second factors away."""

HINT: Final = (
    "`accord user reset-second-factor` starts anew, if you know who asks; `accord audit run` names such rows"
)

_SIGNED_SETTING: Final = SignedSetting(
    KIND, SecondFactorTable, CHANGED, lambda found: (found.tenant, found.user, found.number)
)


def current(user: UserRow, trust: Trust) -> SecondFactors:
    """A user's second factors, verified. Raises :class:`SealError`: ``factors.missing`` (the log has a set,
    but there is no row), and as :meth:`SignedSetting.check`."""
    leaves = changes(user.tenant, user.id)
    with connected():
        row = SecondFactorTable.get_or_none(SecondFactorTable.id == user.id)
    if row is None:
        if leaves:
            raise SealError("factors.missing", f"the second factors of user {user.id} are gone", HINT)
        return SecondFactors(user.tenant, user.id)
    return check(row, leaves, trust)


def check(row: SecondFactorTable, leaves: list[LoggedLeaf], trust: Trust) -> SecondFactors:
    """The set in a row, given all leaves about that user's sets. Raises :class:`SealError` as
    :meth:`SignedSetting.check`."""
    return _SIGNED_SETTING.check(row, leaves, trust).value


def ever_had(user: UserRow) -> bool:
    """Whether a user ever had a second factor, according to the log."""
    return bool(changes(user.tenant, user.id))


def app_key(user: UserRow) -> str | None:
    """The wrapped key of a user's authenticator app, as JSON."""
    with connected():
        row = SecondFactorTable.get_or_none(SecondFactorTable.id == user.id)
    return None if row is None else row.app_key


def set_app_key(user: UserRow, old: str, new: str) -> None:
    """Replace the wrapped key of an app by the same key, wrapped by another one."""
    with writing():
        mine = (SecondFactorTable.id == user.id) & (SecondFactorTable.app_key == old)
        SecondFactorTable.update(app_key=new).where(mine).execute()


def put(
    new: SecondFactors,
    change: str,
    by: By,
    *,
    signer: Signer,
    now: datetime,
    entropy: Entropy,
    app_key: str | None = None,
    details: Mapping[str, object] = {},
) -> SecondFactors:
    """Sign a set that follows the one with the number ``new.number``, and store it with a leaf; returns it
    with its own number. ``change`` says in the leaf what is different, ``app_key`` is the wrapped key of the
    set's app, ``details`` more fields of the leaf. Raises :class:`CatalogueError` (``factors.changed``) if
    another change came first, :class:`SealError` for a key that is not endorsed for it."""
    body = {"user": new.user, "change": change, **details}
    with tenant_lock(new.tenant):
        if settings.newest_number(changes(new.tenant, new.user)) != new.number:
            raise CatalogueError(
                "factors.changed", "the second factors were changed meanwhile", "load the page again"
            )
        new = replace(new, number=new.number + 1)
        _SIGNED_SETTING.save(new, by, body, signer=signer, now=now, entropy=entropy, app_key=app_key)
    return new


def reset(
    user: UserRow,
    by: By,
    *,
    reason: str = "",
    request: str = "",
    signer: Signer,
    now: datetime,
    entropy: Entropy,
) -> bool:
    """Take all second factors from a user, whatever the row says; false if the user never had any. The leaf
    has the ``reason``'s SHA-256, or the id of the ``request`` that was confirmed."""
    number = newest_number(user)
    if not number:
        return False
    empty = SecondFactors(user.tenant, user.id, number)
    details = {"request": request} if request else {"reason_sha256": sha256_of(reason)}
    put(empty, RESET, by, signer=signer, now=now, entropy=entropy, details=details)
    with writing():
        FactorUseTable.delete().where(FactorUseTable.user_id == user.id).execute()
    return True


def use(user: UserRow, factor: str, counter: int, now: datetime) -> bool:
    """Note the use of a factor, unless its ``counter`` is not larger than at its last use: then return false.
    Two requests at once cannot both succeed."""
    identity = f"{user.id}/{factor}"
    new = {FactorUseTable.counter: counter, FactorUseTable.used_at: now}
    added = FactorUseTable.insert(id=identity, user_id=user.id, counter=counter, used_at=now).on_conflict(
        conflict_target=[FactorUseTable.id], update=new, where=FactorUseTable.counter < counter
    )
    with writing():
        return bool(added.as_rowcount().execute())


def uses(user: UserRow) -> dict[str, FactorUseTable]:
    """The last uses of a user's factors, by factor."""
    with connected():
        rows = FactorUseTable.select().where(FactorUseTable.user_id == user.id)
        return {row.id.partition("/")[2]: row for row in rows}


def changes(tenant: str, user_id: str) -> list[LoggedLeaf]:
    """The leaves about a user's sets, in order."""
    found = leaf_lookup.find_sign_in(tenant, CHANGED)
    return [leaf for leaf in found if leaf.body.get("user") == user_id]


def newest_number(user: UserRow) -> int:
    """The number of a user's newest set in the log; 0 if there is none."""
    return settings.newest_number(changes(user.tenant, user.id))
