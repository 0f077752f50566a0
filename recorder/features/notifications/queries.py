"""The rows of notifications, and what the catalogue has to tell. Every query takes a tenant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from peewee import fn

from recorder.auditlog.leaf_lookup import line_leaves
from recorder.catalogue import queries, subject_request_queries
from recorder.catalogue.database import connected
from recorder.catalogue.offboarding_progress import find_offboarding
from recorder.catalogue.row_values import read_value
from recorder.catalogue.tables.dispute import DisputeNewsTable
from recorder.catalogue.tables.listed_call import ListedCallTable, ListedLineTable
from recorder.catalogue.tables.node_report import NodeReportTable
from recorder.catalogue.tables.notification import NotificationChoiceTable, NotificationTable
from recorder.catalogue.tables.recording import RecordingTable
from recorder.catalogue.tables.subject_request import ReviewTable, SubjectRequestTable
from recorder.clock import from_iso, to_iso
from recorder.domain.line_policy import OFF
from recorder.features.notifications.rules import (
    ARCHIVE,
    CAUSES,
    DISPUTE_NEWS,
    FAULTS,
    HANDOVER,
    HOLD,
    LEGAL_DUTY,
    LINE_END_WINDOW,
    LINE_ENDED,
    NOT_AT_ALL,
    NOT_RECORDED,
    ORDINARY_REASONS,
    OUTCOMES,
    PROPOSAL,
    REQUEST,
    REQUEST_NOTICE,
    RETENTION,
    REVIEW,
    SET_ASIDE,
    SUSPENDED,
    SWITCHED_OFF,
    WORK,
    LineFailure,
    Notification,
    Occasion,
    ReadMarks,
    away_since,
    channel_of,
    switch_off_times,
)
from recorder.lifecycle import amendments
from recorder.lifecycle.line_proposals import find_proposals
from recorder.lifecycle.suspension import find_suspensions

LISTED: Final = 100
"""Notifications on the page at most."""


# --- rows


def notifications(tenant: str, without: Collection[str] = ()) -> tuple[Notification, ...]:
    """A tenant's notifications but those of some kinds: open ones first, then the latest change first."""
    with connected():
        query = NotificationTable.select().where(_mine(tenant, without))
        is_over = NotificationTable.ended_at.is_null(False)
        newest = NotificationTable.changed_at.desc(), NotificationTable.id.desc()
        return _notifications(query.order_by(is_over, *newest).limit(LISTED))


def handover(tenant: str, user: str) -> Notification | None:
    """That others asked a user to handle recordings, if there are any that the user still handles."""
    found = amendments.find_handover(tenant, user)
    if found is None:
        return None
    number, at = found
    return Notification(HANDOVER, HANDOVER, HANDOVER, HANDOVER, at, at, data={"number": number})


def dispute_news(tenant: str, user: str, now: datetime) -> tuple[Notification, ...]:
    """What is new in the disputes that a user takes part in, the latest first; ``data`` names the dispute and
    its newest statement that they are told."""
    mine = (DisputeNewsTable.tenant_id == tenant) & (DisputeNewsTable.user_id == user)
    with connected():
        rows = DisputeNewsTable.select().where(mine & (DisputeNewsTable.at > now - RETENTION))
        return tuple(
            Notification(
                f"{DISPUTE_NEWS}-{row.dispute_id}", DISPUTE_NEWS, DISPUTE_NEWS, row.id, row.at, row.at,
                data={"dispute": row.dispute_id, "number": row.number},
            )
            for row in rows.order_by(DisputeNewsTable.at.desc()).limit(LISTED)
        )  # fmt: skip


def count_unread(tenant: str, user: str, now: datetime, *, admin: bool) -> int | None:
    """How many notifications a user has not read of the kinds that they want: an ``admin`` of all, anybody
    else of what they were handed and of what concerns them; ``None`` if that is nothing."""
    row = choice_row(tenant, user)
    own = own_notifications(tenant, user, row, now)
    unread = sum(not read_marks(row).is_read(each.id, each.changed_at) for each in own)
    if admin:
        return unread + _count_unread(tenant, row)
    return unread if own else None


