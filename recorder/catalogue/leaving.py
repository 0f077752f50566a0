"""Customers who leave: that it was announced, what they are handed, that all is destroyed, and the receipt.

What counts are facts, each a column that is filled once (:class:`recorder.catalogue.ended.Leaving`); every
change has its leaf, in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from recorder.catalogue.calls import ApiToken, Asked, LiveCall
from recorder.catalogue.ended import Handed, Leaving
from recorder.catalogue.lines import end_line
from recorder.catalogue.models import (
    LedgerEntry,
    Line,
    NotRecorded,
    Recording,
    Session,
    Tenant,
    User,
    connected,
    database,
    writing,
)
from recorder.catalogue.reading import recording_row
from recorder.catalogue.rows import RecordingRow
from recorder.clock import to_iso
from recorder.errors import CatalogueError
from recorder.ids import Entropy, uuid7
from recorder.ledger.append import append, forget, hold

PAGE = 200
FORGOTTEN = "calls.forgotten"


@dataclass(frozen=True, slots=True)
class LeavingRow:
    """A customer who leaves; see :class:`recorder.catalogue.ended.Leaving`."""

    tenant: str
    announced_at: datetime
    until: datetime
    handover: str | None
    log_size: int
    handed_at: datetime | None
    layout: Mapping[str, Any]
    length: int
    erasing_since: datetime | None
    left_at: datetime | None
    receipt: str | None


@dataclass(frozen=True, slots=True)
class HandedRow:
    """A recording in what a customer is handed, or ``why_not``; ``files`` are names and lengths in bytes,
    ``at`` where the first of them begins."""

    number: int
    recording: str
    why_not: str | None
    row_length: int
    at: int
    length: int
    files: tuple[tuple[str, int], ...]
    sent_at: datetime | None


def of(tenant: str) -> LeavingRow | None:
    """How far a customer's leaving is; ``None`` where it does not leave."""
    with connected():
        row = Leaving.get_or_none(Leaving.tenant_id == tenant)
    return None if row is None else _row(row)


def standing(tenant: str) -> LeavingRow:
    """The same.  Raises :class:`CatalogueError` (``leaving.not_announced``)."""
    row = of(tenant)
    if row is None:
        raise CatalogueError(
            "leaving.not_announced", "this customer does not leave", "first `accord tenant leave announce`"
        )
    return row


def announce(tenant: str, until: datetime, *, now: datetime, entropy: Entropy) -> LeavingRow:
    """A customer leaves: its numbers are not recorded any more from now on, and up to ``until`` it can fetch
    what it is handed.  Raises :class:`CatalogueError`: ``tenant.leaving`` (it was announced before),
    ``leaving.until``, ``tenant.unknown``."""
    if until <= now:
        raise CatalogueError("leaving.until", "that day is over", "name one on which they have fetched it")
    with writing():
        hold(tenant)
        if of(tenant) is not None:
            raise CatalogueError(
                "tenant.leaving",
                "that this customer leaves was announced before",
                "`accord tenant leave show`",
            )
        Leaving.insert(tenant_id=tenant, announced_at=now, until=until).execute()
        append(tenant, "tenant.leaving", {"until": to_iso(until)}, now, entropy)
        for line in list(Line.select(Line.id).where((Line.tenant == tenant) & Line.until.is_null())):
            end_line(tenant, line.id, now=now, entropy=entropy)
    return standing(tenant)


def stop(tenant: str, *, now: datetime, entropy: Entropy) -> None:
    """It does not leave after all; its lines are made again by hand.  Raises :class:`CatalogueError`:
    ``leaving.not_announced``, ``leaving.erasing``."""
    with writing():
        hold(tenant)
        _check_not_erasing(standing(tenant))
        Handed.delete().where(Handed.tenant_id == tenant).execute()
        Leaving.delete().where(Leaving.tenant_id == tenant).execute()
        append(tenant, "tenant.stays", {}, now, entropy)


# --- what they are handed


def begin(tenant: str, *, anew: bool, now: datetime, entropy: Entropy) -> LeavingRow:
    """What the customer is handed is put together now: goes on with what was begun, or ``anew``.  Raises
    :class:`CatalogueError`: ``leaving.not_announced``, ``leaving.erasing``."""
    with writing():
        hold(tenant)
        row = standing(tenant)
        _check_not_erasing(row)
        if row.handover is not None and not anew:
            return row
        Handed.delete().where(Handed.tenant_id == tenant).execute()
        handover = str(uuid7(now, entropy))
        append(tenant, "handover.begun", {"handover": handover}, now, entropy)
        size = Tenant.select(Tenant.ledger_size).where(Tenant.id == tenant).scalar()
        change = {"handover": handover, "log_size": size, "handed_at": None, "layout": None, "length": None}
        Leaving.update(change).where(Leaving.tenant_id == tenant).execute()
    return standing(tenant)


