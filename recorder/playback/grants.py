"""Grants and listens as rows: what the gate (``playback/gate.py``) decided, and what it sent.

Every function writes row and leaf in one transaction. Only the gate and the worker call this.

A row has no effect beyond its leaf: a grant lasts no longer than its leaf allows, and audio is sent only
under a listen that is in the log. Nobody can fill the log by asking for more: renewals are one leaf an hour,
all playback under one grant is one listen while that is open, and the number of grants and listens per user
and hour is limited (:class:`recorder.errors.TooOften`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from peewee import Expression

from recorder import metrics
from recorder.auditlog import leaf_lookup
from recorder.auditlog.append import append, lock_tenant, tenant_lock
from recorder.catalogue.database import connected, writing
from recorder.catalogue.prepared_query import prepared
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.grant import GrantTable, ListenTable
from recorder.clock import SLACK, to_iso
from recorder.errors import TooOften
from recorder.fault_log import FaultLog
from recorder.ids import Entropy, uuid7
from recorder.isolation import isolate_object
from recorder.playback.interface import Grant
from recorder.verified_state import VerifiedState

MergeStretches = Callable[[Iterable[tuple[int, int]]], Sequence[tuple[int, int]]]

LASTS = timedelta(minutes=15)
"""How long a grant lasts at most, and how far each renewal extends it."""

HOUR = timedelta(hours=1)
"""How long one leaf covers the renewals of a grant."""

GRANTS_AN_HOUR = 180
LISTENS_AN_HOUR = 180
"""Per user: one every twenty seconds for an hour."""
LISTENS_A_GRANT = 60
"""Per hour: each reload and each return to a page is one."""
RENEWALS_AN_HOUR = 60
"""Per grant; a player asks every ten minutes."""
OLD_GRANTS = 20
"""Grants older than an hour that one user may renew at the same time."""

GIVEN = "grant.given"
RENEWED = "grant.renewed"
OPENED = "listen.opened"
CLOSED = "listen.closed"
BROKEN = "seal.broken"
DOWNLOADED = "recording.downloaded"


@dataclass(frozen=True, slots=True)
class ListenRow:
    """A listen that is not closed."""

    id: str
    tenant: str
    recording: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PermittedUse(VerifiedState):
    """A user may hear a verified recording for a purpose, up to ``until``. The gate verifies that, and makes
    a class of its own. ``preselected``: it had suggested the purpose."""

    tenant: str
    user: str
    session: str | None
    recording: str
    purpose: str
    manifest_sha256: str
    until: datetime
    preselected: bool = False


def create_grant(use: PermittedUse, *, now: datetime, entropy: Entropy) -> Grant:
    """Create a grant and its leaf, which says if the purpose was preselected. Raises :class:`TooOften`."""
    identity = str(uuid7(now, entropy))
    facts = use.tenant, use.user, use.session, use.recording, use.purpose, use.manifest_sha256, use.until
    tenant, user, session, recording, purpose, manifest_sha256, until = facts
    with tenant_lock(tenant):
        condition = GrantTable.select(GrantTable.granted_at.alias("at")).where(
            GrantTable.user == user, _within(GrantTable.granted_at, now)
        )
        _check(condition, GrantTable.granted_at, GRANTS_AN_HOUR, now)
        body: dict[str, object] = {"grant": identity, "user": user, "recording": recording}
        body["purpose"] = purpose
        body |= {"session": session or "", "manifest_sha256": manifest_sha256}
        if use.preselected:
            body |= {"preselected": True}
        leaf = append(tenant, GIVEN, body, now, entropy, recording=recording)
        GrantTable.create(
            id=identity,
            tenant=tenant,
            user=user,
            session=session,
            recording=recording,
            purpose=purpose,
            manifest_sha256=manifest_sha256,
            granted_at=now,
            until=until,
            leaf=leaf.number,
            renewals=0,
        )
    return Grant(identity, *facts, leaf.number)


def _within(at: Any, now: datetime) -> Any:
    """The condition for the last hour; it excludes rows written by a clock that had jumped ahead."""
    return (at > now - HOUR) & (at <= now + SLACK)


def _check(query: Any, at: Any, most: int, now: datetime) -> None:
    """Raises :class:`TooOften` if the last hour already has that many."""
    last = query.order_by(at.desc()).offset(most - 1).limit(1).objects().first()
    if last is not None:
        raise _too_often(last.at + HOUR - now)


def _too_often(wait: timedelta) -> TooOften:
    seconds = min(max(1, math.ceil(wait.total_seconds())), int(HOUR.total_seconds()))
    return TooOften("they have started to listen too often within the hour", seconds)


def note_event(
    tenant: str,
    kind: str,
    body: Mapping[str, object],
    *,
    recording: str | None,
    now: datetime,
    entropy: Entropy,
) -> int:
    """Append a leaf about a recording that has no row of its own: a refusal, a damaged block. Returns its
    number."""
    with writing():
        return append(tenant, kind, body, now, entropy, recording=recording).number


def note_broken_seal(
    tenant: str, body: Mapping[str, object], *, recording: str, now: datetime, entropy: Entropy
) -> None:
    """Append a leaf that an object is not as it was sealed, unless the last hour has the same one."""
    with tenant_lock(tenant):
        same = [leaf for leaf in leaf_lookup.leaves_about(tenant, [recording], [BROKEN]) if leaf.body == body]
        if not same or not now - HOUR < same[-1].at <= now + SLACK:
            append(tenant, BROKEN, body, now, entropy, recording=recording)


def find_valid_grant(tenant: str, user: str, grant_id: str, now: datetime) -> Grant | None:
    """A user's own grant that has not ended; ``None`` for another user's, for one that has ended, and for one
    that would last longer than a grant can, which a clock that had jumped ahead must have written."""
    with connected():
        row = next(iter(_find_valid(tenant, user, grant_id, to_iso(now), to_iso(now + LASTS + SLACK))), None)
    return None if row is None else grant_of(row)


@prepared(GrantTable)
def _find_valid(tenant: str, user: str, grant_id: str, now: str, most: str) -> Any:
    condition = (GrantTable.tenant == tenant) & (GrantTable.user == user) & (GrantTable.id == grant_id)
    return GrantTable.select().where(
        condition & (GrantTable.until > now) & GrantTable.ended_at.is_null() & (GrantTable.until <= most)
    )


def latest_grant(
    tenant: str, user: str, session: str | None, now: datetime, recording: str | None = None
) -> Grant | None:
    """The newest grant of a user's session that has not ended, for one recording or for any."""
    condition = (GrantTable.tenant == tenant) & (GrantTable.user == user) & (GrantTable.session == session)
    condition &= _is_in_time(now) & (GrantTable.until <= now + LASTS + SLACK)
    if recording is not None:
        condition &= GrantTable.recording == recording
    with connected():
        row = GrantTable.select().where(condition).order_by(GrantTable.granted_at.desc()).first()
    return None if row is None else grant_of(row)


