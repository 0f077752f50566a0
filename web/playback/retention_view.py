"""What the call page needs to show and change how long a recording is kept."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from recorder.catalogue import queries
from recorder.catalogue.country_check import pack_of
from recorder.catalogue.records import UserRow
from recorder.domain import time_zones
from recorder.domain.roles import ADMIN, CUSTOMER
from recorder.errors import RetentionError
from recorder.identity import users
from recorder.lifecycle.amendment_service import LONGEST_REASON, LONGEST_REVIEW, RecordingStatus
from recorder.prompts.purposes import standard
from recorder.seal.usage_terms import retention_start
from web.state import current_plan, current_visitor, panel_state
from web.text.deletion import pending_deletion

AGREEMENT = "agreement"
"""The only purpose that can be agreed to in the panel: to keep clear what was agreed."""

DEFAULT_KEEP = timedelta(days=365)
"""Retention proposed for a later agreement."""

DEFAULT_REVIEW = timedelta(days=90)
"""Time until the review that is proposed when a recording is kept for a dispute."""


def retention_context(status: RecordingStatus) -> dict[str, Any]:
    """The values of the page's forms: days in the customer's time zone, names, and what is possible."""
    visitor, today = current_visitor(), local_date(status.now)
    latest, (by_country, by_plan) = last_agreement_day(status), _longest_days(status)
    usual = local_date(retention_start(status.chain.manifest) + DEFAULT_KEEP)
    is_kept = status.terms.holds or status.terms.deferrals
    names = {each.id: each.name for each in users.users(visitor.tenant.id)} if is_kept else {}
    owners = {each.data.owner for each in status.terms.holds}
    return {
        "status": status,
        "admin": visitor.admin,
        "signs": panel_state().changes is not None,
        "handlers": handlers(status) if visitor.admin or visitor.user.id in owners else (),
        "owners": {each.number: names.get(each.data.owner, "") for each in status.terms.holds},
        "pending": pending_deletion(status, names),
        "why_not_delete": status.why_not_delete(),
        "longest_reason": LONGEST_REASON,
        "today": today,
        "tomorrow": today + timedelta(days=1),
        "called": local_date(status.row.started_at),
        "review": local_date(status.now + DEFAULT_REVIEW),
        "review_earliest": today + timedelta(days=1),
        "review_latest": local_date(status.now + LONGEST_REVIEW - timedelta(days=1)),
        "agree_latest": latest if latest > today else None,
        "agree_by_plan": by_plan is not None and by_plan < by_country,
        "agree_usual": usual if today < usual < latest else latest,
        "codes": [*standard(), *queries.own_purposes(visitor.tenant.id)],
    }


def handlers(status: RecordingStatus) -> list[UserRow]:
    """The people who can handle a dispute about a recording, by name: they see the calls of its number,
    and may listen for a purpose that serves disputes."""
    codes = status.may_hold() or [code for each in status.terms.holds for code in each.data.purposes]
    listeners = {role for code in codes for role in standard()[code].roles} & {ADMIN, CUSTOMER}
    row = status.row
    active = [each for each in users.users(row.tenant) if each.revoked_at is None and each.role in listeners]
    eligible = [each for each in active if each.lines is None or row.line in each.lines]
    return sorted(eligible, key=lambda each: each.name.casefold())


def first_day(status: RecordingStatus) -> date:
    """The day from which retention is counted."""
    return local_date(retention_start(status.chain.manifest))


def last_agreement_day(status: RecordingStatus) -> date:
    """The last day of retention that the customer's country and plan allow."""
    by_country, by_plan = _longest_days(status)
    return first_day(status) + timedelta(days=by_country if by_plan is None else min(by_country, by_plan))


def _longest_days(status: RecordingStatus) -> tuple[int, int | None]:
    """The longest retention by the customer's country, and by its plan (``None``: not limited)."""
    by_country = pack_of(status.row.tenant).rule(AGREEMENT).longest_keep_days
    return by_country, current_plan().longest_keep_days


def zone() -> ZoneInfo:
    return time_zones.display_zone(current_visitor().tenant.time_zone)


def local_date(at: datetime) -> date:
    """The date of a time in the customer's time zone."""
    return at.astimezone(zone()).date()


def parse_date(text: str, error_id: str) -> date:
    """A date as a browser sends it (ISO 8601).  Raises :class:`RetentionError` with ``error_id`` if it is
    invalid."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RetentionError(error_id, "invalid date", "choose a date") from None


def start_of_day(day: date, error_id: str) -> datetime:
    """The start of a day in the customer's time zone, in UTC.  Raises :class:`RetentionError` with
    ``error_id`` if the calendar ends before it."""
    try:
        return datetime.combine(day, time(), zone()).astimezone(UTC)
    except OverflowError:
        raise RetentionError(error_id, "invalid date", "choose a date that the calendar has") from None