def own_notifications(
    tenant: str, user: str, row: NotificationChoiceTable | None, now: datetime
) -> tuple[Notification, ...]:
    """What a user is told for themselves, with their ``row`` of choices."""
    one = handover(tenant, user)
    wants = channel_of(row.choices if row else {}, DISPUTE_NEWS) != NOT_AT_ALL
    return (*(() if one is None else (one,)), *(dispute_news(tenant, user, now) if wants else ()))


def _count_unread(tenant: str, row: NotificationChoiceTable | None) -> int:
    without = [kind for kind, channel in (row.choices if row else {}).items() if channel == NOT_AT_ALL]
    marks, mine, columns = read_marks(row), _mine(tenant, without), NotificationTable
    later = mine if marks.until is None else mine & (columns.changed_at > marks.until)
    with connected():
        number = int(columns.select().where(later).count())
        if marks.single:
            single = columns.select(columns.id, columns.changed_at).where(
                mine & columns.id.in_([*marks.single])
            )
            for each in single:
                number += marks.covers(each.changed_at) - marks.is_read(each.id, each.changed_at)
    return number


def read_marks(row: NotificationChoiceTable | None) -> ReadMarks:
    """What a user has read, by their row; a mark that nobody of ours wrote is none."""
    if row is None:
        return ReadMarks()
    single = {}
    for notification, mark in row.read_marks.items():
        with suppress(ValueError, TypeError):
            change, is_read = mark
            single[notification] = from_iso(change), bool(is_read)
    return ReadMarks(row.read_until, single)


def existing_ids(tenant: str, notifications: Collection[str]) -> frozenset[str]:
    """Those of some notifications' ids that a tenant has."""
    with connected():
        mine = (NotificationTable.tenant == tenant) & NotificationTable.id.in_([*notifications])
        return frozenset(row.id for row in NotificationTable.select(NotificationTable.id).where(mine))


def choice_row(tenant: str, user: str) -> NotificationChoiceTable | None:
    """What a tenant's user has chosen and read; ``None`` for nothing."""
    with connected():
        return NotificationChoiceTable.get_or_none(
            (NotificationChoiceTable.tenant_id == tenant) & (NotificationChoiceTable.id == user)
        )


def pending_notifications(tenant: str, since: datetime) -> tuple[Notification, ...]:
    """A tenant's notifications that are open, not mailed as they are, or changed after ``since``."""
    state = NotificationTable.ended_at.is_null() | NotificationTable.mailed.is_null()
    changed = NotificationTable.changed_at > since
    unmailed = NotificationTable.ended_at.is_null(False) & (NotificationTable.mailed == "open")
    with connected():
        query = NotificationTable.select().where(
            (NotificationTable.tenant == tenant) & (state | changed | unmailed)
        )
        return _notifications(query.order_by(NotificationTable.since, NotificationTable.id))


def tenants_with_unmailed() -> frozenset[str]:
    """The tenants with a notification that was not mailed as it is; the end of a review is never mailed."""
    ended = NotificationTable.ended_at.is_null(False) & (NotificationTable.kind != REVIEW)
    condition = NotificationTable.mailed.is_null() | (ended & (NotificationTable.mailed == "open"))
    with connected():
        return frozenset(
            row.tenant_id
            for row in NotificationTable.select(NotificationTable.tenant).where(condition).distinct()
        )


def known_keys(tenant: str, keys: Collection[str]) -> frozenset[str]:
    """Those of some keys that a tenant's notification has."""
    with connected():
        condition = (NotificationTable.tenant == tenant) & NotificationTable.key.in_([*keys])
        return frozenset(row.key for row in NotificationTable.select(NotificationTable.key).where(condition))


def has_old(tenant: str, before: datetime) -> bool:
    """Whether a tenant has notifications that ended before a time."""
    with connected():
        return bool(NotificationTable.select().where(_old(tenant, before)).exists())


def drop_old(tenant: str, before: datetime) -> None:
    """Inside the caller's transaction: drop a tenant's notifications that ended before a time."""
    NotificationTable.delete().where(_old(tenant, before)).execute()


def _old(tenant: str, before: datetime) -> Any:
    return (NotificationTable.tenant == tenant) & (NotificationTable.ended_at < before)


def last_mails(tenant: str) -> dict[str, datetime]:
    """When a tenant's admins last got a mail, by kind."""
    with connected():
        query: Any = NotificationTable.select(NotificationTable.kind, fn.MAX(NotificationTable.mailed_at))
        rows = query.where((NotificationTable.tenant == tenant) & NotificationTable.mailed_at.is_null(False))
        return dict(rows.group_by(NotificationTable.kind).tuples())


