"""Finds what a customer's admins are to be told, tells them by mail, and answers the panel.

Notifications are information: nothing is decided by them. All of it can be repeated: what there is to tell
is read from the catalogue each time, and a mail is queued in the transaction that notes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import structlog

from recorder.auditlog.append import tenant_lock
from recorder.catalogue.database import connected
from recorder.catalogue.offboarding_progress import is_being_erased
from recorder.catalogue.records import TenantRow, UserRow
from recorder.catalogue.tables.notification import NotificationChoiceTable, NotificationTable
from recorder.clock import to_iso
from recorder.domain.roles import ADMIN
from recorder.errors import MailError, SealError
from recorder.features.notifications import queries, rules
from recorder.features.notifications.mail import compose_mail
from recorder.identity import users
from recorder.ids import Entropy, uuid7
from recorder.mail.outbox import Outbox
from recorder.seal.revocation import Trust

log = structlog.get_logger()


# --- the worker's part


@dataclass(frozen=True, slots=True)
class NotificationChanges:
    """What is to be written about a customer's notifications."""

    starts: tuple[rules.Occasion, ...]
    reopenings: tuple[rules.Notification, ...]
    ends: tuple[rules.NotificationEnd, ...]


def update(tenant: str, now: datetime, entropy: Entropy, away_since: datetime | None = None) -> None:
    """Begin and end a customer's notifications by what the catalogue has now, and drop old ones.
    ``away_since``: since when no daemon watches a switch."""
    with connected():
        changes = _find_changes(tenant, now, away_since)
        if changes == _NOTHING and not queries.has_old(tenant, now - rules.RETENTION):
            return
    with tenant_lock(tenant):
        changes = _find_changes(tenant, now, away_since)  # another worker may have written them
        for each in changes.ends:
            _change(each.notification, ended_at=each.at, outcome=each.outcome, changed_at=now)
        for row in changes.reopenings:
            _change(row, ended_at=None, outcome=None, changed_at=now)
        _add(tenant, changes.starts, now, entropy)
        queries.drop_old(tenant, now - rules.RETENTION)


_NOTHING: Final = NotificationChanges((), (), ())


def _find_changes(tenant: str, now: datetime, away_since: datetime | None) -> NotificationChanges:
    if is_being_erased(tenant):
        return _NOTHING
    recorded_lines, living_lines = queries.lines_by_state(tenant)
    rows = queries.pending_notifications(tenant, now - rules.CALL_WINDOW - rules.REOPENING_WINDOW)
    calls = rules.compare_calls(
        queries.line_failures(tenant, now - rules.CALL_WINDOW),
        [row for row in rows if row.cause in rules.CALL_CAUSES],
        recorded_lines,
        partial(queries.recorded_after, tenant),
        now,
    )
    occasions = [*queries.occasions(tenant, now), *rules.away_occasions(rows, recorded_lines, away_since)]
    known = queries.known_keys(tenant, [each.key for each in occasions])
    starts = [_occasion(tenant, each) for each in calls.starts]
    return NotificationChanges(
        (*starts, *(each for each in occasions if each.key not in known)),
        calls.reopenings,
        (*calls.ends, *rules.find_ends(rows, occasions, recorded_lines, living_lines, now)),
    )


def mail_due(tenant: TenantRow, outbox: Outbox, trust: Trust, now: datetime, entropy: Entropy) -> int:
    """Queue mail to a customer's admins about what has changed; returns the number of mails."""
    with connected():
        if not _due(tenant.id, now):
            return 0
        admins = _admins(tenant.id, trust)
    mails = 0
    with tenant_lock(tenant.id):
        for kind, rows in _due(tenant.id, now).items():  # another worker may have mailed them
            lines = queries.line_names(tenant.id)
            for person in admins:
                if rules.channel_of(choices_of(tenant.id, person.id), kind) == rules.BY_MAIL:
                    message = compose_mail(person, tenant, kind, rows, lines)
                    mails += _enqueue(outbox, person, message, now, entropy)
            for row in rows:
                _change(row, mailed=row.state, mailed_at=now)
    return mails


def note_import(
    tenant: str, table: bytes, *, imported: int, failed: int, until: datetime, now: datetime, entropy: Entropy
) -> None:
    """Tell a customer's admins that an import has ended. ``table`` is the content of its table: the same
    import with the same result is told once. Recordings without a purpose are kept until ``until``."""
    content = hashlib.sha256(table).hexdigest()
    data = {"imported": imported, "failed": failed, "until": to_iso(until)}
    key = f"{rules.IMPORT}/{content}/{imported}/{failed}"
    with tenant_lock(tenant):
        if not queries.known_keys(tenant, [key]):
            _add(
                tenant,
                [rules.Occasion(rules.WORK, rules.IMPORT, key, now, data=data, over=True)],
                now,
                entropy,
            )


def _occasion(tenant: str, failure: rules.LineFailure) -> rules.Occasion:
    since = queries.failure_start(tenant, failure)
    key = f"{failure.cause}/{failure.line}/{to_iso(failure.last)}"
    return rules.Occasion(rules.NOT_RECORDED, failure.cause, key, since, failure.line)


def _add(tenant: str, occasions: Iterable[rules.Occasion], now: datetime, entropy: Entropy) -> None:
    for each in occasions:
        NotificationTable.create(
            id=str(uuid7(now, entropy)), tenant=tenant, kind=each.kind, cause=each.cause, key=each.key,
            line_id=each.line, recording_id=each.recording, data=dict(each.data), since=each.since,
            ended_at=each.since if each.over else None, outcome=None, changed_at=now, mailed=None,
            mailed_at=None,
        )  # fmt: skip