def find_grant(tenant: str, user: str, grant_id: str) -> Grant | None:
    """A user's own grant, even if it has ended; ``None`` for another user's."""
    condition = (GrantTable.tenant == tenant) & (GrantTable.user == user) & (GrantTable.id == grant_id)
    with connected():
        row = GrantTable.get_or_none(condition)
    return None if row is None else grant_of(row)


def tenant_of(user: str, grant_id: str) -> str | None:
    """The customer whose recording a user's grant is about."""
    with connected():
        mine = (GrantTable.user == user) & (GrantTable.id == grant_id)
        row = GrantTable.select(GrantTable.tenant).where(mine).first()
    return None if row is None else str(row.tenant_id)


def grant_of(row: GrantTable) -> Grant:
    """The grant in a row."""
    return read_value(Grant, row)


def _is_in_time(now: datetime) -> Expression:
    return (GrantTable.until > now) & GrantTable.ended_at.is_null()


def is_logged(grant: Grant) -> bool:
    """Whether this grant is in the log, and lasts as long there as its row says."""
    logged = _leaf_of(grant)
    return logged is not None and grant.until <= logged.at + HOUR + LASTS + SLACK


def _leaf_of(grant: Grant) -> leaf_lookup.LoggedLeaf | None:
    logged = leaf_lookup.find_leaf(grant.tenant, grant.leaf)
    if logged is None or logged.kind not in (GIVEN, RENEWED):
        return None
    facts = {"grant": grant.id, "user": grant.user, "recording": grant.recording, "purpose": grant.purpose}
    return logged if {name: logged.body.get(name) for name in facts} == facts else None


