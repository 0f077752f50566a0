"""Grants and listens as rows: what the gate (``access/gate.py``) decided, and what left under it.

Every function writes row and leaf in one transaction.  Only the gate and the worker call this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder import metrics
from recorder.catalogue.models import Grant, Listen, connected, writing
from recorder.clock import SLACK
from recorder.ids import Entropy, uuid7
from recorder.ledger.append import append, hold

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
    """A play that is going on, or that nobody has closed; ``sent_bytes`` plain bytes so far."""

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
    with connected():
        row = Grant.get_or_none(
            (Grant.tenant == tenant)
            & (Grant.user == user)
            & (Grant.id == grant_id)
            & (Grant.until > now)
            & (Grant.until <= now + LASTS + SLACK)
            & Grant.ended_at.is_null()
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


def renew(grant: GrantRow, until: datetime, *, now: datetime, entropy: Entropy) -> bool:
    """A grant lasts until a later time; false where it ended meanwhile."""
    with writing():
        hold(grant.tenant)
        lasting = (Grant.id == grant.id) & (Grant.until > now) & Grant.ended_at.is_null()
        if not Grant.update(until=until).where(lasting).execute():
            return False
        said = {"grant": grant.id, "user": grant.user, "recording": grant.recording, "purpose": grant.purpose}
        append(grant.tenant, "grant.renewed", said, now, entropy, recording=grant.recording)
    return True


def open_listen(grant: GrantRow, play: str, name: str, *, now: datetime, entropy: Entropy) -> ListenRow:
    """The listen of a play: the one that is open, or a new one with its leaf."""
    mine = (Listen.grant == grant.id) & (Listen.play == play) & Listen.closed_at.is_null()
    with writing():
        row = Listen.get_or_none(mine)
        if row is None:
            # A player's first requests come at once, to whichever panel: one of them opens it.
            hold(grant.tenant)
            row = Listen.get_or_none(mine)
        if row is None:
            row = Listen.create(
                id=str(uuid7(now, entropy)),
                tenant=grant.tenant,
                grant=grant.id,
                play=play,
                name=name,
                opened_at=now,
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
            metrics.LISTENS.inc()
            append(grant.tenant, "listen.opened", said, now, entropy, recording=grant.recording)
    return ListenRow(row.id, grant.tenant, grant.recording, row.sent_bytes)


def add_sent(listen: ListenRow, sent_bytes: int, now: datetime) -> None:
    """So many plain bytes more have left."""
    with writing():
        Listen.update(sent_bytes=Listen.sent_bytes + sent_bytes, last_sent_at=now).where(
            Listen.id == listen.id
        ).execute()


def close_listen(listen: ListenRow, *, now: datetime, entropy: Entropy) -> bool:
    """The play is over: a leaf says how much was sent.  False where it was closed before."""
    with writing():
        mine = Listen.id == listen.id
        if not Listen.update(closed_at=now).where(mine & Listen.closed_at.is_null()).execute():
            return False
        sent = int(Listen.select(Listen.sent_bytes).where(mine).scalar())
        said = {"listen": listen.id, "recording": listen.recording, "sent_bytes": sent}
        append(listen.tenant, "listen.closed", said, now, entropy, recording=listen.recording)
    return True


def listen_of(grant: GrantRow, play: str) -> ListenRow | None:
    """The open listen of a play under a grant."""
    with connected():
        row = Listen.get_or_none(
            (Listen.grant == grant.id) & (Listen.play == play) & Listen.closed_at.is_null()
        )
    return None if row is None else ListenRow(row.id, grant.tenant, grant.recording, row.sent_bytes)


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