def add(tenant: str, handover: str, rows: Sequence[HandedRow]) -> None:
    """Write down some of what is handed.  Raises :class:`CatalogueError` (``leaving.changed``) where that
    handing over is not the one that is going on."""
    with writing():
        _same(tenant, handover)
        for row in rows:
            Handed.create(
                id=f"{handover}/{row.number}",
                tenant_id=tenant,
                number=row.number,
                recording_id=row.recording,
                why_not=row.why_not,
                row_length=row.row_length,
                at=row.at,
                length=row.length,
                files=[list(each) for each in row.files],
            )


def whole(
    tenant: str, handover: str, layout: Mapping[str, Any], length: int, *, now: datetime, entropy: Entropy
) -> None:
    """What the customer is handed is whole from now on.  Raises :class:`CatalogueError`
    (``leaving.changed``)."""
    with writing():
        hold(tenant)
        _same(tenant, handover)
        change = {"layout": layout, "length": length, "handed_at": now}
        Leaving.update(change).where(Leaving.tenant_id == tenant).execute()
        counted = counts(tenant)
        said = {"handover": handover, "bytes": length, "recordings": counted.pop("", 0), "left_out": counted}
        append(tenant, "handover.whole", said, now, entropy)


def counts(tenant: str) -> dict[str, int]:
    """How many recordings are handed (''), and how many are not, by why."""
    with connected():
        query = Handed.select(Handed.why_not, fn.COUNT(Handed.id)).where(Handed.tenant_id == tenant)
        rows = database.execute(query.group_by(Handed.why_not)).fetchall()
        return {str(reason or ""): int(many) for reason, many in rows}


def handed(tenant: str, first: int, limit: int = PAGE) -> tuple[HandedRow, ...]:
    """Some of what is handed, by number from ``first`` on."""
    with connected():
        mine = (Handed.tenant_id == tenant) & (Handed.number >= first)
        return tuple(_handed(row) for row in Handed.select().where(mine).order_by(Handed.number).limit(limit))


def handed_at(tenant: str, at: int, limit: int = PAGE) -> tuple[HandedRow, ...]:
    """The recordings that lie at a byte of what is handed, and after it."""
    with connected():
        mine = (Handed.tenant_id == tenant) & (Handed.at + Handed.length > at) & (Handed.length > 0)
        return tuple(_handed(row) for row in Handed.select().where(mine).order_by(Handed.at).limit(limit))


def last(tenant: str) -> HandedRow | None:
    """The last of what was written down."""
    with connected():
        mine = Handed.select().where(Handed.tenant_id == tenant)
        row = mine.order_by(Handed.number.desc()).first()
    return None if row is None else _handed(row)


def among(tenant: str, recordings: Iterable[str]) -> frozenset[str]:
    """Which of some recordings are in the list, handed or not."""
    with connected():
        mine = (Handed.tenant_id == tenant) & Handed.recording_id.in_(list(recordings))
        return frozenset(row.recording_id for row in Handed.select(Handed.recording_id).where(mine))


def sending(tenant: str, handover: str, recording: str, user: str, now: datetime, entropy: Entropy) -> None:
    """The first bytes of a recording are about to leave: once, in the customer's log."""
    with writing():
        hold(tenant)
        mine = (Handed.tenant_id == tenant) & (Handed.recording_id == recording)
        if Handed.update(sent_at=now).where(mine & Handed.sent_at.is_null()).execute():
            said = {"recording": recording, "handover": handover, "user": user}
            append(tenant, "recording.handed_over", said, now, entropy, recording=recording)


def note(tenant: str, kind: str, said: Mapping[str, object], now: datetime, entropy: Entropy) -> None:
    """A leaf about what is handed over."""
    with writing():
        append(tenant, kind, said, now, entropy)


# --- destroying


def being_erased(tenant: str) -> bool:
    """Whether everything of a customer is destroyed, or is being."""
    with connected():
        mine = (Leaving.tenant_id == tenant) & Leaving.erasing_since.is_null(False)
        return bool(Leaving.select().where(mine).exists())


