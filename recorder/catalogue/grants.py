"""Grants and listens as rows: what the gate (``access/gate.py``) decided, and what left under it.

Every function writes row and leaf in one transaction.  Only the gate and the worker call this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from peewee import Expression

from recorder import metrics
from recorder.catalogue.models import Grant, Listen, connected, writing
from recorder.clock import SLACK
from recorder.ids import Entropy, uuid7
from recorder.ledger.append import append, hold

Added = Callable[[Iterable[tuple[int, int]]], Sequence[tuple[int, int]]]

LASTS = timedelta(minutes=15)
"""How long a grant lasts at most, and how long each renewal makes it last from then on."""


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant as it was given: to a user, for a recording, for a purpose, on a manifest."""

    id: str
    tenant: str
    user: str
    session: str | None
    recording: str
    purpose: str
    manifest_sha256: str
    until: datetime


@dataclass(frozen=True, slots=True)
class ListenRow:
    """A play that is going on, or that nobody has closed; ``sent_bytes`` plain bytes have been counted so
    far, never fewer than have left."""

    id: str
    tenant: str
    recording: str
    sent_bytes: int


def give(
    *,
    tenant: str,
    user: str,
    session: str | None,
    recording: str,
    purpose: str,
    manifest_sha256: str,
    until: datetime,
    now: datetime,
    entropy: Entropy,
) -> GrantRow:
    """Write down a grant, and its leaf."""
    identity = str(uuid7(now, entropy))
    with writing():
        Grant.create(
            id=identity,
            tenant=tenant,
            user=user,
            session=session,
            recording=recording,
            purpose=purpose,
            manifest_sha256=manifest_sha256,
            given_at=now,
            until=until,
        )
        said = {"grant": identity, "user": user, "recording": recording, "purpose": purpose}
        said |= {"session": session or "", "manifest_sha256": manifest_sha256}
        append(tenant, "grant.given", said, now, entropy, recording=recording)
    return GrantRow(identity, tenant, user, session, recording, purpose, manifest_sha256, until)


def note(
    tenant: str,
    kind: str,
    body: Mapping[str, object],
    *,
    recording: str | None,
    now: datetime,
    entropy: Entropy,
) -> None:
    """A leaf about a recording that has no row of its own: a refusal, an altered block."""
    with writing():
        append(tenant, kind, body, now, entropy, recording=recording)


def living(tenant: str, user: str, grant_id: str, now: datetime) -> GrantRow | None:
    """A person's own grant while it lasts; ``None`` for anybody else's, as for one that is over, or that
    would last longer than any does: it was given by a clock that had jumped ahead."""
    return _one(tenant, user, grant_id, _lasting(now) & (Grant.until <= now + LASTS + SLACK))


def own(tenant: str, user: str, grant_id: str) -> GrantRow | None:
    """A person's own grant, also when it is over; ``None`` for anybody else's."""
    return _one(tenant, user, grant_id)


def _one(tenant: str, user: str, grant_id: str, *conditions: Expression) -> GrantRow | None:
    with connected():
        row = (
            Grant.select()
            .where((Grant.tenant == tenant) & (Grant.user == user) & (Grant.id == grant_id), *conditions)
            .first()
        )
    if row is None:
        return None
    return GrantRow(
        row.id,
        row.tenant_id,
        row.user_id,
        row.session_id,
        row.recording_id,
        row.purpose,
        row.manifest_sha256,
        row.until,
    )


def _lasting(now: datetime) -> Expression:
    return (Grant.until > now) & Grant.ended_at.is_null()


def renew(grant: GrantRow, until: datetime, *, now: datetime, entropy: Entropy) -> bool:
    """A grant lasts until a later time; false where it ended meanwhile."""
    with writing():
        hold(grant.tenant)
        if not Grant.update(until=until).where((Grant.id == grant.id) & _lasting(now)).execute():
            return False
        said = {"grant": grant.id, "user": grant.user, "recording": grant.recording, "purpose": grant.purpose}
        append(grant.tenant, "grant.renewed", said, now, entropy, recording=grant.recording)
    return True