def _mine(tenant: str, without: Collection[str]) -> Any:
    condition = NotificationTable.tenant == tenant
    return condition & NotificationTable.kind.not_in([*without]) if without else condition


def _notifications(rows: Iterable[NotificationTable]) -> tuple[Notification, ...]:
    """Those rows that say something: one with an unknown cause was not written by Accord."""
    return tuple(
        _notification(row)
        for row in rows
        if row.cause in CAUSES.get(row.kind, ()) and row.outcome in (None, *OUTCOMES)
    )


def _notification(row: NotificationTable) -> Notification:
    return read_value(Notification, row)


# --- calls, by the index of the call list


def line_failures(tenant: str, since: datetime) -> list[LineFailure]:
    """The lines of a tenant with calls that were not recorded since a time, by cause."""
    calls, lines = ListedCallTable, ListedLineTable
    with connected():
        query: Any = (
            calls.select(lines.line_id, calls.reason, fn.MAX(calls.started_ms))
            .join(lines, on=(lines.id == calls.line))
            .where(
                (calls.tenant_id == tenant) & (calls.started_ms >= _ms(since)) & calls.reason.is_null(False)
            )
            .where(calls.reason.not_in(ORDINARY_REASONS) & (lines.line_id != ""))
            .group_by(lines.line_id, calls.reason)
        )
        rows = list(query.tuples())
    last: dict[tuple[str, str], int] = {}
    for line, reason, started_ms in rows:
        key = str(line), reason if reason in FAULTS else SET_ASIDE
        last[key] = max(last.get(key, 0), int(started_ms))
    return [LineFailure(line, cause, _time(ms)) for (line, cause), ms in sorted(last.items())]


def recorded_after(tenant: str, line: str, after: datetime) -> datetime | None:
    """The start of a line's first recorded call after a time; one that was imported, or not announced,
    does not count."""
    calls = ListedCallTable
    with connected():
        row = (
            _of_line(tenant, line, calls.started_ms)
            .join(RecordingTable, on=(RecordingTable.id == calls.id))
            .where((calls.started_ms > _ms(after)) & (calls.recorded == 1))
            .where(RecordingTable.import_sha256.is_null() & (RecordingTable.announced == 1))
            .order_by(calls.started_ms)
            .first()
        )
    return None if row is None else _time(row.started_ms)


def failure_start(tenant: str, failure: LineFailure) -> datetime:
    """Since when a line's calls are not recorded for a cause: the first such call after the last recorded
    one."""
    calls, until = ListedCallTable, _ms(failure.last)
    why = (
        calls.reason.not_in([*FAULTS, *ORDINARY_REASONS])
        if failure.cause == SET_ASIDE
        else calls.reason == failure.cause
    )
    with connected():
        before = _of_line(tenant, failure.line, fn.MAX(calls.started_ms)).where(
            (calls.recorded == 1) & (calls.started_ms < until)
        )
        last_recorded = before.scalar()
        first = _of_line(tenant, failure.line, fn.MIN(calls.started_ms)).where(
            why & (calls.started_ms > (-1 if last_recorded is None else last_recorded))
        )
        found = first.scalar()
    return failure.last if found is None else _time(found)


def _of_line(tenant: str, line: str, *columns: Any) -> Any:
    calls, lines = ListedCallTable, ListedLineTable
    query: Any = calls.select(*columns).join(lines, on=(lines.id == calls.line))
    return query.where((lines.tenant_id == tenant) & (lines.line_id == line)).switch(calls)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(ms))


# --- daemons


def recorder_away_since(now: datetime) -> datetime | None:
    """Since when no node's daemon watches its switch; ``None`` if one does, or nothing is known."""
    with connected():
        rows = list(NodeReportTable.select())
    watches = [(row.watched_at, row.reported_at) for row in rows if row.watched_at is not None]
    return away_since(watches, now)


# --- everything else


def occasions(tenant: str, now: datetime) -> list[Occasion]:
    """What a tenant's admins are to be told now, apart from calls."""
    return [
        *_line_changes(tenant, now),
        *_archive(tenant),
        *_hold_reviews(tenant, now),
        *_requests_due(tenant, now),
        *_legal_duties_ended(tenant, now),
        *_proposals(tenant),
    ]