def decide(tenant: str, *, early: str | None, now: datetime, entropy: Entropy) -> None:
    """Everything of a customer is destroyed from now on; ``early`` says why before its day.  Raises
    :class:`CatalogueError`: ``leaving.not_announced``, ``leaving.too_early``; ``leaving.erasing``."""
    with writing():
        hold(tenant)
        row = standing(tenant)
        _check_not_erasing(row)
        if now < row.until and early is None:
            raise CatalogueError(
                "leaving.too_early",
                f"they were told that they can fetch it until {to_iso(row.until)}",
                "wait for that day, or say in --early how they agreed to an earlier one",
            )
        said = {"early": early or "", "handed_over": row.handed_at is not None}
        append(tenant, "tenant.erasing", said, now, entropy)
        Leaving.update(erasing_since=now).where(Leaving.tenant_id == tenant).execute()


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


def destroyed(tenant: str) -> dict[str, int]:
    """How many recordings of a customer were destroyed, ever, by why."""
    with connected():
        mine = (Recording.tenant == tenant) & Recording.destroyed_at.is_null(False)
        query = Recording.select(Recording.destroyed_why, fn.COUNT(Recording.id)).where(mine)
        rows = database.execute(query.group_by(Recording.destroyed_why)).fetchall()
        return {str(why): int(many) for why, many in rows}


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
    """Nobody of a customer's logs in any more, and what they are called is forgotten; how many."""
    with writing():
        hold(tenant)
        mine = list(User.select(User.id, User.revoked_at).where(User.tenant == tenant))
        for row in mine:
            if row.revoked_at is None:
                User.update(revoked_at=now).where(User.id == row.id).execute()
                append(tenant, "user.revoked", {"user": row.id}, now, entropy)
            User.update(login=row.id, name="", password_hash="").where(User.id == row.id).execute()
        Session.update(ended_at=now).where(
            Session.user.in_([row.id for row in mine]) & Session.ended_at.is_null()
        ).execute()
        for token in list(ApiToken.select(ApiToken.id).where(ApiToken.tenant_id == tenant)):
            append(tenant, "token.revoked", {"token": token.id}, now, entropy)
        ApiToken.delete().where(ApiToken.tenant_id == tenant).execute()
    return len(mine)


def left(tenant: str, receipt: str, sha256: str, at: datetime, *, now: datetime, entropy: Entropy) -> bool:
    """Everything is destroyed, and a receipt says so; false where that was written down before.  Also for
    a catalogue that was restored or rebuilt, and does not know it: then its lines end too."""
    with writing():
        hold(tenant)
        row = of(tenant)
        if row is not None and row.left_at is not None:
            return False
        if row is None:
            Leaving.insert(tenant_id=tenant, announced_at=at, until=at, erasing_since=at).execute()
        for line in list(Line.select(Line.id).where((Line.tenant == tenant) & Line.until.is_null())):
            end_line(tenant, line.id, now=now, entropy=entropy)
        change = {"erasing_since": row.erasing_since if row and row.erasing_since else at}
        Leaving.update(receipt=receipt, left_at=at, **change).where(Leaving.tenant_id == tenant).execute()
        Handed.delete().where(Handed.tenant_id == tenant).execute()
        append(tenant, "tenant.left", {"receipt_sha256": sha256}, now, entropy)
    return True


def _same(tenant: str, handover: str) -> None:
    row = standing(tenant)
    if row.handover != handover or row.handed_at is not None or row.erasing_since is not None:
        raise CatalogueError(
            "leaving.changed", "somebody else is handing over to this customer", "`accord tenant leave show`"
        )


def _check_not_erasing(row: LeavingRow) -> None:
    if row.erasing_since is not None:
        raise CatalogueError(
            "leaving.erasing",
            f"everything of this customer is being destroyed since {to_iso(row.erasing_since)}",
            "that cannot be called off; `accord tenant leave show` says how far it is",
        )


def _row(row: Leaving) -> LeavingRow:
    return LeavingRow(
        tenant=row.tenant_id,
        announced_at=row.announced_at,
        until=row.until,
        handover=row.handover,
        log_size=int(row.log_size or 0),
        handed_at=row.handed_at,
        layout=row.layout or {},
        length=int(row.length or 0),
        erasing_since=row.erasing_since,
        left_at=row.left_at,
        receipt=row.receipt,
    )


def _handed(row: Handed) -> HandedRow:
    return HandedRow(
        number=row.number,
        recording=row.recording_id,
        why_not=row.why_not,
        row_length=row.row_length,
        at=int(row.at),
        length=int(row.length),
        files=tuple((name, length) for name, length in row.files),
        sent_at=row.sent_at,
    )