def count_sent(
    grant: GrantRow, play: str, name: str, sent_bytes: int, *, now: datetime, entropy: Entropy
) -> ListenRow | None:
    """So many plain bytes more are about to leave: counted on the play's open listen, or on a new one, with
    its leaf.  ``None`` where a new one is needed and the grant is over.

    Never on a listen that is closed: its leaf has said how much was sent."""
    mine = _open_listen(grant, play)
    with writing():
        if _count(mine, sent_bytes, now):
            return _listen_row(Listen.get(mine), grant)
        # A player's first requests come at once, to whichever panel: one of them opens it.
        hold(grant.tenant)
        if _count(mine, sent_bytes, now):
            return _listen_row(Listen.get(mine), grant)
        if not Grant.select().where((Grant.id == grant.id) & _lasting(now)).exists():
            return None
        row = Listen.create(
            id=str(uuid7(now, entropy)),
            tenant=grant.tenant,
            grant=grant.id,
            play=play,
            name=name,
            opened_at=now,
            sent_bytes=sent_bytes,
            last_sent_at=now,
        )
        said = {
            "listen": row.id,
            "grant": grant.id,
            "user": grant.user,
            "recording": grant.recording,
            "purpose": grant.purpose,
            "name": name,
        }
        append(grant.tenant, "listen.opened", said, now, entropy, recording=grant.recording)
    metrics.LISTENS.inc()
    return _listen_row(row, grant)


def is_open(listen: ListenRow) -> bool:
    """Whether nobody has closed a listen."""
    with connected():
        return Listen.select().where((Listen.id == listen.id) & Listen.closed_at.is_null()).exists()


def take_back(listen: ListenRow, sent_bytes: int, now: datetime) -> None:
    """So many of the bytes that were counted did not leave.  A listen that was closed meanwhile stays as its
    leaf says."""
    with writing():
        _count((Listen.id == listen.id) & Listen.closed_at.is_null(), -sent_bytes, now)


def _count(listen: Expression, sent_bytes: int, now: datetime) -> bool:
    changed = Listen.update(sent_bytes=Listen.sent_bytes + sent_bytes, last_sent_at=now).where(listen)
    return bool(changed.execute())


def _listen_row(row: Listen, grant: GrantRow) -> ListenRow:
    return ListenRow(row.id, grant.tenant, grant.recording, row.sent_bytes)


def _open_listen(grant: GrantRow, play: str) -> Expression:
    return (Listen.grant == grant.id) & (Listen.play == play) & Listen.closed_at.is_null()


def close_listen(listen: ListenRow, *, now: datetime, entropy: Entropy) -> bool:
    """The play is over: a leaf says how much was sent.  False where it was closed before."""
    with writing():
        # First, as where one is opened: there the listen's row is changed under this hold.
        hold(listen.tenant)
        mine = Listen.id == listen.id
        if not Listen.update(closed_at=now).where(mine & Listen.closed_at.is_null()).execute():
            return False
        row = Listen.select(Listen.sent_bytes, Listen.player_says).where(mine).get()
        said: dict[str, object] = {"listen": listen.id, "recording": listen.recording}
        said["sent_bytes"] = int(row.sent_bytes)
        if row.player_says is not None:
            said["player_says"] = row.player_says
        append(listen.tenant, "listen.closed", said, now, entropy, recording=listen.recording)
    return True


def player_says(listen: ListenRow, played: Sequence[tuple[int, int]], add: Added) -> bool:
    """Note what the player says was played, besides what it said before; ``add`` puts both together.  False
    where the listen was closed meanwhile: its leaf has said it all."""
    with writing():
        hold(listen.tenant)
        mine = (Listen.id == listen.id) & Listen.closed_at.is_null()
        row = Listen.get_or_none(mine)
        if row is None:
            return False
        before = [(int(begin), int(end)) for begin, end in row.player_says or ()]
        said = [list(each) for each in add([*before, *played])]
        return bool(Listen.update(player_says=said).where(mine).execute())


def listen_of(grant: GrantRow, play: str) -> ListenRow | None:
    """The open listen of a play under a grant."""
    with connected():
        row = Listen.get_or_none(_open_listen(grant, play))
    return None if row is None else _listen_row(row, grant)


def stale_listens(now: datetime, limit: int = 100) -> tuple[ListenRow, ...]:
    """Listens that are open though their grant is over: the player went away without a word."""
    with connected():
        query = (
            Listen.select(Listen, Grant)
            .join(Grant)
            .where(Listen.closed_at.is_null() & ((Grant.until <= now) | Grant.ended_at.is_null(False)))
            .order_by(Listen.opened_at)
            .limit(limit)
        )
        return tuple(
            ListenRow(row.id, row.tenant_id, row.grant.recording_id, row.sent_bytes) for row in query
        )