def _line_changes(tenant: str, now: datetime) -> list[Occasion]:
    lines = queries.lines(tenant, ended=True)
    found = [
        Occasion(NOT_RECORDED, LINE_ENDED, f"{LINE_ENDED}/{each.id}", each.until, each.id, over=True)
        for each in lines
        if each.until is not None and now - LINE_END_WINDOW <= each.until <= now and each.mode != OFF
    ]
    suspended = find_suspensions(tenant)
    found += [
        Occasion(NOT_RECORDED, SUSPENDED, f"{SUSPENDED}/{each.id}/{to_iso(one.since)}", one.since, each.id)
        for each in lines
        if each.until is None and each.mode != OFF and (one := suspended.of(each.id)) is not None
    ]
    off = {each.id for each in lines if each.until is None and each.mode == OFF}
    if not off:
        return found
    modes = (
        (str(leaf.body.get("line")), str(leaf.body["mode"]), leaf.at)
        for leaf in line_leaves(tenant)
        if "mode" in leaf.body
    )
    since = {line: at for line, at in switch_off_times(modes).items() if line in off}
    return found + [
        Occasion(NOT_RECORDED, SWITCHED_OFF, f"{SWITCHED_OFF}/{line}/{to_iso(at)}", at, line)
        for line, at in sorted(since.items())
    ]


def _archive(tenant: str) -> list[Occasion]:
    row = find_offboarding(tenant)
    if row is None or row.handed_at is None or row.erasing_since is not None:
        return []
    data = {"until": to_iso(row.until)}
    return [Occasion(WORK, ARCHIVE, f"{ARCHIVE}/{row.handover}", row.handed_at, data=data, over=True)]


def _hold_reviews(tenant: str, now: datetime) -> list[Occasion]:
    return [
        Occasion(
            REVIEW,
            HOLD,
            f"{HOLD}/{each.recording}/{each.number}",
            each.review_at,
            recording=each.recording,
        )
        for each in amendments.holds(tenant)
        if each.review_at <= now
    ]


def _requests_due(tenant: str, now: datetime) -> list[Occasion]:
    """Requests that must be answered soon; and at once those that people made by themselves."""
    soon = (now + REQUEST_NOTICE).date()
    return [
        Occasion(
            REVIEW,
            REQUEST,
            f"{REQUEST}/{each.id}/{each.due_on}",
            now,
            data={"request": each.id, "due_on": each.due_on.isoformat()},
        )
        for each in subject_request_queries.requests(tenant)
        if each.open and (each.due_on <= soon or each.recording is not None)
    ]


def _legal_duties_ended(tenant: str, now: datetime) -> list[Occasion]:
    """Recordings of a person's that were not erased on request while a law required to keep them. Holds have
    reviews of their own."""
    with connected():
        rows = list(
            ReviewTable.select()
            .join(SubjectRequestTable, on=(SubjectRequestTable.id == ReviewTable.request))
            .where((SubjectRequestTable.tenant_id == tenant) & ReviewTable.erased_at.is_null())
            .where((ReviewTable.kept_until <= now) & (ReviewTable.kept_reason != "retention.held"))
        )
    return [
        Occasion(
            REVIEW,
            LEGAL_DUTY,
            f"{LEGAL_DUTY}/{row.id}/{to_iso(row.kept_until)}",
            row.kept_until,
            recording=row.recording_id,
            data={"request": row.request_id},
        )
        for row in rows
        if row.kept_until is not None
    ]


def _proposals(tenant: str) -> list[Occasion]:
    return [
        Occasion(REVIEW, PROPOSAL, f"{PROPOSAL}/{each.line}/{each.number}", each.at, each.line)
        for each in find_proposals(tenant).values()
    ]


def line_names(tenant: str) -> Mapping[str, tuple[str, str]]:
    """The number and the label of a tenant's lines, ended ones too, by id."""
    return {each.id: (each.number, each.label) for each in queries.lines(tenant, ended=True)}


def lines_by_state(tenant: str) -> tuple[frozenset[str], frozenset[str]]:
    """A tenant's lines that should be recorded, and all that have not ended."""
    lines, suspended = queries.lines(tenant), find_suspensions(tenant)
    recorded = (each.id for each in lines if each.mode != OFF and suspended.of(each.id) is None)
    return frozenset(recorded), frozenset(each.id for each in lines)
