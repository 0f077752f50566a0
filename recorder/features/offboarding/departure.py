"""Customers who leave: that it was announced, that all is destroyed, and the receipt.  What they are handed
is ``features/offboarding/handover.py``.

Signed statements in the bucket decide (:mod:`recorder.seal.offboarding`); the row
(:class:`recorder.catalogue.tables.offboarding.Leaving`) is an index to them.  Every change has its leaf, in
the same transaction, which names the statement.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, forget, hold
from recorder.catalogue.departures import LeavingRow, _row
from recorder.catalogue.departures import departure as of
from recorder.catalogue.mappers import recording_row
from recorder.catalogue.records import RecordingRow
from recorder.catalogue.tables.audit_log import Recipient
from recorder.catalogue.tables.core import (
    LedgerEntry,
    Line,
    NotRecorded,
    Recording,
    Session,
    Tenant,
    User,
    connected,
    writing,
)
from recorder.catalogue.tables.live_call import ApiToken, Asked, LiveCall
from recorder.catalogue.tables.offboarding import Handed, Leaving
from recorder.catalogue.tables.subject_request import PersonCode, PersonRecording, PersonRequest
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.features.tenants.lines import end_line
from recorder.ids import Entropy

PAGE = 200
LEAVES = "tenant.leaving"
STAYS = "tenant.stays"
ERASING = "tenant.erasing"
LEFT = "tenant.left"
FORGOTTEN = "calls.forgotten"
KEY_DESTROYED = "tenant.key_destroyed"


def standing(tenant: str) -> LeavingRow:
    """The same.  Raises :class:`CatalogueError` (``leaving.not_announced``)."""
    row = of(tenant)
    if row is None:
        raise CatalogueError(
            "leaving.not_announced", "this customer does not leave", "first `accord tenant leave announce`"
        )
    return row


def announced(
    tenant: str, at: datetime, until: datetime, statement: str, *, now: datetime, entropy: Entropy
) -> int:
    """A signed statement (its SHA-256) says that a customer leaves: its row is written, and its lines end;
    how many.  A row that was there goes with what was handed over, for nothing signed says that.  Raises
    :class:`CatalogueError` (``tenant.unknown``)."""
    with writing():
        hold(tenant)
        _drop(tenant)
        Leaving.insert(tenant_id=tenant, announced_at=at, until=until).execute()
        append(tenant, LEAVES, {"until": to_iso(until), "statement": statement}, now, entropy)
        return _end_lines(tenant, now, entropy)


def stays(tenant: str, statement: str, *, now: datetime, entropy: Entropy) -> None:
    """A signed statement says that a customer does not leave after all; its lines are made again by hand."""
    with writing():
        hold(tenant)
        _drop(tenant)
        append(tenant, STAYS, {"statement": statement}, now, entropy)


def called_off(tenant: str) -> str | None:
    """The statement (its SHA-256) by which a customer last stayed after all, as the log says."""
    said = leaf_lookup.after(tenant, -1, STAYS)
    return str(said[-1].body.get("statement")) if said else None


def _drop(tenant: str) -> None:
    Handed.delete().where(Handed.tenant_id == tenant).execute()
    Leaving.delete().where(Leaving.tenant_id == tenant).execute()


def _end_lines(tenant: str, now: datetime, entropy: Entropy) -> int:
    living = list(Line.select(Line.id).where((Line.tenant == tenant) & Line.until.is_null()))
    for line in living:
        end_line(tenant, line.id, now=now, entropy=entropy)
    return len(living)


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
    """A signed statement (its SHA-256) says that everything of a customer is destroyed: its row says so, and
    its lines end, where they had not.  Raises :class:`CatalogueError` (``tenant.unknown``)."""
    with writing():
        hold(tenant)
        change = {"announced_at": announced_at, "until": until, "erasing_since": since, "left_at": None}
        if not Leaving.update(change).where(Leaving.tenant_id == tenant).execute():
            Leaving.insert(tenant_id=tenant, **change).execute()
        said = {"early": early, "handed_over": handed_over, "statement": statement}
        append(tenant, ERASING, said, now, entropy)
        _end_lines(tenant, now, entropy)


def to_erase() -> tuple[LeavingRow, ...]:
    """Customers of whom everything is to be destroyed, and is not yet."""
    with connected():
        mine = Leaving.erasing_since.is_null(False) & Leaving.left_at.is_null()
        return tuple(_row(row) for row in Leaving.select().where(mine).order_by(Leaving.tenant_id))


def recordings_of(tenant: str, after: str = "", limit: int = PAGE) -> tuple[RecordingRow, ...]:
    """Recordings of a customer that are not destroyed, by id."""
    with connected():
        mine = (Recording.tenant == tenant) & Recording.destroyed_at.is_null() & (Recording.id > after)
        query = Recording.select().where(mine).order_by(Recording.id).limit(limit)
        return tuple(recording_row(row) for row in query)


def remaining(tenant: str) -> int:
    """How many recordings of a customer are not destroyed."""
    with connected():
        mine = (Recording.tenant == tenant) & Recording.destroyed_at.is_null()
        return int(Recording.select().where(mine).count())


def amounts(tenant: str) -> str:
    """What the catalogue has of a customer that erasing it would destroy, in numbers."""
    with connected():
        calls = NotRecorded.select().where(NotRecorded.tenant == tenant).count()
        people = User.select().where((User.tenant == tenant) & (User.password_hash != "")).count()
        key = Tenant.select().where((Tenant.id == tenant) & (Tenant.wrapped_key != "")).exists()
    return (
        f"{remaining(tenant)} recordings, {calls} calls without one, {people} log-ins, "
        f"{'a key' if key else 'no key'}"
    )


def forget_calls(tenant: str, *, now: datetime, entropy: Entropy) -> int:
    """Forget calls that were not recorded, and what the log was opened with of them; how many, ever."""
    while True:
        with writing():
            hold(tenant)
            page = NotRecorded.select(NotRecorded.id).where(NotRecorded.tenant == tenant).limit(PAGE)
            ids = [row.id for row in page]
            if not ids:
                break
            leaves = [number for each in ids for number in forget(tenant, each)]
            NotRecorded.delete().where(NotRecorded.id.in_(ids)).execute()
            append(tenant, FORGOTTEN, {"calls": len(ids), "leaves": sorted(leaves)}, now, entropy)
    with writing():
        LiveCall.delete().where(LiveCall.tenant_id == tenant).execute()
        Asked.delete().where(Asked.tenant_id == tenant).execute()
        said = LedgerEntry.select(LedgerEntry.body).where(
            (LedgerEntry.tenant == tenant) & (LedgerEntry.kind == FORGOTTEN)
        )
        return sum(int(json.loads(row.body)["calls"]) for row in said if row.body is not None)


def forget_people(tenant: str, *, now: datetime, entropy: Entropy) -> int:
    """Nobody of a customer's logs in or gets checkpoints by mail any more, and what they are called is
    forgotten; how many."""
    with writing():
        hold(tenant)
        mine = list(User.select(User.id, User.revoked_at).where(User.tenant == tenant))
        for row in mine:
            if row.revoked_at is None:
                User.update(revoked_at=now).where(User.id == row.id).execute()
                append(tenant, "user.revoked", {"user": row.id}, now, entropy)
            User.update(login=row.id, name="", password_hash="", credential=None).where(
                User.id == row.id
            ).execute()
        Session.update(ended_at=now).where(
            Session.user.in_([row.id for row in mine]) & Session.ended_at.is_null()
        ).execute()
        for token in list(ApiToken.select(ApiToken.id).where(ApiToken.tenant_id == tenant)):
            append(tenant, "token.revoked", {"token": token.id}, now, entropy)
        ApiToken.delete().where(ApiToken.tenant_id == tenant).execute()
        for one in list(
            Recipient.select().where((Recipient.tenant_id == tenant) & Recipient.until.is_null())
        ):
            append(tenant, "recipient.removed", {"recipient": one.id}, now, entropy)
        Recipient.delete().where(Recipient.tenant_id == tenant).execute()
    return len(mine)


def forget_requests(tenant: str) -> None:
    """Forget who asked a customer for their recordings, and what was written down of that; that somebody
    asked stays, and by when they were answered."""
    with writing():
        mine = PersonRequest.tenant_id == tenant
        requests = PersonRequest.select(PersonRequest.id).where(mine)
        PersonCode.delete().where(PersonCode.tenant_id == tenant).execute()
        PersonRecording.update(withheld_why=None).where(PersonRecording.request.in_(requests)).execute()
        gone = {"number_salt": None, "extended_why": None, "vouched_said": None, "proved_said": None}
        PersonRequest.update(number="", **gone).where(mine).execute()


def forget_key(tenant: str, keys: Sequence[str], *, now: datetime, entropy: Entropy) -> tuple[str, ...]:
    """Forget the customer's wrapped key, and write down which ``keys`` (ids) are destroyed now; those that
    were, ever.  From here on nothing of theirs can be wrapped or opened."""
    with writing():
        hold(tenant)
        known = _destroyed_keys(tenant)
        if fresh := sorted({*keys} - {*known}):
            append(tenant, KEY_DESTROYED, {"keys": fresh}, now, entropy)
        Tenant.update(wrapped_key="").where(Tenant.id == tenant).execute()
    return tuple(sorted({*known, *fresh}))


def _destroyed_keys(tenant: str) -> set[str]:
    mine = (LedgerEntry.tenant == tenant) & (LedgerEntry.kind == KEY_DESTROYED)
    said = LedgerEntry.select(LedgerEntry.body).where(mine)
    return {key for row in said if row.body is not None for key in json.loads(row.body)["keys"]}


def left(tenant: str, receipt: str, sha256: str, at: datetime, *, now: datetime, entropy: Entropy) -> bool:
    """Everything is destroyed, and a receipt says so; false where that was written down before."""
    with writing():
        hold(tenant)
        if standing(tenant).left_at is not None:
            return False
        # The layout goes too: it has the tables, of who asked for recordings among them.
        Leaving.update(receipt=receipt, left_at=at, layout=None).where(Leaving.tenant_id == tenant).execute()
        Handed.delete().where(Handed.tenant_id == tenant).execute()
        append(tenant, LEFT, {"receipt_sha256": sha256}, now, entropy)
    return True


def check_not_erasing(row: LeavingRow) -> None:
    """Raises :class:`CatalogueError` (``leaving.erasing``)."""
    if row.erasing_since is not None:
        raise CatalogueError(
            "leaving.erasing",
            f"everything of this customer is being destroyed since {to_iso(row.erasing_since)}",
            "that cannot be called off; `accord tenant leave show` says how far it is",
        )