def renew(grant: Grant, until: datetime, *, now: datetime, entropy: Entropy) -> Grant | None:
    """Extend a grant, and return it; ``None`` if it ended meanwhile. A leaf records it once an hour, with the
    number of renewals. Raises :class:`TooOften`."""
    with tenant_lock(grant.tenant):
        condition = (GrantTable.id == grant.id) & _is_in_time(now)
        row = GrantTable.get_or_none(condition)
        logged = None if row is None else _leaf_of(grant_of(row))
        if row is None or logged is None:
            return None
        renewals, leaf = (row.renewals or 0) + 1, row.leaf
        if now - logged.at >= HOUR:
            _check_old(grant, now)
            facts = {"grant": grant.id, "user": grant.user, "recording": grant.recording}
            body = {**facts, "purpose": grant.purpose, "renewals": renewals}
            leaf = append(grant.tenant, RENEWED, body, now, entropy, recording=grant.recording).number
            renewals = 0
        elif renewals > RENEWALS_AN_HOUR:
            raise _too_often(logged.at + HOUR - now)
        GrantTable.update(until=until, leaf=leaf, renewals=renewals).where(
            GrantTable.id == grant.id
        ).execute()
    return replace(grant, until=until, leaf=leaf)


def _check_old(grant: Grant, now: datetime) -> None:
    """Raises :class:`TooOften` if a user has many grants older than an hour."""
    old = (GrantTable.user == grant.user) & (GrantTable.granted_at <= now - HOUR) & _is_in_time(now)
    if GrantTable.select().where(old).count() > OLD_GRANTS:
        raise _too_often(LASTS)


def count_sent(
    grant: Grant, play: str, name: str, sent_bytes: int, *, now: datetime, entropy: Entropy
) -> ListenRow | None:
    """Count plain bytes that are about to be sent: on the grant's open listen, whichever player asks, or on a
    new one, with its leaf. ``None`` if a new one is needed and the grant has ended. Raises :class:`TooOften`.

    Never on a closed listen, whose leaf has stated how much was sent; nor on one that is not in the log."""
    with writing():
        if (joined := _count_on_open(grant, play, sent_bytes, now)) is not None:
            return joined
        # A player's first requests arrive at once, at several panel processes: one opens the listen.
        lock_tenant(grant.tenant)
        if (joined := _count_on_open(grant, play, sent_bytes, now)) is not None:
            return joined
        if not GrantTable.select().where((GrantTable.id == grant.id) & _is_in_time(now)).exists():
            return None
        _check_listens(grant, now)
        # A listen that is still open here is not in the log.
        ListenTable.update(closed_at=now).where(_open_listen(grant)).execute()
        identity = str(uuid7(now, entropy))
        body = {
            "listen": identity,
            "grant": grant.id,
            "user": grant.user,
            "recording": grant.recording,
            "purpose": grant.purpose,
            "name": name,
        }
        leaf = append(grant.tenant, OPENED, body, now, entropy, recording=grant.recording)
        row = ListenTable.create(
            id=identity,
            tenant=grant.tenant,
            grant=grant.id,
            play=play,
            name=name,
            opened_at=now,
            sent_bytes=sent_bytes,
            last_sent_at=now,
            leaf=leaf.number,
        )
    metrics.LISTENS.inc()
    return _listen_row(row, grant)


def _count_on_open(grant: Grant, play: str, sent_bytes: int, now: datetime) -> ListenRow | None:
    """The grant's open listen, with these bytes added; from here on it belongs to this player."""
    for row in _open_listens(grant.id):
        logged = leaf_lookup.find_leaf(grant.tenant, row.leaf)
        names = None if logged is None else (logged.kind, logged.body.get("listen"), logged.body.get("grant"))
        if names != (OPENED, row.id, grant.id):
            continue
        if _count((ListenTable.id == row.id) & ListenTable.closed_at.is_null(), sent_bytes, now, play):
            return _listen_row(row, grant)
    return None


@prepared(ListenTable)
def _open_listens(grant: str) -> Any:
    return ListenTable.select().where((ListenTable.grant == grant) & ListenTable.closed_at.is_null())


def _check_listens(grant: Grant, now: datetime) -> None:
    """Raises :class:`TooOften` if this grant or this user has had too many listens in an hour."""
    opened = ListenTable.select(ListenTable.opened_at.alias("at")).where(_within(ListenTable.opened_at, now))
    _check(opened.where(ListenTable.grant == grant.id), ListenTable.opened_at, LISTENS_A_GRANT, now)
    theirs = opened.join(GrantTable).where((GrantTable.user == grant.user) & (GrantTable.until > now - HOUR))
    _check(theirs, ListenTable.opened_at, LISTENS_AN_HOUR, now)