def _change(row: rules.Notification, **columns: Any) -> None:
    NotificationTable.update(columns).where(NotificationTable.id == row.id).execute()


def _due(tenant: str, now: datetime) -> dict[str, tuple[rules.Notification, ...]]:
    rows, last = queries.pending_notifications(tenant, now), queries.last_mails(tenant)
    found = {kind: rules.due_for_mail(kind, rows, last.get(kind), now) for kind in rules.KINDS}
    return {kind: some for kind, some in found.items() if some}


def _admins(tenant: str, trust: Trust) -> list[UserRow]:
    """The admins whose rows are as they were signed: a row alone gets no mail."""
    found = []
    for person in users.users(tenant):
        if person.role != ADMIN or person.revoked_at is not None:
            continue
        try:
            users.require_signed(person, trust)
        except SealError as error:
            log.error("notification.recipient_refused", user=person.id, error_id=error.error_id)
        else:
            found.append(person)
    return found


def _enqueue(outbox: Outbox, person: UserRow, message: Any, now: datetime, entropy: Entropy) -> bool:
    try:
        return outbox.enqueue(
            person.tenant, person.login, message, now, entropy, about=person.id, replaces=False
        )
    except MailError as error:  # a log-in that is no address
        log.info("notification.mail_failed", user=person.id, error_id=error.error_id)
        return False


# --- the panel's part


def wants_dispute_mail(tenant: str, user: str) -> bool:
    """Whether a user is told by mail what happens in the disputes that they take part in."""
    return rules.channel_of(choices_of(tenant, user), rules.DISPUTE_NEWS) == rules.BY_MAIL


def list_notifications(
    tenant: str, user: str, now: datetime, *, admin: bool
) -> tuple[rules.Notification, ...]:
    """What a user is told, open ones first: what they were handed, what is new in their disputes, and an
    ``admin`` all the rest."""
    mine = queries.own_notifications(tenant, user, queries.choice_row(tenant, user), now)
    if not admin:
        return mine
    choices = choices_of(tenant, user)
    unwanted = [kind for kind in rules.KINDS if rules.channel_of(choices, kind) == rules.NOT_AT_ALL]
    return (*mine, *queries.notifications(tenant, unwanted))


def count_unread(tenant: str, user: str, now: datetime, *, admin: bool) -> int | None:
    """How many of them the user has not read; ``None`` for somebody who gets none."""
    return queries.count_unread(tenant, user, now, admin=admin)


def read_marks(tenant: str, user: str) -> rules.ReadMarks:
    """What a user has read."""
    return queries.read_marks(queries.choice_row(tenant, user))


def mark_all_read(tenant: str, user: str, until: datetime) -> None:
    """Mark a user's notifications that changed until a time as read."""
    with tenant_lock(tenant):
        row = queries.choice_row(tenant, user)
        marks = queries.read_marks(row)
        later = {name: mark for name, mark in marks.single.items() if mark[0] > until}
        _put_marks(tenant, user, row, rules.ReadMarks(max(until, marks.until or until), later))


def mark(
    tenant: str, user: str, notification: str, change: datetime, now: datetime, *, is_read: bool
) -> None:
    """Mark one notification as read or as unread, as it is since a ``change``. Raises ``LookupError`` if the
    tenant has none with that id."""
    with tenant_lock(tenant):
        row = queries.choice_row(tenant, user)
        marks = queries.read_marks(row)
        single = {**marks.single, notification: (change, is_read)}
        news = {each.id for each in queries.dispute_news(tenant, user, now)}
        ids = queries.existing_ids(tenant, single) | news | {rules.HANDOVER}
        if notification not in ids:
            raise LookupError(f"there is no notification {notification}")
        single = {name: each for name, each in single.items() if name in ids}
        _put_marks(tenant, user, row, rules.ReadMarks(marks.until, single))


def _put_marks(tenant: str, user: str, row: NotificationChoiceTable | None, marks: rules.ReadMarks) -> None:
    single = {name: [to_iso(change), is_read] for name, (change, is_read) in marks.single.items()}
    _put(tenant, user, row, read_until=marks.until, read_marks=single)


def choices_of(tenant: str, user: str) -> Mapping[str, str]:
    """How a user is told, by kind."""
    row = queries.choice_row(tenant, user)
    own_choices = {} if row is None else row.choices
    return {kind: rules.channel_of(own_choices, kind) for kind in rules.KINDS}


def set_choices(
    tenant: str, user: str, choices: Mapping[str, str], kinds: Collection[str] = rules.KINDS
) -> None:
    """Choose how a user is told, by kind. Raises ``ValueError`` for anything but a channel of each of the
    ``kinds``."""
    if {*choices} != {*kinds} or not {*choices.values()} <= {*rules.CHANNELS}:
        raise ValueError("choose a channel for each kind of notification")
    with tenant_lock(tenant):
        _put(tenant, user, queries.choice_row(tenant, user), choices=dict(choices))


def _put(tenant: str, user: str, row: NotificationChoiceTable | None, **change: Any) -> None:
    if row is None:
        columns = {"choices": {}, "read_until": None, "read_marks": {}} | change
        NotificationChoiceTable.create(id=user, tenant_id=tenant, **columns)
    else:
        mine = NotificationChoiceTable.id == user
        NotificationChoiceTable.update(change).where(mine).execute()