def is_open(listen: ListenRow) -> bool:
    """Whether a listen is not closed."""
    with connected():
        return (
            ListenTable.select()
            .where((ListenTable.id == listen.id) & ListenTable.closed_at.is_null())
            .exists()
        )


def take_back(listen: ListenRow, sent_bytes: int, now: datetime) -> None:
    """Subtract bytes that were counted and not sent. A listen that was closed meanwhile stays as its leaf
    says."""
    with writing():
        _count((ListenTable.id == listen.id) & ListenTable.closed_at.is_null(), -sent_bytes, now)


def _count(listen: Expression, sent_bytes: int, now: datetime, play: str | None = None) -> bool:
    whose = {} if play is None else {"play": play}
    change = {"sent_bytes": ListenTable.sent_bytes + sent_bytes, "last_sent_at": now} | whose
    return bool(ListenTable.update(change).where(listen).execute())


def _listen_row(row: ListenTable, grant: Grant) -> ListenRow:
    return ListenRow(row.id, grant.tenant, grant.recording)


def _open_listen(grant: Grant) -> Expression:
    return (ListenTable.grant == grant.id) & ListenTable.closed_at.is_null()


def close_listen(listen: ListenRow, *, now: datetime, entropy: Entropy) -> bool:
    """Close a listen, with a leaf that states how much was sent. False if it was closed before."""
    with writing():
        # The lock first, as when a listen is opened.
        lock_tenant(listen.tenant)
        condition = ListenTable.id == listen.id
        if not ListenTable.update(closed_at=now).where(condition & ListenTable.closed_at.is_null()).execute():
            return False
        row = ListenTable.select(ListenTable.sent_bytes, ListenTable.listen_report).where(condition).get()
        body: dict[str, object] = {"listen": listen.id, "recording": listen.recording}
        body["sent_bytes"] = int(row.sent_bytes)
        if row.listen_report is not None:
            body["listen_report"] = row.listen_report
        append(listen.tenant, CLOSED, body, now, entropy, recording=listen.recording)
    return True


def note_player_report(listen: ListenRow, played: Sequence[tuple[int, int]], add: MergeStretches) -> bool:
    """Store what the player reports as played; ``add`` merges it with its earlier reports. False if the
    listen was closed meanwhile, since its leaf is final."""
    with tenant_lock(listen.tenant):
        condition = (ListenTable.id == listen.id) & ListenTable.closed_at.is_null()
        row = ListenTable.get_or_none(condition)
        if row is None:
            return False
        before = [(int(begin), int(end)) for begin, end in row.listen_report or ()]
        report = [list(each) for each in add([*before, *played])]
        return bool(ListenTable.update(listen_report=report).where(condition).execute())


def listen_of(grant: Grant, play: str | None = None) -> ListenRow | None:
    """The open listen under a grant; with ``play``, only if no other player has asked since."""
    with connected():
        condition = _open_listen(grant)
        row = ListenTable.get_or_none(condition if play is None else condition & (ListenTable.play == play))
    return None if row is None else _listen_row(row, grant)


def stale_listens(now: datetime, limit: int = 100) -> tuple[ListenRow, ...]:
    """Listens that are open although their grant has ended: their player disconnected without closing
    them."""
    with connected():
        query = (
            ListenTable.select(ListenTable.id, ListenTable.tenant, GrantTable.recording)
            .join(GrantTable)
            .where(
                ListenTable.closed_at.is_null()
                & ((GrantTable.until <= now) | GrantTable.ended_at.is_null(False))
            )
            .order_by(ListenTable.opened_at)
            .limit(limit)
        )
        return tuple(ListenRow(row.id, row.tenant_id, row.grant.recording_id) for row in query)


def close_stale_listens(now: datetime, entropy: Entropy, faults: FaultLog | None = None) -> int:
    """Close the listens of ended grants; returns how many. One that cannot be closed is reported to
    ``faults`` and delays no other."""
    count, faults = 0, faults or FaultLog()
    for listen in stale_listens(now):
        with isolate_object(faults, "listen.close_failed", listen.id, listen=listen.id):
            count += close_listen(listen, now=now, entropy=entropy)
    return count


def find_heard_recording(tenant: str) -> str | None:
    """The id of a recording that somebody of a tenant has heard, by a player's report; ``None`` if nobody has
    heard any. For display: it decides nothing."""
    with connected():
        was_played = (ListenTable.tenant == tenant) & ListenTable.listen_report.is_null(False)
        query = GrantTable.select(GrantTable.recording).join(ListenTable).where(was_played)
        row = query.first()
    return None if row is None else row.recording_id
